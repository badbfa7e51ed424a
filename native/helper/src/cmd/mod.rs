//! The table of commands. Each is a function of context and arguments.

mod attach;
mod events;
pub(crate) mod exec;
mod figures;
pub(crate) mod keyring;
mod kill;
mod logs;
mod network;
mod pause;
pub(crate) mod probe;
pub(crate) mod remove;
pub(crate) mod start;
mod state;
mod update;

mod apply;
mod changes;
mod checksum;
mod copy;
mod diff;
mod export;
mod extract;
pub(crate) mod layers;
mod lock;
mod look;
mod prepare;
mod read_file;
pub(crate) mod transfer;
mod unpack;
mod usage;
pub(crate) mod volume;

use crate::context::Context;
use berth_wire::{Failure, Operation, Reply};

/// Runs an operation where it belongs: in a worker below the supervisor, or in this process.
pub(crate) fn run(context: &Context, operation: Operation) -> Result<Reply, Failure> {
    match operation {
        Operation::Lock(args) => lock::run(context, args),
        Operation::Apply(args) => apply::run(context, args),
        Operation::Prepare(args) => prepare::run(context, args),
        Operation::Copy(args) => copy::run(context, args),
        Operation::CopyLayer(args) => copy::layer(context, args),
        Operation::Diff(args) => diff::run(context, args),
        Operation::Checksum(args) => checksum::run(context, args),
        Operation::Contents(args) => checksum::contents(context, &args),
        Operation::ReadFile(args) => read_file::run(context, &args),
        Operation::ReadFiles(args) => read_file::all(context, &args),
        Operation::Look(args) => look::run(context, args),
        Operation::Unpack(args) => unpack::run(context, args),
        Operation::Usage(args) => usage::run(context, args),
        Operation::Export(args) => export::run(context, args),
        Operation::Changes(args) => changes::run(context, args),
        Operation::Extract(args) => extract::run(context, args),
        Operation::Volume(args) => volume::run(context, &args),
        Operation::Probe(args) => probe::run(context, &args),
        Operation::CopyOut(args) => transfer::copy_out(context, &args),
        Operation::CopyIn(args) => transfer::copy_in(context, &args),
        Operation::Start(args) => start::run(context, &args),
        Operation::Exec(args) => exec::run(context, &args),
        Operation::State(args) => state::run(context, &args),
        Operation::Kill(args) => kill::run(context, &args),
        Operation::Logs(args) => logs::run(context, &args),
        Operation::Network(args) => network::run(context, &args),
        Operation::Remove(args) => remove::run(context, &args),
        Operation::Create(args) => start::create(context, &args),
        Operation::Resume(args) => start::resume(context, &args),
        Operation::Attach(args) => attach::run(context, &args),
        Operation::Pause(args) => pause::run(context, &args),
        Operation::Update(args) => update::run(context, &args),
        Operation::Stats(args) => figures::stats(context, &args),
        Operation::Processes(args) => figures::processes(context, &args),
        Operation::Events(args) => events::events(context, &args),
        Operation::Announce(args) => events::announce(context, &args),
        Operation::Keyring(args) => keyring::run(context, &args),
    }
}

/// The command word of a process that takes one request after another.
pub(crate) const SERIES: &str = "series";

/// The command word of an operation: its tag in the request.
pub(crate) fn word(operation: &Operation) -> &'static str {
    match operation {
        Operation::Probe(_) => "probe",
        Operation::Lock(_) => "lock",
        Operation::Apply(_) => "apply",
        Operation::Prepare(_) => "prepare",
        Operation::Copy(_) => "copy",
        Operation::CopyLayer(_) => "copy-layer",
        Operation::Diff(_) => "diff",
        Operation::Checksum(_) => "checksum",
        Operation::Contents(_) => "contents",
        Operation::ReadFile(_) => "read-file",
        Operation::ReadFiles(_) => "read-files",
        Operation::Look(_) => "look",
        Operation::Export(_) => "export",
        Operation::Changes(_) => "changes",
        Operation::Extract(_) => "extract",
        Operation::Unpack(_) => "unpack",
        Operation::Remove(_) => "remove",
        Operation::Usage(_) => "usage",
        Operation::Volume(_) => "volume",
        Operation::CopyOut(_) => "copy-out",
        Operation::CopyIn(_) => "copy-in",
        Operation::Start(_) => "start",
        Operation::Exec(_) => "exec",
        Operation::State(_) => "state",
        Operation::Kill(_) => "kill",
        Operation::Logs(_) => "logs",
        Operation::Network(_) => "network",
        Operation::Create(_) => "create",
        Operation::Resume(_) => "resume",
        Operation::Attach(_) => "attach",
        Operation::Pause(_) => "pause",
        Operation::Update(_) => "update",
        Operation::Stats(_) => "stats",
        Operation::Processes(_) => "processes",
        Operation::Events(_) => "events",
        Operation::Announce(_) => "announce",
        Operation::Keyring(_) => "keyring",
    }
}

/// Whether the command word names work inside an image, for which the helper runs from a sealed copy.
pub(crate) fn touches_images(word: &str) -> bool {
    !matches!(
        word,
        "probe"
            | "lock"
            | "state"
            | "kill"
            | "logs"
            | "attach"
            | "pause"
            | "update"
            | "stats"
            | "processes"
            | "events"
            | "announce"
            | "keyring"
            | "network"
    )
}
