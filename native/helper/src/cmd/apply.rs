//! `apply`: a layer blob becomes a snapshot.

use crate::cmd::layers::{codec, failure, identity, progress, warning};
use crate::context::Context;
use crate::fail::failed_on;
use berth_layer::{Report, apply};
use berth_wire::{Code, Failure, Reply, reply, request};
use rustix::fs::OFlags;

pub(crate) fn run(context: &Context, args: request::Apply) -> Result<Reply, Failure> {
    berth_sys::file::raise_file_limit();
    let blob = berth_sys::path::open_beneath(&context.store, args.blob.as_bytes(), OFlags::RDONLY | OFlags::NONBLOCK)
        .map_err(failed_on("open blob", &args.blob))?;
    let target = match args.cache_mount {
        Some(_) => context.cache_mounts()?,
        None => context.snapshots()?,
    };
    if args.cache_mount.is_some() && !args.lowers.is_empty() {
        return Err(Failure::new(Code::Request, "read request", "a cache mount has nothing below it").subject("lowers"));
    }
    let what = apply::Apply {
        blob,
        codec: codec(args.codec),
        diff_id: &args.diff_id,
        chain_id: &args.chain_id,
        lowers: &args.lowers,
        max_bytes: args.max_bytes,
        max_entries: args.max_entries,
        identity: identity(context),
        name: args.cache_mount.as_deref(),
    };
    let (progress, warning) = (progress(context), warning(context));
    let applied = apply::apply(&target, &what, &Report::new(&progress, &warning)).map_err(failure)?;
    Ok(Reply::Apply(reply::Apply {
        snapshot: applied.snapshot,
        self_contained: applied.self_contained,
        size: applied.size,
        entries: applied.entries,
    }))
}
