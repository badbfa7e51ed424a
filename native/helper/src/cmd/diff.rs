//! `diff`: an upper snapshot becomes a layer.

use crate::cmd::layers::{codec, failure, identity, progress, seconds, untouched, warning, wire_codec};
use crate::context::Context;
use crate::secrets::Secrets;
use berth_layer::diff::{Found, Layer};
use berth_layer::search::Forbidden;
use berth_layer::{Report, diff};
use berth_wire::{Code, Failure, Reply, reply, request};

pub(crate) fn run(context: &Context, args: request::Diff) -> Result<Reply, Failure> {
    berth_sys::file::raise_file_limit();
    let of_cache_mount = args.cache_mount.unwrap_or(false);
    if of_cache_mount && (args.finish || !args.lowers.is_empty()) {
        let message = "a cache mount has nothing below it, and is never finished";
        return Err(Failure::new(Code::Request, "read request", message).subject("cacheMount"));
    }
    let trees = if of_cache_mount {
        context.cache_mounts()?
    } else {
        context.snapshots()?
    };
    let identity = identity(context);
    let secrets = context.secrets.borrow();
    let forbidden = forbidden(&secrets, args.forbidden.as_deref())?;
    let what = diff::Diff {
        snapshot: &args.snapshot,
        lowers: &args.lowers,
        output: args.output.as_deref(),
        codec: codec(args.codec),
        level: args.level,
        may_be_plain: args.may_be_plain.unwrap_or(false),
        clamp: seconds(args.clamp),
        finish: args.finish,
        untouched: untouched(context, args.container.as_deref())?,
        identity,
        owner: identity,
        threads: None,
        forbidden: &forbidden,
    };
    let (progress, warning) = (progress(context), warning(context));
    let layer = diff::diff(&context.store, &trees, &what, &Report::new(&progress, &warning)).map_err(failure)?;
    Ok(Reply::Diff(reply(layer)))
}

/// The values that a layer must not hold.
pub(super) fn forbidden<'a>(secrets: &'a Secrets, ids: Option<&'a [String]>) -> Result<Vec<Forbidden<'a>>, Failure> {
    let value = |id: &'a String| secrets.get(id).map(|value| Forbidden { id, value });
    ids.unwrap_or_default().iter().map(value).collect()
}

/// The layer in the protocol's words.
pub(super) fn reply(layer: Layer) -> reply::Diff {
    let blob = |(digest, size, codec)| reply::Blob {
        digest,
        size,
        codec: wire_codec(codec),
    };
    let found = |found: Found| reply::Found {
        path: found.path,
        secret: found.id,
    };
    reply::Diff {
        diff_id: layer.diff_id,
        plain_size: layer.plain_size,
        entries: layer.entries,
        blob: layer.blob.map(blob),
        snapshot: layer.snapshot,
        found: layer.found.into_iter().map(found).collect(),
    }
}
