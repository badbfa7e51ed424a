//! Mounts of a RUN: parts of other snapshots, cache folders, secrets, sockets. Nothing of them is in the layer.
//!
//! A path inside of what is lent is resolved with that as its root, so that no link in it leads to this machine.

use crate::fail::failed_on;
use crate::mounts::{attach, clone_tree, make, place};
use crate::options::Options;
use crate::overlay::Store;
use crate::plan::{Lent, Origin, Recipe};
use crate::report::Reporter;
use berth_sys::file;
use berth_sys::mount::{self, Attributes};
use berth_wire::{Code, Failure};
use rustix::fd::{AsFd as _, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

/// Room in the file system of a secret beside its value: the kernel counts in pages.
const SPARE: usize = 64 * 1024;
/// The file of a secret, in a file system of its own.
const VALUE: &str = "value";

/// Makes all of them, in their order.
pub(crate) fn all(recipe: &Recipe, root: &OwnedFd, store: &Store, reporter: &Reporter) -> Result<(), Failure> {
    for (number, lent) in recipe.lent.iter().enumerate() {
        let tree = tree(store, lent, &format!("mounts/{number}"))?;
        restrict(&tree, lent)?;
        let directory = file::stat_fd(&tree).map_err(failed_on("stat", &lent.destination))?.is_dir();
        place(root, &lent.destination, &tree, directory, reporter)?;
    }
    Ok(())
}

/// What is lent, as a detached mount. `spot` is a folder of the container's where something may be mounted meanwhile.
fn tree(store: &Store, lent: &Lent, spot: &str) -> Result<OwnedFd, Failure> {
    match &lent.origin {
        Origin::Tree { lowers, upper, path } => part(&store.merge(lowers, upper.as_deref(), spot)?, path, &lent.destination),
        Origin::Folder { folder, path } => part(&store.folder(folder)?, path, &lent.destination),
        Origin::File { path } => whole(&store.file(path)?, &lent.destination),
        Origin::Tmpfs { size } => memory(*size, 0o1777).map_err(failed_on("mount tmpfs", &lent.destination)),
        Origin::Secret { value, mode, owner } => secret(store, spot, (value, *mode, *owner)),
    }
}

fn part(root: &OwnedFd, path: &str, destination: &str) -> Result<OwnedFd, Failure> {
    let found = berth_sys::path::open_in_root(root, path.as_bytes(), OFlags::PATH).map_err(|error| match error {
        Errno::NOENT | Errno::NOTDIR => {
            let message = format!("there is no such file or directory in what is to be mounted on {destination}");
            Failure::new(Code::NotFound, "mount", message).subject(path)
        }
        error => failed_on("open source of mount", path)(error),
    })?;
    whole(&found, destination)
}

fn whole(source: &OwnedFd, destination: &str) -> Result<OwnedFd, Failure> {
    clone_tree(source.as_fd(), "", false).map_err(failed_on("open_tree", destination))
}

fn restrict(tree: &OwnedFd, lent: &Lent) -> Result<(), Failure> {
    let own = match &lent.origin {
        Origin::Secret { .. } => mount::RDONLY | mount::NOSUID | mount::NODEV | mount::NOEXEC,
        Origin::Tmpfs { .. } => mount::NOSUID | mount::NODEV,
        _ => 0,
    };
    let attributes = Attributes {
        set: own | if lent.readonly { mount::RDONLY } else { 0 },
        propagation: mount::PRIVATE,
        ..Attributes::default()
    };
    mount::set_attributes(tree, attributes, false).map_err(failed_on("mount_setattr", &lent.destination))
}

/// A file system in memory. What lies in it is not written to the swap, where the kernel can be told so.
fn memory(size: Option<u64>, mode: u32) -> Result<OwnedFd, Errno> {
    let mut options = Options::default();
    options.data.push(("mode".to_owned(), Some(format!("{mode:o}"))));
    options.data.extend(size.map(|size| ("size".to_owned(), Some(size.to_string()))));
    let mut unswapped = options.clone();
    unswapped.data.push(("noswap".to_owned(), None));
    make("tmpfs", &unswapped).or_else(|_| make("tmpfs", &options))
}

fn secret(store: &Store, spot: &str, (value, mode, (uid, gid)): (&[u8], u32, (u32, u32))) -> Result<OwnedFd, Failure> {
    let size = u64::try_from(value.len().saturating_add(SPARE)).unwrap_or(u64::MAX);
    let tree = memory(Some(size), 0o700).map_err(failed_on("mount tmpfs", spot))?;
    attach(&tree, store.spot(spot)?).map_err(failed_on("move_mount", spot))?;
    // Looked up again, the name leads to the root of the mount.
    let place = store.spot(spot)?;
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let written = rustix::fs::openat(&place, VALUE, flags, Mode::RUSR | Mode::WUSR).and_then(|file| {
        file::write_all(&file, value)?;
        file::chown_fd(&file, uid, gid)?;
        file::chmod_fd(&file, mode)
    });
    written.map_err(failed_on("write secret", spot))?;
    let file = file::open_handle(&place, VALUE.as_bytes()).map_err(failed_on("open secret", spot))?;
    whole(&file, spot)
}
