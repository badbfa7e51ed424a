//! `exec`: a further process in a container.

use crate::fail::failed;
use crate::oci::arguments::{Arguments, Known, bad};
use crate::oci::config::{Config, malformed, read_file, refuse, without_nulls, without_unknown_capabilities};
use crate::oci::container::{Container, Record, Status, group};
use crate::oci::create::{Order, copy, write_pid};
use crate::oci::{Runtime, commands, console, idmaps, life, through};
use crate::run::devices;
use berth_jail::plan::{self, Confinement, Extra, Stdio};
use berth_jail::report::Packet;
use berth_jail::{Message, child};
use berth_monitor::process_id;
use berth_sys::process::{self, Child, Namespaces};
use berth_sys::signal::SignalFd;
use berth_wire::oci::{Capabilities, Process};
use berth_wire::{Code, Failure};
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, CWD};
use rustix::process::DumpableBehavior;
use serde_json::{Value, json};

pub(crate) const OPTIONS: [Known; 18] = [
    ("help", Some('h'), false),
    ("process", Some('p'), true),
    ("console-socket", None, true),
    ("pid-file", None, true),
    ("detach", Some('d'), false),
    ("tty", Some('t'), false),
    ("user", Some('u'), true),
    ("additional-gids", Some('g'), true),
    ("env", Some('e'), true),
    ("cwd", None, true),
    ("cap", Some('c'), true),
    ("no-new-privs", None, false),
    ("apparmor", None, true),
    ("process-label", None, true),
    ("preserve-fds", None, true),
    ("ignore-paused", None, false),
    ("cgroup", None, true),
    ("no-new-keyring", None, false),
];
/// The namespaces of a process by the names of their files.
const KINDS: [(&str, Namespaces); 7] = [
    ("user", Namespaces::USER),
    ("ipc", Namespaces::IPC),
    ("uts", Namespaces::UTS),
    ("net", Namespaces::NETWORK),
    ("cgroup", Namespaces::CGROUP),
    ("pid", Namespaces::PID),
    ("mnt", Namespaces::MOUNT),
];

pub(crate) fn run(runtime: &Runtime, arguments: &Arguments) -> Result<i32, Failure> {
    let id = arguments
        .rest
        .first()
        .ok_or_else(|| bad("exec", "the command needs the id of a container"))?;
    let container = Container::open(&runtime.root, id)?;
    let record = container.record()?;
    let config = container.config(&record.bundle)?;
    check_status(&container, &record, arguments.has("ignore-paused"))?;
    let process = process(runtime, arguments, &config)?;
    plan::check_process(&process)?;
    let detach = arguments.has("detach");
    let order = order(arguments, detach)?;
    console::check(process.terminal, &order)?;
    let console = order.console_socket.as_deref().map(console::connect).transpose()?;
    let signals = (!detach)
        .then(|| SignalFd::block(&life::HANDED_ON).map_err(failed("signalfd")))
        .transpose()?;
    let running = start(runtime, &order, &process, (&record, &config), console.as_ref())?;
    if let Err(failure) = write_pid(order.pid_file.as_deref(), &running.child) {
        let _ = rustix::process::pidfd_send_signal(&running.child.pidfd, rustix::process::Signal::KILL);
        return Err(failure);
    }
    match &signals {
        Some(signals) => life::attend(&running.child, running.terminal.as_ref(), signals),
        None => Ok(0),
    }
}

fn check_status(container: &Container, record: &Record, ignore_paused: bool) -> Result<(), Failure> {
    let status = container.status(record);
    match status {
        Status::Running | Status::Created => Ok(()),
        Status::Paused if ignore_paused => Ok(()),
        _ => {
            let message = format!("container not running: it is {}", status.word());
            Err(Failure::new(Code::Conflict, "exec", message).subject(container.id.clone()))
        }
    }
}

fn order(arguments: &Arguments, detach: bool) -> Result<Order, Failure> {
    let path = |name: &str| arguments.value(name).map(commands::absolute).transpose();
    let console_socket = path("console-socket")?;
    Ok(Order {
        pid_file: path("pid-file")?,
        keeps_terminal: !detach && console_socket.is_none(),
        console_socket,
        preserved: arguments.number("preserve-fds")?,
        keeps_keyring: arguments.has("no-new-keyring"),
        ..Order::default()
    })
}

/// The process of a file, or that of the container with other words and what the options say.
fn process(runtime: &Runtime, arguments: &Arguments, config: &Config) -> Result<Process, Failure> {
    for (name, field) in [
        ("apparmor", "process.apparmorProfile"),
        ("process-label", "process.selinuxLabel"),
        ("cgroup", "--cgroup"),
    ] {
        if arguments.value(name).is_some_and(|value| !value.is_empty()) {
            return Err(bad(&format!("--{name}"), &format!("this runtime does not do {field}")));
        }
    }
    let command = arguments.rest.get(1..).unwrap_or_default();
    let mut process = match arguments.value("process") {
        Some(path) => {
            if !command.is_empty() {
                return Err(bad("--process", "the file names the command: leave the words out"));
            }
            from_file(runtime, path)?
        }
        None if command.is_empty() => return Err(bad("exec", "there is no command")),
        None => Process {
            args: command.to_vec(),
            terminal: false,
            console_size: None,
            ..config.spec.process.clone()
        },
    };
    process.terminal |= arguments.has("tty");
    process.no_new_privileges |= arguments.has("no-new-privs");
    process.env.extend(arguments.values("env").map(str::to_owned));
    if let Some(cwd) = arguments.value("cwd") {
        cwd.clone_into(&mut process.cwd);
    }
    if let Some(user) = arguments.value("user") {
        (process.user.uid, process.user.gid) = ids(user)?;
    }
    for gid in arguments.values("additional-gids") {
        process
            .user
            .additional_gids
            .push(gid.parse().map_err(|_| bad(gid, "it is no number of a group"))?);
    }
    for name in arguments.values("cap") {
        add_capability(process.capabilities.get_or_insert_with(Capabilities::default), name);
    }
    Ok(process)
}

fn from_file(runtime: &Runtime, path: &str) -> Result<Process, Failure> {
    let mut value: Value = serde_json::from_slice(&read_file(path)?).map_err(|error| malformed(&error).subject(path))?;
    without_nulls(&mut value);
    let mut whole = json!({"process": value});
    refuse(&whole)?;
    let unknown = without_unknown_capabilities(whole.get_mut("process"));
    unknown.iter().for_each(|sentence| runtime.warn(sentence));
    serde_json::from_value(whole.get("process").cloned().unwrap_or_default()).map_err(|error| malformed(&error).subject(path))
}

fn ids(text: &str) -> Result<(u32, u32), Failure> {
    let (uid, gid) = text.split_once(':').unwrap_or((text, "0"));
    let number = |text: &str| {
        text.parse()
            .map_err(|_| bad(&format!("--user {text}"), "a user is UID or UID:GID, in numbers"))
    };
    Ok((number(uid)?, number(gid)?))
}

fn add_capability(sets: &mut Capabilities, name: &str) {
    for set in [&mut sets.bounding, &mut sets.effective, &mut sets.permitted] {
        if !set.iter().any(|one| one == name) {
            set.push(name.to_owned());
        }
    }
}

struct Running {
    child: Child,
    terminal: Option<OwnedFd>,
}

fn start(
    runtime: &Runtime,
    order: &Order,
    process: &Process,
    (record, config): (&Record, &Config),
    console: Option<&OwnedFd>,
) -> Result<Running, Failure> {
    let not_running = || Failure::new(Code::Conflict, "exec", "container not running").subject(record.id.clone());
    // Number and start time: a later process with the same number is not it.
    let first = record.process.and_then(process_id::open).ok_or_else(not_running)?;
    let kinds = other_kinds(record)?;
    let enters_user = kinds.has(Namespaces::USER);
    let fixed_groups = groups_are_fixed(config);
    idmaps::check_groups(fixed_groups, &process.user.additional_gids)?;
    let group = group(record);
    let resources = devices::applied(config.spec.linux.resources.clone(), record.user_namespace);
    let nodes_only = devices::joined(record.nodes_only, group.holds_devices(), resources.as_ref(), process)?;
    let confinement = || Confinement {
        process,
        filter: config.filter.as_ref().map(copy),
        user_namespace: record.user_namespace,
        nodes_only,
        requested_rlimits: process.rlimits.iter().map(|limit| limit.kind.clone()).collect(),
        secret_env: Vec::new(),
        extra: Extra {
            preserved: order.preserved,
            fixed_groups,
            keeps_keyring: order.keeps_keyring,
            ..Extra::default()
        },
    };
    let stdio = if process.terminal { Stdio::Terminal } else { Stdio::Inherited };
    let forked = through::fork(
        (&group, resources.as_ref()),
        None,
        |ends| {
            child::score(process, record.user_namespace, &ends.reporter)?;
            process::enter(&first, kinds).map_err(failed("setns"))?;
            if enters_user {
                idmaps::become_root(fixed_groups)?;
            }
            // Processes of the container see this one from now on.
            rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(failed("prctl PR_SET_DUMPABLE"))
        },
        |ends| {
            // Nothing of this machine is open in the container.
            let kept = through::kept(ends);
            if process::close_all_but(order.preserved, &kept).is_ok() {
                child::join(&confinement(), &stdio, None, &ends.reporter)
            }
        },
    )?;
    let mut terminal = None;
    while let Some(Packet { message, descriptor }) = forked.receiver.next()? {
        match (message, console) {
            (Message::Failure(failure), _) => {
                let _ = process::wait(forked.child.pid);
                return Err(failure);
            }
            (Message::Terminal, Some(console)) => {
                if let Some(master) = descriptor {
                    console::send(console, &master)?;
                }
            }
            (Message::Terminal, None) => terminal = descriptor,
            (Message::Warning(sentence), _) => runtime.warn(&sentence),
            (Message::Stub(_) | Message::Prepared | Message::Ready, _) => {}
        }
    }
    Ok(Running {
        child: forked.child,
        terminal,
    })
}

/// The kinds of namespaces in which the container's first process lives elsewhere than this one.
fn other_kinds(record: &Record) -> Result<Namespaces, Failure> {
    let pid = record.process.map(|process| process.pid).unwrap_or_default();
    let number = |path: String| rustix::fs::statat(CWD, path, AtFlags::empty()).map(|stat| (stat.st_dev, stat.st_ino));
    KINDS.iter().try_fold(Namespaces::NONE, |all, (name, kind)| {
        let theirs = number(format!("/proc/{pid}/ns/{name}")).map_err(failed("stat namespace"))?;
        let ours = number(format!("/proc/self/ns/{name}")).map_err(failed("stat namespace"))?;
        Ok(if theirs == ours { all } else { all.and(*kind) })
    })
}

fn groups_are_fixed(config: &Config) -> bool {
    let single = config
        .user
        .as_ref()
        .is_some_and(|(uids, gids)| idmaps::Maps::new(uids, gids).is_single());
    single || idmaps::groups_are_fixed()
}
