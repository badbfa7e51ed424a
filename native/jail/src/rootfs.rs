//! The root file system of the container, from an empty mount namespace to a pivoted root.

use crate::fail::{failed, failed_on};
use crate::plan::Jail;
use crate::report::Reporter;
use crate::{devices, lent, mask, mounts, overlay, proc, terminal};
use berth_wire::Failure;
use rustix::fd::OwnedFd;
use rustix::mount::MountPropagationFlags;

/// Builds the root and moves into it. Gives the terminal, when the process wants one.
pub(crate) fn build(jail: &Jail<'_>, reporter: &Reporter) -> Result<Option<OwnedFd>, Failure> {
    // What the host unmounts later vanishes here too; nothing of ours shows there.
    rustix::mount::mount_change("/", MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC)
        .map_err(failed("make mounts slave"))?;
    let store = overlay::Store::open(&jail.recipe)?;
    let root = store.mount()?;
    mounts::all(jail, &root, &store.container, reporter)?;
    devices::make(jail, &root, reporter)?;
    lent::all(jail, &root, &store, reporter)?;
    let terminal = match jail.stdio {
        crate::plan::Stdio::Terminal => Some(terminal::open(&root, &jail.spec.process, true, reporter)?),
        crate::plan::Stdio::Pipes { .. } => None,
    };
    proc::set_parameters(jail.spec, jail.namespaces)?;
    mask::apply(&jail.spec.linux, &root)?;
    if jail.spec.root.readonly {
        overlay::freeze(&root)?;
    }
    set_hostname(jail)?;
    overlay::pivot(&root)?;
    Ok(terminal)
}

fn set_hostname(jail: &Jail<'_>) -> Result<(), Failure> {
    let Some(name) = &jail.spec.hostname else { return Ok(()) };
    rustix::system::sethostname(name.as_bytes()).map_err(failed_on("sethostname", name))
}
