//! The root: an overlay of snapshots, mounted in the child's own namespace and never seen on the host.

use crate::fail::{attack, failed, failed_on};
use crate::plan::Recipe;
use berth_wire::{Code, Failure};
use rustix::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MoveMountFlags};
use std::ffi::CString;

/// The most lower folders of one overlay (the kernel's `OVL_MAX_STACK`).
const MAX_LAYERS: usize = 500;
/// The same everywhere, also as root: an upper made with `trusted.*` would show deleted files again elsewhere (`DESIGN.md` 7).
const OPTIONS: [(&str, &str); 4] = [("index", "off"), ("metacopy", "off"), ("redirect_dir", "nofollow"), ("xino", "off")];

/// The folders that an overlay is made of.
#[derive(Debug)]
pub struct Layers<'a> {
    /// Topmost first.
    pub lowers: Vec<BorrowedFd<'a>>,
    /// Without one the overlay takes no writes.
    pub upper: Option<Upper<'a>>,
}

/// What takes the writes: tree and work folder of an upper snapshot.
#[derive(Debug)]
pub struct Upper<'a> {
    pub tree: BorrowedFd<'a>,
    pub work: BorrowedFd<'a>,
}

/// The store as this mount namespace sees it; the parent's descriptors belong to another namespace and cannot be mounted from.
pub(crate) struct Store {
    pub(crate) container: OwnedFd,
    root: OwnedFd,
    snapshots: OwnedFd,
    lowers: Vec<String>,
    upper: String,
}

impl Store {
    /// Opens everything that the recipe names, and checks that it is the store that the parent meant.
    pub(crate) fn open(recipe: &Recipe) -> Result<Self, Failure> {
        let root = directory(CWD, &recipe.store_root)?;
        let stat = rustix::fs::fstat(&root).map_err(failed("stat store"))?;
        if (stat.st_dev, stat.st_ino) != recipe.store_identity {
            return Err(attack(
                "open store",
                &recipe.store_root,
                "another directory took the place of the store",
            ));
        }
        Ok(Self {
            container: below(&root, &recipe.container)?,
            snapshots: below(&root, &recipe.snapshots)?,
            root,
            lowers: recipe.lowers.clone(),
            upper: recipe.upper.clone(),
        })
    }

    /// Mounts the overlay on the container's `rootfs` folder; gives a descriptor of its root.
    pub(crate) fn mount(&self) -> Result<OwnedFd, Failure> {
        self.merge(&self.lowers, Some(&self.upper), "rootfs")
    }

    /// Mounts an overlay of snapshots on a folder of the container; gives a descriptor of its root.
    pub(crate) fn merge(&self, lowers: &[String], upper: Option<&str>, spot: &str) -> Result<OwnedFd, Failure> {
        let tree = |name: &str| below(&self.snapshots, &format!("{name}/fs"));
        let target = self.spot(spot)?;
        // An overlay needs something below, and two of that without an upper: an empty folder, where there is too little.
        let empty = directory(&self.container, "empty")?;
        let trees = lowers.iter().map(|name| tree(name)).collect::<Result<Vec<_>, _>>()?;
        let mut lowers: Vec<BorrowedFd<'_>> = trees.iter().map(AsFd::as_fd).collect();
        let writable = match upper {
            Some(name) => Some((tree(name)?, below(&self.snapshots, &format!("{name}/work"))?)),
            None => None,
        };
        if lowers.is_empty() || (writable.is_none() && lowers.len() < 2) {
            lowers.push(empty.as_fd());
        }
        let second = match writable {
            None if lowers.len() < 2 => Some(self.spot("empty-too")?),
            _ => None,
        };
        lowers.extend(second.iter().map(AsFd::as_fd));
        let upper = writable.as_ref().map(|(tree, work)| Upper {
            tree: tree.as_fd(),
            work: work.as_fd(),
        });
        attach(&Layers { lowers, upper }, target.as_fd())?;
        // The descriptor of the folder stays below the mount; looking the name up again leads to its root.
        self.spot(spot)
    }

    /// A folder of the container, where something may be mounted.
    pub(crate) fn spot(&self, path: &str) -> Result<OwnedFd, Failure> {
        below(&self.container, path)
    }

    /// A folder of the store.
    pub(crate) fn folder(&self, path: &str) -> Result<OwnedFd, Failure> {
        below(&self.root, path)
    }

    /// A file of the store.
    pub(crate) fn file(&self, path: &str) -> Result<OwnedFd, Failure> {
        berth_sys::path::open_beneath(&self.root, path.as_bytes(), OFlags::PATH | OFlags::NOFOLLOW).map_err(failed_on("open", path))
    }
}

/// Mounts the root of a recipe with the host's directories and files that `mounts` binds, and nothing else, in the mount namespace of this process,
/// which must be one of its own. Gives a descriptor of the root. Where a bind's source is gone, the place stays as the image has it.
///
/// # Errors
/// Those of the mounts.
pub fn assemble(recipe: &Recipe, mounts: &[berth_wire::oci::Mount], reporter: &crate::Reporter) -> Result<OwnedFd, Failure> {
    let root = Store::open(recipe)?.mount()?;
    crate::mounts::binds(&root, mounts, reporter)?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::openat(&root, ".", flags, Mode::empty()).map_err(failed("open the container's root"))
}

fn below(root: &OwnedFd, path: &str) -> Result<OwnedFd, Failure> {
    berth_sys::path::open_beneath(root, path.as_bytes(), OFlags::PATH | OFlags::DIRECTORY).map_err(failed_on("open directory", path))
}

fn directory(parent: impl AsFd, name: &str) -> Result<OwnedFd, Failure> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(parent, name, flags, Mode::empty()).map_err(failed_on("open directory", name))
}

/// Mounts an overlay of `layers` on the directory `target` of this mount namespace.
///
/// # Errors
/// With the limit where there are too many layers for an old kernel.
pub fn attach(layers: &Layers<'_>, target: BorrowedFd<'_>) -> Result<(), Failure> {
    if layers.lowers.len() > MAX_LAYERS {
        let message = format!("{} layers are over the {MAX_LAYERS} that the kernel stacks", layers.lowers.len());
        return Err(Failure::new(Code::Unsupported, "mount overlay", message).hint("Use an image with fewer layers"));
    }
    match modern(layers) {
        Ok(mount) => rustix::mount::move_mount(
            &mount,
            "",
            target,
            "",
            MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH,
        )
        .map_err(failed("move_mount overlay")),
        // `lowerdir+` came with Linux 6.7.
        Err(Errno::INVAL | Errno::NOSYS) => classic(layers, target),
        Err(error) => Err(explain(error)),
    }
}

fn modern(layers: &Layers<'_>) -> Result<OwnedFd, Errno> {
    let fs = rustix::mount::fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
    rustix::mount::fsconfig_set_string(&fs, "source", "overlay")?;
    for lower in &layers.lowers {
        rustix::mount::fsconfig_set_string(&fs, "lowerdir+", link(*lower))?;
    }
    if let Some(upper) = &layers.upper {
        rustix::mount::fsconfig_set_string(&fs, "upperdir", link(upper.tree))?;
        rustix::mount::fsconfig_set_string(&fs, "workdir", link(upper.work))?;
    }
    rustix::mount::fsconfig_set_flag(&fs, "userxattr")?;
    for (key, value) in OPTIONS {
        rustix::mount::fsconfig_set_string(&fs, key, value)?;
    }
    rustix::mount::fsconfig_create(&fs)?;
    rustix::mount::fsmount(&fs, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())
}

/// One string of options, as kernels before 6.7 want it: names relative to `/proc/self/fd` keep it below a page.
fn classic(layers: &Layers<'_>, target: BorrowedFd<'_>) -> Result<(), Failure> {
    let lowers: Vec<String> = layers.lowers.iter().map(|lower| number(*lower)).collect();
    let mut options = format!("lowerdir={}", lowers.join(":"));
    if let Some(upper) = &layers.upper {
        options.push_str(&format!(",upperdir={},workdir={}", number(upper.tree), number(upper.work)));
    }
    options.push_str(",userxattr");
    for (key, value) in OPTIONS {
        options.push_str(&format!(",{key}={value}"));
    }
    if options.len() >= rustix::param::page_size() {
        let message = format!(
            "{} layers do not fit into the options of a mount before Linux 6.7",
            layers.lowers.len()
        );
        return Err(
            Failure::new(Code::Unsupported, "mount overlay", message).hint("Use a kernel from 6.7 on, or an image with fewer layers")
        );
    }
    rustix::process::chdir("/proc/self/fd").map_err(failed("chdir /proc/self/fd"))?;
    let options = CString::new(options).map_err(|_| failed("mount overlay")(Errno::INVAL))?;
    rustix::mount::mount("overlay", number(target), "overlay", MountFlags::empty(), options.as_c_str()).map_err(explain)?;
    rustix::process::chdir("/").map_err(failed("chdir"))
}

fn explain(error: Errno) -> Failure {
    let failure = failed("mount overlay")(error);
    match error {
        Errno::PERM | Errno::ACCESS => failure.hint("Mounting an overlay needs root, or a kernel from 5.11 on in a user namespace"),
        Errno::NODEV => failure.hint("Load the kernel module overlay"),
        Errno::INVAL => {
            failure.hint("The file system of the store cannot be the upper side of an overlay: choose a store root on ext4, xfs or tmpfs, in a container on a volume (Kubernetes: BERTH_ROOT=/store/berth, with an emptyDir mounted on /store)")
        }
        _ => failure,
    }
}

fn number(fd: BorrowedFd<'_>) -> String {
    fd.as_raw_fd().to_string()
}

fn link(fd: BorrowedFd<'_>) -> String {
    format!("/proc/self/fd/{}", fd.as_raw_fd())
}

/// Makes the root file system read-only: the mount, not the snapshot.
pub(crate) fn freeze(root: &OwnedFd) -> Result<(), Failure> {
    let attributes = berth_sys::mount::Attributes {
        set: berth_sys::mount::RDONLY,
        ..Default::default()
    };
    berth_sys::mount::set_attributes(root, attributes, false).map_err(failed("mount_setattr"))
}

/// Makes a directory of the host the root: bound onto itself, with what is mounted below, since only a mount can become a root.
pub(crate) fn bind(path: &str) -> Result<OwnedFd, Failure> {
    let folder = directory(CWD, path)?;
    let tree = crate::mounts::clone_tree(folder.as_fd(), "", true).map_err(failed_on("open_tree", path))?;
    crate::mounts::attach(&tree, &folder).map_err(failed_on("move_mount", path))?;
    // Looked up again, the name leads to the root of the mount.
    directory(CWD, path)
}

/// Moves the new root over the old one, where `pivot_root` is not possible: the root of an initramfs cannot be let go of.
pub(crate) fn cover(root: &OwnedFd) -> Result<(), Failure> {
    hide_views(root)?;
    rustix::process::fchdir(root).map_err(failed("fchdir"))?;
    rustix::mount::mount_move(".", "/").map_err(failed("move mount to /"))?;
    rustix::process::chroot(".").map_err(failed("chroot"))?;
    rustix::process::chdir("/").map_err(failed("chdir"))
}

/// Takes the host's mounts of proc and sysfs away, which stay in the namespace below the new root: while there is a whole one, the kernel lets a
/// process that makes a user namespace mount another whole one, without what is masked here.
fn hide_views(root: &OwnedFd) -> Result<(), Failure> {
    let own = rustix::fs::readlink(format!("/proc/self/fd/{}", root.as_raw_fd()), Vec::new()).map_err(failed("readlink"))?;
    let text = std::fs::read("/proc/self/mountinfo").map_err(|_| failed("read mountinfo")(Errno::IO))?;
    // The last ones lie on the first ones.
    for point in views(&text, own.as_bytes()).iter().rev() {
        match rustix::mount::unmount(point.as_slice(), rustix::mount::UnmountFlags::DETACH) {
            // Locked together with others: it came with the namespace of somebody with more privileges.
            Err(Errno::INVAL | Errno::PERM) => {
                let flags = MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
                rustix::mount::mount("tmpfs", point.as_slice(), "tmpfs", flags, None).map_err(failed("cover mount"))?;
            }
            // With the one above it.
            Err(Errno::NOENT) => {}
            other => other.map_err(failed("umount"))?,
        }
    }
    Ok(())
}

/// Where whole proc and sysfs file systems are mounted outside `own`, by a mountinfo file.
fn views(text: &[u8], own: &[u8]) -> Vec<Vec<u8>> {
    let view = |line: &[u8]| {
        let fields: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
        let dash = fields.iter().position(|field| *field == b"-")?;
        let kind = *fields.get(dash.checked_add(1)?)?;
        let whole = *fields.get(3)? == b"/" && matches!(kind, b"proc" | b"sysfs");
        let point = unescape(fields.get(4)?);
        let inside = point
            .strip_prefix(own)
            .is_some_and(|rest| rest.is_empty() || rest.first() == Some(&b'/'));
        (whole && !inside).then_some(point)
    };
    text.split(|byte| *byte == b'\n').filter_map(view).collect()
}

/// Blanks and their like are written as three octal digits.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    let mut rest = field;
    while let Some((first, more)) = rest.split_first() {
        let digits = more.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        match digits
            .and_then(|digits| u8::from_str_radix(digits, 8).ok())
            .filter(|_| *first == b'\\')
        {
            Some(byte) => {
                plain.push(byte);
                rest = more.get(3..).unwrap_or_default();
            }
            None => {
                plain.push(*first);
                rest = more;
            }
        }
    }
    plain
}

/// Says what the root's mounts tell those of the host, and hear of them: nothing unless a slave is wanted.
pub(crate) fn propagate(wanted: Option<&str>) -> Result<(), Failure> {
    let recursive = match wanted {
        Some("private") => false,
        Some("rprivate") => true,
        _ => return Ok(()),
    };
    let attributes = berth_sys::mount::Attributes {
        propagation: berth_sys::mount::PRIVATE,
        ..Default::default()
    };
    let root = directory(CWD, "/")?;
    berth_sys::mount::set_attributes(&root, attributes, recursive).map_err(failed("mount_setattr"))
}

/// Moves into the new root and lets go of the old one.
pub(crate) fn pivot(root: &OwnedFd) -> Result<(), Failure> {
    rustix::process::fchdir(root).map_err(failed("fchdir"))?;
    rustix::process::pivot_root(".", ".").map_err(|error| {
        failed("pivot_root")(error).hint("The root of this machine is an initramfs: start from a real root file system")
    })?;
    rustix::mount::unmount(".", rustix::mount::UnmountFlags::DETACH).map_err(failed("umount old root"))?;
    rustix::process::chdir("/").map_err(failed("chdir"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_views_of_processes_and_devices_outside_the_root_are_found() {
        let text = b"1 0 8:1 / / rw - ext4 /dev/sda rw\n\
            2 1 0:4 / /proc rw,nosuid - proc proc rw\n\
            3 1 0:5 / /my\\040sys rw shared:7 - sysfs sysfs rw\n\
            4 1 0:4 /sys /half rw - proc proc rw\n\
            5 1 0:6 / /b/rootfs/proc rw - proc proc rw\n\
            6 1 0:6 / /b/rootfs2/proc rw - proc proc rw\n";
        let found: Vec<String> = views(text, b"/b/rootfs")
            .into_iter()
            .map(|one| String::from_utf8(one).unwrap())
            .collect();
        assert_eq!(found, ["/proc", "/my sys", "/b/rootfs2/proc"]);
    }
}
