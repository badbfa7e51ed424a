//! `oci`: this program as an OCI runtime, in runc's place. Bundle, state and lifecycle are the runtime-spec's, the command line is runc's.
//!
//! Unlike the other operations it speaks no protocol: answers go to standard output, errors to standard error and to the file of `--log`.

mod arguments;
mod commands;
mod config;
mod console;
mod container;
mod create;
mod exec;
mod features;
mod hooks;
mod idmaps;
mod life;
mod log;
mod spec;
mod through;
mod update;

use crate::fail::failed;
use crate::seal;
use arguments::{Arguments, Known, bad};
use berth_sys::process;
use berth_wire::{Code, Failure};
use std::ffi::OsString;
use std::process::ExitCode;

/// The newest version of the specification that is known.
pub(crate) const OCI_VERSION: &str = "1.2.1";
/// The name under which this program is a runtime without being told so.
pub(crate) const NAME: &str = "berth-native-oci";
const COMMAND: &str = "oci";
const GLOBAL: [Known; 10] = [
    ("root", None, true),
    ("log", None, true),
    ("log-format", None, true),
    ("debug", None, false),
    ("systemd-cgroup", None, false),
    ("rootless", None, true),
    ("criu", None, true),
    ("cgroup-manager", None, true),
    ("version", Some('v'), false),
    ("help", Some('h'), false),
];

/// What goes for every command.
#[derive(Debug)]
pub(crate) struct Runtime {
    /// The folder of all containers.
    pub(crate) root: String,
    log: log::Log,
}

impl Runtime {
    /// Says that work goes on without something.
    pub(crate) fn warn(&self, sentence: &str) {
        self.log.write(log::Level::Warning, sentence);
    }
}

/// The words after the name of the program, when this call is one of the runtime.
pub(crate) fn called(arguments: &[OsString]) -> Option<&[OsString]> {
    let (name, rest) = arguments.split_first()?;
    let name = name.to_string_lossy();
    if name.rsplit('/').next() == Some(NAME) {
        return Some(rest);
    }
    let (word, rest) = rest.split_first()?;
    (word == COMMAND).then_some(rest)
}

/// Carries a command out.
pub(crate) fn main(words: &[OsString]) -> ExitCode {
    let mut log = log::Log::default();
    match run(words, &mut log) {
        Ok(code) => ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX)),
        Err(failure) => {
            log.failure(&failure);
            ExitCode::FAILURE
        }
    }
}

fn run(words: &[OsString], log: &mut log::Log) -> Result<i32, Failure> {
    let words = texts(words)?;
    let (sealed, words) = match words.split_first() {
        Some((first, rest)) if first == seal::MARK => (true, rest),
        _ => (false, words.as_slice()),
    };
    let global = Arguments::parse(words, &GLOBAL)?;
    *log = log::Log::new(global.value("log"), global.value("log-format"))?;
    refuse(&global)?;
    if global.has("version") {
        return commands::version();
    }
    let Some((command, rest)) = global.rest.split_first().filter(|_| !global.has("help")) else {
        return commands::help();
    };
    let command = commands::find(command)?;
    let arguments = Arguments::parse(rest, command.options)?;
    if arguments.has("help") {
        return commands::help();
    }
    close_descriptors(arguments.number("preserve-fds")?)?;
    let root = match global.value("root") {
        Some(root) => commands::absolute(root)?,
        None => default_root()?,
    };
    if command.enters {
        // What runs inside the container can never write to this program's file.
        let ahead = [seal::MARK.to_owned(), format!("--root={root}")];
        let words = ahead.into_iter().chain(words.iter().cloned());
        seal::ensure_words(sealed, [COMMAND.to_owned()].into_iter().chain(words))?;
    }
    let runtime = Runtime { root, log: log.clone() };
    (command.run)(&runtime, &arguments)
}

fn texts(words: &[OsString]) -> Result<Vec<String>, Failure> {
    let one = |word: &OsString| {
        word.to_str()
            .map(str::to_owned)
            .ok_or_else(|| bad(&word.to_string_lossy(), "the word is no UTF-8"))
    };
    words.iter().map(one).collect()
}

/// What runc has and this runtime has not.
fn refuse(global: &Arguments) -> Result<(), Failure> {
    let unsupported = |subject: &str, message: &str, hint: &str| {
        Err(Failure::new(Code::Unsupported, "read command line", message)
            .subject(subject)
            .hint(hint))
    };
    if global.has("systemd-cgroup") || global.value("cgroup-manager").is_some_and(|manager| manager == "systemd") {
        return unsupported(
            "--systemd-cgroup",
            "this runtime makes cgroups itself and does not ask systemd for them",
            "Leave it out: podman and buildah do with --cgroup-manager=cgroupfs, containerd with SystemdCgroup = false",
        );
    }
    if let Some(other) = global.value("cgroup-manager").filter(|manager| *manager != "cgroupfs") {
        return unsupported(
            "--cgroup-manager",
            &format!("there is no cgroup manager {other:?} here"),
            "Give cgroupfs, or leave it out",
        );
    }
    if global.value("criu").is_some() {
        return unsupported("--criu", "this runtime does not checkpoint", "Leave it out");
    }
    match global.value("rootless") {
        None | Some("auto") => Ok(()),
        Some(_) => unsupported(
            "--rootless",
            "this runtime finds out itself what it may do",
            "Give auto, or leave it out",
        ),
    }
}

/// Closes all that the caller has open beyond what the container is to get.
fn close_descriptors(preserved: u32) -> Result<(), Failure> {
    let first = 3_u32.saturating_add(preserved);
    let lost = (3..first).find(|number| !i32::try_from(*number).is_ok_and(process::is_open));
    if let Some(number) = lost {
        // A descriptor of ours would take its place, and be handed to the container.
        return Err(bad("--preserve-fds", &format!("descriptor {number} is not open")));
    }
    process::close_from(first).map_err(failed("close_range"))
}

/// Root's containers are the machine's; those of others are in their own run directory, as long as they are logged in.
fn default_root() -> Result<String, Failure> {
    let own = std::env::var_os("XDG_RUNTIME_DIR").and_then(|path| path.into_string().ok());
    match own.filter(|path| path.starts_with('/') && (!rustix::process::geteuid().is_root() || container::in_user_namespace())) {
        Some(path) => Ok(format!("{path}/berth-oci")),
        None if rustix::process::geteuid().is_root() => Ok(container::ROOT.to_owned()),
        None => Err(bad(
            "--root",
            "there is no run directory of this user: give --root, or set XDG_RUNTIME_DIR",
        )),
    }
}
