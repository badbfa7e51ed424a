//! `pause`: a container's processes stand still, or go on.

use crate::container::{self, Folder, life};
use crate::context::Context;
use crate::journal;
use berth_wire::request::Pause;
use berth_wire::{Code, Failure, Reply};

pub(crate) fn run(context: &Context, args: &Pause) -> Result<Reply, Failure> {
    let folder = Folder::open(context, &args.container)?;
    let _locked = folder.lock(context)?;
    let refused = |message| Failure::new(Code::Conflict, "pause container", message).subject(args.container.clone());
    let state = life::settle(context, &folder)?.filter(life::runs);
    state.iter().try_for_each(|state| life::check_reach(&folder, state))?;
    let Some(process) = state.and_then(|state| state.process) else {
        return Err(refused("the container is not running"));
    };
    let group = container::group(context, &folder)?;
    match (args.frozen, group.is_frozen()) {
        (true, true) => return Err(refused("the container is already paused")),
        (false, false) => return Err(refused("the container is not paused")),
        (true, false) => {
            group.freeze()?;
            // A kill came between: frozen, it would never end.
            if is_killed(process.pid) {
                group.thaw();
                return Err(refused("the container is not running"));
            }
        }
        (false, true) => group.thaw(),
    }
    journal::of_container(context, &folder, if args.frozen { "pause" } else { "unpause" }, &[]);
    Ok(Reply::Pause)
}

/// Whether SIGKILL waits for a process.
fn is_killed(pid: i32) -> bool {
    const KILL: u64 = 1 << 8;
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let pending = |line: &str| {
        line.strip_prefix("SigPnd:")
            .or_else(|| line.strip_prefix("ShdPnd:"))
            .map(str::to_owned)
    };
    text.lines()
        .filter_map(pending)
        .any(|mask| u64::from_str_radix(mask.trim(), 16).is_ok_and(|mask| mask & KILL != 0))
}
