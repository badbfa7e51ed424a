//! `remove`: snapshots, containers, garbage. What is not there counts as removed; what cannot be removed is a warning, never fatal.

use crate::container::{self, Folder, life};
use crate::context::Context;
use crate::fail::{failed_on, of_layer};
use crate::journal;
use berth_layer::snapshot::{self, PART};
use berth_monitor::process_id;
use berth_sys::{file, lock};
use berth_wire::reply;
use berth_wire::request::{Remove, Rootfs};
use berth_wire::{Code, Failure, Reply};
use rustix::fd::BorrowedFd;
use rustix::io::Errno;
use std::collections::HashSet;

/// Digits in the name of a snapshot that is a layer. Every other name is an upper.
const LAYER_DIGITS: usize = 64;

/// Ends containers that are to be removed. Runs before a user namespace is entered: only from outside may it signal theirs.
pub(crate) fn stop(context: &Context, args: &Remove) -> Result<(), Failure> {
    for id in &args.containers {
        let Some((folder, state)) = find(context, id)? else { continue };
        if !life::runs(&state) {
            continue;
        }
        if !args.force {
            return Err(Failure::new(Code::Conflict, "remove container", "the container is running")
                .subject(id.clone())
                .hint("Stop it first, or remove it by force"));
        }
        life::check_reach(&folder, &state)?;
        folder.mark_stopped(true)?;
        let [process, monitor] = [state.process, state.monitor].map(|id| id.and_then(process_id::open));
        container::group(context, &folder).map(|group| group.thaw()).unwrap_or_default();
        match (process, &monitor) {
            (Some(process), _) => {
                journal::of_container(context, &folder, "kill", &[("signal", "9")]);
                life::end(&process)?;
            }
            // It waits to start the process again.
            (None, Some(monitor)) => drop(rustix::process::pidfd_send_signal(monitor, rustix::process::Signal::TERM)),
            (None, None) => {}
        }
        // The monitor clears up and ends when its process has.
        if let Some(monitor) = monitor {
            wait_for(&monitor, &folder)?;
        }
        life::look(context, &folder)?;
    }
    Ok(())
}

fn find(context: &Context, id: &str) -> Result<Option<(Folder, reply::ContainerState)>, Failure> {
    match Folder::open(context, id) {
        Ok(folder) => Ok(life::look(context, &folder)?.map(|state| (folder, state))),
        Err(failure) if failure.code == Code::NotFound => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// How long a monitor may take to write what is left of the output, and the end, of a process that has been killed: on a slow machine that is
/// many seconds.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);

/// Waits until the monitor has recorded the end, or has gone.
fn wait_for(monitor: &rustix::fd::OwnedFd, folder: &Folder) -> Result<(), Failure> {
    let watch = container::watch::Watch::soon(&folder.fd)?;
    let due = std::time::Instant::now() + PATIENCE;
    // A state that could not be read is written anew by the monitor when its process has ended.
    let runs = || {
        folder
            .state()
            .map_or_else(|failure| failure.code != Code::NotFound, |state| life::runs(&state))
    };
    while runs() && !process_id::has_ended(monitor) && std::time::Instant::now() < due {
        watch.wait(Some(rustix::fd::AsFd::as_fd(monitor)), Some(std::time::Duration::from_secs(1)))?;
    }
    Ok(())
}

pub(crate) fn run(context: &Context, args: &Remove) -> Result<Reply, Failure> {
    let mut done = reply::Remove {
        removed: Vec::new(),
        warnings: Vec::new(),
    };
    for id in &args.containers {
        remove_container(context, id, &mut done)?;
    }
    let snapshots = context.snapshots()?;
    let used = in_use(context)?;
    for name in &args.snapshots {
        snapshot::check_name(name).map_err(of_layer)?;
        if used.mounted.contains(name) {
            return Err(Failure::new(Code::Conflict, "remove snapshot", "a running container stands on it").subject(name.clone()));
        }
        note(&mut done, name, remove_snapshot(snapshots, name));
    }
    for name in args.cache_mounts.iter().flatten() {
        snapshot::check_name(name).map_err(of_layer)?;
        note(&mut done, name, remove_snapshot(context.cache_mounts()?, name));
    }
    if args.garbage {
        unfinished(context.cache_mounts()?, &mut done)?;
        garbage(context, snapshots, &used, &mut done)?;
    }
    Ok(Reply::Remove(done))
}

/// Nobody may start it between the last look and the end.
fn remove_container(context: &Context, id: &str, done: &mut reply::Remove) -> Result<(), Failure> {
    let folder = match Folder::open(context, id) {
        Ok(folder) => folder,
        Err(failure) if failure.code == Code::NotFound => return Ok(()),
        Err(failure) => return Err(failure),
    };
    let _locked = match folder.lock(context) {
        Ok(locked) => locked,
        Err(failure) if failure.code == Code::NotFound => return Ok(()),
        Err(failure) => return Err(failure),
    };
    if life::settle(context, &folder)?.is_some_and(|state| life::runs(&state)) {
        return Err(Failure::new(Code::Conflict, "remove container", "the container is running").subject(id));
    }
    journal::of_container(context, &folder, "destroy", &[]);
    note(done, id, container::remove_folder(context, id));
    Ok(())
}

fn note(done: &mut reply::Remove, name: &str, result: Result<bool, Failure>) {
    match result {
        Ok(true) => done.removed.push(name.to_owned()),
        Ok(false) => {}
        Err(failure) => done.warnings.push(format!("{name}: {failure}")),
    }
}

/// Takes the name away first, so that a snapshot is never seen half removed.
pub(crate) fn remove_snapshot(snapshots: BorrowedFd<'_>, name: &str) -> Result<bool, Failure> {
    let part = format!("{PART}{}", file::random_name().map_err(failed_on("getrandom", name))?);
    match rustix::fs::renameat(snapshots, name, snapshots, &part) {
        Ok(()) => berth_layer::remove_tree(snapshots, part.as_bytes()).map_err(of_layer),
        Err(Errno::NOENT) => Ok(false),
        Err(error) => Err(failed_on("rename", name)(error)),
    }
}

/// Names of snapshots that containers use.
struct InUse {
    /// Below a running container.
    mounted: HashSet<String>,
    /// Uppers of all containers.
    uppers: HashSet<String>,
}

fn in_use(context: &Context) -> Result<InUse, Failure> {
    let mut used = InUse {
        mounted: HashSet::new(),
        uppers: HashSet::new(),
    };
    for id in Folder::all(context)? {
        let Ok(folder) = Folder::open(context, &id) else { continue };
        let Ok(Rootfs { lowers, upper }) = folder.read("rootfs.json") else {
            continue;
        };
        used.uppers.insert(upper.clone());
        let mounted = match folder.state() {
            Ok(state) => life::runs(&state) && !life::is_abandoned(&folder, &state),
            // What cannot be read may be of one that runs.
            Err(failure) => failure.code != Code::NotFound,
        };
        if mounted {
            used.mounted.extend(lowers);
            used.mounted.insert(upper);
        }
    }
    Ok(used)
}

/// Unfinished snapshots that nobody works on, uppers that no container has, and folders of containers that never came to be.
fn garbage(context: &Context, snapshots: BorrowedFd<'_>, used: &InUse, done: &mut reply::Remove) -> Result<(), Failure> {
    for name in file::names(snapshots).map_err(failed_on("list", "snapshots"))? {
        let Ok(name) = String::from_utf8(name) else { continue };
        let layer = name.len() == LAYER_DIGITS && name.bytes().all(|byte| byte.is_ascii_hexdigit());
        if name.starts_with(PART) {
            if abandoned(snapshots, &name) {
                note(done, &name, berth_layer::remove_tree(snapshots, name.as_bytes()).map_err(of_layer));
            }
        } else if !layer && !used.uppers.contains(&name) {
            note(done, &name, remove_snapshot(snapshots, &name));
        }
    }
    for id in Folder::all(context)? {
        let Ok(folder) = Folder::open(context, &id) else { continue };
        // A start that is under way holds the lock before it writes a state.
        let Ok(Some(_locked)) = folder.try_lock(context) else { continue };
        let lives = || {
            !matches!(life::settle(context, &folder), Ok(None)) || container::group(context, &folder).is_ok_and(|group| !group.is_vacant())
        };
        let torn = || folder.is_torn("state.json") && !lives();
        if matches!(folder.state(), Err(failure) if failure.code == Code::NotFound) || torn() {
            crate::run::network::release(context, &folder);
            note(done, &id, container::remove_folder(context, &id));
        }
    }
    Ok(())
}

/// Cache mounts that never came to be.
fn unfinished(cache_mounts: BorrowedFd<'_>, done: &mut reply::Remove) -> Result<(), Failure> {
    for name in file::names(cache_mounts).map_err(failed_on("list", "cache mounts"))? {
        let Ok(name) = String::from_utf8(name) else { continue };
        if name.starts_with(PART) && abandoned(cache_mounts, &name) {
            note(
                done,
                &name,
                berth_layer::remove_tree(cache_mounts, name.as_bytes()).map_err(of_layer),
            );
        }
    }
    Ok(())
}

/// Whoever makes a snapshot, or removes a volume, holds a lock on its folder.
pub(crate) fn abandoned(snapshots: BorrowedFd<'_>, name: &str) -> bool {
    file::open_dir(snapshots, name.as_bytes()).is_ok_and(|folder| lock::try_lock(&folder, true).unwrap_or(false))
}
