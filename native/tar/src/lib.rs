//! The tar format as layers use it: ustar, PAX, GNU long names and sparse files. Bytes go in, events come out; no input or output happens here.
//!
//! [`Parser`] reads what GNU tar, bsdtar, Go and Docker write and agrees with Go's `archive/tar` on which entries a stream holds, so that nothing
//! can be smuggled past one of the two. [`writer`] makes the one form that we write. Names are bytes. Facts: `spec/bad-inputs.md` part E.
#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

mod entry;
mod error;
mod header;
mod number;
mod parser;
mod pax;
mod sparse;
pub mod writer;

pub use entry::{Entry, Kind, Time};
pub use error::Error;
pub use parser::{Event, Parser};

/// Everything in a tar is padded to this many bytes.
pub const BLOCK: usize = 512;
/// The largest extension header (PAX records, a GNU long name) in bytes, as in Go.
pub const MAX_EXTENSION: u64 = 1 << 20;
/// The most data segments of a sparse file.
pub const MAX_SEGMENTS: usize = 65_536;
/// The most extended attributes of one entry.
pub const MAX_XATTRS: usize = 1_024;
