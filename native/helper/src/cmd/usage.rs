//! `usage`: names and sizes of snapshots.

use crate::cmd::layers::failure;
use crate::context::Context;
use berth_layer::usage::{self, Measure};
use berth_layer::{Kind, snapshot};
use berth_wire::reply::SnapshotUsage;
use berth_wire::{Failure, Reply, reply, request};

pub(crate) fn run(context: &Context, args: request::Usage) -> Result<Reply, Failure> {
    berth_sys::file::raise_file_limit();
    let snapshots = match args.cache_mounts {
        Some(true) => context.cache_mounts()?,
        Some(false) | None => context.snapshots()?,
    };
    let names = if args.names.is_empty() {
        usage::names(&snapshots).map_err(failure)?
    } else {
        args.names
    };
    let mut found = Vec::new();
    for name in names {
        snapshot::check_name(&name).map_err(failure)?;
        let measured = match args.measure {
            true => usage::measure(&snapshots, &name),
            false => snapshot::open(snapshots, &name).map(|_| Measure::default()),
        };
        match measured {
            Ok(Measure { bytes, inodes, content }) => found.push(SnapshotUsage {
                name,
                bytes,
                inodes,
                content,
            }),
            // Not there, or gone since the names were read.
            Err(error) if error.kind == Kind::NotFound => {}
            Err(error) => return Err(failure(error)),
        }
    }
    Ok(Reply::Usage(reply::Usage { snapshots: found }))
}
