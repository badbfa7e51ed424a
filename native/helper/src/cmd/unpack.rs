//! `unpack`: an archive becomes a folder of the store.

use crate::cmd::layers::{failure, identity, progress, warning};
use crate::context::Context;
use crate::fail::failed_on;
use berth_layer::{Report, unpack};
use berth_wire::{Failure, Reply, reply, request};
use rustix::fs::OFlags;

pub(crate) fn run(context: &Context, args: request::Unpack) -> Result<Reply, Failure> {
    berth_sys::file::raise_file_limit();
    let open = |path: &String, flags| {
        berth_sys::path::open_beneath(&context.store, path.as_bytes(), OFlags::RDONLY | OFlags::NOFOLLOW | flags)
            .map_err(failed_on("open", path))
    };
    let archive = open(&args.archive, OFlags::NONBLOCK)?;
    let folder = open(&args.folder, OFlags::DIRECTORY)?;
    let (progress, warning) = (progress(context), warning(context));
    let report = Report::new(&progress, &warning);
    let unpacked = unpack::into_folder(&folder, &archive, context.owner, identity(context), &report).map_err(failure)?;
    Ok(Reply::Unpack(reply::Unpack {
        is_archive: unpacked.is_some(),
        entries: unpacked.unwrap_or_default(),
    }))
}
