//! The fork of a container's first process, and what it takes with it.

use crate::cmd::start::Order;
use crate::container::{Folder, life};
use crate::context::Context;
use crate::fail::failed;
use crate::run::attendant::Attendant;
use crate::run::pipes::{self, Ours};
use crate::run::way_out::{self, WayOut};
use crate::run::{devices, network, proxy};
use berth_cgroup::{Entry, Group, Layout};
use berth_jail::plan::{CgroupView, Confinement, Extra, Filter, Jail, Recipe, Rootfs, Stdio};
use berth_jail::report::{self, Reporter};
use berth_monitor::process_id;
use berth_net::Listener as Port;
use berth_sys::process::{self, Child, Forked, Namespaces};
use berth_wire::oci::Resources;
use berth_wire::request::{Join, Life, Network, Start};
use berth_wire::{Code, Failure};
use rustix::fd::OwnedFd;
use rustix::pipe::PipeFlags;
use rustix::process::Signal;
use std::ffi::CString;

/// Annotation that names the rlimits which the user asked for, separated by commas: those fail where they cannot be set.
const REQUESTED_RLIMITS: &str = "berth.requested-rlimits";

/// A process on its way to exec.
pub(crate) struct Spawned {
    pub(crate) child: Child,
    pub(crate) receiver: report::Receiver,
    pub(crate) streams: Ours,
    pub(crate) notice: OwnedFd,
    pub(crate) life: OwnedFd,
    /// Processes that serve its network.
    pub(crate) attendants: Vec<Attendant>,
}

impl Spawned {
    /// Starts the proxy. Not before exec: until then the process belongs to the namespaces of the helper, and cannot be joined from within a user
    /// namespace. Connections wait in the backlog meanwhile.
    pub(crate) fn publish(&mut self, folder: &Folder, ports: &[Port]) -> Result<(), Failure> {
        let proxy = proxy::start(ports, network::target(folder), &self.child.pidfd, &self.notice);
        self.attendants.extend(proxy.inspect_err(|_| kill(&self.child))?);
        Ok(())
    }
}

fn kill(child: &Child) {
    let _ = rustix::process::pidfd_send_signal(&child.pidfd, Signal::KILL);
    let _ = process::wait(child.pid);
}

/// A namespace that the process lives in and that is there before it.
struct Joined {
    kind: Namespaces,
    /// The process of another container, or a file of the kernel.
    namespace: OwnedFd,
}

/// Finds the processes whose namespaces are joined. Number and start time: a later process with the same number is not one of them.
fn joins(context: &Context, args: &Start) -> Result<Vec<Joined>, Failure> {
    let joins = args.life.iter().flat_map(|life| &life.joins);
    joins
        .map(|join| {
            let kind = kind(join)?;
            let folder = Folder::open(context, &join.container)?;
            let state = life::look(context, &folder)?.filter(life::runs);
            let pidfd = state.and_then(|state| state.process).and_then(process_id::open).ok_or_else(|| {
                let message = format!("cannot join {} of a non running container", join.namespace);
                Failure::new(Code::Conflict, "join namespace", message).subject(join.container.clone())
            })?;
            Ok(Joined { kind, namespace: pidfd })
        })
        .collect()
}

/// Kinds of namespaces that a container shares with others.
pub(crate) fn shared(life: Option<&Life>) -> Result<Namespaces, Failure> {
    let joins = life.into_iter().flat_map(|life| &life.joins);
    joins.map(kind).try_fold(Namespaces::NONE, |all, kind| Ok(all.and(kind?)))
}

fn kind(join: &Join) -> Result<Namespaces, Failure> {
    match join.namespace.as_str() {
        "ipc" => Ok(Namespaces::IPC),
        "network" => Ok(Namespaces::NETWORK),
        "pid" => Ok(Namespaces::PID),
        other => Err(Failure::new(Code::Request, "join namespace", format!("{other:?} is no namespace to join")).subject("life.joins")),
    }
}

/// A process in a pid namespace that exists already is forked by one that has entered it.
fn fork(kinds: Namespaces, joins: &[Joined], entry: &Entry<'_>) -> Result<Forked, Failure> {
    let Some(joined) = joins.iter().find(|one| one.kind == Namespaces::PID) else {
        return entry.fork(kinds);
    };
    let own = process::own_namespace("pid").map_err(failed("open /proc/self/ns/pid"))?;
    process::enter(&joined.namespace, Namespaces::PID).map_err(failed("setns"))?;
    let forked = entry.fork(kinds);
    match forked {
        Ok(Forked::Child) => Ok(Forked::Child),
        other => {
            // Further children belong to this process's own namespace again.
            process::enter_file(&own, Namespaces::PID).map_err(failed("setns"))?;
            other
        }
    }
}

/// Forks the first process of the container, puts it into its cgroup, and lets it go.
pub(crate) fn spawn(
    context: &Context,
    order: &Order<'_>,
    folder: &Folder,
    (recipe, variables): (Recipe, Vec<CString>),
    layout: &Layout,
    (group, resources): (&Group, Option<&Resources>),
) -> Result<Spawned, Failure> {
    let args = order.args;
    let nodes_only = devices::nodes_only(group, resources, &args.config, &args.config.process)?;
    folder.mark_nodes_only(nodes_only)?;
    if let Some(sentence) = devices::lost(&args.config.process).filter(|_| nodes_only) {
        context.status.warning(sentence);
    }
    let mut joins = joins(context, args)?;
    let (receiver, reporter) = report::channel()?;
    let (gate, open) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).map_err(failed("pipe"))?;
    let (notice, life) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).map_err(failed("pipe"))?;
    let (streams, stdio) = pipes::make(args.config.process.terminal, args.stdin)?;
    let way_out = way_out::open(context, order, folder, &notice);
    let mut kinds = order.namespaces.without(Namespaces::CGROUP);
    let mut attendants = Vec::new();
    if let Some(WayOut { namespace, attendant }) = way_out {
        // It is there already, and has its loopback and the address.
        kinds = kinds.without(Namespaces::NETWORK);
        joins.push(Joined {
            kind: Namespaces::NETWORK,
            namespace,
        });
        attendants.push(attendant);
    }
    let entry = group.entry(resources);
    match fork(kinds, &joins, &entry)? {
        Forked::Child => {
            drop((receiver, open, life, streams));
            enter(
                (order, nodes_only),
                (recipe, variables),
                (layout, &entry),
                stdio,
                notice,
                &gate,
                &reporter,
                joins,
            )
        }
        Forked::Parent(child) => {
            drop((reporter, gate, stdio));
            attendants.extend(network::attach(context, folder, &child, &notice).inspect_err(|_| kill(&child))?);
            let _ = rustix::io::write(&open, &[1]);
            Ok(Spawned {
                child,
                receiver,
                streams,
                notice,
                life,
                attendants,
            })
        }
    }
}

#[allow(clippy::too_many_arguments, reason = "everything that the child takes with it")]
fn enter(
    (order, nodes_only): (&Order<'_>, bool),
    (recipe, secret_env): (Recipe, Vec<CString>),
    (layout, entry): (&Layout, &Entry<'_>),
    stdio: Stdio,
    life: OwnedFd,
    gate: &OwnedFd,
    reporter: &Reporter,
    joins: Vec<Joined>,
) -> ! {
    let args = order.args;
    let joins_network = joins.iter().any(|one| one.kind == Namespaces::NETWORK);
    let network = || match &args.network {
        // A bridge's interfaces are there already, as is all of a namespace that is joined.
        Network::Host | Network::Joined | Network::Bridge { .. } | Network::Step { .. } => Ok(()),
        Network::Private { .. } if joins_network => Ok(()),
        Network::None | Network::Private { .. } => berth_net::bring_up(order.address),
    };
    let requested = args
        .config
        .annotations
        .get(REQUESTED_RLIMITS)
        .map(String::as_str)
        .unwrap_or_default();
    let confinement = Confinement {
        process: &args.config.process,
        filter: order.filter.as_ref().map(|filter| Filter {
            instructions: filter.instructions.clone(),
            log: filter.log,
        }),
        user_namespace: order.user_namespace,
        nodes_only,
        requested_rlimits: requested.split(',').map(|name| name.trim().to_owned()).collect(),
        secret_env,
        extra: Extra::default(),
    };
    let jail = Jail {
        spec: &args.config,
        rootfs: Rootfs::Snapshots(recipe),
        confinement,
        namespaces: order.namespaces,
        joins: joins.into_iter().map(|one| (one.kind, one.namespace)).collect(),
        cgroups: view(layout),
        enter_cgroups: &|| entry.enter(),
        stdio,
        init: args.init,
        network: &network,
        life: Some(life),
    };
    berth_jail::child::start(jail, gate, reporter)
}

/// How `/sys/fs/cgroup` looks inside.
pub(crate) fn view(layout: &Layout) -> CgroupView {
    match layout.mode() {
        berth_cgroup::Mode::V2 => CgroupView::V2,
        berth_cgroup::Mode::None => CgroupView::None,
        berth_cgroup::Mode::V1 | berth_cgroup::Mode::Hybrid => CgroupView::V1 {
            hierarchies: layout
                .hierarchies
                .iter()
                .filter(|one| !one.v2)
                .map(|one| one.controllers.join(","))
                .collect(),
            unified: layout.hierarchies.iter().any(|one| one.v2),
        },
    }
}
