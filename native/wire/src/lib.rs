//! The protocol between the engine and the helper, and the subset of the OCI runtime configuration that the helper reads.
//!
//! Pure: no input or output. The TypeScript side, `engine/native/protocol.ts`, is generated from these types by `npm run generate` and
//! compared in CI. Facts: `DESIGN.md` 4, `spec/native.md` 5.
#![forbid(unsafe_code)]

pub mod event;
pub mod failure;
pub mod frame;
pub mod oci;
pub mod reply;
pub mod request;

pub use event::Event;
pub use failure::{Code, Failure};
pub use reply::Reply;
pub use request::{Operation, Request};

/// The version of the protocol that this helper speaks. A request with another one is refused by name.
pub const PROTOCOL_VERSION: u32 = 1;
