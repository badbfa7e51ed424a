//! Who the process is and what it may do, for the first process of a container and for a further one alike.
//!
//! The order matters: limits and directory with full rights, then the user, then the filter, then the last capabilities.

use crate::capability;
use crate::command;
use crate::fail::failed;
use crate::init;
use crate::limits;
use crate::plan::Confinement;
use crate::report::{Message, Reporter};
use berth_sys::process;
use berth_wire::oci::Process;
use berth_wire::{Code, Failure};
use rustix::event::{PollFd, PollFlags};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::process::{DumpableBehavior, Gid, Uid};
use rustix::thread::CapabilitySet;

/// Confines this process and becomes the program of the configuration, below a process 1 of ours where `init` asks for it, which is confined in
/// the same way. Returns only with a failure.
pub(crate) fn become_process(confinement: &Confinement<'_>, life: Option<&OwnedFd>, reporter: &Reporter, init: bool) -> Failure {
    let ready = confine(confinement, life, reporter).and_then(|confined| {
        let Some(before_exec) = confinement.extra.before_exec else {
            return finish(confinement, confined, init);
        };
        let late = before_exec(reporter)?;
        // Who has told its last word to the first parent tells the next one to whoever starts it.
        let failure =
            finish(confinement, confined, init).map_or_else(|failure| failure, |program| command::exec(&program, confinement.process));
        late.tell(&Message::Failure(failure));
        process::exit_now(1)
    });
    ready.map_or_else(|failure| failure, |program| command::exec(&program, confinement.process))
}

/// What is left to do before exec when the program was found.
struct Confined {
    program: command::Program,
    wanted: capability::Wanted,
}

/// Up to the last step that needs calls which the filter may forbid.
fn confine(confinement: &Confinement<'_>, life: Option<&OwnedFd>, reporter: &Reporter) -> Result<Confined, Failure> {
    let spec = confinement.process;
    // No descriptor of the host is left for the working directory or the program to lead to; process and parent end without dropping any.
    let kept = life.into_iter().map(AsFd::as_fd).chain([reporter.as_fd()]);
    let kept: Vec<_> = kept.chain(confinement.extra.kept.iter().copied()).collect();
    process::close_all_but(confinement.extra.preserved, &kept).map_err(failed("close_range"))?;
    let mut wanted = capability::available(capability::wanted(spec.capabilities.as_ref())?, reporter)?;
    if confinement.nodes_only {
        wanted = wanted.without(CapabilitySet::MKNOD);
    }
    limits::apply(confinement, reporter)?;
    own_stdio(spec.user.uid);
    let late_directory = enter_directory(&spec.cwd)?;
    rustix::process::umask(Mode::from_raw_mode(spec.user.umask.unwrap_or(0o022) & 0o777));
    capability::bound(&wanted)?;
    become_user(confinement)?;
    tie(life)?;
    capability::set(&wanted, late_capability(spec))?;
    if late_directory {
        enter_directory(&spec.cwd)?;
    }
    check_directory(&spec.cwd)?;
    let program = if confinement.extra.lacks_program {
        command::Program::default()
    } else {
        command::find(spec, &confinement.secret_env)?
    };
    if spec.no_new_privileges {
        rustix::thread::set_no_new_privs(true).map_err(failed("prctl PR_SET_NO_NEW_PRIVS"))?;
    }
    berth_sys::signal::reset().map_err(failed("reset signals"))?;
    process::close_on_exec_from(3_u32.saturating_add(confinement.extra.preserved)).map_err(failed("close_range"))?;
    Ok(Confined { program, wanted })
}

/// Loading a filter without `no_new_privs` needs this capability until the very end.
fn late_capability(spec: &Process) -> CapabilitySet {
    if spec.no_new_privileges {
        CapabilitySet::empty()
    } else {
        CapabilitySet::SYS_ADMIN
    }
}

fn finish(confinement: &Confinement<'_>, confined: Confined, init: bool) -> Result<command::Program, Failure> {
    let Confined { program, wanted } = confined;
    if let Some(filter) = &confinement.filter {
        berth_sys::seccomp::install(&filter.instructions, filter.log).map_err(failed("seccomp"))?;
    }
    if !late_capability(confinement.process).is_empty() {
        capability::set(&wanted, CapabilitySet::empty())?;
    }
    capability::set_ambient(&wanted)?;
    if init {
        init::interpose(confinement.user_namespace)?;
    }
    Ok(program)
}

/// Lets the user of the process open `/dev/stdout` and its kind again. What is no pipe of ours belongs to somebody else, and stays.
fn own_stdio(uid: u32) {
    for fd in [rustix::stdio::stdin(), rustix::stdio::stdout(), rustix::stdio::stderr()] {
        let pipe = rustix::fs::fstat(fd).is_ok_and(|stat| rustix::fs::FileType::from_raw_mode(stat.st_mode) == rustix::fs::FileType::Fifo);
        if pipe || rustix::termios::isatty(fd) {
            // A pipe without an owner works for writing all the same.
            let _ = rustix::fs::fchown(fd, Some(Uid::from_raw(uid)), None);
        }
    }
}

/// Changes to `cwd`; true when only the user of the process may enter it.
fn enter_directory(cwd: &str) -> Result<bool, Failure> {
    match rustix::process::chdir(cwd) {
        Ok(()) => Ok(false),
        Err(Errno::ACCESS | Errno::PERM) => Ok(true),
        Err(error) => Err(failed("chdir")(error).subject(cwd)),
    }
}

/// The directory must be inside the container: a descriptor of the host that leaked in would show here (CVE-2024-21626).
fn check_directory(cwd: &str) -> Result<(), Failure> {
    let outside = || Failure::new(Code::Attack, "getcwd", "the working directory is outside the container").subject(cwd);
    match rustix::process::getcwd(Vec::new()) {
        Ok(path) if path.to_bytes().starts_with(b"/") => Ok(()),
        Ok(_) | Err(Errno::NOENT) => Err(outside()),
        Err(error) => Err(failed("getcwd")(error).subject(cwd)),
    }
}

fn become_user(confinement: &Confinement<'_>) -> Result<(), Failure> {
    let user = &confinement.process.user;
    rustix::thread::set_keep_capabilities(true).map_err(failed("prctl PR_SET_KEEPCAPS"))?;
    let groups: Vec<Gid> = user.additional_gids.iter().copied().map(Gid::from_raw).collect();
    if !confinement.extra.fixed_groups {
        rustix::thread::set_thread_groups(&groups).map_err(|error| unmapped("setgroups", error, confinement))?;
    }
    let gid = Gid::from_raw(user.gid);
    rustix::thread::set_thread_res_gid(gid, gid, gid).map_err(|error| unmapped("setresgid", error, confinement))?;
    let uid = Uid::from_raw(user.uid);
    rustix::thread::set_thread_res_uid(uid, uid, uid).map_err(|error| unmapped("setresuid", error, confinement))?;
    rustix::thread::set_keep_capabilities(false).map_err(failed("prctl PR_SET_KEEPCAPS"))?;
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(failed("prctl PR_SET_DUMPABLE"))
}

fn unmapped(step: &str, error: Errno, confinement: &Confinement<'_>) -> Failure {
    let user = &confinement.process.user;
    let failure = failed(step)(error).subject(format!("{}:{}", user.uid, user.gid));
    if error == Errno::INVAL && confinement.user_namespace {
        return failure
            .hint("This user is outside the ids of the user namespace: on rung userns widen the range in /etc/subuid and /etc/subgid");
    }
    failure
}

/// Ties this process to the life of its parent, and ends it when the parent is gone already; without `life` it outlives its parent.
pub(crate) fn tie(life: Option<&OwnedFd>) -> Result<(), Failure> {
    let Some(life) = life else { return Ok(()) };
    process::die_with_parent().map_err(failed("prctl PR_SET_PDEATHSIG"))?;
    let mut polled = [PollFd::new(life, PollFlags::IN)];
    rustix::event::poll(&mut polled, Some(&rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 })).map_err(failed("poll"))?;
    if polled.iter().any(|one| one.revents().contains(PollFlags::HUP)) {
        return Err(Failure::new(
            Code::Cancelled,
            "start process",
            "the helper that started this process is gone",
        ));
    }
    Ok(())
}
