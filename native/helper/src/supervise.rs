//! Where an operation runs, and how it ends when the engine goes away.
//!
//! Most operations run in a worker: this process watches fd 0 and the worker, and kills it with all its children when the engine closes its
//! end before the result, be it before or after the end frame, which only says that no frame follows. With an identity map the worker is the one that enters the user namespace. `start` and `exec` watch fd 0 themselves.

use crate::channel::{self, Fill, Input};
use crate::context::Context;
use crate::fail::{cancelled, failed};
use crate::{Outcome, cmd, conclude, dispatch, idmap};
use berth_sys::process::{self, Child, Exit, Forked, Namespaces, Status};
use berth_wire::frame::Kind;
use berth_wire::request::{self, CopyAction, CopySource, IdMap, KeyringAct};
use berth_wire::{Code, Failure, Operation, Reply, Request};
use rustix::event::{PollFd, PollFlags};
use rustix::fd::{AsFd as _, OwnedFd};
use rustix::pipe::PipeFlags;
use rustix::process::{DumpableBehavior, Signal};

/// How an operation runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    /// In this process.
    Direct,
    /// In a worker below this process, which watches fd 0.
    Watched { enters_user_namespace: bool },
    /// It watches fd 0 itself.
    Streaming { enters_user_namespace: bool },
}

fn style(operation: &Operation) -> Style {
    match operation {
        Operation::Probe(_) | Operation::Lock(_) | Operation::Extract(_) | Operation::Keyring(_) => Style::Direct,
        // They talk to namespaces that exist already, as their owner.
        Operation::State(_)
        | Operation::Kill(_)
        | Operation::Logs(_)
        | Operation::Network(_)
        | Operation::Pause(_)
        | Operation::Update(_)
        | Operation::Stats(_)
        | Operation::Processes(_)
        | Operation::Events(_)
        | Operation::Announce(_) => Style::Watched {
            enters_user_namespace: false,
        },
        Operation::Exec(_) | Operation::Attach(_) => Style::Streaming {
            enters_user_namespace: false,
        },
        Operation::Start(_) | Operation::Resume(_) | Operation::CopyIn(_) => Style::Streaming {
            enters_user_namespace: true,
        },
        _ => Style::Watched {
            enters_user_namespace: true,
        },
    }
}

/// Takes one request after another until fd 0 ends, so that a command of the engine needs one process of ours. Each runs in a worker; one that
/// watches fd 0 itself is the last. A failure of this process is the last word as well: what fd 0 or fd 1 holds may be half of something.
pub(crate) fn series(mut input: Input, status: &channel::Status) -> Result<Outcome, Failure> {
    input.take_series();
    while let Some(bytes) = input.next_request()? {
        let request = crate::parse_request(&bytes)?;
        match style(&request.operation) {
            Style::Direct => return Err(refused(&request.operation)),
            Style::Streaming { .. } => return run(request, input, status),
            // The worker has answered, and with a failure it is the request that failed.
            Style::Watched { .. } => input = turn(request, input, status)?.1,
        }
    }
    Ok(Outcome::Done(0))
}

fn refused(operation: &Operation) -> Failure {
    let message = "this operation has a process of its own";
    Failure::new(Code::Request, "read request", message).subject(cmd::word(operation))
}

/// Runs the operation of `request` where it belongs.
pub(crate) fn run(request: Request, input: Input, status: &channel::Status) -> Result<Outcome, Failure> {
    turn(request, input, status).map(|(outcome, _)| outcome)
}

fn turn(request: Request, mut input: Input, status: &channel::Status) -> Result<(Outcome, Input), Failure> {
    hide()?;
    // Without them a container that runs could be taken for one that has ended.
    process::check_pidfds().map_err(|(call, error)| failed(call)(error))?;
    let Request {
        store, id_map, operation, ..
    } = request;
    let list = input.list(list_length(&operation))?;
    let secrets = input.secrets(&secret_ids(&operation))?;
    let mut context = Context::open(&store, id_map.clone(), input, *status)?;
    context.input_list = list;
    context.secrets.replace(secrets);
    if let Some(tree) = cmd::transfer::tree_of(&operation) {
        context.running_root = crate::container::tree::running(&context, tree)?;
    }
    let outcome = act(&mut context, operation, &id_map)?;
    Ok((outcome, context.input.into_inner()))
}

fn act(context: &mut Context, operation: Operation, id_map: &IdMap) -> Result<Outcome, Failure> {
    let namespace = id_map.has_user_namespace();
    match style(&operation) {
        Style::Direct => dispatch(context, operation).map(Outcome::Reply),
        Style::Streaming { enters_user_namespace } if !(namespace && enters_user_namespace) => {
            dispatch(context, operation).map(Outcome::Reply)
        }
        Style::Streaming { .. } => {
            let worker = spawn(context, operation, Some(id_map))?;
            finished(process::wait(worker.pid).map_err(failed("wait for worker"))?)
        }
        Style::Watched { enters_user_namespace } => {
            if let Operation::Remove(args) = &operation {
                cmd::remove::stop(context, args)?;
            }
            let worker = spawn(context, operation, (namespace && enters_user_namespace).then_some(id_map))?;
            watch(&worker, context.input.get_mut())
        }
    }
}

/// Forks the worker, which writes the last line itself and says by its exit code that it did.
fn spawn(context: &mut Context, operation: Operation, id_map: Option<&IdMap>) -> Result<Child, Failure> {
    let (reader, gate) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).map_err(failed("pipe"))?;
    let (ready, announce) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).map_err(failed("pipe"))?;
    let watched = matches!(style(&operation), Style::Watched { .. });
    match process::fork(Namespaces::NONE).map_err(failed("fork worker"))? {
        Forked::Child => {
            drop((gate, ready));
            let status = context.status;
            let result = work(context, operation, id_map, reader, announce);
            if result.is_err() && watched {
                // Nothing more of this request comes, also where another one follows. Nobody is left to tell when this fails. This waits while
                // the engine reads nothing, until the one that watches ends it; nobody could end a worker that watches fd 0 itself.
                let _ = channel::Output::new().end();
            }
            process::exit_now(i32::from(conclude(&status, result)))
        }
        Forked::Parent(worker) => {
            drop((reader, announce));
            if let Some(id_map) = id_map {
                let mapped = idmap::map_when_ready(&worker, id_map, ready);
                if mapped.is_err() {
                    end(&worker);
                }
                mapped?;
            }
            context.secrets.borrow_mut().clear();
            // A worker that is gone already shows in its exit code.
            let _ = rustix::io::write(&gate, &[1]);
            Ok(worker)
        }
    }
}

/// The worker's part: a process group of its own, the user namespace, the tie to the supervisor's life, the operation.
fn work(context: &mut Context, operation: Operation, id_map: Option<&IdMap>, gate: OwnedFd, announce: OwnedFd) -> Result<Reply, Failure> {
    rustix::process::setpgid(None, None).map_err(failed("setpgid"))?;
    if let Some(id_map) = id_map {
        idmap::enter(announce)?;
        if let IdMap::Sub { .. } = id_map {
            context.owner = (0, 0);
        }
    }
    // The supervisor writes one byte when the maps are in place; end of file means that it is gone.
    let open = rustix::io::retry_on_intr(|| rustix::io::read(&gate, &mut [0_u8; 1])).map_err(failed("read gate"))?;
    if open == 0 {
        return Err(cancelled());
    }
    if id_map.is_some() {
        idmap::become_root()?;
    }
    hide()?;
    let parent = rustix::process::getppid();
    process::die_with_parent().map_err(failed("prctl PR_SET_PDEATHSIG"))?;
    if rustix::process::getppid() != parent || parent.is_none() {
        return Err(cancelled());
    }
    dispatch(context, operation)
}

/// Waits for the worker, or for the engine to go away.
fn watch(worker: &Child, input: &mut Input) -> Result<Outcome, Failure> {
    loop {
        let mut polled = vec![PollFd::new(&worker.pidfd, PollFlags::IN)];
        let fd = input.as_fd();
        polled.push(PollFd::from_borrowed_fd(fd, PollFlags::IN));
        rustix::io::retry_on_intr(|| rustix::event::poll(&mut polled, None)).map_err(failed("poll"))?;
        if polled.first().is_some_and(|worker| !worker.revents().is_empty()) {
            return finished(process::wait(worker.pid).map_err(failed("wait for worker"))?);
        }
        if polled.get(1).is_some_and(|input| !input.revents().is_empty()) {
            read_on(input).inspect_err(|_| end(worker))?;
        }
    }
}

fn read_on(input: &mut Input) -> Result<(), Failure> {
    if input.fill()? == Fill::Closed {
        return Err(cancelled());
    }
    while !input.holds_request() {
        let Some(frame) = input.next()? else { break };
        if frame.kind != Kind::End {
            return Err(Failure::new(
                Code::Request,
                "read frame",
                format!("this operation takes no {:?} frame", frame.kind),
            ));
        }
    }
    Ok(())
}

/// Kills the worker with its children, and waits for it.
fn end(worker: &Child) {
    // Either may be gone already; that is what is wanted.
    let _ = rustix::process::kill_process_group(worker.pid, Signal::KILL);
    let _ = rustix::process::pidfd_send_signal(&worker.pidfd, Signal::KILL);
    let _ = process::wait(worker.pid);
}

/// What the end of the worker means. Codes 0 and 1 say that it wrote the last line.
fn finished(exit: Exit) -> Result<Outcome, Failure> {
    match exit.status {
        Status::Code(code @ (0 | 1)) => Ok(Outcome::Done(u8::from(code == 1))),
        Status::Code(code) => Err(Failure::new(
            Code::System,
            "run worker",
            format!("the worker ended with code {code} and said nothing"),
        )),
        Status::Signal(number) => Err(Failure::new(
            Code::System,
            "run worker",
            format!("the worker was killed by {}", berth_sys::signal::name(number)),
        )),
    }
}

/// Keeps other processes of this user from looking into this one (`spec/hardening.md` 4, rule 9).
fn hide() -> Result<(), Failure> {
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(failed("prctl PR_SET_DUMPABLE"))
}

/// Ids of the secrets that follow the request.
fn secret_ids(operation: &Operation) -> Vec<String> {
    match operation {
        Operation::Start(args) => crate::run::lend::secrets(args),
        Operation::Diff(request::Diff { forbidden, .. }) | Operation::CopyLayer(request::CopyLayer { forbidden, .. }) => {
            forbidden.clone().unwrap_or_default()
        }
        Operation::Keyring(args) if args.act == KeyringAct::Store => vec![cmd::keyring::VALUE.to_owned()],
        _ => Vec::new(),
    }
}

/// How many bytes of path lists follow the request.
fn list_length(operation: &Operation) -> u64 {
    let actions = match operation {
        Operation::Copy(copy) => &copy.actions,
        Operation::CopyLayer(copy) => &copy.actions,
        Operation::Contents(contents) => return contents.list_bytes,
        _ => return 0,
    };
    let lengths = actions.iter().map(|action| match action {
        CopyAction::Copy {
            source: CopySource::Context { list_bytes, .. },
            ..
        } => *list_bytes,
        CopyAction::Copy {
            source: CopySource::Inline { content_bytes, .. },
            ..
        } => *content_bytes,
        _ => 0,
    });
    lengths.fold(0, u64::saturating_add)
}
