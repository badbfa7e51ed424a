//! `state`: what containers there are, and how they are.

use crate::container::{self, Folder, life};
use crate::context::Context;
use crate::run::network;
use berth_wire::reply::{ContainerState, States};
use berth_wire::request::State;
use berth_wire::{Code, Failure, Reply};

pub(crate) fn run(context: &Context, args: &State) -> Result<Reply, Failure> {
    let all = args.containers.is_empty();
    if all && let Err(failure) = network::collect(context) {
        context
            .status
            .warning(format!("what is left of networks could not be collected: {failure}"));
    }
    let names = if all { Folder::all(context)? } else { args.containers.clone() };
    let mut containers = Vec::new();
    for name in names {
        match Folder::open(context, &name).and_then(|folder| life::look(context, &folder)) {
            Ok(Some(state)) => containers.push(as_it_is(context, state)),
            Ok(None) if all => {}
            Ok(None) => return Err(Failure::new(Code::NotFound, "open container", "there is no such container").subject(name)),
            // It went away between the listing and the look.
            Err(failure) if all && failure.code == Code::NotFound => {}
            // One broken folder must not hide the others.
            Err(failure) if all => context.status.warning(format!("container {name}: {failure}")),
            Err(failure) => return Err(failure),
        }
    }
    Ok(Reply::State(States { containers }))
}

/// A container that runs may stand still.
fn as_it_is(context: &Context, mut state: ContainerState) -> ContainerState {
    let frozen = || {
        let folder = Folder::open(context, &state.id).ok()?;
        container::group(context, &folder).ok().map(|group| group.is_frozen())
    };
    if state.status == container::RUNNING && frozen() == Some(true) {
        container::PAUSED.clone_into(&mut state.status);
    }
    state
}
