//! `diff`: an upper snapshot becomes a layer.

use crate::cmd::layers::{codec, failure, identity, progress, seconds, untouched, warning};
use crate::context::Context;
use berth_layer::search::Forbidden;
use berth_layer::{Report, diff};
use berth_wire::{Failure, Reply, reply, request};

pub(crate) fn run(context: &Context, args: request::Diff) -> Result<Reply, Failure> {
    berth_sys::file::raise_file_limit();
    let identity = identity(context);
    let secrets = context.secrets.borrow();
    let forbidden = args.forbidden.iter().flatten();
    let forbidden = forbidden
        .map(|id| secrets.get(id).map(|value| Forbidden { id, value }))
        .collect::<Result<Vec<_>, _>>()?;
    let what = diff::Diff {
        snapshot: &args.snapshot,
        lowers: &args.lowers,
        output: args.output.as_deref(),
        codec: codec(args.codec),
        level: args.level,
        clamp: seconds(args.clamp),
        finish: args.finish,
        untouched: untouched(context, args.container.as_deref())?,
        identity,
        owner: identity,
        threads: None,
        forbidden: &forbidden,
    };
    let (progress, warning) = (progress(context), warning(context));
    let layer = diff::diff(&context.store, &context.snapshots()?, &what, &Report::new(&progress, &warning)).map_err(failure)?;
    Ok(Reply::Diff(reply::Diff {
        diff_id: layer.diff_id,
        plain_size: layer.plain_size,
        entries: layer.entries,
        blob: layer.blob.map(|(digest, size)| reply::Blob {
            digest,
            size,
            codec: args.codec,
        }),
        snapshot: layer.snapshot,
        found: layer
            .found
            .into_iter()
            .map(|found| reply::Found {
                path: found.path,
                secret: found.id,
            })
            .collect(),
    }))
}
