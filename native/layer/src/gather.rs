//! What writing a layer and exporting a tree have in common: gathering tar bytes, and what a tar cannot say.

use crate::error::{Result, display};
use crate::report::Report;
use berth_sys::file::Time;
use berth_sys::xattr::Attribute;

/// How much tar is gathered before it is handed on.
pub(crate) const BUFFER: usize = 1 << 20;

/// An empty buffer, with room for what a header adds to a full one.
pub(crate) fn buffer() -> Vec<u8> {
    Vec::with_capacity(BUFFER + 4096)
}

/// Let `read` append at most `left` bytes, as many as fit; how many there were.
pub(crate) fn append(bytes: &mut Vec<u8>, left: u64, read: impl FnOnce(&mut [u8]) -> Result<usize>) -> Result<usize> {
    let start = bytes.len();
    let room = BUFFER.saturating_sub(start).max(1);
    let wanted = usize::try_from(left).unwrap_or(room).min(room);
    bytes.resize(start + wanted, 0);
    let length = read(bytes.get_mut(start..).unwrap_or_default())?;
    bytes.truncate(start + length);
    Ok(length)
}

/// Whole seconds, none later than `clamp`.
pub(crate) fn clamped(time: Time, clamp: Option<i64>) -> i64 {
    clamp.map_or(time.seconds, |limit| time.seconds.min(limit))
}

/// Without attributes whose names a tar cannot say.
pub(crate) fn sayable(mut attributes: Vec<Attribute>, path: &[u8], report: &Report<'_>) -> Vec<Attribute> {
    attributes.retain(|(name, _)| {
        let fits = !name.contains(&b'=');
        if !fits {
            report.warn(format!(
                "Left out the attribute {} of {}: its name holds '=', which a tar cannot say",
                display(name),
                display(path)
            ));
        }
        fits
    });
    attributes
}
