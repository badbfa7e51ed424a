//! `checksum`: content digests of what patterns select; `contents`: those of files of the host.

use crate::cmd::layers::{failure, progress, warning};
use crate::context::Context;
use crate::fail::failed_on;
use berth_layer::copy::Selection;
use berth_layer::{Report, checksum, contents, snapshot};
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

pub(crate) fn contents(context: &Context, args: &request::Contents) -> Result<Reply, Failure> {
    let root = berth_sys::file::open_trusted_dir(args.host_path.as_bytes()).map_err(failed_on("open context", &args.host_path))?;
    let (progress, warning) = (progress(context), warning(context));
    let digests = contents::contents(root, &context.input_list, &Report::new(&progress, &warning)).map_err(failure)?;
    context.output.data(&digests)?;
    Ok(Reply::Contents)
}
