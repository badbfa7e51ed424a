//! Which containers live: by their process and their monitor. What is found dead is recorded, and what it left is collected.

use crate::container::{self, Folder, stubs};
use crate::context::Context;
use crate::fail::failed;
use crate::journal;
use berth_cgroup::{Group, Layout};
use berth_jail::Stub;
use berth_monitor::{clients, clock, process_id};
use berth_wire::reply::ContainerState;
use berth_wire::request::{IdMap, Rootfs, Start};
use berth_wire::{Code, Failure, oci};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fd::{AsFd as _, OwnedFd};
use rustix::process::Signal;

/// How long the end of a killed process is waited for, in seconds. One that is stuck in the kernel takes longer; the next command finds it.
const PATIENCE: i64 = 5;

/// The state of a container as it is now. `None` when the folder is of a start that never got so far, or of a container that nobody keeps.
pub(crate) fn look(context: &Context, folder: &Folder) -> Result<Option<ContainerState>, Failure> {
    let state = match folder.state() {
        Ok(state) => state,
        Err(failure) if failure.code == Code::NotFound => {
            // A start that is under way writes its state at once; one that was killed before never will. The folder is garbage for `remove`.
            return Ok(None);
        }
        Err(_) => match unreadable(folder) {
            Some(state) => state,
            None => return Ok(None),
        },
    };
    if !is_abandoned(folder, &state) {
        return Ok(Some(state));
    }
    // Whoever holds the lock starts, changes or removes the container, and sees for itself.
    match folder.try_lock(context) {
        Ok(Some(_locked)) => settle(context, folder),
        Ok(None) => Ok(Some(state)),
        Err(failure) if failure.code == Code::NotFound => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// [`look`] for who holds the lock.
pub(crate) fn settle(context: &Context, folder: &Folder) -> Result<Option<ContainerState>, Failure> {
    // The monitor may have recorded the end and gone since the file was read.
    match folder.state() {
        Ok(state) if is_abandoned(folder, &state) => collect(context, folder, state),
        Ok(state) => Ok(Some(state)),
        Err(failure) if failure.code == Code::NotFound => Ok(None),
        Err(_) => match unreadable(folder) {
            Some(state) if is_abandoned(folder, &state) => collect(context, folder, state),
            other => Ok(other),
        },
    }
}

/// A container whose state cannot be read, by what else there is of it: its monitor is who listens for those who join. Without a monitor it is one
/// that has been abandoned, and without an order none at all.
fn unreadable(folder: &Folder) -> Option<ContainerState> {
    let order: Option<Start> = folder.read(container::folder::ORDER).ok();
    let record: String = folder.read(container::folder::RECORD).unwrap_or_default();
    let monitor = clients::listener(&folder.fd);
    (order.is_some() || monitor.is_some()).then(|| ContainerState {
        status: container::RUNNING.to_owned(),
        monitor,
        error: Some("its state cannot be read".to_owned()),
        health: folder.read(container::folder::HEALTH).ok(),
        ..container::created(&folder.id, &record, Vec::new())
    })
}

/// Whether the container is alive: its process runs, is on its way, or will be started again.
pub(crate) fn runs(state: &ContainerState) -> bool {
    match state.status.as_str() {
        container::RUNNING | container::RESTARTING => true,
        // Made by `create`, it has no monitor until it is started.
        container::CREATED => state.monitor.is_some(),
        _ => false,
    }
}

/// Whether it should be alive, and nobody attends it. The number of its monitor may be one of another pid namespace, such as a pod's, in which it goes
/// on; this process has no lock of its own, as its number is found.
pub(crate) fn is_abandoned(folder: &Folder, state: &ContainerState) -> bool {
    runs(state) && state.monitor.and_then(process_id::open).is_none() && !folder.is_attended()
}

/// Refuses what needs the processes of a running container where they are out of reach.
pub(crate) fn check_reach(folder: &Folder, state: &ContainerState) -> Result<(), Failure> {
    if !runs(state) || state.monitor.and_then(process_id::open).is_some() || !folder.is_attended() {
        return Ok(());
    }
    let failure = Failure::new(
        Code::NotPermitted,
        "reach container",
        "it was started in another pid namespace, to which its processes belong",
    );
    Err(failure
        .subject(folder.id.clone())
        .hint("Type it where the container was started: on the machine, or in the container or pod that has this store as well"))
}

/// Kills what a vanished monitor left behind, and records the end.
fn collect(context: &Context, folder: &Folder, mut state: ContainerState) -> Result<Option<ContainerState>, Failure> {
    if let Some(process) = state.process.and_then(process_id::open) {
        end(&process)?;
    }
    let spec: Option<oci::Spec> = folder.read("config.json").ok();
    let path = container::cgroup_path(
        context,
        &folder.id,
        spec.as_ref().and_then(|spec| spec.linux.cgroups_path.as_deref()),
    );
    Group::find(&Layout::detect(), &path?).remove();
    remove_stubs(context, folder);
    crate::run::network::release(context, folder);
    if matches!(folder.read("keep.json"), Ok(false)) || folder.is_torn("keep.json") {
        let order: Option<Start> = folder.read(container::folder::ORDER).ok();
        // From outside its user namespace its files cannot be removed: the engine, which sees it dead, asks for that.
        let out_of_reach = !matches!(context.id_map, IdMap::Root) && !rustix::process::geteuid().is_root();
        if !(out_of_reach && order.as_ref().is_some_and(|order| order.life.is_some())) {
            super::remove_folder(context, &folder.id)?;
            if let Some(order) = order {
                crate::run::container::discard_rest(context, &order);
            }
            return Ok(None);
        }
    }
    state.status = container::DEAD.to_owned();
    state.finished_at = Some(clock::now());
    state.ended = Some(container::unseen());
    folder.set_state(&state)?;
    journal::of_container(context, folder, "die", &[("exitCode", "137")]);
    Ok(Some(state))
}

fn remove_stubs(context: &Context, folder: &Folder) {
    let (Ok(stubs), Ok(rootfs)) = (folder.read::<Vec<Stub>>("stubs.json"), folder.read::<Rootfs>("rootfs.json")) else {
        return;
    };
    let Some(upper) = context
        .snapshots()
        .ok()
        .and_then(|snapshots| berth_layer::snapshot::open(snapshots, &rootfs.upper).ok())
    else {
        return;
    };
    stubs::remove(upper.as_fd(), &stubs);
    // Recorded, so that a later look does not take away what has become the container's own.
    let _ = folder.write("stubs.json", &Vec::<Stub>::new());
}

/// Kills a process and waits for its end.
pub(crate) fn end(pidfd: &OwnedFd) -> Result<(), Failure> {
    match rustix::process::pidfd_send_signal(pidfd, Signal::KILL) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => {}
        Err(error) => return Err(failed("kill")(error)),
    }
    let mut polled = [PollFd::new(pidfd, PollFlags::IN)];
    let patience = Timespec {
        tv_sec: PATIENCE,
        tv_nsec: 0,
    };
    match rustix::io::retry_on_intr(|| rustix::event::poll(&mut polled, Some(&patience))).map_err(failed("poll"))? {
        0 => Err(Failure::new(
            Code::System,
            "kill",
            "the process could not be killed: it is stuck in the kernel",
        )),
        _ => Ok(()),
    }
}
