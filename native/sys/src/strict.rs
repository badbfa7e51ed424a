//! A child process that works on foreign bytes: it has its own few descriptors, the identity of an ordinary user, and, when asked for, a filter
//! that leaves it reading, writing, memory and the end.
//!
//! The filter is written out here rather than compiled from a profile: some fifteen calls, no arguments but the executable bit of memory.

use crate::process::close_span;
use rustix::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use rustix::io::{Errno, Result};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// User and group to become.
pub type Identity = (u32, u32);

/// A child that has been started and not yet waited for.
#[derive(Debug)]
pub struct Child {
    pid: libc::pid_t,
}

/// How a child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Exited(i32),
    /// Killed by this signal; `SIGSYS` when it made a call that its filter does not allow.
    Signalled(i32),
}

/// What a child keeps.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Become this user before the work begins.
    pub identity: Option<Identity>,
    /// Load the filter; the work must be done by one thread then.
    pub filter: bool,
}

/// Start `work` in a child that keeps only `descriptors`, which it gets in their order. Its result is the exit code.
///
/// # Errors
/// The error of `fork`. What fails in the child before the work begins ends it with exit code 125.
pub fn start(limits: Limits, descriptors: &[BorrowedFd<'_>], work: impl FnOnce(&[OwnedFd]) -> u8) -> Result<Child> {
    // SAFETY: fork has no arguments. The helper is single-threaded when it starts a child, so that no lock is held by a thread that is gone.
    match unsafe { libc::fork() } {
        -1 => Err(last_errno()),
        0 => exit_now(catch_unwind(AssertUnwindSafe(|| run(limits, descriptors, work))).unwrap_or(101)),
        pid => Ok(Child { pid }),
    }
}

fn run(limits: Limits, descriptors: &[BorrowedFd<'_>], work: impl FnOnce(&[OwnedFd]) -> u8) -> u8 {
    let Ok(owned) = prepare(limits, descriptors) else { return 125 };
    let code = work(&owned);
    // Before the descriptors are dropped: the end of the process closes them, and a debug build of `OwnedFd` would call `fcntl` for each.
    exit_now(code)
}

fn prepare(limits: Limits, descriptors: &[BorrowedFd<'_>]) -> Result<Vec<OwnedFd>> {
    let raw: Vec<RawFd> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
    close_others(&raw)?;
    if let Some(identity) = limits.identity {
        become_user(identity)?;
    }
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    rustix::thread::set_no_new_privs(true)?;
    if limits.filter {
        load_filter()?;
    }
    // SAFETY: each descriptor was open in the parent for the length of the call, the child has its own copy, and nobody else in it uses the copy.
    Ok(raw.into_iter().map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }).collect())
}

/// Close every descriptor but `kept`.
fn close_others(kept: &[RawFd]) -> Result<()> {
    let mut sorted: Vec<u32> = kept.iter().filter_map(|fd| u32::try_from(*fd).ok()).collect();
    sorted.sort_unstable();
    let mut first = 0;
    for fd in sorted {
        if first < fd {
            close_span(first, fd - 1, 0)?;
        }
        first = fd + 1;
    }
    close_span(first, u32::MAX, 0)
}

fn become_user((uid, gid): Identity) -> Result<()> {
    let (user, group) = (rustix::fs::Uid::from_raw(uid), rustix::fs::Gid::from_raw(gid));
    rustix::thread::set_thread_groups(&[])?;
    rustix::thread::set_thread_res_gid(group, group, group)?;
    rustix::thread::set_thread_res_uid(user, user, user)
}

fn last_errno() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)
}

fn exit_now(code: u8) -> ! {
    // SAFETY: `_exit` never returns and runs nothing of the parent's: no destructor, no buffer is flushed twice.
    unsafe { libc::_exit(i32::from(code)) }
}

impl Child {
    /// Wait for the end.
    ///
    /// # Errors
    /// The error of `waitpid`.
    pub fn wait(self) -> Result<End> {
        let mut status = 0;
        loop {
            // SAFETY: `status` lives through the call, and `pid` is a child of this process that has not been waited for: `wait` takes `self`.
            if unsafe { libc::waitpid(self.pid, &raw mut status, 0) } == self.pid {
                break;
            }
            match last_errno() {
                Errno::INTR => {}
                errno => return Err(errno),
            }
        }
        Ok(if libc::WIFSIGNALED(status) {
            End::Signalled(libc::WTERMSIG(status))
        } else {
            End::Exited(libc::WEXITSTATUS(status))
        })
    }
}

#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: u32 = 0xc000_00b7;

/// Calls of a single-threaded worker: its streams, its memory, its end. `futex`, `sigaltstack` and the signal mask belong to the runtime.
const ALLOWED: [libc::c_long; 16] = [
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_readv,
    libc::SYS_writev,
    libc::SYS_close,
    libc::SYS_brk,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_futex,
    libc::SYS_sigaltstack,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_restart_syscall,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

/// Calls that are allowed unless they ask for executable memory, which is their third argument.
const NOT_EXECUTABLE: [libc::c_long; 2] = [libc::SYS_mmap, libc::SYS_mprotect];

/// Calls that are answered with `EPERM` rather than death. glibc's `malloc` asks for the number of processors when it makes its ninth arena, and
/// takes a refusal; the helper itself is built on musl, which never asks.
#[cfg(target_env = "gnu")]
const REFUSED: &[libc::c_long] = &[libc::SYS_openat, libc::SYS_sched_getaffinity];
#[cfg(not(target_env = "gnu"))]
const REFUSED: &[libc::c_long] = &[];

/// Offsets in `struct seccomp_data`.
const DATA_NR: u32 = 0;
const DATA_ARCH: u32 = 4;
const DATA_ARG2: u32 = 16 + 2 * 8;

const LOAD: u16 = 0x20; // BPF_LD | BPF_W | BPF_ABS
const EQUAL: u16 = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
const BITS: u16 = 0x45; // BPF_JMP | BPF_JSET | BPF_K
const RETURN: u16 = 0x06; // BPF_RET | BPF_K

fn program() -> Vec<libc::sock_filter> {
    let allow = instruction(RETURN, 0, 0, libc::SECCOMP_RET_ALLOW);
    let kill = instruction(RETURN, 0, 0, libc::SECCOMP_RET_KILL_PROCESS);
    let mut program = vec![
        instruction(LOAD, 0, 0, DATA_ARCH),
        instruction(EQUAL, 1, 0, ARCHITECTURE),
        kill,
        instruction(LOAD, 0, 0, DATA_NR),
    ];
    for call in ALLOWED {
        program.extend([instruction(EQUAL, 0, 1, number(call)), allow]);
    }
    let refuse = instruction(RETURN, 0, 0, libc::SECCOMP_RET_ERRNO | libc::EPERM.unsigned_abs());
    for call in REFUSED {
        program.extend([instruction(EQUAL, 0, 1, number(*call)), refuse]);
    }
    for call in NOT_EXECUTABLE {
        let argument = instruction(LOAD, 0, 0, DATA_ARG2);
        program.extend([
            instruction(EQUAL, 0, 4, number(call)),
            argument,
            instruction(BITS, 0, 1, libc::PROT_EXEC.unsigned_abs()),
            kill,
            allow,
        ]);
    }
    program.push(kill);
    program
}

fn instruction(code: u16, jt: u8, jf: u8, k: u32) -> libc::sock_filter {
    libc::sock_filter { code, jt, jf, k }
}

/// A call number as the filter sees it; one that does not fit matches nothing.
fn number(call: libc::c_long) -> u32 {
    u32::try_from(call).unwrap_or(u32::MAX)
}

fn load_filter() -> Result<()> {
    let mut program = program();
    let Ok(len) = libc::c_ushort::try_from(program.len()) else {
        return Err(Errno::INVAL);
    };
    let filter = libc::sock_fprog {
        len,
        filter: program.as_mut_ptr(),
    };
    // SAFETY: `filter` points at `len` instructions that live through the call; the kernel copies them.
    match unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const filter) } {
        0 => Ok(()),
        _ => Err(last_errno()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fd::AsFd;

    fn run_strict(work: impl FnOnce(&[OwnedFd]) -> u8) -> End {
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        let limits = Limits {
            identity: None,
            filter: true,
        };
        start(limits, &[reader.as_fd(), writer.as_fd()], work).unwrap().wait().unwrap()
    }

    #[test]
    fn lets_the_child_use_its_descriptors_and_memory() {
        let end = run_strict(|fds| {
            let big = vec![7u8; 8 << 20];
            let written = rustix::io::write(&fds[1], &big[..10]).unwrap();
            let mut buffer = [0; 16];
            u8::try_from(written + rustix::io::read(&fds[0], &mut buffer).unwrap()).unwrap()
        });
        assert_eq!(end, End::Exited(20));
    }

    #[test]
    fn kills_the_child_at_any_other_call() {
        assert_eq!(
            run_strict(|_| u8::from(std::fs::read_dir("/").is_ok_and(|mut entries| entries.next().is_some()))),
            if REFUSED.is_empty() {
                End::Signalled(libc::SIGSYS)
            } else {
                End::Exited(0)
            }
        );
        assert_eq!(
            run_strict(|_| u8::from(std::fs::create_dir("/berth-strict").is_ok())),
            End::Signalled(libc::SIGSYS)
        );
        assert_eq!(
            run_strict(|_| u8::from(rustix::net::socket(rustix::net::AddressFamily::INET, rustix::net::SocketType::STREAM, None).is_ok())),
            End::Signalled(libc::SIGSYS)
        );
    }

    #[test]
    fn closes_what_was_not_handed_over() {
        let (secret, _writer) = rustix::pipe::pipe().unwrap();
        let number = secret.as_raw_fd();
        let limits = Limits {
            identity: None,
            filter: false,
        };
        let end = start(limits, &[], |_| {
            u8::from(std::fs::read_link(format!("/proc/self/fd/{number}")).is_ok())
        })
        .unwrap()
        .wait()
        .unwrap();
        assert_eq!(end, End::Exited(0));
    }
}
