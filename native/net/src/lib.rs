//! The network of a container: loopback and an address of its own inside, published ports by a proxy.
//!
//! The container's address stands on its loopback device, so that no kernel module and no packet filter is needed on any rung; a server that is
//! bound to 127.0.0.1 is not reachable through the proxy, as with Docker. Specification: `DESIGN.md` 4 "Network".
#![forbid(unsafe_code)]

mod connection;
mod fail;
mod listener;
mod loopback;
mod netlink;
mod proxy;

pub use listener::{Listener, listen};
pub use loopback::bring_up;
pub use proxy::serve;
