//! From an OCI configuration and a recipe of snapshots to a running, confined process.
//!
//! The child's part is one list of steps in [`child`]; `README.md` prints it. Profile and order: `spec/hardening.md` 4.
#![forbid(unsafe_code)]

mod capability;
pub mod child;
mod command;
mod copy_up;
mod devices;
mod fail;
pub mod features;
mod identity;
mod init;
mod lent;
mod limits;
mod mask;
mod mounts;
mod options;
pub mod overlay;
pub mod plan;
mod proc;
pub mod report;
mod rootfs;
mod target;
mod terminal;

pub use mounts::{mounts_proc, rehearse};
pub use plan::{Confinement, Extra, Jail, Recipe, Rootfs};
pub use report::{Message, Reporter, Stub};
