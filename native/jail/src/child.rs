//! The child's way from clone to exec, as one list of steps. `README.md` prints the same list.

use crate::fail::failed;
use crate::plan::{Confinement, Jail, Stdio};
use crate::report::{Message, Reporter};
use crate::{identity, proc, rootfs, terminal};
use berth_sys::process::{self, Namespaces};
use berth_wire::oci::Process;
use berth_wire::{Code, Failure};
use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::process::DumpableBehavior;

/// Runs in the first process of a new container, which waits at `gate` until its parent has done its part. Never returns.
pub fn start(jail: Jail<'_>, gate: &OwnedFd, reporter: &Reporter) -> ! {
    let failure = prepare(&jail, gate, reporter);
    reporter.tell(&Message::Failure(failure));
    process::exit_now(1)
}

fn prepare(jail: &Jail<'_>, gate: &OwnedFd, reporter: &Reporter) -> Failure {
    match steps(jail, gate, reporter) {
        Ok(()) => identity::become_process(&jail.confinement, jail.life.as_ref(), reporter, jail.init),
        Err(failure) => failure,
    }
}

fn steps(jail: &Jail<'_>, gate: &OwnedFd, reporter: &Reporter) -> Result<(), Failure> {
    identity::tie(jail.life.as_ref())?;
    wait(gate)?;
    (jail.enter_cgroups)()?;
    rustix::process::umask(Mode::empty());
    rustix::process::setsid().map_err(failed("setsid"))?;
    new_keyring(&jail.confinement)?;
    if !jail.is_bundle() {
        score(jail.confinement.process, jail.confinement.user_namespace, reporter)?;
    }
    if jail.namespaces.has(Namespaces::CGROUP) {
        process::unshare(Namespaces::CGROUP).map_err(failed("unshare cgroup namespace"))?;
    }
    (jail.network)()?;
    let shared = rootfs::join(jail)?;
    let terminal = rootfs::build(jail, shared.as_ref(), reporter)?;
    stdio(&jail.stdio, terminal.as_ref())
}

/// Runs in a further process of a container, whose namespaces were entered already. Never returns.
pub fn join(confinement: &Confinement<'_>, stdio: &Stdio, life: Option<&OwnedFd>, reporter: &Reporter) -> ! {
    let failure = match join_steps(confinement, stdio, life, reporter) {
        Ok(()) => identity::become_process(confinement, life, reporter, false),
        Err(failure) => failure,
    };
    reporter.tell(&Message::Failure(failure));
    process::exit_now(1)
}

fn join_steps(confinement: &Confinement<'_>, streams: &Stdio, life: Option<&OwnedFd>, reporter: &Reporter) -> Result<(), Failure> {
    identity::tie(life)?;
    rustix::process::setsid().map_err(failed("setsid"))?;
    new_keyring(confinement)?;
    let terminal = match streams {
        Stdio::Terminal => {
            let root =
                rustix::fs::open("/", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).map_err(failed("open /"))?;
            Some(terminal::open(&root, confinement.process, false, reporter)?)
        }
        Stdio::Pipes { .. } | Stdio::Inherited => None,
    };
    stdio(streams, terminal.as_ref())
}

/// Sets the OOM score. In a user namespace the file belongs to us only while this process can be dumped: nobody else may be in its namespaces yet,
/// so whoever joins those of others calls it before.
pub fn score(process: &Process, user_namespace: bool, reporter: &Reporter) -> Result<(), Failure> {
    let dumpable = |behavior| rustix::process::set_dumpable_behavior(behavior).map_err(failed("prctl PR_SET_DUMPABLE"));
    if user_namespace {
        dumpable(DumpableBehavior::Dumpable)?;
    }
    let result = proc::set_oom_score(process.oom_score_adj, reporter);
    dumpable(DumpableBehavior::NotDumpable)?;
    result
}

/// Waits until the parent lets this process on.
///
/// # Errors
/// `Cancelled` when the parent is gone.
pub fn wait(gate: &OwnedFd) -> Result<(), Failure> {
    match rustix::io::retry_on_intr(|| rustix::io::read(gate, &mut [0_u8; 1])).map_err(failed("read gate"))? {
        0 => Err(Failure::new(
            Code::Cancelled,
            "start process",
            "the helper that started this process is gone",
        )),
        _ => Ok(()),
    }
}

/// A kernel without keys, or a filter around the helper that hides them, has none to protect.
fn new_keyring(confinement: &Confinement<'_>) -> Result<(), Failure> {
    if confinement.extra.keeps_keyring {
        return Ok(());
    }
    match process::new_session_keyring() {
        Ok(()) | Err(Errno::NOSYS | Errno::PERM | Errno::ACCESS) => Ok(()),
        Err(error) => Err(failed("keyctl")(error)),
    }
}

fn stdio(streams: &Stdio, terminal: Option<&OwnedFd>) -> Result<(), Failure> {
    if let Some(terminal) = terminal {
        terminal::take(terminal)?;
        return duplicate(terminal, terminal, terminal);
    }
    match streams {
        Stdio::Terminal => Err(failed("open terminal")(Errno::BADF)),
        Stdio::Inherited => Ok(()),
        Stdio::Pipes { stdin, stdout, stderr } => match stdin {
            Some(stdin) => duplicate(stdin, stdout, stderr),
            None => duplicate(&null()?, stdout, stderr),
        },
    }
}

/// The container's own null device, so that no descriptor of the host stays open; an image without one gets an empty pipe.
fn null() -> Result<OwnedFd, Failure> {
    match rustix::fs::open("/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()) {
        Ok(null) => Ok(null),
        Err(_) => rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)
            .map(|(reader, _)| reader)
            .map_err(failed("pipe")),
    }
}

fn duplicate(stdin: &OwnedFd, stdout: &OwnedFd, stderr: &OwnedFd) -> Result<(), Failure> {
    rustix::stdio::dup2_stdin(stdin)
        .and_then(|()| rustix::stdio::dup2_stdout(stdout))
        .and_then(|()| rustix::stdio::dup2_stderr(stderr))
        .map_err(failed("dup2"))
}
