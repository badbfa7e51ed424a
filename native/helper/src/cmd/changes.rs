//! `changes`: what a container has changed, as names.

use crate::cmd::layers::{failure, untouched};
use crate::context::Context;
use berth_layer::changes::{self, Change};
use berth_wire::{Failure, Reply, request};

pub(crate) fn run(context: &Context, args: request::Changes) -> Result<Reply, Failure> {
    berth_sys::file::raise_file_limit();
    let untouched = untouched(context, args.container.as_deref())?;
    let found = changes::changes(&context.snapshots()?, &args.snapshot, &args.lowers, &untouched).map_err(failure)?;
    let mut list = Vec::new();
    for (path, change) in found {
        list.push(match change {
            Change::Added => b'A',
            Change::Changed => b'C',
            Change::Deleted => b'D',
        });
        list.extend_from_slice(&path);
        list.push(0);
    }
    context.output.data(&list)?;
    Ok(Reply::Changes)
}
