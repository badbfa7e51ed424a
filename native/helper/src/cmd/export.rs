//! `export`: the merged tree of snapshots as a tar, sent as data.

use crate::cmd::layers::{failure, progress, seconds, warning};
use crate::context::Context;
use berth_layer::{Report, export, snapshot};
use berth_wire::{Failure, Reply, reply, request};

pub(crate) fn run(context: &Context, args: request::Export) -> Result<Reply, Failure> {
    berth_sys::file::raise_file_limit();
    let stack = snapshot::stack(context.snapshots()?, &snapshot::distinct(&args.snapshots)).map_err(failure)?;
    let (progress, warning) = (progress(context), warning(context));
    let mut refused = None;
    let mut sink = |bytes: &[u8]| match context.output.data(bytes) {
        Ok(()) => true,
        Err(failure) => {
            refused = Some(failure);
            false
        }
    };
    let exported = export::export(&stack, seconds(args.clamp), &mut sink, &Report::new(&progress, &warning));
    match (exported, refused) {
        // Why nobody takes the bytes is the better reason.
        (Err(_), Some(failure)) => Err(failure),
        (Err(error), None) => Err(failure(error)),
        (Ok(entries), _) => Ok(Reply::Export(reply::Export { entries })),
    }
}
