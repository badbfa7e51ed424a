//! What the commands on layers and snapshots share: from the crate's words to the protocol's.

use crate::container::Folder;
use crate::context::Context;
use berth_jail::Stub;
use berth_layer::{Codec, Error, Kind};
use berth_sys::errno;
use berth_sys::strict::Identity;
use berth_wire::request::{Codec as WireCodec, Owner, Timestamp};
use berth_wire::{Code, Event, Failure};
use std::collections::BTreeSet;

/// The failure that leaves the helper.
pub(crate) fn failure(error: Error) -> Failure {
    let code = match error.kind {
        Kind::Invalid => Code::Invalid,
        Kind::Attack => Code::Attack,
        Kind::NotFound => Code::NotFound,
        Kind::Conflict => Code::Conflict,
        Kind::NotPermitted => Code::NotPermitted,
        Kind::Unsupported => Code::Unsupported,
        Kind::NoSpace => Code::NoSpace,
        Kind::Request => Code::Request,
        Kind::System => Code::System,
    };
    Failure {
        errno: error.errno.map(errno::name),
        subject: error.subject,
        hint: error.hint,
        ..Failure::new(code, error.step, error.message)
    }
}

/// Who handles foreign bytes and writes blobs: the store's owner, when this process is root and the owner is not.
pub(crate) fn identity(context: &Context) -> Option<Identity> {
    (rustix::process::geteuid().is_root() && context.owner != (0, 0)).then_some(context.owner)
}

pub(crate) fn codec(codec: WireCodec) -> Codec {
    match codec {
        WireCodec::None => Codec::None,
        WireCodec::Gzip => Codec::Gzip,
        WireCodec::Zstd => Codec::Zstd,
    }
}

pub(crate) fn wire_codec(codec: Codec) -> WireCodec {
    match codec {
        Codec::None => WireCodec::None,
        Codec::Gzip => WireCodec::Gzip,
        Codec::Zstd => WireCodec::Zstd,
    }
}

pub(crate) fn owner(owner: Owner) -> (u32, u32) {
    (owner.uid, owner.gid)
}

pub(crate) fn seconds(time: Option<Timestamp>) -> Option<i64> {
    time.map(|time| time.seconds)
}

/// Sends progress to the engine.
pub(crate) fn progress(context: &Context) -> impl Fn(u64, Option<u64>) + '_ {
    |current, total| context.status.event(Event::Progress { current, total })
}

/// Sends warnings to the engine.
pub(crate) fn warning(context: &Context) -> impl Fn(String) + '_ {
    |message| context.status.event(Event::Warning { message })
}

/// Targets of mounts that were made in the upper snapshot of a container, without the slash before: no change of its own.
pub(crate) fn untouched(context: &Context, container: Option<&str>) -> Result<BTreeSet<Vec<u8>>, Failure> {
    let Some(id) = container else { return Ok(BTreeSet::new()) };
    let folder = Folder::open(context, id)?;
    // A container that has ended has none left, and one that was never started has no list.
    let stubs = folder.read::<Vec<Stub>>("stubs.json").unwrap_or_default();
    let relative = |path: Vec<u8>| path.strip_prefix(b"/").map(<[u8]>::to_vec).unwrap_or(path);
    Ok(stubs.into_iter().map(|stub| relative(stub.path)).collect())
}
