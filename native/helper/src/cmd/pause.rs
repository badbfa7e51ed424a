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
    let state = life::settle(context, &folder)?;
    if !state.is_some_and(|state| life::runs(&state) && state.process.is_some()) {
        return Err(refused("the container is not running"));
    }
    let group = container::group(context, &folder)?;
    match (args.frozen, group.is_frozen()) {
        (true, true) => return Err(refused("the container is already paused")),
        (false, false) => return Err(refused("the container is not paused")),
        (true, false) => group.freeze()?,
        (false, true) => group.thaw(),
    }
    journal::of_container(context, &folder, if args.frozen { "pause" } else { "unpause" }, &[]);
    Ok(Reply::Pause)
}
