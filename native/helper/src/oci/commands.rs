//! The commands by name, with their options.

use crate::channel::write_all;
use crate::fail::{failed, failed_on};
use crate::oci::arguments::{Arguments, Known, bad};
use crate::oci::container::{Container, Status, open_root};
use crate::oci::create::{self, Order};
use crate::oci::{OCI_VERSION, Runtime, exec, features, life, spec, update};
use berth_sys::file;
use berth_sys::signal::{self, SignalFd};
use berth_wire::{Code, Failure};
use serde_json::{Value, json};
use std::fmt::Write as _;

/// A command: whether it enters containers, its options, and what it does; it gives the exit code.
pub(crate) struct Command {
    name: &'static str,
    about: &'static str,
    pub(crate) enters: bool,
    pub(crate) options: &'static [Known],
    pub(crate) run: fn(&Runtime, &Arguments) -> Result<i32, Failure>,
}

pub(crate) const HELP: Known = ("help", Some('h'), false);
/// Those of `create` come first.
const RUN: &[Known] = &[
    HELP,
    ("bundle", Some('b'), true),
    ("console-socket", None, true),
    ("pid-file", None, true),
    ("preserve-fds", None, true),
    ("no-pivot", None, false),
    ("no-new-keyring", None, false),
    ("detach", Some('d'), false),
    ("keep", None, false),
];
const CREATE: &[Known] = RUN.split_at(7).0;
const COMMANDS: [Command; 15] = [
    command("create", "[--bundle DIR] ID", true, CREATE, create),
    command("start", "ID", false, &[HELP], start),
    command("run", "[--bundle DIR] [--detach] ID", true, RUN, run),
    command("state", "ID", false, &[HELP], state),
    command("kill", "[--all] ID [SIGNAL]", false, &[HELP, ("all", Some('a'), false)], kill),
    command("delete", "[--force] ID", false, &[HELP, ("force", Some('f'), false)], delete),
    command("exec", "ID COMMAND… | --process FILE ID", true, &exec::OPTIONS, exec::run),
    command("pause", "ID", false, &[HELP], |runtime, arguments| {
        freeze(runtime, arguments, "pause", true)
    }),
    command("resume", "ID", false, &[HELP], |runtime, arguments| {
        freeze(runtime, arguments, "resume", false)
    }),
    command(
        "list",
        "[--format json] [--quiet]",
        false,
        &[HELP, ("format", Some('f'), true), ("quiet", Some('q'), false)],
        list,
    ),
    command("ps", "[--format json] ID", false, &[HELP, ("format", Some('f'), true)], processes),
    command("spec", "[--bundle DIR] [--rootless]", false, &spec::OPTIONS, spec::run),
    command("update", "[--resources FILE|-] [LIMITS] ID", false, &update::OPTIONS, update::run),
    command(
        "events",
        "--stats ID",
        false,
        &[HELP, ("stats", None, false), ("interval", None, true)],
        update::stats,
    ),
    command("features", "", false, &[HELP], |_, _| print_json(&features::document())),
];
/// What runc has beside these.
const NOT_DONE: [&str; 2] = ["checkpoint", "restore"];

const fn command(
    name: &'static str,
    about: &'static str,
    enters: bool,
    options: &'static [Known],
    run: fn(&Runtime, &Arguments) -> Result<i32, Failure>,
) -> Command {
    Command {
        name,
        about,
        enters,
        options,
        run,
    }
}

pub(crate) fn find(name: &str) -> Result<&'static Command, Failure> {
    if NOT_DONE.contains(&name) {
        return Err(Failure::new(Code::Unsupported, "read command line", "this runtime does not have the command").subject(name));
    }
    COMMANDS
        .iter()
        .find(|command| command.name == name)
        .ok_or_else(|| bad(name, "there is no such command"))
}

pub(crate) fn version() -> Result<i32, Failure> {
    print(&format!(
        "berth-native oci version {}\nspec: {OCI_VERSION}\n",
        env!("CARGO_PKG_VERSION")
    ))
}

pub(crate) fn help() -> Result<i32, Failure> {
    let mut text = "berth-native oci [--root DIR] [--log FILE] [--log-format text|json] COMMAND\n\n".to_owned();
    for command in &COMMANDS {
        let _ = writeln!(text, "  {} {}", command.name, command.about);
    }
    print(&text)
}

fn print(text: &str) -> Result<i32, Failure> {
    write_all(rustix::stdio::stdout(), text.as_bytes())
        .map(|()| 0)
        .map_err(failed("write"))
}

pub(crate) fn print_json(value: &Value) -> Result<i32, Failure> {
    let text = serde_json::to_string_pretty(value).unwrap_or_default();
    print(&format!("{text}\n"))
}

/// A path of the command line, seen from the root.
pub(crate) fn absolute(path: &str) -> Result<String, Failure> {
    if path.starts_with('/') {
        return Ok(path.to_owned());
    }
    let here = rustix::process::getcwd(Vec::new()).map_err(failed("getcwd"))?;
    let here = here.to_str().map_err(|_| bad(path, "the working directory is no UTF-8"))?;
    Ok(if path == "." || path.is_empty() {
        here.to_owned()
    } else {
        format!("{}/{path}", here.trim_end_matches('/'))
    })
}

fn order(arguments: &Arguments, command: &str) -> Result<Order, Failure> {
    let path = |name: &str| arguments.value(name).map(absolute).transpose();
    Ok(Order {
        id: arguments.id(command)?.to_owned(),
        bundle: absolute(arguments.value("bundle").unwrap_or("."))?,
        pid_file: path("pid-file")?,
        console_socket: path("console-socket")?,
        keeps_terminal: false,
        preserved: arguments.number("preserve-fds")?,
        no_pivot: arguments.has("no-pivot"),
        keeps_keyring: arguments.has("no-new-keyring"),
    })
}

fn create(runtime: &Runtime, arguments: &Arguments) -> Result<i32, Failure> {
    create::create(runtime, &order(arguments, "create")?).map(|_| 0)
}

fn start(runtime: &Runtime, arguments: &Arguments) -> Result<i32, Failure> {
    let mut container = Container::open_locked(&runtime.root, arguments.id("start")?)?;
    let record = container.record()?;
    let config = container.config(&record.bundle)?;
    life::start(runtime, &mut container, &record, &config).map(|()| 0)
}

fn run(runtime: &Runtime, arguments: &Arguments) -> Result<i32, Failure> {
    let detach = arguments.has("detach");
    let mut order = order(arguments, "run")?;
    order.keeps_terminal = !detach && order.console_socket.is_none();
    let signals = SignalFd::block(&life::HANDED_ON).map_err(failed("signalfd"))?;
    let mut created = create::create(runtime, &order)?;
    let started = life::start(runtime, &mut created.container, &created.record, &created.config);
    created.container.unlock();
    if started.is_ok() && detach {
        return Ok(0);
    }
    let code = started.and_then(|()| life::attend(&created.child, created.terminal.as_ref(), &signals));
    if code.is_err() || !arguments.has("keep") {
        if code.is_err() {
            let _ = rustix::process::pidfd_send_signal(&created.child.pidfd, rustix::process::Signal::KILL);
            let _ = berth_sys::process::wait(created.child.pid);
        }
        // Another command may have removed it meanwhile, and made another by its id.
        let deleted = match created.container.lock() {
            Ok(true) => life::delete(runtime, &mut created.container, true),
            other => other.map(drop),
        };
        if let Err(failure) = deleted {
            runtime.warn(&failure.to_string());
        }
    }
    code
}

fn state(runtime: &Runtime, arguments: &Arguments) -> Result<i32, Failure> {
    let container = Container::open(&runtime.root, arguments.id("state")?)?;
    let record = container.record()?;
    print_json(&container.state(&record, container.status(&record)))
}

fn kill(runtime: &Runtime, arguments: &Arguments) -> Result<i32, Failure> {
    let (id, name) = match arguments.rest.as_slice() {
        [id] => (id, "TERM"),
        [id, signal] => (id, signal.as_str()),
        _ => return Err(bad("kill", "the command needs the id of a container, and takes one signal")),
    };
    let signal = signal::parse(&name.to_ascii_uppercase()).ok_or_else(|| bad(name, "there is no such signal"))?;
    let container = Container::open(&runtime.root, id)?;
    life::kill(&container, &container.record()?, signal, arguments.has("all")).map(|()| 0)
}

fn delete(runtime: &Runtime, arguments: &Arguments) -> Result<i32, Failure> {
    let (id, force) = (arguments.id("delete")?, arguments.has("force"));
    match Container::open_locked(&runtime.root, id) {
        Ok(mut container) => life::delete(runtime, &mut container, force).map(|()| 0),
        Err(failure) if force && failure.code == Code::NotFound => Ok(0),
        Err(failure) => Err(failure),
    }
}

fn freeze(runtime: &Runtime, arguments: &Arguments, command: &str, frozen: bool) -> Result<i32, Failure> {
    let container = Container::open_locked(&runtime.root, arguments.id(command)?)?;
    life::pause(&container, &container.record()?, frozen).map(|()| 0)
}

/// Whether JSON is wanted.
fn json(arguments: &Arguments) -> Result<bool, Failure> {
    match arguments.value("format") {
        None | Some("table") => Ok(false),
        Some("json") => Ok(true),
        Some(other) => Err(bad(&format!("--format {other}"), "the format is table or json")),
    }
}

fn list(runtime: &Runtime, arguments: &Arguments) -> Result<i32, Failure> {
    let json = json(arguments)?;
    let root = match open_root(&runtime.root, false) {
        Ok(root) => Some(root),
        Err(failure) if failure.code == Code::NotFound => None,
        Err(failure) => return Err(failure),
    };
    let mut names = root
        .map_or(Ok(Vec::new()), |root| file::names(&root))
        .map_err(failed_on("read", &runtime.root))?;
    names.sort();
    let one = |name: Vec<u8>| {
        let container = Container::open(&runtime.root, &String::from_utf8(name).ok()?).ok()?;
        let record = container.record().ok()?;
        let status = container.status(&record);
        Some(container.state(&record, status))
    };
    let states: Vec<Value> = names.into_iter().filter_map(one).collect();
    if json {
        return print_json(&states.into());
    }
    let field = |state: &Value, name: &str| match state.get(name) {
        Some(Value::String(text)) => text.clone(),
        other => other.map(Value::to_string).unwrap_or_default(),
    };
    let mut text = String::new();
    if !arguments.has("quiet") {
        text.push_str("ID\tPID\tSTATUS\tBUNDLE\tCREATED\n");
    }
    for state in &states {
        let fields = if arguments.has("quiet") {
            &["id"][..]
        } else {
            &["id", "pid", "status", "bundle", "created"]
        };
        let line: Vec<String> = fields.iter().map(|name| field(state, name)).collect();
        let _ = writeln!(text, "{}", line.join("\t"));
    }
    print(&text)
}

fn processes(runtime: &Runtime, arguments: &Arguments) -> Result<i32, Failure> {
    let json = json(arguments)?;
    let container = Container::open(&runtime.root, arguments.id("ps")?)?;
    let record = container.record()?;
    if container.status(&record) == Status::Stopped {
        return Err(Failure::new(Code::Conflict, "list processes", "container not running").subject(container.id));
    }
    let group = crate::oci::container::group(&record);
    let pids: Vec<i32> = group.processes().iter().map(|pid| pid.as_raw_nonzero().get()).collect();
    if json {
        return print_json(&json!(pids));
    }
    print(&pids.iter().map(|pid| format!("{pid}\n")).collect::<String>())
}
