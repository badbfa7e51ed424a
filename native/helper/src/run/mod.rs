//! Starting processes in containers, and attending them.

pub(crate) mod attendant;
pub(crate) mod detach;
pub(crate) mod ended;
pub(crate) mod engine;
pub(crate) mod launch;
pub(crate) mod lend;
pub(crate) mod network;
pub(crate) mod pipes;
pub(crate) mod proxy;
