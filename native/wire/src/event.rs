//! What the helper reports while it works: JSON lines on fd 2, `{"event": …}`; the last line is `{"reply": …}` or `{"failure": …}`.

use crate::request::Protocol;
use crate::{Failure, Reply};
use serde::{Deserialize, Serialize};

/// Something that happened.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(tag = "type", rename_all = "camelCase")]
pub enum Event {
    /// Bytes done so far of a long operation; `total` where it is known.
    #[serde(rename_all = "camelCase")]
    Progress {
        #[cfg_attr(feature = "ts", ts(type = "number"))]
        current: u64,
        #[cfg_attr(feature = "ts", ts(type = "number | null"))]
        total: Option<u64>,
    },
    /// Work goes on without something; a sentence for the user.
    Warning { message: String },
    /// `Lock`: it is held now.
    Locked { name: String },
    /// `Lock`: somebody else holds it.
    Busy { name: String },
    /// `Lock`: it is free again.
    Released { name: String },
    /// `Start`, `Exec`: the process runs; `pid` in the host's numbering.
    Started { pid: i32 },
    /// `Start`: a published port listens.
    #[serde(rename_all = "camelCase")]
    Listening {
        host_address: String,
        host_port: u16,
        container_port: u16,
        protocol: Protocol,
    },
}

/// A line on fd 2.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub enum Line {
    Event(Event),
    Reply(Box<Reply>),
    Failure(Failure),
}
