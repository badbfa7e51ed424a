//! Where a mount goes: a path of the image, resolved component by component inside the root, made where it is missing.
//!
//! `..` never asks the file system, a link's target is read as text inside the root, and nothing runs in the container yet, so nothing can
//! change underneath.

use crate::fail::{attack, failed_on};
use crate::proc;
use crate::report::{Message, Reporter, Stub};
use berth_sys::file;
use berth_wire::{Code, Failure};
use rustix::fd::{AsFd as _, OwnedFd};
use rustix::fs::{Mode, OFlags, Timespec, Timestamps};
use rustix::io::Errno;
use std::collections::VecDeque;

/// How many links one resolution follows, as the kernel's own limit.
const MAX_LINKS: usize = 40;

/// A resolved place.
#[derive(Debug)]
pub(crate) struct Target {
    /// Descriptor of the place, for `move_mount` onto it.
    pub(crate) fd: OwnedFd,
    /// The path that it has inside the root, without links.
    pub(crate) path: Vec<u8>,
    /// Permission bits that it had already; `None` where it was made just now.
    pub(crate) mode: Option<u32>,
}

/// Finds `path` in `root`; makes what is missing, the last component as a directory or a file.
pub(crate) fn ensure(root: &OwnedFd, path: &str, directory: bool, reporter: &Reporter) -> Result<Target, Failure> {
    let mut walk = Walk::new(root, path).map_err(failed_on("resolve", path))?;
    while let Some(name) = walk.rest.pop_front() {
        let wants_directory = directory || !walk.rest.is_empty();
        walk.step(&name, wants_directory, Some(reporter))
            .map_err(|error| explain(error, path))?;
    }
    let Some((last, _)) = walk.levels.pop() else {
        return Err(failed_on("resolve", path)(Errno::NOENT));
    };
    let meta = file::stat_fd(&last).map_err(failed_on("stat", path))?;
    if meta.is_dir() != directory {
        let (is, wanted) = if directory {
            ("a file", "a directory")
        } else {
            ("a directory", "a file")
        };
        return Err(Failure::new(
            Code::Conflict,
            "mount",
            format!("{is} of the image is where {wanted} is to be mounted"),
        )
        .subject(path));
    }
    Ok(Target {
        fd: last,
        path: walk.path,
        mode: (!walk.made).then_some(meta.mode),
    })
}

/// Makes the working directory of a process where it is missing, as runc does: it stays in the container. Whether it can be entered is told when
/// it is entered.
pub(crate) fn ensure_working_directory(root: &OwnedFd, path: &str) -> Result<(), Failure> {
    let mut walk = Walk::new(root, path).map_err(failed_on("resolve", path))?;
    while let Some(name) = walk.rest.pop_front() {
        match walk.step(&name, true, None) {
            // What a link of /proc says is no path of the container.
            Ok(()) if walk.levels.last().is_some_and(|(here, _)| proc::is_proc(here).unwrap_or(true)) => return Ok(()),
            Ok(()) => {}
            Err(Errno::NOTDIR | Errno::ACCESS) => return Ok(()),
            Err(Errno::LOOP) => return Err(attack("resolve", path, "too many links")),
            Err(error) => return Err(failed_on("make working directory", path)(error)),
        }
    }
    Ok(())
}

fn explain(error: Errno, path: &str) -> Failure {
    match error {
        Errno::LOOP => attack("resolve", path, "too many links"),
        error => failed_on("make mount target", path)(error),
    }
}

/// The way down from the root, whose own descriptor is the first, each with the length of `path` that leads to it.
struct Walk {
    levels: Vec<(OwnedFd, usize)>,
    path: Vec<u8>,
    rest: VecDeque<Vec<u8>>,
    links: usize,
    /// The last step made what it led to.
    made: bool,
    /// Device of the root: what is made elsewhere (in a tmpfs) leaves nothing in the upper snapshot.
    device: u64,
}

impl Walk {
    fn new(root: &OwnedFd, path: &str) -> Result<Self, Errno> {
        let device = rustix::fs::fstat(root)?.st_dev;
        let mut walk = Self {
            levels: vec![(rustix::io::fcntl_dupfd_cloexec(root, 3)?, 0)],
            path: Vec::new(),
            rest: VecDeque::new(),
            links: 0,
            made: false,
            device,
        };
        walk.prepend(path.as_bytes());
        Ok(walk)
    }

    fn prepend(&mut self, path: &[u8]) {
        for name in path
            .split(|byte| *byte == b'/')
            .rev()
            .filter(|name| !name.is_empty() && *name != b".")
        {
            self.rest.push_front(name.to_vec());
        }
    }

    fn step(&mut self, name: &[u8], directory: bool, reporter: Option<&Reporter>) -> Result<(), Errno> {
        if name == b".." {
            if self.levels.len() > 1 {
                self.leave();
            }
            return Ok(());
        }
        let (here, _) = self.levels.last().ok_or(Errno::NOENT)?;
        let found = file::open_handle(here, name);
        self.made = matches!(found, Err(Errno::NOENT));
        let handle = if self.made { self.make(name, directory, reporter)? } else { found? };
        if !file::stat_fd(&handle)?.is_link() {
            return self.enter(handle, name);
        }
        self.links = self.links.saturating_add(1);
        if self.links > MAX_LINKS {
            return Err(Errno::LOOP);
        }
        let target = file::read_link(&handle, b"")?;
        if target.first() == Some(&b'/') {
            self.levels.truncate(1);
            self.path.clear();
        }
        self.prepend(&target);
        Ok(())
    }

    fn enter(&mut self, handle: OwnedFd, name: &[u8]) -> Result<(), Errno> {
        if !self.rest.is_empty() && !file::stat_fd(&handle)?.is_dir() {
            return Err(Errno::NOTDIR);
        }
        let length = self.path.len();
        self.path.push(b'/');
        self.path.extend_from_slice(name);
        self.levels.push((handle, length));
        Ok(())
    }

    fn leave(&mut self) {
        if let Some((_, length)) = self.levels.pop() {
            self.path.truncate(length);
        }
    }

    /// Makes what is missing. A stub is told to the reporter, and the directory that holds it gets its time back, so that the step's difference
    /// knows nothing of it; without a reporter it is the container's.
    fn make(&self, name: &[u8], directory: bool, reporter: Option<&Reporter>) -> Result<OwnedFd, Errno> {
        let (here, _) = self.levels.last().ok_or(Errno::NOENT)?;
        let parent = rustix::fs::openat(here, ".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        let before = rustix::fs::fstat(&parent)?;
        if directory {
            rustix::fs::mkdirat(&parent, name, Mode::from_raw_mode(0o755))?;
        } else {
            let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            rustix::fs::openat(&parent, name, flags, Mode::from_raw_mode(0o644))?;
        }
        let Some(reporter) = reporter else {
            return file::open_handle(parent.as_fd(), name);
        };
        rustix::fs::futimens(&parent, &times(&before)?)?;
        if before.st_dev == self.device {
            let mut path = self.path.clone();
            path.push(b'/');
            path.extend_from_slice(name);
            reporter.tell(&Message::Stub(Stub { path, directory }));
        }
        file::open_handle(parent.as_fd(), name)
    }
}

/// Leaves the access time as it is and sets the modification time to that of `stat`.
fn times(stat: &rustix::fs::Stat) -> Result<Timestamps, Errno> {
    let nanoseconds = stat.st_mtime_nsec.try_into().map_err(|_| Errno::OVERFLOW)?;
    Ok(Timestamps {
        last_access: Timespec {
            tv_sec: 0,
            tv_nsec: rustix::fs::UTIME_OMIT,
        },
        last_modification: Timespec {
            tv_sec: stat.st_mtime,
            tv_nsec: nanoseconds,
        },
    })
}
