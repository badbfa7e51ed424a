//! `remove`: snapshots, containers, garbage.

use crate::context::Context;
use crate::fail::{failed, of_layer};
use berth_wire::Failure;
use rustix::fs::OFlags;
use rustix::io::Errno;

/// Removes the folder of a container, where there is one.
pub(crate) fn folder(context: &Context, id: &str) -> Result<bool, Failure> {
    let all = match berth_sys::path::open_beneath(&context.store, b"containers", OFlags::RDONLY | OFlags::DIRECTORY) {
        Err(Errno::NOENT) => return Ok(false),
        other => other.map_err(failed("open containers"))?,
    };
    berth_layer::remove_tree(&all, id.as_bytes()).map_err(of_layer)
}
