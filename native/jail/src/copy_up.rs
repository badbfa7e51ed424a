//! What a directory of the image holds, copied into the file system in memory that is mounted over it (`tmpcopyup`).

use berth_sys::file::{self, Meta};
use berth_sys::{content, xattr};
use rustix::fd::{AsFd as _, OwnedFd};
use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::{Errno, Result};

/// How deep directories may be nested.
const MAX_DEPTH: usize = 256;

/// Copies the content of the directory behind `source`, which may be a handle, into the root of the detached mount `tree`. Its own mode and owner
/// become those of the root.
pub(crate) fn fill(source: &OwnedFd, tree: &OwnedFd) -> Result<()> {
    let [from, to] = [readable(source)?, readable(tree)?];
    directory(&from, &to, MAX_DEPTH)?;
    dress(&to, &file::stat_fd(&from)?)
}

fn readable(directory: &OwnedFd) -> Result<OwnedFd> {
    rustix::fs::openat(directory, ".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

fn directory(from: &OwnedFd, to: &OwnedFd, depth: usize) -> Result<()> {
    let below = depth.checked_sub(1).ok_or(Errno::LOOP)?;
    for name in file::names(from)? {
        let meta = file::stat(from, &name)?;
        match meta.kind {
            FileType::Directory => {
                file::make_dir(to, &name, 0o700)?;
                let (source, target) = (file::open_dir(from, &name)?, file::open_dir(to, &name)?);
                directory(&source, &target, below)?;
                attributes(&source, &target, &meta)?;
            }
            FileType::RegularFile => {
                let (source, target) = (file::open_read(from, &name)?, file::create_file(to, &name, 0o600)?);
                content::copy(&source, &target, meta.size)?;
                attributes(&source, &target, &meta)?;
            }
            FileType::Symlink => {
                let target = file::read_link(from, &name)?;
                rustix::fs::symlinkat(target, to, name.as_slice())?;
                file::chown(to, &name, meta.uid, meta.gid)?;
            }
            // One that somebody listens at is no socket any more as a copy.
            FileType::Socket => {}
            kind => {
                file::make_node(to, &name, kind, meta.mode, meta.special)?;
                file::chown(to, &name, meta.uid, meta.gid)?;
            }
        }
    }
    Ok(())
}

fn attributes(source: &OwnedFd, target: &OwnedFd, meta: &Meta) -> Result<()> {
    dress(target, meta)?;
    for (name, value) in xattr::all(source)? {
        match xattr::set(target, &name, &value) {
            // A file system in memory has not every kind.
            Ok(()) | Err(Errno::OPNOTSUPP | Errno::PERM) => {}
            Err(error) => return Err(error),
        }
    }
    file::set_time_fd(target.as_fd(), meta.modified)
}

fn dress(target: &OwnedFd, meta: &Meta) -> Result<()> {
    file::chown_fd(target, meta.uid, meta.gid)?;
    file::chmod_fd(target, meta.mode)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    #[test]
    fn files_directories_and_links_are_copied_as_they_are() {
        let place = std::env::temp_dir().join(format!("berth-copy-up-{}", std::process::id()));
        let (from, to) = (place.join("from"), place.join("to"));
        fs::create_dir_all(from.join("sub")).unwrap();
        fs::create_dir_all(&to).unwrap();
        fs::write(from.join("sub/file"), "text").unwrap();
        fs::set_permissions(from.join("sub/file"), fs::Permissions::from_mode(0o4711)).unwrap();
        fs::set_permissions(&from, fs::Permissions::from_mode(0o711)).unwrap();
        symlink("/etc/passwd", from.join("link")).unwrap();
        let open = |path| OwnedFd::from(fs::File::open(path).unwrap());
        fill(&open(&from), &open(&to)).unwrap();
        assert_eq!(fs::read_to_string(to.join("sub/file")).unwrap(), "text");
        let mode = |path: &str| fs::symlink_metadata(to.join(path)).unwrap().permissions().mode() & 0o7777;
        assert_eq!((mode("sub/file"), mode("")), (0o4711, 0o711));
        assert_eq!(fs::read_link(to.join("link")).unwrap().to_str(), Some("/etc/passwd"));
        fs::remove_dir_all(place).unwrap();
    }
}
