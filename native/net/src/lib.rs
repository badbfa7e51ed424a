//! Network of containers: loopback with an address of its own, and the proxy of published ports.
#![forbid(unsafe_code)]

mod fail;
pub mod listen;
pub mod loopback;
pub mod proxy;
