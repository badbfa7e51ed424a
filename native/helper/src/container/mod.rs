//! Containers on disk and in the process table: `containers/<id>` with configuration, state, log and bound files.

pub(crate) mod folder;
pub(crate) mod life;
pub(crate) mod stubs;
pub(crate) mod tree;
pub(crate) mod watch;

pub(crate) use folder::Folder;

use crate::context::Context;
use crate::fail::{failed, of_layer};
use berth_cgroup::{Group, Layout};
use berth_monitor::clock;
use berth_wire::Failure;
use berth_wire::oci::Spec;
use berth_wire::reply::{ContainerState, Ended};
use berth_wire::request::PublishedPort;
use rustix::fs::OFlags;
use rustix::io::Errno;

/// Words of `ContainerState::status`.
pub(crate) const CREATED: &str = "created";
pub(crate) const RUNNING: &str = "running";
pub(crate) const PAUSED: &str = "paused";
pub(crate) const RESTARTING: &str = "restarting";
pub(crate) const EXITED: &str = "exited";
pub(crate) const DEAD: &str = "dead";

/// The state of a container that is being made.
pub(crate) fn created(id: &str, record: &str, ports: Vec<PublishedPort>) -> ContainerState {
    ContainerState {
        id: id.to_owned(),
        status: CREATED.to_owned(),
        process: None,
        monitor: None,
        created_at: clock::now(),
        started_at: None,
        finished_at: None,
        ended: None,
        ports,
        restarts: 0,
        error: None,
        health: None,
        record: record.to_owned(),
    }
}

/// How a process ended that nobody saw the end of.
pub(crate) fn unseen() -> Ended {
    Ended {
        exit_code: Some(137),
        signal: Some("SIGKILL".to_owned()),
        oom_killed: false,
        memory_peak: None,
        memory_source: None,
        cpu_microseconds: None,
    }
}

/// The groups of a container, where it has any.
pub(crate) fn group(context: &Context, folder: &Folder) -> Result<Group, Failure> {
    let spec: Spec = folder.read("config.json")?;
    let path = cgroup_path(context, &folder.id, spec.linux.cgroups_path.as_deref())?;
    Ok(Group::find(&Layout::detect(), &path))
}

/// The cgroup of a container, below each hierarchy. The store's inode keeps containers of two stores apart, whatever their ids.
pub(crate) fn cgroup_path(context: &Context, id: &str, given: Option<&str>) -> Result<String, Failure> {
    match given {
        Some(path) => Ok(path.to_owned()),
        None => {
            let store = rustix::fs::fstat(&context.store).map_err(failed("stat store"))?;
            Ok(format!("/berth/{id}-{:x}", store.st_ino))
        }
    }
}

/// Removes the folder of a container, where there is one.
pub(crate) fn remove_folder(context: &Context, id: &str) -> Result<bool, Failure> {
    let all = match berth_sys::path::open_beneath(&context.store, b"containers", OFlags::RDONLY | OFlags::DIRECTORY) {
        Err(Errno::NOENT) => return Ok(false),
        other => other.map_err(failed("open containers"))?,
    };
    berth_layer::remove_tree(&all, id.as_bytes()).map_err(of_layer)
}
