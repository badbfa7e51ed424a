//! What every command works with: the store, its owner, and the channels.

use crate::channel::{Input, Output, Status};
use crate::fail::failed_on;
use crate::secrets::Secrets;
use berth_wire::request::{IdMap, Store};
use berth_wire::{Code, Failure};
use rustix::fd::{AsFd as _, BorrowedFd, OwnedFd};
use rustix::fs::{Gid, Mode, OFlags, Uid};
use rustix::io::Errno;
use std::cell::{OnceCell, RefCell};

/// The folder of the store that holds cache mounts, by id map.
pub(crate) const CACHE_MOUNTS: &str = "cache-mounts";

/// The surroundings of one operation. Inside a user namespace all numbers are as seen there.
#[derive(Debug)]
pub(crate) struct Context {
    /// The store root.
    pub(crate) store: OwnedFd,
    /// Its absolute path on the host; only for messages and for mounts in a namespace of our own.
    pub(crate) store_root: String,
    /// Uid and gid that own what is not a snapshot.
    pub(crate) owner: (u32, u32),
    pub(crate) id_map: IdMap,
    pub(crate) status: Status,
    pub(crate) output: Output,
    /// The lists of `copy`, one after the other as they were announced.
    pub(crate) input_list: Vec<u8>,
    /// `copy-out` and `copy-in`: the root of the container's process, where it runs.
    pub(crate) running_root: Option<OwnedFd>,
    /// fd 0 after the request, for commands that go on reading frames.
    pub(crate) input: RefCell<Input>,
    /// The secrets that followed the request.
    pub(crate) secrets: RefCell<Secrets>,
    snapshots: OnceCell<OwnedFd>,
    cache_mounts: OnceCell<OwnedFd>,
}

impl Context {
    /// Opens the store. It must exist, and belong to whom the request says.
    pub(crate) fn open(store: &Store, id_map: IdMap, input: Input, status: Status) -> Result<Self, Failure> {
        let fd = open_store(store)?;
        Ok(Self {
            store: fd,
            store_root: store.root.clone(),
            owner: (store.uid, store.gid),
            id_map,
            status,
            output: Output::new(),
            input_list: Vec::new(),
            running_root: None,
            input: RefCell::new(input),
            secrets: RefCell::default(),
            snapshots: OnceCell::new(),
            cache_mounts: OnceCell::new(),
        })
    }

    /// The folder of this id map's snapshots, made when it is missing. Only its owner can enter it: snapshots hold set-id programs.
    pub(crate) fn snapshots(&self) -> Result<BorrowedFd<'_>, Failure> {
        self.ours(&self.snapshots, "snapshots")
    }

    /// The folder of this id map's cache mounts, which look like snapshots.
    pub(crate) fn cache_mounts(&self) -> Result<BorrowedFd<'_>, Failure> {
        self.ours(&self.cache_mounts, CACHE_MOUNTS)
    }

    fn ours<'a>(&self, cell: &'a OnceCell<OwnedFd>, name: &str) -> Result<BorrowedFd<'a>, Failure> {
        if cell.get().is_none() {
            let all = self.directory(self.store.as_fd(), name, Some(self.owner))?;
            let ours = self.directory(all.as_fd(), &folder(&self.id_map), None)?;
            // Set once only: this process has one thread.
            drop(cell.set(ours));
        }
        cell.get().map(|fd| fd.as_fd()).ok_or_else(|| failed_on("open", name)(Errno::BADF))
    }

    /// Opens the directory `name` in `parent`, making it 0700 (and `owner`'s) when it is missing. A link there is refused.
    pub(crate) fn directory(&self, parent: BorrowedFd<'_>, name: &str, owner: Option<(u32, u32)>) -> Result<OwnedFd, Failure> {
        match open_directory(parent, name) {
            Err(Errno::NOENT) => {}
            other => return other.map_err(failed_on("open directory", name)),
        }
        match rustix::fs::mkdirat(parent, name, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(failed_on("mkdir", name)(error)),
        }
        let fd = open_directory(parent, name).map_err(failed_on("open directory", name))?;
        if let Some((uid, gid)) = owner {
            rustix::fs::fchown(&fd, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid))).map_err(failed_on("chown", name))?;
        }
        Ok(fd)
    }
}

/// The name of an id map's folder below `snapshots/`.
pub(crate) fn folder(id_map: &IdMap) -> String {
    match id_map {
        IdMap::Root => "root".to_owned(),
        IdMap::Sub { first_uid, uid_count, .. } => format!("sub-{first_uid}-{uid_count}"),
        IdMap::Full { uid_count, .. } => format!("full-{uid_count}"),
    }
}

fn open_directory(parent: BorrowedFd<'_>, name: &str) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(parent, name, flags, Mode::empty())
}

fn open_store(store: &Store) -> Result<OwnedFd, Failure> {
    if !store.root.starts_with('/') {
        return Err(Failure::new(Code::Request, "open store", "the store root is not an absolute path").subject(store.root.clone()));
    }
    let fd = open_directory(rustix::fs::CWD, &store.root).map_err(failed_on("open store", &store.root))?;
    let stat = rustix::fs::fstat(&fd).map_err(failed_on("stat store", &store.root))?;
    if stat.st_uid == store.uid {
        return Ok(fd);
    }
    let message = format!("the store belongs to uid {}, not to {}", stat.st_uid, store.uid);
    Err(Failure::new(Code::NotPermitted, "open store", message)
        .subject(store.root.clone())
        .hint("Give another store root, or run as the user who owns this one"))
}
