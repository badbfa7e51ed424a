//! `start`: a process in a container of its own.

use crate::container::{self, Folder};
use crate::context::{self, Context};
use crate::fail::{failed, of_layer};
use crate::run::attendant::Attendant;
use crate::run::engine::{self, Listener};
use crate::run::launch::{self, Launched};
use crate::run::lend;
use crate::run::pipes::{self, Ours};
use crate::run::{detach, ended, network, proxy};
use berth_cgroup::{Group, Layout};
use berth_jail::plan::{CgroupView, Confinement, Filter, Jail, Recipe, Stdio};
use berth_jail::report::{self, Reporter};
use berth_monitor::log::Log;
use berth_monitor::{Attendance, Ending, Engine, attend, process_id};
use berth_net::Listener as Port;
use berth_sys::process::{self, Child, Forked, Namespaces};
use berth_sys::signal::SignalFd;
use berth_wire::reply::ContainerState;
use berth_wire::request::{IdMap, Network, PublishedPort, Start};
use berth_wire::{Code, Event, Failure, Reply};
use rustix::fd::OwnedFd;
use rustix::pipe::PipeFlags;
use rustix::process::Signal;
use std::ffi::CString;
use std::net::Ipv4Addr;

/// Annotation that names the rlimits which the user asked for, separated by commas: those fail where they cannot be set.
const REQUESTED_RLIMITS: &str = "berth.requested-rlimits";
/// Annotation that names the volumes which go with a container that nobody keeps, separated by commas.
const VOLUMES: &str = "berth.volumes";
/// The most text that the engine may give for keeping.
const MAX_RECORD: usize = 1024 * 1024;
/// Signals that tell the monitor to stop.
pub(crate) const STOPPING: [Signal; 4] = [Signal::TERM, Signal::INT, Signal::HUP, Signal::QUIT];

pub(crate) fn run(context: &Context, args: &Start) -> Result<Reply, Failure> {
    let order = Order::check(context, args)?;
    if args.detach {
        detached(context, &order)
    } else {
        attached(context, &order)
    }
}

/// A checked request.
struct Order<'a> {
    args: &'a Start,
    namespaces: Namespaces,
    filter: Option<Filter>,
    stop_signal: Signal,
    address: Option<Ipv4Addr>,
    ports: &'a [PublishedPort],
    user_namespace: bool,
}

impl<'a> Order<'a> {
    fn check(context: &Context, args: &'a Start) -> Result<Self, Failure> {
        let user_namespace = matches!(context.id_map, IdMap::Sub { .. });
        let private = !matches!(args.network, Network::Host);
        let namespaces = berth_jail::plan::check(&args.config, user_namespace, private)?;
        for name in args.rootfs.lowers.iter().chain([&args.rootfs.upper]) {
            berth_layer::snapshot::check_name(name).map_err(of_layer)?;
        }
        if args.record.len() > MAX_RECORD {
            return Err(refused(
                "record",
                format!("{} bytes are over the limit of {MAX_RECORD}", args.record.len()),
            ));
        }
        lend::check(args)?;
        if args.detach && args.stdin && !args.config.process.terminal {
            return Err(refused("stdin", "a detached process has no standard input"));
        }
        let (address, ports) = match &args.network {
            Network::Host | Network::None => (None, [].as_slice()),
            Network::Bridge { ports, .. } => {
                network::check(&context.id_map, &args.network)?;
                (None, ports.as_slice())
            }
            Network::Private { address, ports } => {
                let parsed = address.parse().map_err(|_| refused("network.address", "it is no IPv4 address"))?;
                (Some(parsed), ports.as_slice())
            }
        };
        let stop_signal = if args.stop_signal.is_empty() {
            Signal::TERM
        } else {
            engine::parse_signal(&args.stop_signal)?
        };
        Ok(Self {
            args,
            namespaces,
            filter: filter(args.config.linux.seccomp.as_ref())?,
            stop_signal,
            address,
            ports,
            user_namespace,
        })
    }

    fn cgroup(&self, context: &Context) -> Result<String, Failure> {
        container::cgroup_path(context, &self.args.container, self.args.config.linux.cgroups_path.as_deref())
    }
}

/// The compiled filter of a profile.
pub(crate) fn filter(profile: Option<&berth_wire::oci::Seccomp>) -> Result<Option<Filter>, Failure> {
    let Some(profile) = profile else { return Ok(None) };
    let compiled = berth_seccomp::compile(profile, berth_seccomp::Architecture::NATIVE)?;
    Ok(Some(Filter {
        instructions: compiled.instructions,
        log: compiled.log,
    }))
}

fn refused(field: &str, message: impl Into<String>) -> Failure {
    Failure::new(Code::Request, "read configuration", message).subject(field)
}

/// The engine stays: output goes to it, and the reply comes with the end.
fn attached(context: &Context, order: &Order<'_>) -> Result<Reply, Failure> {
    let mut input = context.input.borrow_mut();
    let mut engine = Listener(&mut input);
    let commands = engine.buffered()?;
    let running = Running::start(context, order, Some(&mut engine), commands)?;
    running.attend(Some(&mut engine))
}

/// A monitor of its own session stays; the reply comes when the process runs.
fn detached(context: &Context, order: &Order<'_>) -> Result<Reply, Failure> {
    detach::run(|tell| {
        let result = Running::start(context, order, None, Vec::new());
        detach::answer(context, result, tell, ended::running, Reply::Start, |running| running.attend(None))
    })
}

/// A container whose process runs.
struct Running<'a> {
    context: &'a Context,
    order: &'a Order<'a>,
    folder: Folder,
    group: Group,
    child: Child,
    upper: OwnedFd,
    launched: Launched,
    streams: Ours,
    attendants: Vec<Attendant>,
    signals: SignalFd,
    state: ContainerState,
    /// The writing end of the pipe by which children notice that this process has gone.
    _life: OwnedFd,
}

impl<'a> Running<'a> {
    fn start(
        context: &'a Context,
        order: &'a Order<'a>,
        engine: Option<&mut Listener<'_>>,
        commands: Vec<berth_monitor::Command>,
    ) -> Result<Self, Failure> {
        let args = order.args;
        let folder = Folder::create(context, &args.container)?;
        let before = ensure_ended(&folder)?;
        let result = Self::prepare(context, order, folder, engine, commands);
        if result.is_err() {
            give_up(context, &args.container, before.as_ref());
        }
        result
    }

    fn prepare(
        context: &'a Context,
        order: &'a Order<'a>,
        folder: Folder,
        engine: Option<&mut Listener<'_>>,
        commands: Vec<berth_monitor::Command>,
    ) -> Result<Self, Failure> {
        let args = order.args;
        let signals = SignalFd::block(&STOPPING).map_err(failed("signalfd"))?;
        let ports = berth_net::listen(order.ports)?;
        let published = ports.iter().map(|port| port.port.clone()).collect();
        let upper = upper_snapshot(context, args)?;
        let recipe = recipe(context, args, &folder)?;
        let mut state = container::created(&args.container, &args.record, published);
        folder.write("config.json", &args.config)?;
        folder.write("rootfs.json", &args.rootfs)?;
        folder.write("keep.json", &args.keep)?;
        network::keep(&folder, &args.network)?;
        state.monitor = process_id::of(rustix::process::getpid());
        folder.set_state(&state)?;
        let layout = Layout::detect();
        let group = Group::create(&layout, &order.cgroup(context)?, args.config.linux.resources.as_ref())?;
        let variables = lend::variables(context, args)?;
        context.secrets.borrow_mut().clear();
        let spawned = spawn(context, order, &folder, (recipe, variables), &layout, &group).and_then(|mut spawned| {
            let mut launched = Launched {
                commands,
                ..Launched::default()
            };
            let result = launch::follow(&spawned.child, &spawned.receiver, engine, &context.status, &mut launched)
                .and_then(|()| spawned.publish(&folder, &ports));
            if result.is_err() {
                launch::tidy(&upper, &launched.stubs);
            }
            result.map(|()| (spawned, launched))
        });
        let (spawned, launched) = spawned.inspect_err(|_| {
            group.remove();
            network::release(context, &folder);
        })?;
        let Spawned {
            child,
            streams,
            life,
            attendants,
            ..
        } = spawned;
        folder.write("stubs.json", &launched.stubs)?;
        state.status = container::RUNNING.to_owned();
        state.process = process_id::of(child.pid);
        state.started_at = Some(berth_monitor::clock::now());
        folder.set_state(&state)?;
        announce(context, &child, &state);
        Ok(Self {
            context,
            order,
            folder,
            group,
            child,
            upper,
            launched,
            streams,
            attendants,
            signals,
            state,
            _life: life,
        })
    }

    /// Attends the process to its end, and clears up after it.
    fn attend(mut self, engine: Option<&mut Listener<'_>>) -> Result<Reply, Failure> {
        let result = self.watch(engine);
        self.attendants.clear();
        let usage = self.group.usage();
        self.group.remove();
        launch::tidy(&self.upper, &self.launched.stubs);
        network::release(self.context, &self.folder);
        let result = result.map(|ending| (ending, ended::describe(&ending.exit, Some(usage))));
        self.state.status = container::EXITED.to_owned();
        self.state.finished_at = Some(berth_monitor::clock::now());
        self.state.ended = Some(result.as_ref().map_or_else(|_| container::unseen(), |(_, ended)| ended.clone()));
        let recorded = self
            .folder
            .write("stubs.json", &Vec::<berth_jail::Stub>::new())
            .and_then(|()| self.folder.set_state(&self.state));
        if !self.order.args.keep {
            discard(self.context, &self.order.args.container);
            discard_volumes(self.context, self.order.args);
        } else if let Err(failure) = recorded {
            self.context
                .status
                .warning(format!("the end of the container could not be recorded: {failure}"));
        }
        let (ending, ended) = result?;
        if ending.abandoned && !self.order.args.detach {
            return Err(crate::fail::cancelled());
        }
        Ok(Reply::Start(ended))
    }

    fn watch(&mut self, engine: Option<&mut Listener<'_>>) -> Result<Ending, Failure> {
        let args = self.order.args;
        let status = self.context.status;
        let log = if args.log {
            Some(Log::open(
                rustix::io::fcntl_dupfd_cloexec(&self.folder.fd, 3).map_err(failed("dup"))?,
            )?)
        } else {
            None
        };
        let streams = std::mem::replace(&mut self.streams, pipes::none()).attend(self.launched.terminal.take())?;
        let owner = match args.owner {
            // An owner that has gone already ends the container at once.
            Some(owner) => Some(process_id::open(owner).map_or_else(ended_pidfd, Ok)?),
            None => None,
        };
        attend(Attendance {
            child: &self.child,
            streams,
            output: engine.is_some().then(rustix::stdio::stdout),
            engine: engine.map(|engine| engine as &mut dyn Engine),
            log,
            owner,
            signals: &self.signals,
            stop_signal: self.order.stop_signal,
            commands: std::mem::take(&mut self.launched.commands),
            warn: &|sentence| status.warning(sentence),
        })
    }
}

/// A descriptor that polls as an ended process does.
fn ended_pidfd() -> Result<OwnedFd, Failure> {
    let (reader, _) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).map_err(failed("pipe"))?;
    Ok(reader)
}

fn announce(context: &Context, child: &Child, state: &ContainerState) {
    for port in &state.ports {
        context.status.event(Event::Listening {
            host_address: port.host_address.clone(),
            host_port: port.host_port,
            container_port: port.container_port,
            protocol: port.protocol,
        });
    }
    context.status.event(Event::Started {
        pid: child.pid.as_raw_nonzero().get(),
    });
}

/// A container of this id that still runs is in the way; one that has ended is started again. Gives its last state.
fn ensure_ended(folder: &Folder) -> Result<Option<ContainerState>, Failure> {
    let Ok(state) = folder.state() else { return Ok(None) };
    let lives = |id: Option<berth_wire::request::ProcessId>| id.and_then(process_id::open).is_some();
    if lives(state.process) || (state.status != container::EXITED && lives(state.monitor)) {
        return Err(Failure::new(Code::Conflict, "start container", "a container of this id is running").subject(folder.id.clone()));
    }
    Ok(Some(state))
}

/// After a start that failed: a container that was there before is as it was, a new one never was.
fn give_up(context: &Context, id: &str, before: Option<&ContainerState>) {
    match before {
        None => discard(context, id),
        Some(state) => {
            if let Err(failure) = Folder::open(context, id).and_then(|folder| folder.set_state(state)) {
                context
                    .status
                    .warning(format!("the state of container {id} could not be written back: {failure}"));
            }
        }
    }
}

fn discard(context: &Context, id: &str) {
    if let Err(failure) = container::remove_folder(context, id) {
        context.status.warning(format!("the folder of container {id} stays: {failure}"));
    }
}

fn discard_volumes(context: &Context, args: &Start) {
    let names = args.config.annotations.get(VOLUMES).map(String::as_str).unwrap_or_default();
    let names: Vec<&str> = names.split(',').filter(|name| !name.is_empty()).collect();
    if !names.is_empty() {
        crate::cmd::volume::discard(context, &names);
    }
}

/// The tree of the upper snapshot, made when it is not there.
fn upper_snapshot(context: &Context, args: &Start) -> Result<OwnedFd, Failure> {
    let snapshots = context.snapshots()?;
    let name = &args.rootfs.upper;
    if !berth_layer::snapshot::exists(snapshots, name).map_err(of_layer)? {
        let lowers = berth_layer::snapshot::stack(snapshots, &args.rootfs.lowers).map_err(of_layer)?;
        berth_layer::snapshot::prepare(snapshots, name, &lowers).map_err(of_layer)?;
    }
    berth_layer::snapshot::open(snapshots, name).map_err(of_layer)
}

fn recipe(context: &Context, args: &Start, folder: &Folder) -> Result<Recipe, Failure> {
    let stat = rustix::fs::fstat(&context.store).map_err(failed("stat store"))?;
    let mut files = Vec::new();
    for (number, file) in args.files.iter().enumerate() {
        files.push((file.destination.clone(), folder.bound_file(number, &file.content, file.mode)?));
    }
    Ok(Recipe {
        store_root: context.store_root.clone(),
        store_identity: (stat.st_dev, stat.st_ino),
        snapshots: format!("snapshots/{}", context::folder(&context.id_map)),
        lowers: berth_layer::snapshot::distinct(&args.rootfs.lowers),
        upper: args.rootfs.upper.clone(),
        container: format!("containers/{}", args.container),
        lent: lend::mounts(context, args, folder, args.files.len())?,
        files,
    })
}

struct Spawned {
    child: Child,
    receiver: report::Receiver,
    streams: Ours,
    notice: OwnedFd,
    life: OwnedFd,
    /// Processes that serve its network.
    attendants: Vec<Attendant>,
}

impl Spawned {
    /// Starts the proxy. Not before exec: until then the process belongs to the namespaces of the helper, and cannot be joined from within a user
    /// namespace. Connections wait in the backlog meanwhile.
    fn publish(&mut self, folder: &Folder, ports: &[Port]) -> Result<(), Failure> {
        let proxy = proxy::start(ports, network::address(folder), &self.child.pidfd, &self.notice);
        self.attendants.extend(proxy.inspect_err(|_| kill(&self.child))?);
        Ok(())
    }
}

fn kill(child: &Child) {
    let _ = rustix::process::pidfd_send_signal(&child.pidfd, Signal::KILL);
    let _ = process::wait(child.pid);
}

/// Forks the first process of the container, puts it into its cgroup, and lets it go.
fn spawn(
    context: &Context,
    order: &Order<'_>,
    folder: &Folder,
    (recipe, variables): (Recipe, Vec<CString>),
    layout: &Layout,
    group: &Group,
) -> Result<Spawned, Failure> {
    let args = order.args;
    let (receiver, reporter) = report::channel()?;
    let (gate, open) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).map_err(failed("pipe"))?;
    let (notice, life) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).map_err(failed("pipe"))?;
    let (streams, stdio) = pipes::make(args.config.process.terminal, args.stdin)?;
    let kinds = order.namespaces.without(Namespaces::CGROUP);
    match process::fork(kinds).map_err(failed("clone"))? {
        Forked::Child => {
            drop((receiver, open, life, streams));
            enter(order, (recipe, variables), layout, stdio, notice, &gate, &reporter)
        }
        Forked::Parent(child) => {
            drop((reporter, gate, stdio));
            group
                .add_limited(child.pid, args.config.linux.resources.as_ref())
                .inspect_err(|_| kill(&child))?;
            let responder = network::attach(context, folder, &child, &notice).inspect_err(|_| kill(&child))?;
            let _ = rustix::io::write(&open, &[1]);
            Ok(Spawned {
                child,
                receiver,
                streams,
                notice,
                life,
                attendants: responder.into_iter().collect(),
            })
        }
    }
}

fn enter(
    order: &Order<'_>,
    (recipe, secret_env): (Recipe, Vec<CString>),
    layout: &Layout,
    stdio: Stdio,
    life: OwnedFd,
    gate: &OwnedFd,
    reporter: &Reporter,
) -> ! {
    let args = order.args;
    let network = || match &args.network {
        // A bridge's interfaces are there already.
        Network::Host | Network::Bridge { .. } => Ok(()),
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
        requested_rlimits: requested.split(',').map(|name| name.trim().to_owned()).collect(),
        secret_env,
    };
    let jail = Jail {
        spec: &args.config,
        recipe,
        confinement,
        namespaces: order.namespaces,
        cgroups: view(layout),
        stdio,
        init: args.init,
        network: &network,
        life,
    };
    berth_jail::child::start(jail, gate, reporter)
}

/// How `/sys/fs/cgroup` looks inside.
fn view(layout: &Layout) -> CgroupView {
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
