//! The root file system of the container, from an empty mount namespace to a pivoted root.

use crate::fail::{failed, failed_on};
use crate::plan::{Jail, Rootfs};
use crate::report::Reporter;
use crate::{devices, lent, mask, mounts, overlay, proc, target, terminal};
use berth_sys::process::{self, Namespaces};
use berth_wire::Failure;
use rustix::fd::OwnedFd;
use rustix::fs::CWD;
use rustix::mount::MountPropagationFlags;

/// Enters the namespaces of other containers that this one lives in. With an ipc namespace comes its `/dev/shm`, as a detached mount.
pub(crate) fn join(jail: &Jail<'_>) -> Result<Option<OwnedFd>, Failure> {
    if let Some((kind, pidfd)) = jail.joins.iter().find(|(kind, _)| *kind == Namespaces::NETWORK) {
        process::enter(pidfd, *kind).map_err(failed("setns"))?;
    }
    let Some((kind, pidfd)) = jail.joins.iter().find(|(kind, _)| *kind == Namespaces::IPC) else {
        return Ok(None);
    };
    let own = process::own_namespace("mnt").map_err(failed("open /proc/self/ns/mnt"))?;
    process::enter(pidfd, Namespaces::MOUNT).map_err(failed("setns"))?;
    let shared = mounts::clone_tree(CWD, "/dev/shm", false).map_err(failed_on("open_tree", "/dev/shm"));
    process::enter_file(&own, Namespaces::MOUNT).map_err(failed("setns"))?;
    process::enter(pidfd, *kind).map_err(failed("setns"))?;
    shared.map(Some)
}

/// Builds the root and moves into it. Gives the terminal, when the process wants one.
pub(crate) fn build(jail: &Jail<'_>, shared: Option<&OwnedFd>, reporter: &Reporter) -> Result<Option<OwnedFd>, Failure> {
    // What the host unmounts later vanishes here too; nothing of ours shows there.
    rustix::mount::mount_change("/", MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC)
        .map_err(failed("make mounts slave"))?;
    let root = match &jail.rootfs {
        Rootfs::Snapshots(recipe) => {
            let store = overlay::Store::open(recipe)?;
            let root = store.mount()?;
            mounts::all(jail, &root, shared, reporter)?;
            mounts::files(recipe, &root, &store.container, reporter)?;
            devices::make(jail, &root, reporter)?;
            lent::all(recipe, &root, &store, reporter)?;
            root
        }
        Rootfs::Folder(path) => {
            let root = overlay::bind(path)?;
            mounts::all(jail, &root, shared, reporter)?;
            devices::make(jail, &root, reporter)?;
            root
        }
    };
    let terminal = match jail.stdio {
        crate::plan::Stdio::Terminal => Some(terminal::open(&root, &jail.spec.process, true, reporter)?),
        crate::plan::Stdio::Pipes { .. } | crate::plan::Stdio::Inherited => None,
    };
    if jail.confinement.nodes_only {
        devices::keep_to_dev(jail, &root)?;
    }
    target::ensure_working_directory(&root, &jail.confinement.process.cwd)?;
    proc::set_parameters(jail.spec, jail.namespaces)?;
    mask::apply(&jail.spec.linux, &root)?;
    if jail.spec.root.readonly {
        overlay::freeze(&root)?;
    }
    set_hostname(jail)?;
    if let Some(before_pivot) = jail.confinement.extra.before_pivot {
        before_pivot(reporter)?;
    }
    if jail.confinement.extra.no_pivot {
        overlay::cover(&root)?;
    } else {
        overlay::pivot(&root)?;
    }
    if jail.is_bundle() {
        overlay::propagate(jail.spec.linux.rootfs_propagation.as_deref())?;
    }
    Ok(terminal)
}

fn set_hostname(jail: &Jail<'_>) -> Result<(), Failure> {
    if let Some(name) = &jail.spec.hostname {
        rustix::system::sethostname(name.as_bytes()).map_err(failed_on("sethostname", name))?;
    }
    if let Some(name) = jail.confinement.extra.domain_name {
        rustix::system::setdomainname(name.as_bytes()).map_err(failed_on("setdomainname", name))?;
    }
    Ok(())
}
