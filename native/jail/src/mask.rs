//! Paths that the container must not see, and paths that it must not change.

use crate::devices;
use crate::fail::failed_on;
use crate::mounts;
use crate::options::Options;
use berth_sys::mount::{self, Attributes};
use berth_sys::path::open_in_root;
use berth_wire::Failure;
use berth_wire::oci::Linux;
use rustix::fd::{AsFd as _, OwnedFd};
use rustix::fs::OFlags;
use rustix::io::Errno;

/// Masks and freezes. A path that the image or this kernel does not have needs neither.
pub(crate) fn apply(linux: &Linux, root: &OwnedFd) -> Result<(), Failure> {
    for path in &linux.readonly_paths {
        freeze(root, path)?;
    }
    if linux.masked_paths.is_empty() {
        return Ok(());
    }
    let mut masks = Masks {
        null: devices::host_null()?,
        empty: empty_directory()?,
        placed: false,
    };
    linux.masked_paths.iter().try_for_each(|path| masks.put(root, path))
}

/// What is put over masked paths: the null device, and one read-only tmpfs for every directory.
struct Masks {
    null: OwnedFd,
    empty: OwnedFd,
    /// The tmpfs is attached somewhere: before Linux 6.15 only an attached mount can be copied.
    placed: bool,
}

impl Masks {
    fn put(&mut self, root: &OwnedFd, path: &str) -> Result<(), Failure> {
        let Some(target) = find(root, path)? else { return Ok(()) };
        let directory = berth_sys::file::stat_fd(&target).map_err(failed_on("stat", path))?.is_dir();
        if directory && !self.placed {
            self.placed = true;
            return mounts::attach(&self.empty, &target).map_err(failed_on("mask", path));
        }
        let source = if directory { &self.empty } else { &self.null };
        let tree = mounts::clone_tree(source.as_fd(), "", false).map_err(failed_on("open_tree", path))?;
        let attributes = Attributes {
            set: mount::RDONLY | mount::NOSUID | mount::NOEXEC,
            propagation: mount::PRIVATE,
            ..Attributes::default()
        };
        mount::set_attributes(&tree, attributes, false).map_err(failed_on("mount_setattr", path))?;
        mounts::attach(&tree, &target).map_err(failed_on("mask", path))
    }
}

fn empty_directory() -> Result<OwnedFd, Failure> {
    let attributes = Attributes {
        set: mount::RDONLY | mount::NOSUID | mount::NODEV | mount::NOEXEC,
        ..Attributes::default()
    };
    let data = vec![
        ("mode".to_owned(), Some("555".to_owned())),
        ("size".to_owned(), Some("4k".to_owned())),
    ];
    mounts::make(
        "tmpfs",
        &Options {
            attributes,
            data,
            ..Options::default()
        },
    )
    .map_err(failed_on("mount tmpfs", "masked path"))
}

fn freeze(root: &OwnedFd, path: &str) -> Result<(), Failure> {
    let Some(target) = find(root, path)? else { return Ok(()) };
    let tree = mounts::clone_tree(target.as_fd(), "", true).map_err(failed_on("open_tree", path))?;
    let attributes = Attributes {
        set: mount::RDONLY,
        ..Attributes::default()
    };
    mount::set_attributes(&tree, attributes, true).map_err(failed_on("mount_setattr", path))?;
    mounts::attach(&tree, &target).map_err(failed_on("make read-only", path))
}

fn find(root: &OwnedFd, path: &str) -> Result<Option<OwnedFd>, Failure> {
    match open_in_root(root, path.as_bytes(), OFlags::PATH) {
        Ok(fd) => Ok(Some(fd)),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
        Err(error) => Err(failed_on("open masked path", path)(error)),
    }
}
