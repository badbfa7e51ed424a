//! The files of a container as its processes see them.
//!
//! Of a running container that is `/proc/<pid>/root`, through which the kernel shows its own mounts. The root of one that does not run is mounted
//! again, in a mount namespace that ends with this process, with what its configuration binds.

use crate::container::{Folder, life, stubs};
use crate::context::{self, Context};
use crate::fail::{failed, of_layer};
use berth_jail::report::{self, Packet, Receiver};
use berth_jail::{Message, Recipe, Stub, overlay};
use berth_monitor::process_id;
use berth_sys::process::{self, Namespaces};
use berth_wire::request::{Rootfs, Tree};
use berth_wire::{Failure, oci};
use rustix::fd::{AsFd as _, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::mount::MountPropagationFlags;

/// An open tree.
pub(crate) struct View {
    pub(crate) root: OwnedFd,
    mounted: Option<Mounted>,
}

/// What has to be given back of a root that was mounted for the copy.
struct Mounted {
    upper: OwnedFd,
    stubs: Receiver,
}

/// The root of a container's process, where it runs. Called before a user namespace is entered: from inside, the process is a stranger.
pub(crate) fn running(context: &Context, tree: &Tree) -> Result<Option<OwnedFd>, Failure> {
    let Tree::Container { container } = tree else { return Ok(None) };
    let folder = Folder::open(context, container)?;
    let Some(state) = life::look(context, &folder)?.filter(life::runs) else {
        return Ok(None);
    };
    life::check_reach(&folder, &state)?;
    let Some((id, pidfd)) = state.process.and_then(|id| process_id::open(id).map(|pidfd| (id, pidfd))) else {
        return Ok(None);
    };
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = rustix::fs::open(format!("/proc/{}/root", id.pid), flags, Mode::empty()).map_err(failed("open the container's root"));
    // Ended meanwhile: the number may be another process's by now.
    if process_id::has_ended(&pidfd) { Ok(None) } else { root.map(Some) }
}

/// Opens the tree of an operation.
pub(crate) fn open(context: &Context, tree: &Tree) -> Result<View, Failure> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    match (tree, &context.running_root) {
        (Tree::Host, _) => Ok(View {
            root: rustix::fs::open("/", flags, Mode::empty()).map_err(failed("open /"))?,
            mounted: None,
        }),
        (Tree::Container { .. }, Some(root)) => Ok(View {
            root: rustix::fs::openat(root, ".", flags, Mode::empty()).map_err(failed("open the container's root"))?,
            mounted: None,
        }),
        (Tree::Container { container }, None) => mount(context, container),
    }
}

fn mount(context: &Context, id: &str) -> Result<View, Failure> {
    let folder = Folder::open(context, id)?;
    let Rootfs { lowers, upper } = folder.read("rootfs.json")?;
    let spec: oci::Spec = folder.read("config.json")?;
    let snapshots = context.snapshots()?;
    if !berth_layer::snapshot::exists(snapshots, &upper).map_err(of_layer)? {
        let below = berth_layer::snapshot::stack(snapshots, &lowers).map_err(of_layer)?;
        berth_layer::snapshot::prepare(snapshots, &upper, &below).map_err(of_layer)?;
    }
    let upper_tree = berth_layer::snapshot::open(snapshots, &upper).map_err(of_layer)?;
    let stat = rustix::fs::fstat(&context.store).map_err(failed("stat store"))?;
    process::unshare(Namespaces::MOUNT).map_err(failed("unshare mount namespace"))?;
    rustix::mount::mount_change("/", MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC)
        .map_err(failed("make mounts slave"))?;
    let (receiver, reporter) = report::channel()?;
    let recipe = Recipe {
        store_root: context.store_root.clone(),
        store_identity: (stat.st_dev, stat.st_ino),
        snapshots: format!("snapshots/{}", context::folder(&context.id_map)),
        lowers: berth_layer::snapshot::distinct(&lowers),
        upper,
        container: format!("containers/{id}"),
        lent: Vec::new(),
        files: Vec::new(),
    };
    let root = overlay::assemble(&recipe, &spec.mounts, &reporter)?;
    Ok(View {
        root,
        mounted: Some(Mounted {
            upper: upper_tree,
            stubs: receiver,
        }),
    })
}

impl View {
    /// Takes mount targets away again that were made for the copy. The mounts go with this process.
    pub(crate) fn close(self) {
        let Some(Mounted { upper, stubs: receiver }) = self.mounted else {
            return;
        };
        let mut made: Vec<Stub> = Vec::new();
        while let Ok(Some(Packet { message, .. })) = receiver.next() {
            if let Message::Stub(stub) = message {
                made.push(stub);
            }
        }
        stubs::remove(upper.as_fd(), &made);
    }
}
