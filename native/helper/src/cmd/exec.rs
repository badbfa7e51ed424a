//! `exec`: a further process in a running container.

use crate::channel;
use crate::cmd::start::filter;
use crate::container::{self, Folder, life};
use crate::context::Context;
use crate::fail::{cancelled, failed};
use crate::idmap;
use crate::journal::Joined;
use crate::run::caller::Caller;
use crate::run::container::STOPPING;
use crate::run::engine::Listener;
use crate::run::launch::{self, Launched};
use crate::run::{detach, devices, ended, pipes, spawn};
use berth_cgroup::{Entry, Group, Layout};
use berth_jail::plan::{self, Confinement, Extra, Filter, Stdio};
use berth_jail::report::{self, Reporter};
use berth_monitor::{Attendance, Command, Engine, attend, process_id};
use berth_sys::process::{self, Child, Forked, Namespaces};
use berth_sys::signal::SignalFd;
use berth_wire::oci::{Process, Spec};
use berth_wire::reply::Ended;
use berth_wire::request::Exec;
use berth_wire::{Code, Event, Failure, Reply};
use rustix::fd::{AsFd as _, OwnedFd};
use rustix::pipe::PipeFlags;
use rustix::process::{Pid, PidfdFlags, Signal};

pub(crate) fn run(context: &Context, args: &Exec) -> Result<Reply, Failure> {
    plan::check_process(&args.process)?;
    let target = Target::find(context, args)?;
    let joined = Folder::open(context, &args.container)
        .ok()
        .and_then(|folder| Joined::new(&folder, &args.process.args));
    let joined = joined.as_ref();
    if let Some(joined) = joined {
        joined.begins(context);
    }
    if args.detach {
        return detach::run(|tell| {
            let result = Running::start(context, args, &target, None, Vec::new());
            detach::answer(context, result, tell, ended::running, Reply::Exec, |running| {
                running.attend((context, joined), args, None, None).map(Reply::Exec)
            })
        });
    }
    if args.process.terminal {
        // From a terminal the caller may leave, and the process goes on.
        return detach::run(|tell| {
            let mut caller = Caller::new(context, tell, Reply::Exec);
            let ended = attached((context, joined), args, &target, Some(&mut caller));
            caller.answer(ended);
            Ok(())
        });
    }
    attached((context, joined), args, &target, None).map(Reply::Exec)
}

type Told<'a> = (&'a Context, Option<&'a Joined>);

fn attached((context, joined): Told<'_>, args: &Exec, target: &Target, caller: Option<&mut Caller<'_>>) -> Result<Ended, Failure> {
    let mut input = context.input.borrow_mut();
    let mut engine = Listener(&mut input);
    let commands = engine.buffered()?;
    let running = Running::start(context, args, target, Some(&mut engine), commands)?;
    running.attend((context, joined), args, Some(&mut engine), caller)
}

/// The container to join.
pub(crate) struct Target {
    pub(crate) pidfd: OwnedFd,
    pub(crate) namespaces: Namespaces,
    /// This process is outside the container's user namespace.
    pub(crate) enters_user_namespace: bool,
    pub(crate) cgroup: String,
    /// The container's configuration.
    pub(crate) spec: Spec,
    pub(crate) filter: Option<Filter>,
    pub(crate) user_namespace: bool,
    /// It was started where nothing but its nodes keeps it to its devices.
    pub(crate) nodes_only: bool,
}

impl Target {
    fn find(context: &Context, args: &Exec) -> Result<Self, Failure> {
        let folder = Folder::open(context, &args.container)?;
        let state = life::look(context, &folder)?;
        state.iter().try_for_each(|state| life::check_reach(&folder, state))?;
        let process = state.filter(life::runs).and_then(|state| state.process);
        let not_running = || Failure::new(Code::Conflict, "join container", "the container is not running").subject(args.container.clone());
        // Number and start time: a later process with the same number is not it.
        let pidfd = process.and_then(process_id::open).ok_or_else(not_running)?;
        if container::group(context, &folder)?.is_frozen() {
            return Err(Failure::new(Code::Conflict, "join container", "the container is paused").subject(args.container.clone()));
        }
        let spec: Spec = folder.read("config.json")?;
        let user_namespace = context.id_map.has_user_namespace();
        let kinds = plan::kinds(&spec, user_namespace)?.and(spawn::shared(folder.life()?.as_ref())?);
        Ok(Self {
            pidfd,
            namespaces: if user_namespace { kinds.and(Namespaces::USER) } else { kinds },
            enters_user_namespace: user_namespace,
            cgroup: container::cgroup_path(context, &args.container, spec.linux.cgroups_path.as_deref())?,
            spec,
            filter: filter(args.seccomp.as_ref())?,
            user_namespace,
            nodes_only: folder.is_nodes_only(),
        })
    }
}

/// A process that runs in the container.
struct Running {
    child: Child,
    launched: Launched,
    streams: pipes::Ours,
    signals: SignalFd,
    /// The writing end of the pipe by which the process notices that this one has gone.
    _life: OwnedFd,
}

impl Running {
    fn start(
        context: &Context,
        args: &Exec,
        target: &Target,
        engine: Option<&mut Listener<'_>>,
        commands: Vec<Command>,
    ) -> Result<Self, Failure> {
        let signals = SignalFd::block(&STOPPING).map_err(failed("signalfd"))?;
        let (receiver, reporter) = report::channel()?;
        let (notice, life) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).map_err(failed("pipe"))?;
        let (streams, stdio) = pipes::make(args.process.terminal, args.stdin)?;
        let ends = Ends { reporter, notice, stdio };
        let mut launched = Launched {
            commands,
            ..Launched::default()
        };
        let child = match join(&args.process, target, ends, &life)? {
            Some(child) => child,
            // Its failure is waiting in the channel.
            None => return Err(last_words(&receiver)),
        };
        launch::follow(&child, &receiver, engine, &context.status, &mut launched)?;
        context.status.event(Event::Started {
            pid: child.pid.as_raw_nonzero().get(),
        });
        Ok(Self {
            child,
            launched,
            streams,
            signals,
            _life: life,
        })
    }

    fn attend(
        mut self,
        (context, joined): Told<'_>,
        args: &Exec,
        engine: Option<&mut Listener<'_>>,
        caller: Option<&mut Caller<'_>>,
    ) -> Result<Ended, Failure> {
        let status = context.status;
        let mut let_go = caller.map(|caller| {
            || {
                if let Some(joined) = joined {
                    joined.is_left(context);
                }
                caller.answer(Ok(ended::running()));
            }
        });
        let ending = attend(Attendance {
            child: &self.child,
            streams: self.streams.attend(self.launched.terminal.take())?,
            output: engine.is_some().then(rustix::stdio::stdout),
            engine: engine.map(|engine| engine as &mut dyn Engine),
            log: None,
            clients: None,
            clients_close: false,
            let_go: let_go.as_mut().map(|let_go| let_go as &mut dyn FnMut()),
            owner: None,
            signals: &self.signals,
            stop_signal: Signal::TERM,
            commands: std::mem::take(&mut self.launched.commands),
            // The container stands still because somebody wants it to: the process ends when it goes on.
            thaw: &|| (),
            resized: &|_, _| (),
            warn: &|sentence| status.warning(sentence),
        })?;
        let ended = ended::describe(&ending.exit, None);
        if let Some(joined) = joined {
            joined.ends(context, ended.exit_code.unwrap_or_default());
        }
        if ending.abandoned && !args.detach {
            return Err(cancelled());
        }
        Ok(ended)
    }
}

/// The ends that belong to the process.
pub(crate) struct Ends {
    pub(crate) reporter: Reporter,
    pub(crate) notice: OwnedFd,
    pub(crate) stdio: Stdio,
}

/// Why the process in between could not enter the container.
pub(crate) fn last_words(receiver: &report::Receiver) -> Failure {
    loop {
        match receiver.next() {
            Ok(Some(report::Packet {
                message: berth_jail::Message::Failure(failure),
                ..
            })) => return failure,
            Ok(Some(_)) => {}
            Ok(None) => {
                return Failure::new(
                    Code::System,
                    "join container",
                    "the process that entered the container ended without a word",
                );
            }
            Err(failure) => return failure,
        }
    }
}

/// Enters the container by a process in between: a pid namespace takes only children. The child becomes this process's own.
pub(crate) fn join(process: &Process, target: &Target, ends: Ends, life: &OwnedFd) -> Result<Option<Child>, Failure> {
    let group = Group::find(&Layout::detect(), &target.cgroup);
    let resources = devices::applied(target.spec.linux.resources.clone(), target.user_namespace);
    let nodes_only = devices::joined(target.nodes_only, group.holds_devices(), resources.as_ref(), process)?;
    let (gate, open) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).map_err(failed("pipe"))?;
    let (told, tell) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).map_err(failed("pipe"))?;
    // It keeps to the container's limits, or it does not come to be.
    let entry = group.entry(resources.as_ref());
    match entry.fork(Namespaces::NONE)? {
        Forked::Child => {
            drop((open, told));
            between((process, nodes_only), (target, &entry), &ends, life, &gate, &tell)
        }
        Forked::Parent(middle) => {
            drop((ends, gate, tell));
            let _ = rustix::io::write(&open, &[1]);
            // It may have come into a container that was made to stand still just now: then only the kill is certain, and not its end.
            channel::await_readable(told.as_fd())
                .inspect_err(|_| rustix::process::pidfd_send_signal(&middle.pidfd, Signal::KILL).unwrap_or_default())?;
            let mut number = [0_u8; 4];
            let length = berth_sys::file::read_full(&told, &mut number).map_err(failed("read pid"))?;
            process::wait(middle.pid).map_err(failed("wait"))?;
            let pid = Pid::from_raw(i32::from_ne_bytes(number)).filter(|_| length == number.len());
            let open = |pid| rustix::process::pidfd_open(pid, PidfdFlags::empty()).map_err(failed("pidfd_open"));
            pid.map(|pid| Ok(Child { pid, pidfd: open(pid)? })).transpose()
        }
    }
}

fn between(
    (process, nodes_only): (&Process, bool),
    (target, entry): (&Target, &Entry<'_>),
    ends: &Ends,
    life: &OwnedFd,
    gate: &OwnedFd,
    tell: &OwnedFd,
) -> ! {
    let confinement = Confinement {
        process,
        filter: target.filter.as_ref().map(|filter| Filter {
            instructions: filter.instructions.clone(),
            log: filter.log,
        }),
        user_namespace: target.user_namespace,
        nodes_only,
        requested_rlimits: Vec::new(),
        secret_env: Vec::new(),
        extra: Extra::default(),
    };
    match enter((target, entry), &confinement, ends, gate) {
        Ok(Some(pid)) => {
            let _ = rustix::io::write(tell, &pid.as_raw_nonzero().get().to_ne_bytes());
            process::exit_now(0)
        }
        Ok(None) => {
            // Kept open here, the writing end would hide the death of the helper.
            let kept = [ends.notice.as_fd(), ends.reporter.as_fd()]
                .into_iter()
                .chain(ends.stdio.descriptors());
            let kept: Vec<_> = kept.collect();
            let _ = (life, process::close_all_but(0, &kept));
            berth_jail::child::join(&confinement, &ends.stdio, Some(&ends.notice), &ends.reporter)
        }
        Err(failure) => {
            ends.reporter.tell(&berth_jail::Message::Failure(failure));
            process::exit_now(1)
        }
    }
}

/// `None` in the new process, its number in the one in between.
fn enter(
    (target, entry): (&Target, &Entry<'_>),
    confinement: &Confinement<'_>,
    ends: &Ends,
    gate: &OwnedFd,
) -> Result<Option<Pid>, Failure> {
    if rustix::io::retry_on_intr(|| rustix::io::read(gate, &mut [0_u8; 1])).map_err(failed("read gate"))? == 0 {
        return Err(cancelled());
    }
    entry.enter()?;
    berth_jail::child::score(confinement.process, confinement.user_namespace, &ends.reporter)?;
    process::enter(&target.pidfd, target.namespaces).map_err(failed("setns"))?;
    if target.enters_user_namespace {
        idmap::become_root()?;
    }
    // Processes of the container see this one from now on.
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable).map_err(failed("prctl PR_SET_DUMPABLE"))?;
    process::fork_sibling().map_err(failed("clone"))
}
