//! Remove a tree that anybody may have filled.
//!
//! Links are unlinked, never followed; a mount inside the tree stops the removal; depth costs neither stack nor descriptors, because what lies
//! deeper than [`HELD`] levels is first moved up to the top.

use crate::error::{Context, Error, Kind, Result};
use berth_sys::file::{self, Meta};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, renameat, unlinkat};
use rustix::io::Errno;

/// How many directories are held open at once.
const HELD: usize = 48;

/// An open directory on the way down, and what is still in it.
struct Level {
    dir: OwnedFd,
    /// Its name in the level above.
    name: Vec<u8>,
    names: Vec<Vec<u8>>,
}

/// Remove `name` of the open directory `parent` with all that it holds. Returns false where there was nothing.
///
/// # Errors
/// The first thing that could not be removed; what was removed before stays removed, and another call goes on from there.
pub fn remove_tree(parent: impl AsFd, name: &[u8]) -> Result<bool> {
    let Some(meta) = file::try_stat(&parent, name).step("statx", name)? else {
        return Ok(false);
    };
    if !meta.is_dir() {
        return unlink(&parent, name, AtFlags::empty()).map(|()| true);
    }
    let mount = file::stat_fd(&parent).step("statx", name)?;
    let mut levels = vec![enter(&parent, name, &mount)?];
    while let Some(level) = levels.last_mut() {
        let Some(child) = level.names.pop() else {
            leave(&parent, &mut levels)?;
            continue;
        };
        if let Some(next) = remove_child(&levels, child, &mount)? {
            levels.push(next);
        }
    }
    Ok(true)
}

/// Unlink one name of the deepest level, or give the level that has to be emptied first.
fn remove_child(levels: &[Level], child: Vec<u8>, mount: &Meta) -> Result<Option<Level>> {
    let (Some(top), Some(level)) = (levels.first(), levels.last()) else {
        return Ok(None);
    };
    match unlinkat(&level.dir, child.as_slice(), AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(None),
        Err(Errno::ISDIR | Errno::PERM | Errno::ACCESS) => {}
        Err(errno) => return Err(Error::system("unlinkat", errno).subject(&child)),
    }
    let meta = file::stat(&level.dir, &child).step("statx", &child)?;
    if !meta.is_dir() {
        allow(&level.dir).step("fchmod", &level.name)?;
        return unlink(&level.dir, &child, AtFlags::empty()).map(|()| None);
    }
    if levels.len() < HELD {
        return enter(&level.dir, &child, mount).map(Some);
    }
    // Too deep: move it to the top, where the loop finds it again once it is empty of everything else.
    enter(&level.dir, &child, mount)?;
    let moved = format!(".deep-{}", file::random_name().step("getrandom", &child)?).into_bytes();
    renameat(&level.dir, child.as_slice(), &top.dir, moved.as_slice()).step("renameat", &child)?;
    Ok(None)
}

/// The deepest level is empty, or has got moved directories meanwhile: look again, then remove it.
fn leave(parent: &impl AsFd, levels: &mut Vec<Level>) -> Result<()> {
    let first = levels.len() == 1;
    if let Some(level) = levels.last_mut().filter(|_| first) {
        level.names = file::names(&level.dir).step("getdents64", &level.name)?;
        if !level.names.is_empty() {
            return Ok(());
        }
    }
    let Some(level) = levels.pop() else { return Ok(()) };
    match levels.last() {
        Some(above) => unlink(&above.dir, &level.name, AtFlags::REMOVEDIR),
        None => unlink(parent, &level.name, AtFlags::REMOVEDIR),
    }
}

fn unlink(dir: &impl AsFd, name: &[u8], flags: AtFlags) -> Result<()> {
    match unlinkat(dir, name, flags) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(Error::system("unlinkat", errno).subject(name)),
    }
}

fn enter(dir: &impl AsFd, name: &[u8], mount: &Meta) -> Result<Level> {
    let opened = open(dir, name).step("openat", name)?;
    let meta = file::stat_fd(&opened).step("statx", name)?;
    if meta.mount != mount.mount || meta.device != mount.device {
        return Err(Error::new(Kind::Conflict, "remove", "a file system is mounted there")
            .subject(name)
            .hint("unmount it, then try again"));
    }
    let names = file::names(&opened).step("getdents64", name)?;
    Ok(Level {
        dir: opened,
        name: name.to_vec(),
        names,
    })
}

/// Open a directory and make sure that its owner may list and empty it.
fn open(dir: &impl AsFd, name: &[u8]) -> rustix::io::Result<OwnedFd> {
    match file::open_dir(dir, name) {
        Err(Errno::ACCESS) => {
            file::chmod(dir, name, 0o700)?;
            file::open_dir(dir, name)
        }
        other => other,
    }
}

fn allow(dir: &OwnedFd) -> rustix::io::Result<()> {
    file::chmod_fd(dir, 0o700)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn open_temp() -> (tempfile::TempDir, OwnedFd) {
        let dir = tempfile::tempdir().unwrap();
        let fd = fs::File::open(dir.path()).unwrap().into();
        (dir, fd)
    }

    #[test]
    fn removes_a_tree_and_leaves_link_targets() {
        let (dir, fd) = open_temp();
        fs::create_dir_all(dir.path().join("tree/a/b")).unwrap();
        fs::create_dir(dir.path().join("kept")).unwrap();
        fs::write(dir.path().join("kept/file"), "x").unwrap();
        symlink("../kept", dir.path().join("tree/link")).unwrap();
        fs::set_permissions(dir.path().join("tree/a"), fs::Permissions::from_mode(0o0)).unwrap();
        assert!(remove_tree(&fd, b"tree").unwrap());
        assert!(!dir.path().join("tree").exists());
        assert!(dir.path().join("kept/file").exists());
    }

    #[test]
    fn counts_a_missing_tree_as_removed() {
        let (_dir, fd) = open_temp();
        assert!(!remove_tree(&fd, b"nothing").unwrap());
    }

    #[test]
    fn removes_a_tree_deeper_than_any_path() {
        let (dir, fd) = open_temp();
        file::make_dir(&fd, b"tree", 0o755).unwrap();
        let mut level = file::open_dir(&fd, b"tree").unwrap();
        for _ in 0..5000 {
            file::make_dir(&level, b"directory", 0o755).unwrap();
            file::create_file(&level, b"file", 0o644).unwrap();
            level = file::open_dir(&level, b"directory").unwrap();
        }
        drop(level);
        assert!(remove_tree(&fd, b"tree").unwrap());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
