//! What a rule answers, as the number that a filter returns.

use berth_wire::{Code, Failure};

/// `EPERM`: what the specification answers where no number is given.
const EPERM: u32 = 1;
/// The largest error number that the kernel lets a filter return.
const MAX_ERRNO: u32 = 4095;

pub(crate) const ALLOW: u32 = 0x7fff_0000;
pub(crate) const KILL_PROCESS: u32 = 0x8000_0000;
/// `ENOSYS`, for calls by a convention that this filter does not know.
pub(crate) const NO_SUCH_CALL: u32 = ERRNO | 38;
const ERRNO: u32 = 0x0005_0000;
const KILL_THREAD: u32 = 0;
const TRAP: u32 = 0x0003_0000;
const LOG: u32 = 0x7ffc_0000;

/// The number of an action by its name in the specification.
pub(crate) fn parse(name: &str, errno: Option<u32>) -> Result<u32, Failure> {
    let action = match name {
        "SCMP_ACT_ALLOW" => ALLOW,
        "SCMP_ACT_ERRNO" => return with_errno(errno.unwrap_or(EPERM)),
        "SCMP_ACT_KILL" | "SCMP_ACT_KILL_THREAD" => KILL_THREAD,
        "SCMP_ACT_KILL_PROCESS" => KILL_PROCESS,
        "SCMP_ACT_TRAP" => TRAP,
        "SCMP_ACT_LOG" => LOG,
        other => return Err(refused(format!("this helper does not do the action {other:?}"))),
    };
    match errno {
        Some(_) => Err(refused(format!("{name} takes no errnoRet"))),
        None => Ok(action),
    }
}

fn with_errno(number: u32) -> Result<u32, Failure> {
    if number > MAX_ERRNO {
        Err(refused(format!("errnoRet {number} is over {MAX_ERRNO}")))
    } else {
        Ok(ERRNO | number)
    }
}

pub(crate) fn refused(message: impl Into<String>) -> Failure {
    Failure::new(Code::Request, "compile seccomp", message).subject("linux.seccomp")
}
