//! `berth-native`: one process per operation, on descriptors 0 to 2 alone (`keeper.rs`: the one exception). A table from command word to function; see `DESIGN.md` 4.
#![forbid(unsafe_code)]

mod channel;
mod cmd;
mod container;
mod context;
mod fail;
mod idmap;
mod journal;
mod keeper;
mod oci;
mod run;
mod seal;
mod secrets;
mod supervise;

use berth_wire::{Code, Failure, Operation, Reply, Request};
use channel::{Input, Output, Status};
use std::ffi::OsString;
use std::process::ExitCode;

/// The exit code of this process when it could not say anything by its protocol.
const MUTE: u8 = 125;

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    if !(0..=2).all(berth_sys::process::is_open) {
        return ExitCode::from(MUTE);
    }
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    if let Some(words) = oci::called(&arguments) {
        return oci::main(words);
    }
    let arguments = keeper::part(arguments);
    if berth_sys::process::close_from(3).is_err() {
        return ExitCode::from(MUTE);
    }
    let status = Status::new();
    let word = arguments.get(1).map(|word| word.to_string_lossy().into_owned()).unwrap_or_default();
    let result = match word.as_str() {
        "version" | "--version" => return version(),
        word => serve(word, &arguments, &status),
    };
    finish(&status, result)
}

/// What `serve` gives: a reply to write, or the end of a process that has written it.
pub(crate) enum Outcome {
    Reply(Reply),
    Done(u8),
}

fn serve(word: &str, arguments: &[OsString], status: &Status) -> Result<Outcome, Failure> {
    if cmd::touches_images(word) {
        seal::ensure(arguments)?;
    }
    let mut input = Input::new()?;
    channel::unblock();
    if word == cmd::SERIES {
        return supervise::series(input, status);
    }
    let request = read_request(&mut input, word)?;
    supervise::run(request, input, status)
}

/// Writes the last line, and the end frame where the operation succeeded.
fn finish(status: &Status, result: Result<Outcome, Failure>) -> ExitCode {
    match result {
        Ok(Outcome::Done(code)) => ExitCode::from(code),
        Ok(Outcome::Reply(reply)) => ExitCode::from(conclude(status, Ok(reply))),
        Err(failure) => ExitCode::from(conclude(status, Err(failure))),
    }
}

/// The end of an operation: end frame, last line, exit code.
pub(crate) fn conclude(status: &Status, result: Result<Reply, Failure>) -> u8 {
    match result.and_then(|reply| Output::new().end().map(|()| reply)) {
        Ok(reply) => {
            status.reply(reply);
            0
        }
        Err(failure) => {
            status.failure(failure);
            1
        }
    }
}

fn read_request(input: &mut Input, word: &str) -> Result<Request, Failure> {
    let request = parse_request(&input.request()?)?;
    let tag = cmd::word(&request.operation);
    if tag == word {
        Ok(request)
    } else {
        Err(malformed(format!("the command is {word:?}, the request is for {tag:?}")))
    }
}

/// The request of a frame.
pub(crate) fn parse_request(bytes: &[u8]) -> Result<Request, Failure> {
    check_version(bytes)?;
    serde_json::from_slice(bytes).map_err(|error| malformed(error.to_string()))
}

/// Looks at the version alone first, so that a newer request is refused for its version and not for a field that it added.
fn check_version(bytes: &[u8]) -> Result<(), Failure> {
    #[derive(serde::Deserialize)]
    struct Versioned {
        version: u32,
    }
    let Versioned { version } = serde_json::from_slice(bytes).map_err(|error| malformed(error.to_string()))?;
    if version == berth_wire::PROTOCOL_VERSION {
        return Ok(());
    }
    let message = format!(
        "the engine speaks version {version} of the protocol, this helper version {}",
        berth_wire::PROTOCOL_VERSION
    );
    Err(Failure::new(Code::Request, "read request", message).hint("Use the helper that came with the engine"))
}

fn malformed(message: impl Into<String>) -> Failure {
    Failure::new(Code::Request, "read request", message)
}

fn version() -> ExitCode {
    let line = format!(
        "{{\"version\":\"{}\",\"protocol\":{}}}\n",
        env!("CARGO_PKG_VERSION"),
        berth_wire::PROTOCOL_VERSION
    );
    match channel::write_all(rustix::stdio::stdout(), line.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(MUTE),
    }
}

/// The operation that a worker runs; `Operation` is moved into it whole.
pub(crate) fn dispatch(context: &context::Context, operation: Operation) -> Result<Reply, Failure> {
    cmd::run(context, operation)
}
