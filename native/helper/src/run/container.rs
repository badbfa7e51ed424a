//! A container whose process runs: from the order to exec, and from the end of the process to nothing left.

use crate::cmd::start::Order;
use crate::cmd::volume;
use crate::container::folder::Locked;
use crate::container::{self, Folder, life};
use crate::context::{self, Context};
use crate::fail::{failed, of_layer};
use crate::journal;
use crate::run::attendant::Attendant;
use crate::run::caller::Caller;
use crate::run::engine::{self, Listener};
use crate::run::health::{self, Checker};
use crate::run::launch::{self, Launched};
use crate::run::pipes::{self, Ours};
use crate::run::{bound, devices, ended, lend, network, spawn};
use berth_cgroup::{Group, Layout};
use berth_jail::plan::Recipe;
use berth_monitor::log::Log;
use berth_monitor::{Attendance, Clients, Command, Ending, Engine, attend, process_id};
use berth_sys::process::{Child, Namespaces};
use berth_sys::signal::SignalFd;
use berth_wire::oci::Spec;
use berth_wire::reply::{ContainerState, Ended};
use berth_wire::request::Start;
use berth_wire::{Code, Event, Failure};
use rustix::fd::OwnedFd;
use rustix::pipe::PipeFlags;
use rustix::process::Signal;
use std::time::Instant;

/// Annotation that names the volumes which go with a container that nobody keeps, separated by commas.
const VOLUMES: &str = "berth.volumes";
/// Signals that tell the monitor to stop.
pub(crate) const STOPPING: [Signal; 4] = [Signal::TERM, Signal::INT, Signal::HUP, Signal::QUIT];

/// A container whose process runs.
pub(crate) struct Running<'a> {
    pub(crate) context: &'a Context,
    pub(crate) order: &'a Order<'a>,
    pub(crate) folder: Folder,
    group: Group,
    child: Child,
    upper: OwnedFd,
    launched: Launched,
    streams: Ours,
    attendants: Vec<Attendant>,
    clients: Option<Clients>,
    signals: SignalFd,
    pub(crate) state: ContainerState,
    /// The reading end of the pipe by which children notice that this process has gone.
    notice: OwnedFd,
    /// Its writing end.
    _life: OwnedFd,
    began: Instant,
}

/// How a run ended.
pub(crate) struct Over {
    pub(crate) ended: Ended,
    /// The engine or the owner has gone.
    pub(crate) abandoned: bool,
    /// This monitor was told to stop.
    pub(crate) told: bool,
    /// The loop that attended the process failed; the process is dead all the same.
    pub(crate) failure: Option<Failure>,
}

impl<'a> Running<'a> {
    /// Starts the process of an order, for the first time or again after it has ended. `locked` is the lock of the container, where it is held already.
    pub(crate) fn start(
        context: &'a Context,
        order: &'a Order<'a>,
        locked: Option<Locked>,
        engine: Option<&mut Listener<'_>>,
        commands: Vec<Command>,
    ) -> Result<Self, Failure> {
        let args = order.args;
        let folder = Folder::create(context, &args.container)?.kept(args.keep);
        let _locked = match locked {
            Some(locked) => locked,
            None => folder.lock_for_engine(context)?,
        };
        let before = ensure_ended(context, &folder)?;
        folder.attend()?;
        let folder = folder.new_one(before.is_none());
        let state = match before.clone() {
            Some(before) => ContainerState {
                ended: None,
                error: None,
                restarts: 0,
                ..before
            },
            None => container::created(&args.container, &args.record, Vec::new()),
        };
        let is_attached = engine.is_some();
        let result = order
            .write(&folder)
            .and_then(|()| folder.mark_stopped(false))
            .inspect(|()| {
                if before.is_none() {
                    journal::of_container(context, &folder, "create", &[]);
                }
                if is_attached {
                    journal::of_container(context, &folder, "attach", &[]);
                }
            })
            .and_then(|()| Self::prepare(context, order, folder, (state, None), engine, commands));
        if let Err(failure) = &result {
            give_up(context, args, before, failure);
        }
        result
    }

    /// Starts the process again in the same monitor.
    pub(crate) fn again(
        context: &'a Context,
        order: &'a Order<'a>,
        state: ContainerState,
        clients: Option<Clients>,
    ) -> Result<Self, Failure> {
        let folder = Folder::open(context, &order.args.container)?.kept(order.args.keep);
        // Who changes the container meanwhile does it before, and is seen, or after, and finds the process.
        let _locked = folder.lock(context)?;
        Self::prepare(context, order, folder, (state, clients), None, Vec::new())
    }

    fn prepare(
        context: &'a Context,
        order: &'a Order<'a>,
        folder: Folder,
        (mut state, clients): (ContainerState, Option<Clients>),
        engine: Option<&mut Listener<'_>>,
        commands: Vec<Command>,
    ) -> Result<Self, Failure> {
        let args = order.args;
        let is_attached = engine.is_some();
        let signals = SignalFd::block(&STOPPING).map_err(failed("signalfd"))?;
        let ports = berth_net::listen(order.ports)?;
        state.ports = ports.iter().map(|port| port.port.clone()).collect();
        let upper = upper_snapshot(context, args)?;
        let recipe = recipe(context, args, &folder)?;
        state.monitor = process_id::of(rustix::process::getpid());
        state.process = None;
        // Who starts again keeps its word until the process runs.
        if state.status != container::RESTARTING {
            container::CREATED.clone_into(&mut state.status);
        }
        folder.forget_health();
        folder.note_state(&state)?;
        let clients = order.clients(context, &folder, clients)?;
        let layout = Layout::detect();
        // Limits may have been changed since the order was given.
        let resources = devices::applied(folder.read::<Spec>("config.json")?.linux.resources, order.user_namespace);
        let group = Group::create(&layout, &order.cgroup(context)?, resources.as_ref())?;
        if group.is_empty() && !order.namespaces.has(Namespaces::PID) {
            let message = "without a pid namespace the container's processes can only be found by their cgroup, and there is none";
            return Err(Failure::new(Code::NotPermitted, "start container", message)
                .hint("Leave out --pid, or run as root of the machine or of a privileged container"));
        }
        let variables = lend::variables(context, args)?;
        context.secrets.borrow_mut().clear();
        let spawned = spawn::spawn(context, order, &folder, (recipe, variables), &layout, (&group, resources.as_ref()));
        let spawned = spawned.and_then(|mut spawned| {
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
        folder.write_before("stubs.json", &launched.stubs)?;
        container::RUNNING.clone_into(&mut state.status);
        state.process = process_id::of(spawned.child.pid);
        state.started_at = Some(berth_monitor::clock::now());
        state.finished_at = None;
        if args.life.as_ref().is_some_and(|life| life.health.is_some()) {
            folder.note(container::folder::HEALTH, &health::starting())?;
        }
        folder.set_state(&state)?;
        volume::journal_mounts(context, &folder.id, &args.config, "mount");
        network::journal_plain(context, &folder, "connect");
        journal::of_container(context, &folder, "start", &[]);
        if let (true, Some(size)) = (is_attached, args.config.process.console_size) {
            journal_size(context, &folder, size.height, size.width);
        }
        announce(context, &spawned.child, &state);
        Ok(Self {
            context,
            order,
            folder,
            group,
            child: spawned.child,
            upper,
            launched,
            streams: spawned.streams,
            attendants: spawned.attendants,
            clients,
            signals,
            state,
            notice: spawned.notice,
            _life: spawned.life,
            began: Instant::now(),
        })
    }

    /// Attends the process to its end, and clears up after it. What is left is the record of the end, which [`Self::record`] writes.
    pub(crate) fn attend(&mut self, engine: Option<&mut Listener<'_>>, caller: Option<&mut Caller<'_>>) -> Over {
        let result = self.watch(engine, caller);
        self.attendants.clear();
        let usage = self.group.usage();
        self.group.remove();
        launch::tidy(&self.upper, &self.launched.stubs);
        // Who lets it join a network just now has done so, or finds it ended.
        let locked = self.folder.lock(self.context);
        network::release(self.context, &self.folder);
        drop(locked);
        // Nothing is mounted any more; what is left of the stubs belongs to the container.
        let _ = self.folder.note("stubs.json", &Vec::<berth_jail::Stub>::new());
        let over = match result {
            Ok(ending) => Over {
                ended: ended::describe(&ending.exit, Some(usage)),
                abandoned: ending.abandoned,
                told: ending.told,
                failure: None,
            },
            Err(failure) => Over {
                ended: container::unseen(),
                abandoned: true,
                told: true,
                failure: Some(failure),
            },
        };
        if over.ended.oom_killed {
            journal::of_container(self.context, &self.folder, "oom", &[]);
        }
        network::journal_plain(self.context, &self.folder, "disconnect");
        volume::journal_mounts(self.context, &self.folder.id, &self.order.args.config, "unmount");
        let code = over.ended.exit_code.unwrap_or_default().to_string();
        let seconds = self.began.elapsed().as_secs().to_string();
        let said = [("exitCode", code.as_str()), ("execDuration", seconds.as_str())];
        journal::of_container(self.context, &self.folder, "die", &said);
        over
    }

    /// What a further run needs of one that has ended.
    pub(crate) fn into_parts(self) -> (Folder, SignalFd, ContainerState) {
        (self.folder, self.signals, self.state)
    }

    /// Says goodbye to who has joined, and gives the socket back for the next run.
    pub(crate) fn farewell(&mut self, ended: &Ended) -> Option<Clients> {
        let mut clients = self.clients.take()?;
        clients.farewell(&serde_json::to_vec(ended).unwrap_or_default());
        Some(clients)
    }

    fn watch(&mut self, engine: Option<&mut Listener<'_>>, caller: Option<&mut Caller<'_>>) -> Result<Ending, Failure> {
        let args = self.order.args;
        let life = args.life.as_ref();
        let status = self.context.status;
        let log = if args.log {
            let folder = rustix::io::fcntl_dupfd_cloexec(&self.folder.fd, 3).map_err(failed("dup"))?;
            Some(Log::open(folder, life.map(|life| life.log_limits).unwrap_or_default())?)
        } else {
            None
        };
        let streams = std::mem::replace(&mut self.streams, pipes::none()).attend(self.launched.terminal.take())?;
        let owner = match args.owner {
            // An owner that has gone already ends the container at once.
            Some(owner) => Some(process_id::open(owner).map_or_else(ended_pidfd, Ok)?),
            None => None,
        };
        let checker = Checker::start(self.context, self.order, &self.folder, &self.child.pidfd, &self.notice)?;
        let mut let_go = caller.map(|caller| {
            || {
                journal::of_container(self.context, &self.folder, "detach", &[]);
                caller.answer(Ok(ended::running()));
            }
        });
        let ending = attend(Attendance {
            child: &self.child,
            streams,
            output: engine.is_some().then(rustix::stdio::stdout),
            engine: engine.map(|engine| engine as &mut dyn Engine),
            clients: self.clients.as_mut(),
            clients_close: life.is_some_and(|life| life.stdin_once),
            let_go: let_go.as_mut().map(|let_go| let_go as &mut dyn FnMut()),
            log,
            owner,
            signals: &self.signals,
            stop_signal: self.order.stop_signal,
            commands: std::mem::take(&mut self.launched.commands),
            thaw: &|| self.group.thaw(),
            resized: &|rows, columns| journal_size(self.context, &self.folder, rows, columns),
            warn: &|sentence| status.warning(sentence),
        });
        drop(checker);
        ending
    }

    /// Writes down how it ended, or takes the container away when nobody keeps it.
    pub(crate) fn record(mut self, ended: &Ended) {
        container::EXITED.clone_into(&mut self.state.status);
        self.state.finished_at = Some(berth_monitor::clock::now());
        self.state.ended = Some(ended.clone());
        record(self.context, self.order, &self.folder, &self.state);
    }
}

/// Writes the last state of a container, or takes it away when nobody keeps it.
pub(crate) fn record(context: &Context, order: &Order<'_>, folder: &Folder, state: &ContainerState) {
    // Who waits for the end may start or remove the container as soon as it is written.
    let locked = if order.args.keep { None } else { folder.lock(context).ok() };
    let written = folder.set_state(state);
    if locked.is_some() {
        journal::of_container(context, folder, "destroy", &[]);
        discard(context, &order.args.container);
        // The folder has gone: what still uses a volume is another container.
        discard_rest(context, order.args);
    } else if let Err(failure) = written {
        context
            .status
            .warning(format!("the end of the container could not be recorded: {failure}"));
    }
}

/// Tells that the terminal of a container has another size.
fn journal_size(context: &Context, folder: &Folder, rows: u16, columns: u16) {
    let (height, width) = (rows.to_string(), columns.to_string());
    journal::of_container(context, folder, "resize", &[("height", &height), ("width", &width)]);
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

/// A container of this id that still runs is in the way; one that has ended is started again. Gives its last state. The caller holds the lock.
fn ensure_ended(context: &Context, folder: &Folder) -> Result<Option<ContainerState>, Failure> {
    let Some(state) = life::settle(context, folder)? else {
        return Ok(None);
    };
    let lives = |id: Option<berth_wire::request::ProcessId>| id.and_then(process_id::open).is_some();
    if life::runs(&state) || lives(state.process) {
        return Err(Failure::new(Code::Conflict, "start container", "a container of this id is running").subject(folder.id.clone()));
    }
    Ok(Some(state))
}

/// After a start that failed: a container that was there before is as it was, and says why; a new one never was, unless it is to be kept all the
/// same.
fn give_up(context: &Context, args: &Start, before: Option<ContainerState>, failure: &Failure) {
    let id = args.container.as_str();
    let asked = args.keep && args.life.is_some() && args.keep_failed == Some(true) && failure.code != Code::Cancelled;
    // Without its order it could never be started.
    let stays = asked && Folder::open(context, id).is_ok_and(|folder| folder.read::<Start>(container::folder::ORDER).is_ok());
    let before = before.or_else(|| stays.then(|| container::created(id, &args.record, Vec::new())));
    match before {
        None => discard(context, id),
        Some(state) => {
            let state = ContainerState {
                ports: Vec::new(),
                error: Some(failure.to_string()),
                ended: Some(ended::not_started(failure)),
                ..state
            };
            let kept = Folder::open(context, id).and_then(|folder| folder.sync_files().and_then(|()| folder.set_state(&state)));
            if let Err(failure) = kept {
                context
                    .status
                    .warning(format!("the state of container {id} could not be restored: {failure}"));
            }
        }
    }
}

fn discard(context: &Context, id: &str) {
    if let Err(failure) = container::remove_folder(context, id) {
        context.status.warning(format!("the folder of container {id} stays: {failure}"));
    }
}

/// Takes away what a container that nobody keeps had beside its folder.
pub(crate) fn discard_rest(context: &Context, args: &Start) {
    let names = args.config.annotations.get(VOLUMES).map(String::as_str).unwrap_or_default();
    let names: Vec<&str> = names.split(',').filter(|name| !name.is_empty()).collect();
    if !names.is_empty() {
        volume::discard(context, &names);
    }
    // What a step of a build wrote becomes a layer.
    if args.life.is_some() {
        discard_upper(context, args);
    }
}

/// Takes away what a container wrote.
pub(crate) fn discard_upper(context: &Context, args: &Start) {
    let upper = &args.rootfs.upper;
    let removed = context
        .snapshots()
        .and_then(|snapshots| crate::cmd::remove::remove_snapshot(snapshots, upper));
    if let Err(failure) = removed {
        context.status.warning(format!("snapshot {upper} stays: {failure}"));
    }
}

/// The tree of the upper snapshot, made when it is not there.
pub(crate) fn upper_snapshot(context: &Context, args: &Start) -> Result<OwnedFd, Failure> {
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
    let bound = folder.bound_files(&args.files)?;
    let mut files = Vec::new();
    for (number, file) in bound.iter().enumerate() {
        files.push((file.destination.clone(), folder.bound_file(number, &file.content, file.mode)?));
    }
    Ok(Recipe {
        store_root: context.store_root.clone(),
        store_identity: (stat.st_dev, stat.st_ino),
        snapshots: format!("snapshots/{}", context::folder(&context.id_map)),
        lowers: berth_layer::snapshot::distinct(&args.rootfs.lowers),
        upper: args.rootfs.upper.clone(),
        container: format!("containers/{}", args.container),
        lent: lend::mounts(context, args, folder, bound.len())?
            .into_iter()
            .chain(bound::shared(context, args)?)
            .collect(),
        files,
    })
}

/// What clients say is read as the engine's words are.
pub(crate) fn clients(context: &Context, folder: &Folder) -> Result<Clients, Failure> {
    Clients::listen(&folder.fd, vec![0, context.owner.0], engine::command)
}
