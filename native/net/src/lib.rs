//! The network of a container: bridges and interfaces with packet rules by netlink as root, else loopback and an address of its own inside; published
//! ports by a proxy; names by a responder.
//!
//! Without a bridge the container's address stands on its loopback device, so that no kernel module and no packet filter is needed on any rung; a
//! server that is bound to 127.0.0.1 is not reachable through the proxy, as with Docker. Specification: `DESIGN.md` 4 "Network".
#![forbid(unsafe_code)]

pub mod book;
pub mod bridge;

mod connection;
mod dns;
mod fail;
mod firewall;
mod link;
mod listener;
mod loopback;
mod names;
mod netlink;
mod nft;
mod polling;
mod port;
mod proxy;
mod resolver;
mod sysctl;
mod udp;

pub use listener::{Listener, listen};
pub use loopback::{bring_up, forbid_cloud};
pub use proxy::{Target, serve};
pub use resolver::{Responder, Upstreams};
