//! Attends a running process in one poll loop: its end, its output, its log, what the engine says, and the life of its owner.
#![forbid(unsafe_code)]

pub mod attend;
pub mod clients;
pub mod clock;
mod fail;
pub mod log;
mod outlet;
pub mod process_id;
mod streams;

pub use attend::{Attendance, Command, Ending, Engine, attend};
pub use clients::Clients;
pub use streams::{Source, Streams};
