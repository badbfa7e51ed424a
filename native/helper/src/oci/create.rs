//! `create`: a container with all that belongs to it, whose program waits for `start`.

use crate::fail::{failed, failed_on};
use crate::oci::config::Config;
use crate::oci::container::{Container, Record, Status, in_user_namespace};
use crate::oci::idmaps::{self, Maps};
use crate::oci::{Runtime, console, hooks, through};
use crate::run::{devices, spawn};
use berth_cgroup::{Group, Layout};
use berth_jail::plan::{CgroupView, Confinement, Extra, Filter, Jail, Rootfs, Stdio};
use berth_jail::report::{Packet, Reporter};
use berth_jail::{Message, child};
use berth_monitor::{clock, process_id};
use berth_sys::process::{self, Child, Namespaces};
use berth_sys::signal::SignalFd;
use berth_wire::oci::Resources;
use berth_wire::{Code, Failure};
use rustix::event::{PollFd, PollFlags};
use rustix::fd::{AsFd as _, OwnedFd};
use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use rustix::process::{DumpableBehavior, Signal};

/// Where groups are made when the configuration names none.
const GROUPS: &str = "/berth-oci";
/// Signals that end a container which waits to be started.
const ENDING: [Signal; 4] = [Signal::TERM, Signal::INT, Signal::HUP, Signal::QUIT];

/// What the command line says of a new container.
#[derive(Debug, Default)]
pub(crate) struct Order {
    pub(crate) id: String,
    pub(crate) bundle: String,
    pub(crate) pid_file: Option<String>,
    pub(crate) console_socket: Option<String>,
    /// The terminal is this process's own to attend.
    pub(crate) keeps_terminal: bool,
    pub(crate) preserved: u32,
    pub(crate) no_pivot: bool,
    pub(crate) keeps_keyring: bool,
}

/// A container that waits.
#[derive(Debug)]
pub(crate) struct Created {
    pub(crate) container: Container,
    pub(crate) config: Config,
    pub(crate) record: Record,
    pub(crate) child: Child,
    pub(crate) terminal: Option<OwnedFd>,
}

/// Makes a container; nothing of it is left where that fails.
pub(crate) fn create(runtime: &Runtime, order: &Order) -> Result<Created, Failure> {
    let config = Config::load(&order.bundle)?;
    config.warnings.iter().for_each(|sentence| runtime.warn(sentence));
    console::check(config.spec.process.terminal, order)?;
    check_rootfs(&config.rootfs)?;
    let console = order.console_socket.as_deref().map(console::connect).transpose()?;
    let mut container = Container::make(&runtime.root, &order.id)?;
    let mut group = None;
    match make(runtime, order, &config, &mut container, console.as_ref(), &mut group) {
        Ok((record, child, terminal)) => Ok(Created {
            container,
            config,
            record,
            child,
            terminal,
        }),
        Err(failure) => {
            if let Some(group) = group {
                group.remove();
            }
            // Who removes it meanwhile does all of it.
            match container.lock() {
                Ok(false) => {}
                Ok(true) => container.remove().unwrap_or_else(|left| runtime.warn(&left.to_string())),
                Err(left) => runtime.warn(&left.to_string()),
            }
            Err(failure)
        }
    }
}

fn check_rootfs(path: &str) -> Result<(), Failure> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = rustix::fs::openat(CWD, path, flags, Mode::empty())
        .map_err(|error| failed_on("open root.path", path)(error).hint("root.path names a directory of the bundle, or an absolute one"))?;
    let host = rustix::fs::openat(CWD, "/", flags, Mode::empty()).map_err(failed_on("open", "/"))?;
    let same = berth_sys::file::stat_fd(&root)
        .is_ok_and(|a| berth_sys::file::stat_fd(&host).is_ok_and(|b| (a.device, a.inode) == (b.device, b.inode)));
    if same {
        return Err(super::config::refused(
            "root.path",
            "the root of this machine cannot be that of a container",
        ));
    }
    Ok(())
}

/// What a process of the configuration may do on this machine.
struct Means {
    user_namespace: bool,
    fixed_groups: bool,
    resources: Option<Resources>,
    maps: Option<Maps>,
}

fn means(config: &Config) -> Result<Means, Failure> {
    let maps = config.user.as_ref().map(|(uids, gids)| Maps::new(uids, gids));
    let user_namespace = config.has_user_namespace() || in_user_namespace();
    let fixed_groups = idmaps::groups_are_fixed() || maps.as_ref().is_some_and(Maps::is_single);
    idmaps::check_groups(fixed_groups, &config.spec.process.user.additional_gids)?;
    Ok(Means {
        user_namespace,
        fixed_groups,
        resources: devices::applied(config.spec.linux.resources.clone(), user_namespace),
        maps,
    })
}

fn make(
    runtime: &Runtime,
    order: &Order,
    config: &Config,
    container: &mut Container,
    console: Option<&OwnedFd>,
    made: &mut Option<Group>,
) -> Result<(Record, Child, Option<OwnedFd>), Failure> {
    let means = means(config)?;
    let mut record = record(order, config, &means, container)?;
    container.write_config(&config.text)?;
    container.write_record(&record)?;
    let layout = Layout::detect();
    check_vacant(&layout, &record.cgroup)?;
    let group = made.insert(Group::create(&layout, &record.cgroup, means.resources.as_ref())?);
    record.nodes_only = devices::nodes_only(group, means.resources.as_ref(), &config.spec, &config.spec.process)?;
    let listener = listen(container)?;
    container.mark_making(true)?;
    let forked = through::fork(
        (group, means.resources.as_ref()),
        means.maps.as_ref(),
        |ends| enter(config, &means, ends),
        |ends| become_first(order, config, (&means, &record), (&layout, group), &listener, &*container, ends),
    )?;
    record.process = process_id::of(forked.child.pid);
    container.write_record(&record)?;
    forked.let_on();
    // Hooks take what time they take: whoever wants to remove the container meanwhile need not wait for them.
    container.unlock();
    let terminal = converse(runtime, config, container, &record, &forked, console);
    let terminal = terminal.and_then(|terminal| container.lock_again().map(|()| terminal));
    let written = terminal
        .and_then(|terminal| write_pid(order.pid_file.as_deref(), &forked.child).map(|()| terminal))
        .and_then(|terminal| container.mark_making(false).map(|()| terminal));
    match written {
        Ok(terminal) => Ok((record, forked.child, terminal.filter(|_| order.keeps_terminal))),
        Err(failure) => {
            let _ = rustix::process::pidfd_send_signal(&forked.child.pidfd, Signal::KILL);
            let _ = process::wait(forked.child.pid);
            let ours = container.lock().unwrap_or_default();
            container.unlock();
            if ours && let Err(late) = hooks::run(&config.hooks.poststop, &state(container, &record, Status::Stopped)) {
                runtime.warn(&late.to_string());
            }
            Err(failure)
        }
    }
}

/// A group with processes is somebody else's: they would be limited with the container, and killed with it.
fn check_vacant(layout: &Layout, path: &str) -> Result<(), Failure> {
    if Group::find(layout, path).is_vacant() {
        return Ok(());
    }
    Err(Failure::new(
        Code::Conflict,
        "make cgroup",
        format!("linux.cgroupsPath {path:?} is a cgroup that has processes already"),
    )
    .subject("linux.cgroupsPath")
    .hint("Name one of the container's own, or leave it out"))
}

fn record(order: &Order, config: &Config, means: &Means, container: &Container) -> Result<Record, Failure> {
    let cgroup = match config.spec.linux.cgroups_path.as_deref() {
        None | Some("") => format!("{GROUPS}/{}", container.unique_name()?),
        Some(path) => format!("/{}", path.trim_start_matches('/')),
    };
    Ok(Record {
        id: order.id.clone(),
        bundle: order.bundle.clone(),
        rootfs: config.rootfs.clone(),
        created: clock::now(),
        owner: rustix::process::getuid().as_raw(),
        oci_version: config.spec.oci_version.clone(),
        annotations: config.spec.annotations.clone(),
        cgroup,
        user_namespace: means.user_namespace,
        nodes_only: false,
        shares_pids: !config.made().has(Namespaces::PID),
        process: None,
    })
}

fn state(container: &Container, record: &Record, status: Status) -> Vec<u8> {
    serde_json::to_vec(&container.state(record, status)).unwrap_or_default()
}

/// The socket at which the container waits.
fn listen(container: &Container) -> Result<OwnedFd, Failure> {
    let socket =
        rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).map_err(failed("socket"))?;
    let address = SocketAddrUnix::new(container.socket()).map_err(failed("bind"))?;
    rustix::net::bind(&socket, &address).map_err(failed("bind"))?;
    rustix::net::listen(&socket, 1).map_err(failed("listen"))?;
    Ok(socket)
}

/// In the process in between: joins and makes namespaces. Groups are joined already; their namespace comes later.
fn enter(config: &Config, means: &Means, ends: &through::Ends) -> Result<(), Failure> {
    child::score(&config.spec.process, means.user_namespace, &ends.reporter)?;
    let files = config.joined.iter().map(|(kind, path)| Ok((*kind, open_namespace(path)?)));
    let files: Vec<(Namespaces, OwnedFd)> = files.collect::<Result<_, Failure>>()?;
    if let Some((kind, file)) = files.iter().find(|(kind, _)| *kind == Namespaces::USER) {
        process::enter_file(file, *kind).map_err(failed("setns user namespace"))?;
        idmaps::become_root(means.fixed_groups)?;
    }
    for (kind, file) in files.iter().filter(|(kind, _)| *kind != Namespaces::USER) {
        process::enter_file(file, *kind).map_err(failed("setns"))?;
    }
    if config.user.is_some() {
        // The files by which it gets its ids belong to the caller only then.
        rustix::process::set_dumpable_behavior(DumpableBehavior::Dumpable).map_err(failed("prctl PR_SET_DUMPABLE"))?;
        process::unshare(Namespaces::USER).map_err(|error| failed("unshare user namespace")(error).hint(crate::idmap::hint()))?;
        ends.await_ids()?;
        idmaps::become_root(means.fixed_groups)?;
    }
    let made = config.made().without(Namespaces::CGROUP);
    process::unshare(made).map_err(|error| {
        failed("unshare")(error).hint("Run as root, or name a user namespace with uidMappings and gidMappings in linux.namespaces")
    })?;
    // In a pid namespace that is joined, processes of others see the one that comes now.
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(failed("prctl PR_SET_DUMPABLE"))
}

fn open_namespace(path: &str) -> Result<OwnedFd, Failure> {
    rustix::fs::openat(CWD, path, OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOCTTY, Mode::empty()).map_err(|error| {
        failed_on("open namespace", path)(error).hint("linux.namespaces names a file of /proc/PID/ns, or one that such a file is bound to")
    })
}

/// In the first process of the container. Returns only where it could not become one.
fn become_first(
    order: &Order,
    config: &Config,
    (means, record): (&Means, &Record),
    (layout, group): (&Layout, &Group),
    listener: &OwnedFd,
    container: &Container,
    ends: &through::Ends,
) {
    let created = state(container, record, Status::Created);
    let before_pivot = |reporter: &Reporter| {
        if config.hooks.pause() {
            reporter.tell(&Message::Prepared);
            child::wait(&ends.gate)?;
        }
        hooks::run(&config.hooks.create_container, &with_pid(&created))
    };
    let before_exec = |reporter: &Reporter| {
        let starter = await_start(listener, reporter)?;
        let started = Reporter::from(starter);
        match hooks::run(&config.hooks.start_container, &with_pid(&created)) {
            Ok(()) => Ok(started),
            Err(failure) => {
                started.tell(&Message::Failure(failure));
                process::exit_now(1)
            }
        }
    };
    let made = config.made();
    let network = || {
        if made.has(Namespaces::NETWORK) {
            berth_net::bring_up(None)
        } else {
            Ok(())
        }
    };
    let confinement = Confinement {
        process: &config.spec.process,
        filter: config.filter.as_ref().map(copy),
        user_namespace: means.user_namespace,
        nodes_only: record.nodes_only,
        requested_rlimits: config.spec.process.rlimits.iter().map(|limit| limit.kind.clone()).collect(),
        secret_env: Vec::new(),
        extra: Extra {
            kept: vec![listener.as_fd()],
            preserved: order.preserved,
            fixed_groups: means.fixed_groups,
            keeps_keyring: order.keeps_keyring,
            no_pivot: order.no_pivot,
            lacks_program: !config.has_process,
            domain_name: config.domain_name.as_deref(),
            before_pivot: Some(&before_pivot),
            before_exec: Some(&before_exec),
        },
    };
    let joined_cgroup = config.kinds.has(Namespaces::CGROUP) && !made.has(Namespaces::CGROUP);
    let jail = Jail {
        spec: &config.spec,
        rootfs: Rootfs::Folder(config.rootfs.clone()),
        confinement,
        namespaces: if joined_cgroup {
            config.kinds.without(Namespaces::CGROUP)
        } else {
            config.kinds
        },
        joins: Vec::new(),
        cgroups: cgroups(config, layout, group),
        // It came from a process in them.
        enter_cgroups: &|| Ok(()),
        stdio: if config.spec.process.terminal {
            Stdio::Terminal
        } else {
            Stdio::Inherited
        },
        init: false,
        network: &network,
        life: None,
    };
    child::start(jail, &ends.gate, &ends.reporter)
}

pub(crate) fn copy(filter: &Filter) -> Filter {
    Filter {
        instructions: filter.instructions.clone(),
        log: filter.log,
    }
}

/// The state for a hook that runs in the container's first process, which does not know what number it has outside: its own there is enough.
fn with_pid(created: &[u8]) -> Vec<u8> {
    let mut state: serde_json::Value = serde_json::from_slice(created).unwrap_or_default();
    if let Some(pid) = state.get_mut("pid").filter(|pid| **pid == 0) {
        *pid = rustix::process::getpid().as_raw_nonzero().get().into();
    }
    serde_json::to_vec(&state).unwrap_or_default()
}

fn cgroups(config: &Config, layout: &Layout, group: &Group) -> CgroupView {
    if config.kinds.has(Namespaces::CGROUP) {
        return spawn::view(layout);
    }
    match group.folders() {
        folders if folders.is_empty() => spawn::view(&Layout::default()),
        folders => CgroupView::Folders(folders),
    }
}

/// Waits for `start`, or for a signal that ends it: as process 1 of its namespace it would not get one.
fn await_start(listener: &OwnedFd, reporter: &Reporter) -> Result<OwnedFd, Failure> {
    let signals = SignalFd::block(&ENDING).map_err(failed("signalfd"))?;
    reporter.tell(&Message::Ready);
    loop {
        let mut polled = [PollFd::new(listener, PollFlags::IN), PollFd::new(&signals, PollFlags::IN)];
        rustix::io::retry_on_intr(|| rustix::event::poll(&mut polled, None)).map_err(failed("poll"))?;
        if let Ok(Some(number)) = signals.next() {
            process::exit_now(128_i32.saturating_add(number));
        }
        match rustix::net::accept_with(listener, SocketFlags::CLOEXEC) {
            Ok(starter) => {
                berth_sys::signal::reset().map_err(failed("reset signals"))?;
                return Ok(starter);
            }
            Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN | rustix::io::Errno::CONNABORTED) => {}
            Err(error) => return Err(failed("accept")(error)),
        }
    }
}

/// Follows the process until it waits; gives its terminal, where nobody else gets it.
fn converse(
    runtime: &Runtime,
    config: &Config,
    container: &Container,
    record: &Record,
    forked: &through::Started,
    console: Option<&OwnedFd>,
) -> Result<Option<OwnedFd>, Failure> {
    let mut terminal = None;
    loop {
        let Some(Packet { message, descriptor }) = forked.receiver.next()? else {
            return Err(Failure::new(Code::System, "create container", "its process ended without a word"));
        };
        match message {
            Message::Stub(_) => {}
            Message::Warning(sentence) => runtime.warn(&sentence),
            Message::Terminal => match (console, descriptor) {
                (Some(console), Some(master)) => console::send(console, &master)?,
                (_, descriptor) => terminal = descriptor,
            },
            Message::Prepared => {
                let state = state(container, record, Status::Created);
                let container = Some(&forked.child.pidfd);
                hooks::run_for(&config.hooks.prestart, &state, container)?;
                hooks::run_for(&config.hooks.create_runtime, &state, container)?;
                forked.let_on();
            }
            Message::Failure(failure) => return Err(failure),
            Message::Ready => return Ok(terminal),
        }
    }
}

/// Writes the number of a process for whoever waits for the file: by another name first.
pub(crate) fn write_pid(path: Option<&str>, child: &Child) -> Result<(), Failure> {
    let Some(path) = path else { return Ok(()) };
    let part = match path.rsplit_once('/') {
        Some((folder, name)) => format!("{folder}/.{name}"),
        None => format!(".{path}"),
    };
    // What others have put there is no place to write to.
    let _ = rustix::fs::unlinkat(CWD, &part, AtFlags::empty());
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
    rustix::fs::openat(CWD, &part, flags, Mode::from_raw_mode(0o644))
        .and_then(|file| {
            rustix::fs::fchmod(&file, Mode::from_raw_mode(0o644))?;
            berth_sys::file::write_all(&file, child.pid.as_raw_nonzero().get().to_string().as_bytes())
        })
        .and_then(|()| rustix::fs::renameat(CWD, &part, CWD, path))
        .map_err(failed_on("write pid file", path))
}
