//! Paths of several components, resolved below a directory descriptor by `openat2`, or component by component where the kernel lacks it.
//!
//! | call | links | `..` above the root | absolute path |
//! |---|---|---|---|
//! | [`open_beneath`] | refused (`ELOOP`) | refused (`EXDEV`) | refused (`EXDEV`) |
//! | [`open_in_root`] | followed inside the root | stays at the root | starts at the root |
//!
//! The fallback (Linux before 5.6, or a filter that answers ENOSYS) walks with one `openat(O_PATH | O_NOFOLLOW)` for each component and keeps
//! the descriptors of the way down, so that `..` never asks the file system.

use crate::file::{handle_path, open_handle, read_link, stat_fd};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{self, Mode, OFlags, ResolveFlags};
use rustix::io::{Errno, Result, fcntl_dupfd_cloexec};
use std::collections::VecDeque;

/// How many links one resolution follows, as the kernel's own limit.
const MAX_LINKS: usize = 40;
/// How often a resolution that raced with a rename is tried again.
const MAX_RACES: usize = 64;

/// Open a relative path below `root` without following any link.
///
/// # Errors
/// `ELOOP` at a link, `EXDEV` at a path that leaves the root, else the error of the call.
pub fn open_beneath(root: impl AsFd, path: &[u8], flags: OFlags) -> Result<OwnedFd> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    match openat2(&root, path, flags, resolve) {
        Err(Errno::NOSYS) => walk(&root, path, flags, false),
        other => other,
    }
}

/// Open a path as if `root` were the root of the file system.
///
/// # Errors
/// The error of the call; `EAGAIN` when renames raced with every try.
pub fn open_in_root(root: impl AsFd, path: &[u8], flags: OFlags) -> Result<OwnedFd> {
    match openat2(&root, path, flags, ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS) {
        Err(Errno::NOSYS) => walk(&root, path, flags, true),
        other => other,
    }
}

fn openat2(root: &impl AsFd, path: &[u8], flags: OFlags, resolve: ResolveFlags) -> Result<OwnedFd> {
    let path = if path.is_empty() { b".".as_slice() } else { path };
    for _ in 0..MAX_RACES {
        match fs::openat2(root, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            other => return other,
        }
    }
    Err(Errno::AGAIN)
}

/// The way down from the root, whose own descriptor is the first.
struct Walk {
    levels: Vec<OwnedFd>,
    rest: VecDeque<Vec<u8>>,
    links: usize,
}

/// Resolve by hand. `follow` is `open_in_root`, else any link and any way out is an error.
fn walk(root: &impl AsFd, path: &[u8], flags: OFlags, follow: bool) -> Result<OwnedFd> {
    if !follow && path.first() == Some(&b'/') {
        return Err(Errno::XDEV);
    }
    let mut walk = Walk {
        levels: vec![fcntl_dupfd_cloexec(root, 0)?],
        rest: VecDeque::new(),
        links: 0,
    };
    walk.prepend(path);
    while let Some(name) = walk.rest.pop_front() {
        walk.step(&name, flags, follow)?;
    }
    let Some(last) = walk.levels.pop() else { return Err(Errno::NOENT) };
    reopen(&last, flags)
}

impl Walk {
    fn prepend(&mut self, path: &[u8]) {
        let must_be_dir = path.last() == Some(&b'/');
        for name in path.split(|byte| *byte == b'/').rev().filter(|name| !name.is_empty()) {
            self.rest.push_front(name.to_vec());
        }
        if must_be_dir {
            self.rest.push_back(b".".to_vec());
        }
    }

    fn step(&mut self, name: &[u8], flags: OFlags, follow: bool) -> Result<()> {
        let Some(here) = self.levels.last() else { return Err(Errno::NOENT) };
        match name {
            b"." => stat_fd(here)?.is_dir().then_some(()).ok_or(Errno::NOTDIR),
            b".." if self.levels.len() > 1 => {
                self.levels.pop();
                Ok(())
            }
            b".." if follow => Ok(()),
            b".." => Err(Errno::XDEV),
            _ => self.descend(name, flags, follow),
        }
    }

    fn descend(&mut self, name: &[u8], flags: OFlags, follow: bool) -> Result<()> {
        let Some(here) = self.levels.last() else { return Err(Errno::NOENT) };
        let handle = open_handle(here, name)?;
        let is_link = stat_fd(&handle)?.is_link();
        let wants_link = self.rest.is_empty() && flags.contains(OFlags::NOFOLLOW);
        if !is_link || (wants_link && flags.contains(OFlags::PATH)) {
            self.levels.push(handle);
            return Ok(());
        }
        self.links += 1;
        if !follow || wants_link || self.links > MAX_LINKS {
            return Err(Errno::LOOP);
        }
        let target = read_link(&handle, b"")?;
        if target.first() == Some(&b'/') {
            self.levels.truncate(1);
        }
        self.prepend(&target);
        Ok(())
    }
}

/// Turn a handle into the kind of descriptor that was asked for; the magic link leads to that very file.
fn reopen(handle: &OwnedFd, flags: OFlags) -> Result<OwnedFd> {
    if flags.contains(OFlags::PATH) {
        return fcntl_dupfd_cloexec(handle, 0);
    }
    if stat_fd(handle)?.is_link() {
        return Err(Errno::LOOP);
    }
    fs::openat(
        fs::CWD,
        handle_path(handle).as_bytes(),
        flags.difference(OFlags::NOFOLLOW) | OFlags::CLOEXEC,
        Mode::empty(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    type Open = fn(&OwnedFd, &[u8], bool) -> Result<OwnedFd>;

    /// Every case runs by `openat2` and by the walk: the results must agree.
    const WAYS: [Open; 2] = [by_openat2, by_walk];

    fn by_openat2(root: &OwnedFd, path: &[u8], follow: bool) -> Result<OwnedFd> {
        if follow {
            open_in_root(root, path, OFlags::RDONLY)
        } else {
            open_beneath(root, path, OFlags::RDONLY)
        }
    }

    fn by_walk(root: &OwnedFd, path: &[u8], follow: bool) -> Result<OwnedFd> {
        walk(root, path, OFlags::RDONLY, follow)
    }

    fn tree() -> (tempfile::TempDir, OwnedFd) {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        std::fs::create_dir_all(root.join("etc/sub")).unwrap();
        std::fs::write(dir.path().join("outside"), "outside").unwrap();
        std::fs::write(root.join("etc/file"), "inside").unwrap();
        symlink("/etc/file", root.join("absolute")).unwrap();
        symlink("../../../etc/file", root.join("climbing")).unwrap();
        symlink("loop", root.join("loop")).unwrap();
        symlink("../outside", root.join("out")).unwrap();
        let fd = std::fs::File::open(&root).unwrap().into();
        (dir, fd)
    }

    fn content(fd: &OwnedFd) -> Vec<u8> {
        let mut buffer = [0; 16];
        let length = crate::file::read_full(fd, &mut buffer).unwrap();
        buffer[..length].to_vec()
    }

    #[test]
    fn follows_links_inside_the_root() {
        let (_dir, root) = tree();
        for open in WAYS {
            for path in ["absolute", "climbing", "/etc/../../etc/./file", "etc/sub/../file"] {
                assert_eq!(content(&open(&root, path.as_bytes(), true).unwrap()), b"inside", "{path}");
            }
        }
    }

    #[test]
    fn never_leaves_the_root() {
        let (_dir, root) = tree();
        for open in WAYS {
            assert_eq!(open(&root, b"out", true).unwrap_err(), Errno::NOENT);
            assert_eq!(open(&root, b"../outside", true).unwrap_err(), Errno::NOENT);
            assert_eq!(open(&root, b"../outside", false).unwrap_err(), Errno::XDEV);
            assert_eq!(open(&root, b"/etc/file", false).unwrap_err(), Errno::XDEV);
        }
    }

    #[test]
    fn refuses_links_beneath_and_loops_in_the_root() {
        let (_dir, root) = tree();
        for open in WAYS {
            assert_eq!(open(&root, b"absolute", false).unwrap_err(), Errno::LOOP);
            assert_eq!(open(&root, b"loop", true).unwrap_err(), Errno::LOOP);
            assert_eq!(open(&root, b"etc/file/", true).unwrap_err(), Errno::NOTDIR);
        }
    }
}
