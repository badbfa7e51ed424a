//! A container on disk, `<root>/<id>`: its record, the configuration that it was made by, and the socket at which it waits to be started.

use crate::cmd::probe::owns_everything;
use crate::fail::{escape, failed_on, of_layer};
use berth_cgroup::{Group, Layout};
use berth_monitor::process_id;
use berth_sys::{file, lock};
use berth_wire::request::ProcessId;
use berth_wire::{Code, Failure};
use rustix::fd::{AsRawFd as _, OwnedFd};
use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Where containers are kept by root, and by others below their run directory.
pub(crate) const ROOT: &str = "/run/berth-oci";
/// The longest id.
const MAX_ID: usize = 1024;
const RECORD: &str = "state.json";
const CONFIG: &str = "config.json";
const SOCKET: &str = "start.sock";
/// There as long as its maker is at work.
const MAKING: &str = "making";
/// The largest record.
const MAX_RECORD: usize = 4 * 1024 * 1024;

/// What a container is about, as the record has it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Record {
    pub(crate) id: String,
    pub(crate) bundle: String,
    pub(crate) rootfs: String,
    pub(crate) created: String,
    pub(crate) owner: u32,
    pub(crate) oci_version: String,
    pub(crate) annotations: BTreeMap<String, String>,
    /// Below each hierarchy.
    pub(crate) cgroup: String,
    /// Its processes have capabilities in a user namespace only.
    pub(crate) user_namespace: bool,
    /// Nothing but its nodes keeps it to its devices.
    pub(crate) nodes_only: bool,
    /// It shares the process numbers of whoever made it.
    pub(crate) shares_pids: bool,
    pub(crate) process: Option<ProcessId>,
}

/// Where a container stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    Creating,
    Created,
    Running,
    Paused,
    Stopped,
}

impl Status {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Creating => "creating",
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
        }
    }

    /// Whether there is a process to do something to.
    pub(crate) fn is_live(self) -> bool {
        matches!(self, Self::Created | Self::Running | Self::Paused)
    }
}

/// The folder of a container.
#[derive(Debug)]
pub(crate) struct Container {
    pub(crate) id: String,
    root: OwnedFd,
    folder: OwnedFd,
    /// This process holds the lock.
    locked: bool,
}

impl Container {
    /// Makes the folder of a new container, and locks it.
    pub(crate) fn make(root: &str, id: &str) -> Result<Self, Failure> {
        check_id(id)?;
        let parent = open_root(root, true)?;
        match rustix::fs::mkdirat(&parent, id, Mode::RWXU) {
            Ok(()) => {}
            Err(Errno::EXIST) => {
                return Err(
                    Failure::new(Code::Conflict, "create container", "container with given ID already exists")
                        .subject(id)
                        .hint("Choose another id, or remove the container with `delete`"),
                );
            }
            Err(error) => return Err(failed_on("mkdir", id)(error)),
        }
        let mut container = Self::at(parent, id)?;
        if container.lock()? {
            return Ok(container);
        }
        Err(Failure::new(Code::Conflict, "create container", "another command removed it as it was made").subject(id))
    }

    /// Opens a container.
    ///
    /// # Errors
    /// `NotFound` where there is none.
    pub(crate) fn open(root: &str, id: &str) -> Result<Self, Failure> {
        check_id(id)?;
        let missing = || Failure::new(Code::NotFound, "open container", format!("container {id:?} does not exist")).subject(root);
        let parent = open_root(root, false).map_err(|failure| if failure.code == Code::NotFound { missing() } else { failure })?;
        Self::at(parent, id).map_err(|failure| if failure.code == Code::NotFound { missing() } else { failure })
    }

    /// The same, for a command that changes it: one at a time.
    pub(crate) fn open_locked(root: &str, id: &str) -> Result<Self, Failure> {
        loop {
            let mut container = Self::open(root, id)?;
            if container.lock()? {
                return Ok(container);
            }
        }
    }

    /// Waits until no other command changes it; false where one has removed it, and its id may be another's by now.
    pub(crate) fn lock(&mut self) -> Result<bool, Failure> {
        lock::lock(&self.folder, true).map_err(failed_on("lock container", &self.id))?;
        self.locked = self.is_current()?;
        Ok(self.locked)
    }

    /// [`Self::lock`] for who has let go of it for a while.
    pub(crate) fn lock_again(&mut self) -> Result<(), Failure> {
        if self.lock()? {
            return Ok(());
        }
        Err(Failure::new(Code::Conflict, "create container", "another command has removed it meanwhile").subject(self.id.clone()))
    }

    /// Whether the id still leads to this folder.
    fn is_current(&self) -> Result<bool, Failure> {
        let found = file::try_stat(&self.root, self.id.as_bytes()).map_err(failed_on("stat", &self.id))?;
        let own = file::stat_fd(&self.folder).map_err(failed_on("stat", &self.id))?;
        Ok(found.is_some_and(|found| (found.device, found.inode) == (own.device, own.inode)))
    }

    /// A name that no container of another folder has, be its id the same.
    pub(crate) fn unique_name(&self) -> Result<String, Failure> {
        let meta = file::stat_fd(&self.folder).map_err(failed_on("stat", &self.id))?;
        let (major, minor) = meta.device;
        Ok(format!("{}.{major:x}-{minor:x}-{:x}", self.id, meta.inode))
    }

    /// Lets other commands change it.
    pub(crate) fn unlock(&mut self) {
        self.locked = false;
        let _ = lock::unlock(&self.folder);
    }

    fn at(root: OwnedFd, id: &str) -> Result<Self, Failure> {
        let folder = file::open_dir(&root, id.as_bytes()).map_err(failed_on("open container", id))?;
        Ok(Self {
            id: id.to_owned(),
            root,
            folder,
            locked: false,
        })
    }

    pub(crate) fn write_record(&self, record: &Record) -> Result<(), Failure> {
        let text = serde_json::to_vec(record).unwrap_or_default();
        self.write(RECORD, &text)
    }

    pub(crate) fn write_config(&self, text: &[u8]) -> Result<(), Failure> {
        self.write(CONFIG, text)
    }

    /// By another name first, so that who reads sees all of it or the old one.
    fn write(&self, name: &str, text: &[u8]) -> Result<(), Failure> {
        let part = format!(".{name}");
        let flags = OFlags::CREATE | OFlags::TRUNC | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::openat(&self.folder, &part, flags, Mode::RUSR | Mode::WUSR)
            .and_then(|file| file::write_all(&file, text))
            .and_then(|()| rustix::fs::renameat(&self.folder, &part, &self.folder, name))
            .map_err(failed_on("write", name))
    }

    pub(crate) fn record(&self) -> Result<Record, Failure> {
        let broken = |error: serde_json::Error| Failure::new(Code::Invalid, "read container", error.to_string()).subject(self.id.clone());
        serde_json::from_slice(&self.read(RECORD)?).map_err(broken)
    }

    /// The configuration that the container was made by.
    pub(crate) fn config(&self, bundle: &str) -> Result<super::config::Config, Failure> {
        super::config::Config::read(&self.read(CONFIG)?, bundle)
    }

    fn read(&self, name: &str) -> Result<Vec<u8>, Failure> {
        let file = file::open_read(&self.folder, name.as_bytes()).map_err(failed_on("open", name))?;
        let size = file::stat_fd(&file).map_err(failed_on("stat", name))?.size;
        let mut text = vec![0; usize::try_from(size).unwrap_or(MAX_RECORD).min(2 * MAX_RECORD)];
        let length = file::read_full(&file, &mut text).map_err(failed_on("read", name))?;
        text.truncate(length);
        Ok(text)
    }

    /// Where it stands, by what there is: its process, the socket, the freezer.
    pub(crate) fn status(&self, record: &Record) -> Status {
        let Some(process) = record.process else {
            // Its maker holds the lock as long as it lives.
            let free = || lock::try_lock(self.reopened()?, false).ok();
            let abandoned = self.locked || free() == Some(true);
            return if abandoned { Status::Stopped } else { Status::Creating };
        };
        if process_id::open(process).is_none() {
            Status::Stopped
        } else if self.has(MAKING) {
            Status::Creating
        } else if self.waits() {
            Status::Created
        } else if group(record).is_frozen() {
            Status::Paused
        } else {
            Status::Running
        }
    }

    /// Another descriptor of the folder, with locks of its own.
    fn reopened(&self) -> Option<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        rustix::fs::openat(&self.folder, ".", flags, Mode::empty()).ok()
    }

    /// Whether it has not been started yet.
    pub(crate) fn waits(&self) -> bool {
        self.has(SOCKET)
    }

    fn has(&self, name: &str) -> bool {
        file::try_stat(&self.folder, name.as_bytes()).is_ok_and(|meta| meta.is_some())
    }

    /// Says that its maker is at work on it, without the lock as long as hooks run, or has done.
    pub(crate) fn mark_making(&self, making: bool) -> Result<(), Failure> {
        if making {
            return self.write(MAKING, &[]);
        }
        rustix::fs::unlinkat(&self.folder, MAKING, AtFlags::empty()).map_err(failed_on("unlink", MAKING))
    }

    /// The path of the socket by a descriptor: whatever the length of the folder's own, it fits into an address.
    pub(crate) fn socket(&self) -> String {
        format!("/proc/self/fd/{}/{SOCKET}", self.folder.as_raw_fd())
    }

    /// Says that it has been started.
    pub(crate) fn forget_socket(&self) {
        let _ = rustix::fs::unlinkat(&self.folder, SOCKET, AtFlags::empty());
    }

    /// Removes the folder with all that is in it.
    pub(crate) fn remove(&self) -> Result<(), Failure> {
        if !self.is_current()? {
            return Ok(());
        }
        berth_layer::remove_tree(&self.root, self.id.as_bytes()).map(drop).map_err(of_layer)
    }

    /// The state as the specification has it.
    pub(crate) fn state(&self, record: &Record, status: Status) -> Value {
        let pid = record.process.filter(|_| status.is_live()).map_or(0, |process| process.pid);
        json!({
            "ociVersion": record.oci_version,
            "id": record.id,
            "status": status.word(),
            "pid": pid,
            "bundle": record.bundle,
            "rootfs": record.rootfs,
            "created": record.created,
            "owner": record.owner,
            "annotations": record.annotations,
        })
    }
}

/// The groups of a container.
pub(crate) fn group(record: &Record) -> Group {
    Group::find(&Layout::detect(), &record.cgroup)
}

/// Whether this process is root in a user namespace rather than on the machine.
pub(crate) fn in_user_namespace() -> bool {
    !owns_everything()
}

fn check_id(id: &str) -> Result<(), Failure> {
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '+' | '-' | '.');
    if !id.is_empty() && id.len() <= MAX_ID.min(file::NAME_MAX) && id.chars().all(fine) && id != "." && id != ".." {
        return Ok(());
    }
    Err(Failure::new(
        Code::Request,
        "check id",
        "invalid id format: letters, digits and any of `_+-.` make one",
    )
    .subject(escape(id))
    .hint("Choose another id"))
}

/// Opens the folder of all containers.
pub(crate) fn open_root(path: &str, make: bool) -> Result<OwnedFd, Failure> {
    if make {
        make_folders(path).map_err(failed_on("mkdir", path))?;
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::openat(CWD, path, flags, Mode::empty()).map_err(failed_on("open", path))
}

fn make_folders(path: &str) -> rustix::io::Result<()> {
    let ends = path.match_indices('/').map(|(at, _)| at).filter(|at| *at > 0).chain([path.len()]);
    for end in ends {
        match rustix::fs::mkdir(path.get(..end).unwrap_or_default(), Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => {}
            // A part that is there, on a file system that takes no writes.
            Err(Errno::ROFS | Errno::ACCESS) if end < path.len() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_one_name() {
        for id in ["a", "web-1", "A.b_c+d"] {
            assert!(check_id(id).is_ok(), "{id}");
        }
        for id in ["", ".", "..", "a/b", "../x", "a b", "ä", "x\n", &"x".repeat(256)] {
            assert!(check_id(id).is_err(), "{id}");
        }
    }
}
