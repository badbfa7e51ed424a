//! Control groups of containers: v2, v1, both side by side, or none.
//!
//! A group is made in every hierarchy that can be written. Without limits it is best effort: figures and a clean end where there are groups, none
//! where there are not. A limit that was asked for and cannot be applied is a failure, never silently weaker (`DESIGN.md` 4).
#![forbid(unsafe_code)]

pub mod device;
mod entry;
mod fail;
mod figures;
mod freeze;
pub mod group;
pub mod layout;
mod limit;

pub use entry::Entry;
pub use figures::Figures;
pub use group::{Group, Usage};
pub use layout::{Layout, Mode};
