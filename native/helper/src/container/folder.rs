//! The folder of one container. Every file in it is written beside its name and renamed.

use crate::context::Context;
use crate::fail::{failed, failed_on};
use berth_sys::{file, lock};
use berth_wire::reply::ContainerState;
use berth_wire::request::{BoundFile, Life};
use berth_wire::{Code, Failure};
use rustix::fd::{AsFd as _, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, Gid, Mode, OFlags, Uid};
use rustix::io::Errno;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::os::fd::IntoRawFd as _;

/// Folders inside that of a container: where the root is mounted (in the container's own namespace), what an image without layers stands on,
/// and files that are bound in.
const FOLDERS: [&str; 3] = ["rootfs", "empty", "files"];
/// The largest file that is read back.
const MAX_FILE: u64 = 16 * 1024 * 1024;
/// Bytes by which a file that was never written is told.
const PROBED: usize = 4096;
/// The longest name of a container.
const MAX_NAME: usize = 128;

/// The open folder `containers/<id>`.
#[derive(Debug)]
pub(crate) struct Folder {
    pub(crate) id: String,
    pub(crate) fd: OwnedFd,
    owner: (u32, u32),
    /// Nobody keeps the container: nothing of it needs to outlive a loss of power.
    fleeting: bool,
    /// Files of a container that has no state yet, whose bytes are on their way to the disk: the first state waits for all of them at once.
    unsynced: RefCell<Option<Vec<OwnedFd>>>,
}

/// When a file is on the disk. The death of a process never tears one; a loss of power may tear what is not there yet, and a container without
/// a readable state is garbage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Durable {
    /// With its name, when the call returns.
    Now,
    /// Its bytes before its name, or before the first state of a new container; its name with the next file that is durable now.
    Soon,
    /// It means nothing after the next boot.
    Never,
}

/// What the engine wants back; written when a container is made and when it is changed.
pub(crate) const RECORD: &str = "record.json";
/// Where it stands; the monitor writes it.
const STATE: &str = "state.json";
/// Results of the health check.
pub(crate) const HEALTH: &str = "health.json";
/// The order as the engine gave it.
pub(crate) const ORDER: &str = "order.json";
/// Files that are bound into it, once they have been changed.
pub(crate) const BOUND: &str = "bound.json";
/// There when nothing but the nodes of its `/dev` keeps the running container to its devices.
const NODES: &str = "nodes.json";
/// Locked by who attends the container, for its life: that shows in other pid namespaces too, where its number means nothing.
const ATTENDED: &str = "attended";
/// There when the container is meant to end.
const STOPPED: &str = "stopped.json";

/// The lock of a container; nobody else starts, changes or removes it meanwhile. It dies with the process, too.
#[derive(Debug)]
pub(crate) struct Locked(OwnedFd);

impl Drop for Locked {
    fn drop(&mut self) {
        // A process that was forked meanwhile holds the same descriptor: closing it alone would not free the lock.
        let _ = lock::unlock(&self.0);
    }
}

fn missing(id: &str) -> Failure {
    Failure::new(Code::NotFound, "open container", "there is no such container").subject(id)
}

impl Folder {
    /// Makes the folder, or opens the one of a container that has ended.
    pub(crate) fn create(context: &Context, id: &str) -> Result<Self, Failure> {
        check(id)?;
        let all = context.directory(context.store.as_fd(), "containers", Some(context.owner))?;
        let fd = context.directory(all.as_fd(), id, Some(context.owner))?;
        for name in FOLDERS {
            context.directory(fd.as_fd(), name, None)?;
        }
        Ok(Self {
            id: id.to_owned(),
            fd,
            owner: context.owner,
            fleeting: false,
            unsynced: RefCell::new(None),
        })
    }

    /// The folder of a container that nobody keeps, or of one that is kept.
    pub(crate) fn kept(self, keep: bool) -> Self {
        Self { fleeting: !keep, ..self }
    }

    /// The folder of a container that has no state yet: without one, nothing in it counts after a loss of power.
    pub(crate) fn new_one(self, is_new: bool) -> Self {
        Self {
            unsynced: RefCell::new(is_new.then(Vec::new)),
            ..self
        }
    }

    /// Opens the folder of a container that exists.
    pub(crate) fn open(context: &Context, id: &str) -> Result<Self, Failure> {
        check(id)?;
        let path = format!("containers/{id}");
        let fd = open_directory(context.store.as_fd(), &path).map_err(|error| match error {
            Errno::NOENT => missing(id),
            error => failed_on("open container", id)(error),
        })?;
        Ok(Self {
            id: id.to_owned(),
            fd,
            owner: context.owner,
            fleeting: false,
            unsynced: RefCell::new(None),
        })
    }

    /// Names of all containers, sorted.
    pub(crate) fn all(context: &Context) -> Result<Vec<String>, Failure> {
        let folder = match open_directory(context.store.as_fd(), "containers") {
            Err(Errno::NOENT) => return Ok(Vec::new()),
            other => other.map_err(failed("open containers"))?,
        };
        let names = berth_sys::file::names(&folder).map_err(failed("list containers"))?;
        let mut names: Vec<String> = names
            .into_iter()
            .filter_map(|name| String::from_utf8(name).ok())
            .filter(|name| check(name).is_ok())
            .collect();
        names.sort();
        Ok(names)
    }

    /// Writes `value` as JSON, so that a reader sees the old file or the new one.
    pub(crate) fn write(&self, name: &str, value: &impl Serialize) -> Result<(), Failure> {
        self.put(name, value, Durable::Now)
    }

    /// [`Self::write`] of a file that is of no use without one that is written after it: only then it is surely there after a loss of power.
    pub(crate) fn write_before(&self, name: &str, value: &impl Serialize) -> Result<(), Failure> {
        self.put(name, value, Durable::Soon)
    }

    /// [`Self::write`] of what speaks of living processes and mounts alone.
    pub(crate) fn note(&self, name: &str, value: &impl Serialize) -> Result<(), Failure> {
        self.put(name, value, Durable::Never)
    }

    fn put(&self, name: &str, value: &impl Serialize, durable: Durable) -> Result<(), Failure> {
        let durable = if self.fleeting { Durable::Never } else { durable };
        let text = serde_json::to_vec(value).map_err(|error| Failure::new(Code::System, "write state", error.to_string()).subject(name))?;
        let temporary = format!(".{name}.{}", berth_sys::file::random_name().map_err(failed("getrandom"))?);
        let file = self.create_file(self.fd.as_fd(), &temporary, 0o600, self.owner)?;
        let written = crate::channel::write_all(file.as_fd(), &text)
            .and_then(|()| self.sync_before(name, durable, &file))
            .and_then(|()| rustix::fs::renameat(&self.fd, &temporary, &self.fd, name))
            .and_then(|()| sync_if(durable == Durable::Now, &self.fd));
        written.map_err(|error| {
            let _ = rustix::fs::unlinkat(&self.fd, &temporary, AtFlags::empty());
            failed_on("write state", name)(error)
        })?;
        if let (Durable::Soon, Some(files)) = (durable, self.unsynced.borrow_mut().as_mut()) {
            files.push(file);
        }
        Ok(())
    }

    /// What must be on the disk before the name of a file is.
    fn sync_before(&self, name: &str, durable: Durable, file: &OwnedFd) -> Result<(), Errno> {
        if durable == Durable::Never {
            return Ok(());
        }
        let mut unsynced = self.unsynced.borrow_mut();
        let Some(files) = unsynced.as_ref() else {
            return rustix::fs::fsync(file);
        };
        // A file system that keeps a journal writes it once for all that have begun.
        file::begin_sync(file);
        if name == STATE || durable == Durable::Now {
            files.iter().chain([file]).try_for_each(rustix::fs::fsync)?;
            *unsynced = None;
        }
        Ok(())
    }

    /// Waits until the files of a container that was not made to its end are on the disk.
    pub(crate) fn sync_files(&self) -> Result<(), Failure> {
        for name in file::names(&self.fd).map_err(failed("list container"))? {
            let text = String::from_utf8_lossy(&name);
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
            // A socket cannot be opened, and has no bytes.
            let Ok(file) = rustix::fs::openat(&self.fd, name.as_slice(), flags, Mode::empty()) else {
                continue;
            };
            rustix::fs::fsync(&file).map_err(failed_on("fsync", &text))?;
        }
        Ok(())
    }

    /// Reads a file that [`Self::write`] wrote.
    pub(crate) fn read<T: DeserializeOwned>(&self, name: &str) -> Result<T, Failure> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.fd, name, flags, Mode::empty())
            .map_err(|error| failed_on("read state", name)(error).subject(self.id.clone()))?;
        let size = rustix::fs::fstat(&file).map_err(failed_on("stat", name))?.st_size;
        if u64::try_from(size).unwrap_or(u64::MAX) > MAX_FILE {
            return Err(
                Failure::new(Code::Invalid, "read state", format!("{name} is over the limit of {MAX_FILE} bytes")).subject(self.id.clone()),
            );
        }
        let mut text = vec![0; usize::try_from(size).unwrap_or_default()];
        let length = berth_sys::file::read_full(&file, &mut text).map_err(failed_on("read state", name))?;
        text.truncate(length);
        serde_json::from_slice(&text)
            .map_err(|error| Failure::new(Code::Invalid, "read state", format!("{name}: {error}")).subject(self.id.clone()))
    }

    /// A loss of power came before the file's bytes: nothing is in it but zeros, or a beginning. Only files of what nobody keeps can be so.
    pub(crate) fn is_torn(&self, name: &str) -> bool {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let Ok(file) = rustix::fs::openat(&self.fd, name, flags, Mode::empty()) else {
            return false;
        };
        let mut text = vec![0; PROBED];
        let Ok(length) = berth_sys::file::read_full(&file, &mut text) else {
            return false;
        };
        text.truncate(length);
        let cut = length < PROBED && serde_json::from_slice::<serde::de::IgnoredAny>(&text).is_err_and(|error| error.is_eof());
        cut || text.iter().all(|byte| *byte == 0)
    }

    /// The state, with the record and the results of the health check, which others than the monitor write.
    pub(crate) fn state(&self) -> Result<ContainerState, Failure> {
        let mut state: ContainerState = self.read(STATE)?;
        if let Ok(record) = self.read::<String>(RECORD) {
            state.record = record;
        }
        state.health = self.read(HEALTH).ok();
        Ok(state)
    }

    pub(crate) fn set_state(&self, state: &ContainerState) -> Result<(), Failure> {
        self.put_state(state, Durable::Now)
    }

    /// [`Self::set_state`] of one that is on its way to another state.
    pub(crate) fn note_state(&self, state: &ContainerState) -> Result<(), Failure> {
        // It replaces one that may have been durable, and what is durable next takes its name along.
        self.put_state(state, Durable::Soon)
    }

    fn put_state(&self, state: &ContainerState, durable: Durable) -> Result<(), Failure> {
        let alone = ContainerState {
            record: String::new(),
            health: None,
            ..state.clone()
        };
        self.put(STATE, &alone, durable)
    }

    /// Waits until nobody else starts, changes or removes the container.
    pub(crate) fn lock(&self, context: &Context) -> Result<Locked, Failure> {
        lock::lock(&self.fd, true).map_err(failed_on("lock container", &self.id))?;
        self.locked(context)
    }

    /// [`Self::lock`] for who need not have it when the engine has gone.
    pub(crate) fn lock_for_engine(&self, context: &Context) -> Result<Locked, Failure> {
        crate::channel::lock(self.fd.as_fd()).map_err(|failure| failure.subject(self.id.clone()))?;
        self.locked(context)
    }

    /// The lock, when nobody has it.
    pub(crate) fn try_lock(&self, context: &Context) -> Result<Option<Locked>, Failure> {
        if lock::try_lock(&self.fd, true).map_err(failed_on("lock container", &self.id))? {
            self.locked(context).map(Some)
        } else {
            Ok(None)
        }
    }

    /// Whoever had the lock before may have removed the folder.
    fn locked(&self, context: &Context) -> Result<Locked, Failure> {
        let locked = Locked(rustix::io::fcntl_dupfd_cloexec(&self.fd, 3).map_err(failed("dup"))?);
        let identity = |fd: &OwnedFd| {
            rustix::fs::fstat(fd)
                .map(|stat| (stat.st_dev, stat.st_ino))
                .map_err(failed_on("stat container", &self.id))
        };
        if identity(&self.fd)? == identity(&Self::open(context, &self.id)?.fd)? {
            Ok(locked)
        } else {
            Err(missing(&self.id))
        }
    }

    /// Says that this process attends the container, until it ends; the descriptor is never closed. Where files cannot be locked, only its number
    /// says so.
    pub(crate) fn attend(&self) -> Result<(), Failure> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.fd, ATTENDED, flags, Mode::RUSR | Mode::WUSR).map_err(failed_on("create", ATTENDED))?;
        let (uid, gid) = self.owner;
        rustix::fs::fchown(&file, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid))).map_err(failed_on("chown", ATTENDED))?;
        let _ = lock::lock_alone(&file);
        let _ = file.into_raw_fd();
        Ok(())
    }

    /// Whether a process attends the container, be it one that cannot be seen from here.
    pub(crate) fn is_attended(&self) -> bool {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        rustix::fs::openat(&self.fd, ATTENDED, flags, Mode::empty()).is_ok_and(|file| lock::is_locked(&file).unwrap_or(false))
    }

    /// Says that the container is meant to end, or to live again.
    pub(crate) fn mark_stopped(&self, stopped: bool) -> Result<(), Failure> {
        if stopped {
            return self.write(STOPPED, &true);
        }
        self.forget(STOPPED)
    }

    fn forget(&self, name: &str) -> Result<(), Failure> {
        match rustix::fs::unlinkat(&self.fd, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(failed_on("unlink", name)(error)),
        }
    }

    /// Says by what the container that starts is kept to its devices: by the nodes it has, or by rules. Who joins it is kept in the same way.
    pub(crate) fn mark_nodes_only(&self, nodes_only: bool) -> Result<(), Failure> {
        if nodes_only {
            return self.note(NODES, &true);
        }
        self.forget(NODES)
    }

    pub(crate) fn is_nodes_only(&self) -> bool {
        rustix::fs::statat(&self.fd, NODES, AtFlags::SYMLINK_NOFOLLOW).is_ok()
    }

    pub(crate) fn is_stopped(&self) -> bool {
        rustix::fs::statat(&self.fd, STOPPED, AtFlags::SYMLINK_NOFOLLOW).is_ok()
    }

    /// Forgets a health check of an earlier run.
    pub(crate) fn forget_health(&self) {
        let _ = rustix::fs::unlinkat(&self.fd, HEALTH, AtFlags::empty());
    }

    /// How the container was ordered to live; a step of a build has no life.
    pub(crate) fn life(&self) -> Result<Option<Life>, Failure> {
        #[derive(Deserialize)]
        struct Ordered {
            life: Option<Life>,
        }
        match self.read::<Ordered>(ORDER) {
            Ok(order) => Ok(order.life),
            Err(failure) if failure.code == Code::NotFound => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// The files that are bound into the container: as they were changed last, else as they were ordered.
    pub(crate) fn bound_files(&self, ordered: &[BoundFile]) -> Result<Vec<BoundFile>, Failure> {
        match self.read(BOUND) {
            Ok(files) => Ok(files),
            Err(failure) if failure.code == Code::NotFound => Ok(ordered.to_vec()),
            Err(failure) => Err(failure),
        }
    }

    /// A bound file to be read and written in place: it is mounted in the container.
    pub(crate) fn open_bound(&self, number: usize) -> Result<OwnedFd, Failure> {
        let name = number.to_string();
        let files = open_directory(self.fd.as_fd(), "files").map_err(failed("open files"))?;
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        rustix::fs::openat(&files, &name, flags, Mode::empty()).map_err(failed_on("open bound file", &name))
    }

    /// Writes a file to bind into the container, owned by the container's root; gives its name below `files`.
    pub(crate) fn bound_file(&self, number: usize, content: &str, mode: u32) -> Result<String, Failure> {
        let name = number.to_string();
        let files = open_directory(self.fd.as_fd(), "files").map_err(failed("open files"))?;
        match rustix::fs::unlinkat(&files, &name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(failed_on("unlink", &name)(error)),
        }
        let file = self.create_file(files.as_fd(), &name, mode & 0o777, (0, 0))?;
        crate::channel::write_all(file.as_fd(), content.as_bytes()).map_err(failed("write bound file"))?;
        Ok(name)
    }

    fn create_file(&self, folder: BorrowedFd<'_>, name: &str, mode: u32, (uid, gid): (u32, u32)) -> Result<OwnedFd, Failure> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(folder, name, flags, Mode::RUSR | Mode::WUSR).map_err(failed_on("create", name))?;
        rustix::fs::fchown(&file, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid))).map_err(failed_on("chown", name))?;
        rustix::fs::fchmod(&file, Mode::from_raw_mode(mode)).map_err(failed_on("chmod", name))?;
        Ok(file)
    }
}

fn sync_if(wanted: bool, file: &OwnedFd) -> Result<(), Errno> {
    if wanted { rustix::fs::fsync(file) } else { Ok(()) }
}

/// `[A-Za-z0-9]+`: nothing that could be a path, an option or a hidden file.
fn check(id: &str) -> Result<(), Failure> {
    if !id.is_empty() && id.len() <= MAX_NAME && id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Ok(());
    }
    Err(Failure::new(Code::Request, "open container", "a container's id is made of letters and digits").subject(crate::fail::escape(id)))
}

fn open_directory(parent: BorrowedFd<'_>, path: &str) -> Result<OwnedFd, Errno> {
    berth_sys::path::open_beneath(parent, path.as_bytes(), OFlags::RDONLY | OFlags::DIRECTORY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_letters_and_digits() {
        assert!(check("a1B2").is_ok());
        for id in ["", "a/b", "..", "-x", "a b", "é", &"x".repeat(129)] {
            assert!(check(id).is_err(), "{id}");
        }
    }
}
