//! Starting processes in containers, and attending them.

pub(crate) mod attendant;
pub(crate) mod bound;
pub(crate) mod caller;
pub(crate) mod container;
pub(crate) mod detach;
pub(crate) mod devices;
pub(crate) mod ended;
pub(crate) mod engine;
pub(crate) mod health;
pub(crate) mod launch;
pub(crate) mod lend;
pub(crate) mod live;
pub(crate) mod network;
pub(crate) mod pipes;
pub(crate) mod proxy;
pub(crate) mod spawn;
pub(crate) mod way_out;
