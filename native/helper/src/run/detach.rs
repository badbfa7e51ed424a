//! A process that goes on when the helper that was called has answered.

use crate::context::Context;
use crate::fail::failed;
use berth_sys::process::{self, Forked, Namespaces};
use berth_wire::reply::Ended;
use berth_wire::{Code, Failure, Reply};
use rustix::fd::OwnedFd;
use rustix::pipe::PipeFlags;

/// Runs `monitor` in a process of its own session, which answers the engine itself; this one ends when it has. Returns only with a failure.
pub(crate) fn run(monitor: impl FnOnce(&OwnedFd) -> Result<(), Failure>) -> Result<Reply, Failure> {
    let (told, tell) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).map_err(failed("pipe"))?;
    match process::fork(Namespaces::NONE).map_err(failed("fork monitor"))? {
        Forked::Child => {
            drop(told);
            // This is no leader of a group yet, so it can have a session of its own.
            let result = rustix::process::setsid().map_err(failed("setsid")).and_then(|_| monitor(&tell));
            process::exit_now(i32::from(result.is_err()))
        }
        Forked::Parent(child) => {
            drop(tell);
            let mut code = [0_u8];
            match rustix::io::retry_on_intr(|| rustix::io::read(&told, &mut code)) {
                // The last line is written.
                Ok(1) => process::exit_now(i32::from(code[0])),
                _ => {
                    let exit = process::wait(child.pid).map_err(failed("wait for monitor"))?;
                    Err(Failure::new(
                        Code::System,
                        "start monitor",
                        format!("the monitor ended with code {}", exit.status.shell_code()),
                    ))
                }
            }
        }
    }
}

/// In the monitor: answers the engine, lets go of it, and attends what runs.
pub(crate) fn answer<R>(
    context: &Context,
    result: Result<R, Failure>,
    tell: &OwnedFd,
    running: impl FnOnce() -> Ended,
    reply: impl FnOnce(Ended) -> Reply,
    attend: impl FnOnce(R) -> Result<Reply, Failure>,
) -> Result<(), Failure> {
    let (result, process) = match result {
        Ok(process) => (Ok(reply(running())), Some(process)),
        Err(failure) => (Err(failure), None),
    };
    let code = crate::conclude(&context.status, result);
    let _ = rustix::io::write(tell, &[code]);
    let Some(process) = process else { return Ok(()) };
    crate::run::caller::leave()?;
    attend(process).map(drop)
}
