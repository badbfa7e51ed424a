//! The process that proxies published ports: in the container's network namespace, and in nothing else of it.

use crate::fail::failed;
use crate::run::attendant::{self, Attendant};
use berth_monitor::process_id;
use berth_net::{Listener, Target};
use berth_sys::process::{self, Namespaces};
use berth_wire::Failure;
use rustix::fd::{AsFd as _, BorrowedFd, OwnedFd};

/// Starts the proxy for the running container behind `pidfd`, and waits until it serves. `life` ends with this process. A container that has ended
/// meanwhile needs none.
pub(crate) fn start(listeners: &[Listener], target: Target, pidfd: &OwnedFd, life: &OwnedFd) -> Result<Option<Attendant>, Failure> {
    if listeners.is_empty() {
        return Ok(None);
    }
    let mut kept: Vec<BorrowedFd<'_>> = listeners.iter().map(|listener| listener.as_fd()).collect();
    kept.extend([pidfd.as_fd(), life.as_fd()]);
    let started = attendant::start("port proxy", &kept, |announce| {
        process::enter(pidfd, Namespaces::NETWORK).map_err(failed("enter network namespace"))?;
        announce.serve()?;
        berth_net::serve(listeners, target, life)
    });
    match started {
        Ok(proxy) => Ok(Some(proxy)),
        // A process on its way out has left its namespaces already.
        Err(failure) if process_id::has_ended(pidfd) || failure.errno.as_deref() == Some("ESRCH") => Ok(None),
        Err(failure) => Err(failure.hint("The container runs, but its ports cannot be reached from here")),
    }
}
