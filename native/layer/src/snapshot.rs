//! Snapshots on disk: `<name>/fs`, the tree, and `<name>/work`, which overlayfs needs beside an upper one.
//!
//! A snapshot is made as `.part-<random>`, on which its maker holds a `flock`, and renamed when it is complete. A `.part-` folder that nobody has
//! locked is garbage.

use crate::error::{Context, Error, Kind, Result};
use crate::stack::Stack;
use crate::xattrs;
use berth_sys::{file, lock, xattr};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{RenameFlags, fsync, renameat_with, syncfs};
use rustix::io::Errno;

/// Start of the names of unfinished snapshots.
pub const PART: &str = ".part-";
const FS: &[u8] = b"fs";
const WORK: &[u8] = b"work";

/// Refuse a name that is no plain folder name.
///
/// # Errors
/// `Request` with the name.
pub fn check_name(name: &str) -> Result<()> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if !name.starts_with('.') && file::is_component(name.as_bytes()) && name.bytes().all(plain) {
        return Ok(());
    }
    Err(Error::new(
        Kind::Request,
        "open snapshot",
        "the name of a snapshot is letters, digits, '-', '_' and '.'",
    )
    .subject(name.as_bytes()))
}

/// Open the tree of a snapshot.
///
/// # Errors
/// `NotFound` where there is none.
pub fn open(snapshots: impl AsFd, name: &str) -> Result<OwnedFd> {
    check_name(name)?;
    let folder = file::open_dir(snapshots, name.as_bytes()).step("open snapshot", name.as_bytes())?;
    file::open_dir(folder, FS).step("open snapshot", name.as_bytes())
}

/// Open the trees of snapshots, topmost first.
///
/// # Errors
/// `NotFound` naming the snapshot that is missing.
pub fn stack(snapshots: impl AsFd, names: &[String]) -> Result<Stack> {
    names
        .iter()
        .map(|name| open(&snapshots, name))
        .collect::<Result<Vec<_>>>()
        .map(Stack::new)
}

/// The same snapshots, each once at its topmost place: overlayfs refuses a directory that is named twice, and an image may hold a layer twice.
/// What the lower place would show or hide, the topmost one shows or hides too.
#[must_use]
pub fn distinct(names: &[String]) -> Vec<String> {
    let mut seen = std::collections::HashSet::new();
    names.iter().filter(|name| seen.insert(name.as_str())).cloned().collect()
}

/// Whether a snapshot has this name.
///
/// # Errors
/// The error of `statx`.
pub fn exists(snapshots: impl AsFd, name: &str) -> Result<bool> {
    Ok(file::try_stat(snapshots, name.as_bytes()).step("statx", name.as_bytes())?.is_some())
}

/// A snapshot that is being made. Dropped before [`Part::commit`] it is removed.
#[derive(Debug)]
pub struct Part<'a> {
    snapshots: BorrowedFd<'a>,
    name: Vec<u8>,
    /// Held for its lock.
    _folder: OwnedFd,
    fs: OwnedFd,
    kept: bool,
}

impl<'a> Part<'a> {
    /// Make an empty one. Its root is 0755, 0:0 and marked as implicit.
    ///
    /// # Errors
    /// The error of a system call.
    pub fn create(snapshots: &'a impl AsFd) -> Result<Self> {
        file::clear_umask();
        let snapshots = snapshots.as_fd();
        loop {
            let name = format!("{PART}{}", file::random_name().step("getrandom", b"")?).into_bytes();
            file::make_dir(snapshots, &name, 0o700).step("mkdirat", &name)?;
            let folder = file::open_dir(snapshots, &name).step("openat", &name)?;
            // A collector that came between the two calls has the lock or has removed the folder; then another name is taken.
            if !lock::try_lock(&folder, true).step("flock", &name)? || file::try_stat(snapshots, &name).step("statx", &name)?.is_none() {
                continue;
            }
            file::make_dir(&folder, FS, 0o755).step("mkdirat", &name)?;
            file::make_dir(&folder, WORK, 0o700).step("mkdirat", &name)?;
            let fs = file::open_dir(&folder, FS).step("openat", &name)?;
            set_implicit(&fs)?;
            return Ok(Self {
                snapshots,
                name,
                _folder: folder,
                fs,
                kept: false,
            });
        }
    }

    /// The root of its tree.
    #[must_use]
    pub fn fs(&self) -> &OwnedFd {
        &self.fs
    }

    /// Give it its final name. False when another process has made that snapshot first: then this one is removed.
    ///
    /// # Errors
    /// The error of `renameat2` or of writing to disk.
    pub fn commit(mut self, name: &str, durable: bool) -> Result<bool> {
        check_name(name)?;
        if durable {
            syncfs(&self.fs).step("syncfs", name.as_bytes())?;
        }
        self.kept = rename(self.snapshots, &self.name, name.as_bytes(), durable)?;
        Ok(self.kept)
    }
}

impl Drop for Part<'_> {
    fn drop(&mut self) {
        if !self.kept {
            // What cannot be removed now is garbage by its name, and is collected later.
            drop(crate::remove::remove_tree(self.snapshots, &self.name));
        }
    }
}

/// Rename a snapshot; false when the new name exists.
pub(crate) fn rename(snapshots: BorrowedFd<'_>, from: &[u8], to: &[u8], durable: bool) -> Result<bool> {
    let renamed = || {
        if durable {
            fsync(snapshots).step("fsync", to)?;
        }
        Ok(true)
    };
    match renameat_with(snapshots, from, snapshots, to, RenameFlags::NOREPLACE) {
        Ok(()) => renamed(),
        // A file system without RENAME_NOREPLACE: an empty or a full directory in the way makes a plain rename fail for full ones.
        Err(Errno::INVAL | Errno::NOSYS) => match rustix::fs::renameat(snapshots, from, snapshots, to) {
            Ok(()) => renamed(),
            Err(Errno::NOTEMPTY | Errno::EXIST) => Ok(false),
            Err(errno) => Err(Error::system("renameat", errno).subject(to)),
        },
        Err(Errno::EXIST | Errno::NOTEMPTY) => Ok(false),
        Err(errno) => Err(Error::system("renameat2", errno).subject(to)),
    }
}

/// Mark a root as one that its layer says nothing about. Where attributes are not supported, so is overlayfs.
fn set_implicit(fs: &OwnedFd) -> Result<()> {
    match xattr::set(fs, xattrs::IMPLICIT, b"y") {
        Ok(()) | Err(Errno::OPNOTSUPP) => Ok(()),
        Err(errno) => Err(Error::system("fsetxattr", errno).subject(b"/")),
    }
}

/// Make an empty snapshot `name` whose root has the attributes of the merged root of `lowers`.
///
/// # Errors
/// `Conflict` when it exists; the error of a system call.
pub fn prepare(snapshots: impl AsFd, name: &str, lowers: &Stack) -> Result<()> {
    let part = Part::create(&snapshots)?;
    inherit_root(part.fs(), lowers)?;
    if part.commit(name, false)? { Ok(()) } else { Err(taken(name)) }
}

/// Give the root of a new snapshot the attributes of the merged root below. It says nothing by itself, and stays marked so.
pub(crate) fn inherit_root(fs: &OwnedFd, lowers: &Stack) -> Result<()> {
    let root = lowers.root_attributes()?;
    file::chown_fd(fs, root.uid, root.gid).step("fchown", b"/")?;
    file::chmod_fd(fs, root.mode).step("fchmod", b"/")?;
    for (attribute, value) in &root.xattrs {
        match xattr::set(fs, attribute, value) {
            Ok(()) | Err(Errno::OPNOTSUPP | Errno::PERM) => {}
            Err(errno) => return Err(Error::system("fsetxattr", errno).subject(b"/")),
        }
    }
    if !lowers.is_empty() {
        file::set_time_fd(fs, root.modified).step("futimens", b"/")?;
    }
    Ok(())
}

pub(crate) fn taken(name: &str) -> Error {
    Error::new(Kind::Conflict, "name snapshot", "a snapshot of this name exists").subject(name.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_that_comes_twice_is_stacked_at_its_topmost_place() {
        let names = ["a", "b", "a", "c", "b"].map(str::to_owned);
        assert_eq!(distinct(&names), ["a", "b", "c"]);
    }

    #[test]
    fn a_name_that_leads_elsewhere_is_refused() {
        for name in ["", ".", "..", "a/b", ".part-x", "a b", "a\0"] {
            assert_eq!(check_name(name).unwrap_err().kind, Kind::Request, "{name}");
        }
    }
}
