//! Image layers as snapshots: apply, diff, copy and everything that looks at the merged tree without mounting it.
#![forbid(unsafe_code)]

pub mod apply;
pub mod changes;
pub mod checksum;
mod clean;
mod codec;
mod compress;
pub mod contents;
mod context;
pub mod copy;
pub mod copy_in;
pub mod copy_out;
pub mod diff;
mod digest;
pub mod error;
pub mod export;
pub mod extract;
mod filter;
mod gather;
mod glob;
mod inflate;
mod later;
pub mod look;
mod members;
mod output;
mod place;
mod plan;
pub mod remove;
pub mod report;
mod sample;
pub mod search;
pub mod snapshot;
pub mod stack;
mod stream;
pub mod unpack;
pub mod usage;
pub mod volume;
mod walk;
mod writer;
pub mod xattrs;

pub use codec::Codec;
pub use error::{Error, Kind, Result};
pub use remove::remove_tree;
pub use report::Report;
pub use stack::Stack;
