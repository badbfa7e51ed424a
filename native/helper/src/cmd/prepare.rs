//! `prepare`: an empty upper snapshot.

use crate::cmd::layers::failure;
use crate::context::Context;
use berth_layer::snapshot;
use berth_wire::{Failure, Reply, request};

pub(crate) fn run(context: &Context, args: request::Prepare) -> Result<Reply, Failure> {
    let snapshots = context.snapshots()?;
    let lowers = snapshot::stack(snapshots, &args.lowers).map_err(failure)?;
    snapshot::prepare(snapshots, &args.name, &lowers).map_err(failure)?;
    Ok(Reply::Prepare)
}
