//! The process that proxies published ports: in the container's network namespace, and in nothing else of it.

use crate::fail::failed;
use berth_monitor::process_id;
use berth_net::Listener;
use berth_sys::process::{self, Child, Forked, Namespaces};
use berth_wire::Failure;
use rustix::fd::{AsFd as _, BorrowedFd, OwnedFd};
use rustix::pipe::PipeFlags;
use rustix::process::{Gid, Signal, Uid};
use rustix::thread::{CapabilitySet, CapabilitySets};
use std::net::Ipv4Addr;

/// A running proxy; dropped, it ends.
#[derive(Debug)]
pub(crate) struct Proxy {
    child: Child,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = rustix::process::pidfd_send_signal(&self.child.pidfd, Signal::KILL);
        let _ = process::wait(self.child.pid);
    }
}

/// Starts the proxy for the running container behind `pidfd`, and waits until it serves. `life` ends with this process. A container that has ended
/// meanwhile needs none.
pub(crate) fn start(listeners: &[Listener], address: Ipv4Addr, pidfd: &OwnedFd, life: &OwnedFd) -> Result<Option<Proxy>, Failure> {
    if listeners.is_empty() {
        return Ok(None);
    }
    let (ready, announce) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).map_err(failed("pipe"))?;
    match process::fork(Namespaces::NONE).map_err(failed("fork proxy"))? {
        Forked::Child => {
            let error = serve(listeners, address, pidfd, life, &announce);
            process::exit_now(error.map_or_else(|error| error.raw_os_error(), |()| 0))
        }
        Forked::Parent(child) => {
            drop(announce);
            let told = rustix::io::retry_on_intr(|| rustix::io::read(&ready, &mut [0_u8; 1])).map_err(failed("wait for proxy"))?;
            if told == 1 {
                return Ok(Some(Proxy { child }));
            }
            let exit = process::wait(child.pid).map_err(failed("wait for proxy"))?;
            if process_id::has_ended(pidfd) {
                return Ok(None);
            }
            let error = rustix::io::Errno::from_raw_os_error(exit.status.shell_code());
            Err(failed("start port proxy")(error).hint("The container runs, but its ports cannot be reached from here"))
        }
    }
}

fn serve(listeners: &[Listener], address: Ipv4Addr, pidfd: &OwnedFd, life: &OwnedFd, announce: &OwnedFd) -> Result<(), rustix::io::Errno> {
    let mut kept: Vec<BorrowedFd<'_>> = listeners.iter().map(|listener| listener.as_fd()).collect();
    kept.extend([pidfd.as_fd(), life.as_fd(), announce.as_fd()]);
    process::close_all_but(&kept)?;
    // Its own standard descriptors belong to the engine's conversation, in which it has no part.
    let null = rustix::fs::open(
        "/dev/null",
        rustix::fs::OFlags::RDWR | rustix::fs::OFlags::CLOEXEC,
        rustix::fs::Mode::empty(),
    )?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    rustix::stdio::dup2_stderr(&null)?;
    process::enter(pidfd, Namespaces::NETWORK)?;
    drop_privileges()?;
    // Its end is seen by `serve` as well, also when it came before this call.
    process::die_with_parent()?;
    // Each connection takes two descriptors.
    berth_sys::file::raise_file_limit();
    rustix::io::write(announce, &[1])?;
    berth_net::serve(listeners, address, life).map_err(|_| rustix::io::Errno::IO)
}

/// It moves bytes of strangers: it needs no identity and no capability for that.
fn drop_privileges() -> Result<(), rustix::io::Errno> {
    const NOBODY: u32 = 65_534;
    rustix::thread::set_no_new_privs(true)?;
    if rustix::process::geteuid().is_root() {
        let (uid, gid) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
        rustix::thread::set_thread_groups(&[])?;
        rustix::thread::set_thread_res_gid(gid, gid, gid)?;
        rustix::thread::set_thread_res_uid(uid, uid, uid)?;
    }
    let none = CapabilitySet::empty();
    rustix::thread::set_capabilities(
        None,
        CapabilitySets {
            effective: none,
            permitted: none,
            inheritable: none,
        },
    )
}
