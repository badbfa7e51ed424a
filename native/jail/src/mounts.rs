//! The mounts of a configuration, each as a detached mount that is then attached to a resolved target by descriptor.

use crate::copy_up;
use crate::fail::{attack, failed, failed_on, refused};
use crate::options::{self, Options};
use crate::plan::{CgroupView, Jail, Recipe};
use crate::report::Reporter;
use crate::target::{self, Target};
use berth_sys::mount::{self, Attributes};
use berth_wire::oci::Mount;
use berth_wire::{Code, Failure};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags};

/// Makes all mounts, in the order of the configuration.
pub(crate) fn all(jail: &Jail<'_>, root: &OwnedFd, shared: Option<&OwnedFd>, reporter: &Reporter) -> Result<(), Failure> {
    for mount in &jail.spec.mounts {
        match shared.filter(|_| mount.destination == "/dev/shm" && mount.kind.as_deref() == Some("tmpfs")) {
            Some(shared) => place(root, &mount.destination, shared, true, reporter)?,
            None => one(jail, root, mount, reporter)?,
        }
    }
    Ok(())
}

/// Makes the mounts of our own files.
pub(crate) fn files(recipe: &Recipe, root: &OwnedFd, container: &OwnedFd, reporter: &Reporter) -> Result<(), Failure> {
    for (destination, name) in &recipe.files {
        let path = format!("files/{name}");
        let source =
            berth_sys::path::open_beneath(container, path.as_bytes(), OFlags::PATH | OFlags::NOFOLLOW).map_err(failed_on("open", &path))?;
        let tree = clone_tree(source.as_fd(), "", false).map_err(failed_on("open_tree", destination))?;
        place(root, destination, &tree, false, reporter)?;
    }
    Ok(())
}

/// Only what a configuration binds from the host.
pub(crate) fn binds(root: &OwnedFd, mounts: &[Mount], reporter: &Reporter) -> Result<(), Failure> {
    for mount in mounts {
        let options = options::parse(&mount.destination, &mount.options, mount.kind.as_deref() == Some("bind"))?;
        if !options.bind {
            continue;
        }
        match bind(root, mount, &options, reporter) {
            Err(failure) if failure.code == Code::NotFound => {}
            other => other?,
        }
    }
    Ok(())
}

fn one(jail: &Jail<'_>, root: &OwnedFd, mount: &Mount, reporter: &Reporter) -> Result<(), Failure> {
    if !mount.destination.starts_with('/') || mount.destination.contains('\0') {
        return Err(refused(
            "mounts.destination",
            format!("{:?} is not an absolute path", mount.destination),
        ));
    }
    let kind = mount.kind.as_deref().unwrap_or("none");
    let options = options::parse(&mount.destination, &mount.options, kind == "bind")?;
    if options.copy_up && kind != "tmpfs" {
        return Err(refused(
            "mounts.options",
            format!("only a tmpfs takes \"tmpcopyup\" ({})", mount.destination),
        ));
    }
    match kind {
        _ if options.bind => bind(root, mount, &options, reporter),
        "proc" => kernel(jail, root, mount, &options, reporter),
        "sysfs" => sysfs(jail, root, mount, &options, reporter),
        "tmpfs" | "mqueue" | "devpts" => fresh(jail, root, mount, &options, reporter),
        "cgroup" | "cgroup2" => cgroup(jail, root, mount, &options, reporter),
        other if jail.is_bundle() && other != "none" => foreign(root, mount, other, &options, reporter),
        other => Err(refused(
            "mounts.type",
            format!("this helper does not mount {other:?} ({})", mount.destination),
        )),
    }
}

/// A path of the host.
fn bind(root: &OwnedFd, mount: &Mount, options: &Options, reporter: &Reporter) -> Result<(), Failure> {
    let Some(source) = mount.source.as_deref().filter(|source| source.starts_with('/')) else {
        return Err(refused(
            "mounts.source",
            format!("the bind mount on {} names no absolute path", mount.destination),
        ));
    };
    let tree = clone_tree(CWD, source, options.recursive).map_err(|error| match error {
        Errno::NOENT => Failure::new(Code::NotFound, "bind mount", "there is no such file or directory on this machine").subject(source),
        error => failed_on("open_tree", source)(error),
    })?;
    restrict(&tree, options, true).map_err(failed_on("mount_setattr", source))?;
    let directory = berth_sys::file::stat_fd(&tree).map_err(failed_on("stat", source))?.is_dir();
    place(root, &mount.destination, &tree, directory, reporter)
}

/// tmpfs, mqueue, devpts: a file system made for this container.
fn fresh(jail: &Jail<'_>, root: &OwnedFd, mount: &Mount, options: &Options, reporter: &Reporter) -> Result<(), Failure> {
    let kind = mount.kind.as_deref().unwrap_or_default();
    // Programs see what a bundle calls the device; ours go by their kind.
    let source = mount
        .source
        .as_deref()
        .filter(|source| jail.is_bundle() && !source.is_empty())
        .unwrap_or(kind);
    let mut first = options.clone();
    if options.copy_up {
        first.attributes.set &= !mount::RDONLY;
    }
    // A directory that is there keeps its permissions, as with runc.
    if kind == "tmpfs"
        && !options.data.iter().any(|(key, _)| key == "mode")
        && let Some(mode) = target::ensure(root, &mount.destination, true, reporter)?.mode
    {
        first.data.push(("mode".to_owned(), Some(format!("{mode:o}"))));
    }
    let tree = make_from(kind, source, &first)
        .map_err(|error| failed_on("mount", &mount.destination)(error).hint(format!("mounting {kind} failed")))?;
    if options.copy_up {
        let target = target::ensure(root, &mount.destination, true, reporter)?;
        copy_up::fill(&target.fd, &tree)
            .and_then(|()| restrict(&tree, options, false))
            .map_err(failed_on("copy into tmpfs", &mount.destination))?;
    }
    place(root, &mount.destination, &tree, true, reporter)
}

/// Any other file system that the kernel knows: a bundle's configuration comes from whoever may mount it.
fn foreign(root: &OwnedFd, mount: &Mount, kind: &str, options: &Options, reporter: &Reporter) -> Result<(), Failure> {
    let source = mount.source.as_deref().unwrap_or(kind);
    let tree = make_from(kind, source, options)
        .map_err(|error| failed_on("mount", &mount.destination)(error).hint(format!("Mounting {kind} from {source:?} failed")))?;
    place(root, &mount.destination, &tree, true, reporter)
}

/// proc: only on a real directory of that very name, so that no link of the image moves it.
fn kernel(jail: &Jail<'_>, root: &OwnedFd, mount: &Mount, options: &Options, reporter: &Reporter) -> Result<(), Failure> {
    let tree = match make("proc", options) {
        // What this machine hides of its own stays hidden, and nothing of its processes can be written. A bundle's caller asked for another one.
        Err(Errno::PERM) if jail.confinement.user_namespace && !jail.is_bundle() => host_view("/proc", options)?,
        other => other.map_err(|error| {
            failed_on("mount proc", &mount.destination)(error)
                .hint("A container that hides parts of /proc forbids it: run that one with an unmasked /proc")
        })?,
    };
    exactly(root, mount, &tree, reporter)
}

/// Whether a fresh /proc of this process's pid namespace can be mounted: in a user namespace, not where parts of the one around are hidden.
#[must_use]
pub fn mounts_proc() -> bool {
    make("proc", &Options::default()).is_ok()
}

/// sysfs: a fresh one needs a network namespace of ours; else the host's is bound read-only.
fn sysfs(jail: &Jail<'_>, root: &OwnedFd, mount: &Mount, options: &Options, reporter: &Reporter) -> Result<(), Failure> {
    let tree = match make("sysfs", options) {
        Err(Errno::PERM) if jail.confinement.user_namespace => host_view("/sys", options)?,
        other => other.map_err(failed_on("mount sysfs", &mount.destination))?,
    };
    exactly(root, mount, &tree, reporter)
}

/// A recursive, read-only copy of what the host has mounted at `path`.
fn host_view(path: &str, options: &Options) -> Result<OwnedFd, Failure> {
    let tree = clone_tree(CWD, path, true).map_err(failed_on("open_tree", path))?;
    let mut attributes = options.attributes;
    attributes.set |= mount::RDONLY | mount::NOSUID | mount::NODEV | mount::NOEXEC;
    attributes.clear = 0;
    attributes.set &= !mount::ATIME;
    attributes.propagation = mount::PRIVATE;
    mount::set_attributes(&tree, attributes, true).map_err(failed_on("mount_setattr", path))?;
    Ok(tree)
}

fn cgroup(jail: &Jail<'_>, root: &OwnedFd, mount: &Mount, options: &Options, reporter: &Reporter) -> Result<(), Failure> {
    match &jail.cgroups {
        CgroupView::None => Ok(()),
        _ if jail.confinement.user_namespace => {
            // cgroup v1 can't be mounted in a user namespace, and v2 only with a cgroup namespace: the host's view serves both.
            let tree = match make("cgroup2", &bare(options)) {
                Ok(tree) if jail.cgroups == CgroupView::V2 => tree,
                _ => host_view("/sys/fs/cgroup", options)?,
            };
            place(root, &mount.destination, &tree, true, reporter)
        }
        CgroupView::V2 => {
            let tree = make("cgroup2", &bare(options)).map_err(failed_on("mount cgroup2", &mount.destination))?;
            place(root, &mount.destination, &tree, true, reporter)
        }
        CgroupView::V1 { hierarchies, unified } => cgroup_v1(root, mount, options, (hierarchies, *unified), reporter),
        CgroupView::Folders(folders) => cgroup_folders(root, mount, options, folders, reporter),
    }
}

/// The container's own groups, bound: without a cgroup namespace a fresh mount would show those of the whole machine.
fn cgroup_folders(
    root: &OwnedFd,
    mount: &Mount,
    options: &Options,
    folders: &[(String, String)],
    reporter: &Reporter,
) -> Result<(), Failure> {
    let bound = |path: &str| -> Result<OwnedFd, Failure> {
        let tree = clone_tree(CWD, path, false).map_err(failed_on("open_tree", path))?;
        let attributes = Attributes {
            propagation: mount::PRIVATE,
            ..options.attributes
        };
        mount::set_attributes(&tree, attributes, false).map_err(failed_on("mount_setattr", path))?;
        Ok(tree)
    };
    if let [(name, path)] = folders
        && name.is_empty()
    {
        return place(root, &mount.destination, &bound(path)?, true, reporter);
    }
    let tree = cgroup_tmpfs(root, mount, options, reporter)?;
    for (name, path) in folders {
        inside(&tree, name, &bound(path)?)?;
    }
    seal(&tree, mount, options)
}

/// A tmpfs with a folder for each hierarchy; the cgroup namespace makes the container's own group the root of each.
fn cgroup_v1(root: &OwnedFd, mount: &Mount, options: &Options, view: (&[String], bool), reporter: &Reporter) -> Result<(), Failure> {
    let (hierarchies, unified) = view;
    let tree = cgroup_tmpfs(root, mount, options, reporter)?;
    for hierarchy in hierarchies {
        let mut wanted = bare(options);
        wanted.data = hierarchy
            .split(',')
            .map(|word| {
                word.split_once('=')
                    .map_or_else(|| (word.to_owned(), None), |(key, value)| (key.to_owned(), Some(value.to_owned())))
            })
            .collect();
        let name = hierarchy.strip_prefix("name=").unwrap_or(hierarchy);
        // A hierarchy that cannot be mounted here is one that the container does not see.
        if let Ok(group) = make("cgroup", &wanted) {
            inside(&tree, name, &group)?;
        }
    }
    if unified && let Ok(group) = make("cgroup2", &bare(options)) {
        inside(&tree, "unified", &group)?;
    }
    seal(&tree, mount, options)
}

/// The tmpfs that holds the folders, writable as yet.
fn cgroup_tmpfs(root: &OwnedFd, mount: &Mount, options: &Options, reporter: &Reporter) -> Result<OwnedFd, Failure> {
    let writable = Options {
        attributes: Attributes {
            set: options.attributes.set & !mount::RDONLY,
            ..Attributes::default()
        },
        ..Options::default()
    };
    let mut tmpfs = bare(&writable);
    tmpfs.data.push(("mode".to_owned(), Some("755".to_owned())));
    let tree = make("tmpfs", &tmpfs).map_err(failed_on("mount tmpfs", &mount.destination))?;
    place(root, &mount.destination, &tree, true, reporter)?;
    Ok(tree)
}

fn seal(tree: &OwnedFd, mount: &Mount, options: &Options) -> Result<(), Failure> {
    mount::set_attributes(
        tree,
        Attributes {
            set: options.attributes.set,
            ..Attributes::default()
        },
        false,
    )
    .map_err(failed_on("mount_setattr", &mount.destination))
}

fn inside(tree: &OwnedFd, name: &str, group: &OwnedFd) -> Result<(), Failure> {
    rustix::fs::mkdirat(tree, name, Mode::from_raw_mode(0o755)).map_err(failed_on("mkdir", name))?;
    let target = rustix::fs::openat(
        tree,
        name,
        OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .map_err(failed_on("open", name))?;
    attach(group, &target).map_err(failed_on("move_mount", name))
}

fn bare(options: &Options) -> Options {
    Options {
        attributes: options.attributes,
        ..Options::default()
    }
}

/// Makes a mount apart, restricts it and attaches it, as all of a container but its root are: an old kernel, which mounts the root in another
/// way, may not be able to.
///
/// # Errors
/// That of the step that does not work.
pub fn rehearse(target: BorrowedFd<'_>) -> Result<(), Failure> {
    let options = Options {
        attributes: Attributes {
            set: mount::NOSUID,
            ..Attributes::default()
        },
        ..Options::default()
    };
    let tree = make("tmpfs", &options).map_err(failed("mount tmpfs"))?;
    attach(&tree, target).map_err(failed("move_mount"))
}

/// A detached mount of a new file system.
pub(crate) fn make(kind: &str, options: &Options) -> Result<OwnedFd, Errno> {
    make_from(kind, kind, options)
}

/// A detached mount of a file system that lies in `source`.
fn make_from(kind: &str, source: &str, options: &Options) -> Result<OwnedFd, Errno> {
    let fs = rustix::mount::fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
    // What programs see as the device of the mount; a file system that takes none shows "none".
    let _ = rustix::mount::fsconfig_set_string(&fs, "source", source);
    for (key, value) in &options.data {
        match value {
            Some(value) => rustix::mount::fsconfig_set_string(&fs, key.as_str(), value.as_str())?,
            None => rustix::mount::fsconfig_set_flag(&fs, key.as_str())?,
        }
    }
    rustix::mount::fsconfig_create(&fs)?;
    let tree = rustix::mount::fsmount(&fs, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())?;
    restrict(&tree, options, false)?;
    Ok(tree)
}

/// Puts the attributes on a mount. A bind of a whole tree is restricted as a whole, and cut off from the host.
fn restrict(tree: &OwnedFd, options: &Options, bind: bool) -> Result<(), Errno> {
    let mut attributes = options.attributes;
    if bind && attributes.propagation == 0 {
        attributes.propagation = mount::PRIVATE;
    }
    if attributes == Attributes::default() {
        return Ok(());
    }
    mount::set_attributes(tree, attributes, bind && options.recursive)
}

/// A detached copy of the mount at `path`.
pub(crate) fn clone_tree(dir: BorrowedFd<'_>, path: &str, recursive: bool) -> Result<OwnedFd, Errno> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
    if recursive {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    rustix::mount::open_tree(dir, path, flags)
}

/// Attaches a detached mount over a descriptor.
pub(crate) fn attach(tree: impl AsFd, target: impl AsFd) -> Result<(), Errno> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    rustix::mount::move_mount(tree.as_fd(), "", target.as_fd(), "", flags)
}

pub(crate) fn place(root: &OwnedFd, destination: &str, tree: &OwnedFd, directory: bool, reporter: &Reporter) -> Result<(), Failure> {
    let target = target::ensure(root, destination, directory, reporter)?;
    check(&target, destination)?;
    attach(tree, &target.fd).map_err(failed_on("move_mount", destination))
}

fn exactly(root: &OwnedFd, mount: &Mount, tree: &OwnedFd, reporter: &Reporter) -> Result<(), Failure> {
    let target = target::ensure(root, &mount.destination, true, reporter)?;
    if target.path != mount.destination.trim_end_matches('/').as_bytes() {
        return Err(attack(
            "mount",
            &mount.destination,
            "a link of the image stands where a file system of the kernel is to be mounted",
        ));
    }
    check(&target, &mount.destination)?;
    attach(tree, &target.fd).map_err(failed_on("move_mount", &mount.destination))
}

fn check(target: &Target, destination: &str) -> Result<(), Failure> {
    if target.path.is_empty() {
        return Err(refused(
            "mounts.destination",
            format!("{destination:?} is the root of the container"),
        ));
    }
    if crate::proc::is_proc(&target.fd)? {
        return Err(attack(
            "mount",
            destination,
            "the target lies in /proc, which must stay as the kernel shows it",
        ));
    }
    Ok(())
}
