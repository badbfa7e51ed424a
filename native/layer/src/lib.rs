//! Image layers as snapshots: apply, diff, copy and everything that looks at the merged tree without mounting it.
#![forbid(unsafe_code)]

pub mod error;
pub mod remove;

pub use error::{Error, Kind, Result};
pub use remove::remove_tree;
