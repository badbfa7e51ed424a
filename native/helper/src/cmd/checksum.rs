//! `checksum`: content digests of what patterns select.

use crate::cmd::layers::{failure, progress, warning};
use crate::context::Context;
use berth_layer::copy::Selection;
use berth_layer::{Report, checksum, snapshot};
use berth_wire::{Failure, Reply, reply, request};

pub(crate) fn run(context: &Context, args: request::Checksum) -> Result<Reply, Failure> {
    berth_sys::file::raise_file_limit();
    let stack = snapshot::stack(context.snapshots()?, &args.snapshots).map_err(failure)?;
    let (progress, warning) = (progress(context), warning(context));
    let selection = Selection {
        patterns: &args.patterns,
        include: &args.filter.include,
        exclude: &args.filter.exclude,
    };
    let digests = checksum::checksum(&stack, &selection, &Report::new(&progress, &warning)).map_err(failure)?;
    Ok(Reply::Checksum(reply::Checksum { digests }))
}
