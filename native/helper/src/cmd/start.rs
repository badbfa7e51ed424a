//! `start`, `create` and `resume`: a process in a container of its own, at once or when it is asked for.

use crate::container::folder::{Locked, ORDER, RECORD};
use crate::container::{self, Folder, life};
use crate::context::Context;
use crate::fail::{failed_on, of_layer};
use crate::journal;
use crate::run::caller::Caller;
use crate::run::container::{self as running, Running};
use crate::run::engine::{self, Listener};
use crate::run::{detach, ended, lend, live, network, way_out};
use berth_jail::plan::Filter;
use berth_monitor::Clients;
use berth_sys::process::Namespaces;
use berth_wire::reply::Ended;
use berth_wire::request::{Network, PublishedPort, Resume, Start};
use berth_wire::{Code, Failure, Reply};
use rustix::process::Signal;
use std::net::Ipv4Addr;

/// The most text that the engine may give for keeping.
const MAX_RECORD: usize = 1024 * 1024;
pub(crate) fn run(context: &Context, args: &Start) -> Result<Reply, Failure> {
    let order = Order::check(context, args)?;
    go(context, &order, None, (!args.detach, Reply::Start))
}

/// Makes a container that waits to be started.
pub(crate) fn create(context: &Context, args: &Start) -> Result<Reply, Failure> {
    let order = Order::check(context, args)?;
    let folder = Folder::create(context, &args.container)?.new_one(true);
    let _locked = folder.lock(context)?;
    if folder.state().is_ok() {
        return Err(Failure::new(Code::Conflict, "create container", "there is a container of this id").subject(args.container.clone()));
    }
    let made = running::upper_snapshot(context, args)
        .and_then(|_| order.write(&folder))
        .and_then(|()| folder.set_state(&container::created(&args.container, &args.record, Vec::new())));
    if made.is_err() {
        let _ = container::remove_folder(context, &args.container);
    }
    made?;
    journal::of_container(context, &folder, "create", &[]);
    Ok(Reply::Create)
}

/// Starts a container again by its own order.
pub(crate) fn resume(context: &Context, args: &Resume) -> Result<Reply, Failure> {
    let folder = Folder::open(context, &args.container)?;
    // Kept until the process runs: what is read here may be changed by others.
    let locked = folder.lock_for_engine(context)?;
    let Some(state) = life::settle(context, &folder)? else {
        return Err(failed_on("open container", &args.container)(rustix::io::Errno::NOENT));
    };
    let mut order: Start = folder.read(ORDER)?;
    order.config = folder.read("config.json")?;
    order.record = state.record;
    order.owner = args.owner;
    order.detach = !args.attach;
    let order = Order::check(context, &order)?;
    go(context, &order, Some(locked), (args.attach, Reply::Resume))
}

/// Runs an order: below this process for a step of a build, else in a monitor of its own session, which the engine may leave. Who holds the lock of
/// the container already hands it over; it ends when the process runs.
fn go(
    context: &Context,
    order: &Order<'_>,
    locked: Option<Locked>,
    (attached, reply): (bool, fn(Ended) -> Reply),
) -> Result<Reply, Failure> {
    match (attached, order.args.life.is_some()) {
        (true, false) => below(context, order, locked, reply),
        (true, true) => detach::run(|tell| {
            let mut input = context.input.borrow_mut();
            let mut engine = Listener(&mut input);
            let mut caller = Caller::new(context, tell, reply);
            let commands = engine.buffered()?;
            match Running::start(context, order, locked, Some(&mut engine), commands) {
                Ok(running) => live::live(running, Some(&mut engine), &mut caller),
                Err(failure) => caller.answer(Err(failure)),
            }
            Ok(())
        }),
        (false, _) => detach::run(|tell| {
            let mut caller = Caller::new(context, tell, reply);
            match Running::start(context, order, locked, None, Vec::new()) {
                Ok(running) => {
                    caller.answer(Ok(ended::running()));
                    live::live(running, None, &mut caller);
                }
                Err(failure) => caller.answer(Err(failure)),
            }
            Ok(())
        }),
    }
}

/// The engine stays: output goes to it, and the reply comes with the end.
fn below(context: &Context, order: &Order<'_>, locked: Option<Locked>, reply: fn(Ended) -> Reply) -> Result<Reply, Failure> {
    let mut input = context.input.borrow_mut();
    let mut engine = Listener(&mut input);
    let commands = engine.buffered()?;
    let started = Running::start(context, order, locked, Some(&mut engine), commands);
    let mut running = started.inspect_err(|failure| {
        if failure.code == Code::Cancelled {
            running::discard_upper(context, order.args);
        }
    })?;
    let over = running.attend(Some(&mut engine), None);
    running.record(&over.ended);
    match over.failure {
        Some(failure) => Err(failure),
        None if over.abandoned => {
            // Nobody is left who would make a layer of it, and a collection may have come while the container was there.
            running::discard_upper(context, order.args);
            Err(crate::fail::cancelled())
        }
        None => Ok(reply(over.ended)),
    }
}

/// A checked request.
pub(crate) struct Order<'a> {
    pub(crate) args: &'a Start,
    pub(crate) namespaces: Namespaces,
    pub(crate) filter: Option<Filter>,
    pub(crate) stop_signal: Signal,
    pub(crate) address: Option<Ipv4Addr>,
    pub(crate) ports: &'a [PublishedPort],
    pub(crate) user_namespace: bool,
}

impl<'a> Order<'a> {
    fn check(context: &Context, args: &'a Start) -> Result<Self, Failure> {
        let user_namespace = context.id_map.has_user_namespace();
        let private = !matches!(args.network, Network::Host | Network::Joined);
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
        if args.detach && args.stdin && args.life.is_none() {
            return Err(refused("stdin", "a detached process has no standard input"));
        }
        check_life(args, user_namespace)?;
        let (address, ports) = match &args.network {
            Network::Host | Network::None | Network::Joined => (None, [].as_slice()),
            Network::Bridge { ports, .. } => {
                network::check(&context.id_map, &args.network)?;
                (None, ports.as_slice())
            }
            Network::Step { .. } => {
                if args.life.is_some() {
                    return Err(refused("network", "only a step of a build has the network of one"));
                }
                network::check(&context.id_map, &args.network)?;
                (None, [].as_slice())
            }
            Network::Private { address, ports, way_out } => {
                way_out.iter().try_for_each(|way_out| way_out::check(way_out, user_namespace))?;
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

    /// Writes what a later start needs; it is durable with the state that is set after it.
    pub(crate) fn write(&self, folder: &Folder) -> Result<(), Failure> {
        folder.write_before("config.json", &self.args.config)?;
        folder.write_before("rootfs.json", &self.args.rootfs)?;
        folder.write_before("keep.json", &self.args.keep)?;
        network::keep(folder, &self.args.network)?;
        if self.args.life.is_some() {
            folder.write_before(ORDER, self.args)?;
        }
        folder.write_before(RECORD, &self.args.record)
    }

    /// The socket for those who join, which is kept from run to run.
    pub(crate) fn clients(&self, context: &Context, folder: &Folder, kept: Option<Clients>) -> Result<Option<Clients>, Failure> {
        match kept {
            None if self.args.life.is_some() => running::clients(context, folder).map(Some),
            kept => Ok(kept),
        }
    }

    pub(crate) fn cgroup(&self, context: &Context) -> Result<String, Failure> {
        container::cgroup_path(context, &self.args.container, self.args.config.linux.cgroups_path.as_deref())
    }
}

/// What only a container with a life may ask for, and what one on this rung may not.
fn check_life(args: &Start, user_namespace: bool) -> Result<(), Failure> {
    let own = |kind: &str| args.config.linux.namespaces.iter().any(|one| one.kind == kind);
    let joins_network = args
        .life
        .iter()
        .flat_map(|life| &life.joins)
        .any(|join| join.namespace == "network");
    if joins_network != matches!(args.network, Network::Joined) {
        return Err(refused(
            "life.joins",
            "a joined network needs a container whose network it is, and no other does",
        ));
    }
    let Some(life) = &args.life else {
        return if own("pid") {
            Ok(())
        } else {
            Err(refused("linux.namespaces", "a container needs a pid namespace"))
        };
    };
    if life.health.as_ref().is_some_and(|health| health.args.is_empty()) {
        return Err(refused("life.health", "there is no command"));
    }
    for join in &life.joins {
        if user_namespace {
            let message = "a container in a user namespace cannot join the namespaces of another one";
            return Err(Failure::new(Code::Unsupported, "join namespace", message).subject(join.namespace.clone()));
        }
        if own(&join.namespace) {
            return Err(refused(
                "life.joins",
                format!("the container has a {} namespace of its own", join.namespace),
            ));
        }
    }
    Ok(())
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
