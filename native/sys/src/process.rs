//! Processes: fork, exec, wait, descriptors that a program inherits.
//!
//! A fork is made by the plain system call, so that no handler of the C library runs; it is refused where a second thread lives.

use rustix::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use rustix::io::{self, Errno};
use rustix::process::{Pid, Signal};
use std::ffi::{CStr, CString};
use std::ptr;

/// What `fork` gives: the child arm cannot be missed.
#[derive(Debug)]
pub enum Forked {
    Child,
    Parent(Child),
}

/// A child process and a descriptor of it that no later process with its number can be mistaken for.
#[derive(Debug)]
pub struct Child {
    pub pid: Pid,
    pub pidfd: OwnedFd,
}

/// How a process ended and what it used.
#[derive(Debug, Clone, Copy)]
pub struct Exit {
    pub status: Status,
    /// Largest resident set of the process or of one that it waited for, in bytes.
    pub peak_bytes: u64,
    /// User and system time in microseconds.
    pub cpu_microseconds: u64,
}

/// The end of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    Code(i32),
    Signal(i32),
}

impl Status {
    /// The code that a shell would report: 128 + n for signal n.
    #[must_use]
    pub fn shell_code(self) -> i32 {
        match self {
            Self::Code(code) => code,
            Self::Signal(signal) => 128_i32.saturating_add(signal),
        }
    }
}

/// Creates a child in new namespaces (`flags` are `CLONE_NEW…` bits, or 0 for a plain fork).
///
/// # Errors
/// `EDEADLK` when this process has more than one thread; else those of `clone(2)`.
pub fn fork(flags: Namespaces) -> io::Result<Forked> {
    single_threaded()?;
    let mut pidfd: RawFd = -1;
    let bits = u64::from(flags.bits()) | clone_bit(libc::CLONE_PIDFD) | clone_bit(libc::SIGCHLD);
    // SAFETY: without CLONE_VM the child gets its own copy of memory, and `single_threaded` has shown that no lock can be held by a thread
    // that is not copied. Stack, child tid and tls are zero, so their order, which differs between architectures, does not matter.
    let result = unsafe { libc::syscall(libc::SYS_clone, bits, 0_usize, ptr::from_mut(&mut pidfd), 0_usize, 0_usize) };
    forked(result, pidfd)
}

/// [`fork`] of a child that is in the v2 cgroup behind the directory `group` from its birth on.
///
/// # Errors
/// As [`fork`]; those of `clone3(2)` where the kernel is older than 5.7, a filter does not know the call, or the group does not take the child.
pub fn fork_into(flags: Namespaces, group: impl AsFd) -> io::Result<Forked> {
    const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;
    single_threaded()?;
    let mut pidfd: RawFd = -1;
    // SAFETY: plain numbers, for which all zeroes is a value.
    let mut arguments: libc::clone_args = unsafe { std::mem::zeroed() };
    arguments.flags = u64::from(flags.bits()) | clone_bit(libc::CLONE_PIDFD) | CLONE_INTO_CGROUP;
    arguments.pidfd = u64::try_from(ptr::from_mut(&mut pidfd).expose_provenance()).map_err(|_| Errno::OVERFLOW)?;
    arguments.exit_signal = clone_bit(libc::SIGCHLD);
    arguments.cgroup = u64::try_from(group.as_fd().as_raw_fd()).map_err(|_| Errno::BADF)?;
    // SAFETY: as in `fork`: no shared memory, one thread, no stack. The arguments, the descriptor of the group and the place for the one of the
    // child live until the call returns.
    let result = unsafe { libc::syscall(libc::SYS_clone3, &raw const arguments, size_of_val(&arguments)) };
    forked(result, pidfd)
}

fn forked(result: libc::c_long, pidfd: RawFd) -> io::Result<Forked> {
    match positive(result)? {
        0 => Ok(Forked::Child),
        pid => {
            // SAFETY: the kernel has just stored a fresh descriptor here, and nothing else owns it.
            let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
            let pid = Pid::from_raw(pid).ok_or(Errno::INVAL)?;
            Ok(Forked::Parent(Child { pid, pidfd }))
        }
    }
}

/// Forks a child whose parent is this process's parent, as `fork` otherwise. Used to enter a pid namespace after `setns`.
///
/// # Errors
/// As [`fork`].
pub fn fork_sibling() -> io::Result<Option<Pid>> {
    single_threaded()?;
    let bits = clone_bit(libc::CLONE_PARENT) | clone_bit(libc::SIGCHLD);
    // SAFETY: as in `fork`: no shared memory, one thread, and all pointers are null.
    let result = unsafe { libc::syscall(libc::SYS_clone, bits, 0_usize, 0_usize, 0_usize, 0_usize) };
    Ok(Pid::from_raw(positive(result)?))
}

/// Kinds of namespaces to make; the bits of `clone(2)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Namespaces(u32);

impl Namespaces {
    pub const NONE: Self = Self(0);
    pub const MOUNT: Self = Self(0x0002_0000);
    pub const CGROUP: Self = Self(0x0200_0000);
    pub const UTS: Self = Self(0x0400_0000);
    pub const IPC: Self = Self(0x0800_0000);
    pub const USER: Self = Self(0x1000_0000);
    pub const PID: Self = Self(0x2000_0000);
    pub const NETWORK: Self = Self(0x4000_0000);

    /// Both sets together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether every kind of `other` is in this set.
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// This set without the kinds of `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }
}

/// Moves this process (its children, for pid namespaces) into new namespaces.
///
/// # Errors
/// Those of `unshare(2)`.
pub fn unshare(kinds: Namespaces) -> io::Result<()> {
    let bits = i32::try_from(kinds.bits()).map_err(|_| Errno::INVAL)?;
    // SAFETY: only namespace bits can be in a `Namespaces`, so descriptors and memory stay shared as the standard library expects.
    let result = unsafe { libc::unshare(bits) };
    zero(result)
}

/// Enters the namespaces `kinds` of the process that `pidfd` names, all at once.
///
/// # Errors
/// Those of `setns(2)`.
pub fn enter(pidfd: impl AsFd, kinds: Namespaces) -> io::Result<()> {
    let bits = i32::try_from(kinds.bits()).map_err(|_| Errno::INVAL)?;
    // SAFETY: the descriptor is borrowed for the call; no memory is passed.
    let result = unsafe { libc::setns(pidfd.as_fd().as_raw_fd(), bits) };
    zero(result)
}

/// A namespace of this process, to come back to by [`enter_file`].
///
/// # Errors
/// When it cannot be opened.
pub fn own_namespace(kind: &str) -> io::Result<OwnedFd> {
    let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::CLOEXEC;
    rustix::fs::open(format!("/proc/self/ns/{kind}"), flags, rustix::fs::Mode::empty())
}

/// Enters the one namespace that `file` is.
///
/// # Errors
/// Those of `setns(2)`.
pub fn enter_file(file: impl AsFd, kind: Namespaces) -> io::Result<()> {
    enter(file, kind)
}

/// Waits for the end of a child.
///
/// # Errors
/// `ECHILD` when it is not a child, or was waited for already.
pub fn wait(pid: Pid) -> io::Result<Exit> {
    loop {
        match wait4(pid.as_raw_nonzero().get(), 0) {
            Err(Errno::INTR) => {}
            Ok(Some((_, exit))) => return Ok(exit),
            Ok(None) => return Err(Errno::CHILD),
            Err(error) => return Err(error),
        }
    }
}

/// The end of a child, when it has ended.
///
/// # Errors
/// As [`wait`].
pub fn try_wait(pid: Pid) -> io::Result<Option<Exit>> {
    Ok(wait4(pid.as_raw_nonzero().get(), libc::WNOHANG)?.map(|(_, exit)| exit))
}

/// Collects any child that has ended.
///
/// # Errors
/// `ECHILD` when there is none at all.
pub fn reap_any(block: bool) -> io::Result<Option<(Pid, Exit)>> {
    let found = wait4(-1, if block { 0 } else { libc::WNOHANG })?;
    Ok(found.and_then(|(pid, exit)| Pid::from_raw(pid).map(|pid| (pid, exit))))
}

fn wait4(pid: i32, options: i32) -> io::Result<Option<(i32, Exit)>> {
    let mut status = 0;
    // SAFETY: `rusage` is plain numbers, for which all zeroes is a value.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are to live variables of the types that the call fills.
    let result = unsafe { libc::wait4(pid, &raw mut status, options, &raw mut usage) };
    match result {
        -1 => Err(last()),
        0 => Ok(None),
        pid => Ok(Some((pid, exit_of(status, &usage)))),
    }
}

fn exit_of(status: i32, usage: &libc::rusage) -> Exit {
    let status = if libc::WIFSIGNALED(status) {
        Status::Signal(libc::WTERMSIG(status))
    } else {
        Status::Code(libc::WEXITSTATUS(status))
    };
    let micros = |time: libc::timeval| time.tv_sec.saturating_mul(1_000_000).saturating_add(time.tv_usec);
    let cpu = micros(usage.ru_utime).saturating_add(micros(usage.ru_stime));
    Exit {
        status,
        peak_bytes: u64::try_from(usage.ru_maxrss).unwrap_or_default().saturating_mul(1024),
        cpu_microseconds: u64::try_from(cpu).unwrap_or_default(),
    }
}

/// Ends this process at once, without running what the parent registered to run at its end: for children after `fork`.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: ends the process; takes no pointer.
    unsafe { libc::_exit(code) }
}

/// Replaces this program by `path`. Returns only when that failed.
#[must_use]
pub fn execve(path: &CStr, arguments: &[CString], environment: &[CString]) -> Errno {
    let argv = pointers(arguments);
    let envp = pointers(environment);
    // SAFETY: both arrays end with null and point to strings that outlive the call.
    unsafe { libc::execve(path.as_ptr(), argv.as_ptr(), envp.as_ptr()) };
    last()
}

/// Replaces this program by the file behind `file`, which is no script. Returns only when that failed.
#[must_use]
pub fn execveat(file: impl AsFd, arguments: &[CString], environment: &[CString]) -> Errno {
    let argv = pointers(arguments);
    let envp = pointers(environment);
    let fd = file.as_fd().as_raw_fd();
    // SAFETY: as in `execve`; the empty path is a static string.
    unsafe {
        libc::syscall(
            libc::SYS_execveat,
            fd,
            c"".as_ptr(),
            argv.as_ptr(),
            envp.as_ptr(),
            libc::AT_EMPTY_PATH,
        )
    };
    match last() {
        Errno::NOSYS => CString::new(format!("/proc/self/fd/{fd}")).map_or(Errno::NOSYS, |path| execve(&path, arguments, environment)),
        error => error,
    }
}

fn pointers(strings: &[CString]) -> Vec<*const libc::c_char> {
    strings.iter().map(|string| string.as_ptr()).chain([ptr::null()]).collect()
}

/// Closes every descriptor from `first` on.
///
/// # Errors
/// Those of `close_range(2)`.
pub fn close_from(first: u32) -> io::Result<()> {
    close_range(first, 0)
}

/// Makes every descriptor from `first` on vanish at the next exec.
///
/// # Errors
/// Those of `close_range(2)`.
pub fn close_on_exec_from(first: u32) -> io::Result<()> {
    close_range(first, libc::CLOSE_RANGE_CLOEXEC)
}

/// Closes every descriptor above 2 but the first `preserved` of them, and `kept`. For a child that uses nothing else of what it inherited, and ends by [`exit_now`].
///
/// # Errors
/// Those of `close_range(2)`.
pub fn close_all_but(preserved: u32, kept: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut numbers: Vec<u32> = kept.iter().filter_map(|fd| u32::try_from(fd.as_raw_fd()).ok()).collect();
    numbers.sort_unstable();
    let mut first = 3_u32.saturating_add(preserved);
    for number in numbers {
        if number > first {
            close_span(first, number - 1, 0)?;
        }
        first = first.max(number.saturating_add(1));
    }
    close_range(first, 0)
}

fn close_range(first: u32, flags: u32) -> io::Result<()> {
    close_span(first, u32::MAX, flags)
}

/// Closes the descriptors from `first` to `last`, or does to them what `flags` say.
///
/// # Errors
/// Those of `close_range(2)`.
pub(crate) fn close_span(first: u32, last: u32, flags: u32) -> io::Result<()> {
    // SAFETY: called where no owner of a descriptor in the span is used or dropped later: at the start of `main`, right before exec, or in a
    // child that ends without dropping anything. musl has no wrapper.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, last, flags) };
    match positive(result) {
        Err(Errno::NOSYS) => {
            close_each(first, last, flags);
            Ok(())
        }
        other => other.map(drop),
    }
}

/// Before Linux 5.9, and under a filter that does not know the call.
fn close_each(first: u32, last: u32, flags: u32) {
    for number in open_numbers().into_iter().filter(|number| (first..=last).contains(number)) {
        let Ok(number) = RawFd::try_from(number) else { continue };
        if flags & libc::CLOSE_RANGE_CLOEXEC == 0 {
            // SAFETY: as in `close_span`; EBADF for a number that is not open is of no consequence.
            unsafe { libc::close(number) };
        } else {
            // SAFETY: sets a flag of a descriptor by its number; takes no pointer.
            unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) };
        }
    }
}

/// The descriptors that may be open: what the kernel's `/proc` lists, or every number below the limit where there is none.
fn open_numbers() -> Vec<u32> {
    const MOST: u64 = 1 << 20;
    listed_numbers().unwrap_or_else(|_| {
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile)
            .current
            .unwrap_or(MOST);
        (0..u32::try_from(limit.min(MOST)).unwrap_or_default()).collect()
    })
}

/// In a container without a `/proc` of its own, a folder of the image may have that name: it is not believed.
fn listed_numbers() -> io::Result<Vec<u32>> {
    use rustix::fs::{Mode, OFlags};
    const PROC: u64 = 0x9fa0;
    let list = rustix::fs::open("/proc/self/fd", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    if u64::try_from(rustix::fs::fstatfs(&list)?.f_type) != Ok(PROC) {
        return Err(Errno::NODEV);
    }
    // It has the number that it is read by, too, which is closed when it is whole.
    let names = crate::file::names(&list)?;
    Ok(names
        .iter()
        .filter_map(|name| std::str::from_utf8(name).ok()?.parse().ok())
        .collect())
}

/// Asks the kernel whether it has descriptors of processes, without which no process can be watched and ended safely: Linux 5.3.
///
/// # Errors
/// `ENOSYS` with the name of the call that is missing.
pub fn check_pidfds() -> Result<(), (&'static str, Errno)> {
    let name = "pidfd_open";
    let pidfd =
        rustix::process::pidfd_open(rustix::process::getpid(), rustix::process::PidfdFlags::empty()).map_err(|error| (name, error))?;
    // SAFETY: signal 0 is none: it only asks whether one could be sent. The descriptor is live, and the null pointer asks for the usual data.
    let result = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), 0, ptr::null::<libc::siginfo_t>(), 0) };
    positive(result).map(drop).map_err(|error| ("pidfd_send_signal", error))
}

/// Whether descriptor `number` is open; for 0, 1 and 2 at the start of `main`.
#[must_use]
pub fn is_open(number: RawFd) -> bool {
    // SAFETY: F_GETFD changes nothing and takes no pointer.
    let result = unsafe { libc::fcntl(number, libc::F_GETFD) };
    result != -1
}

/// A descriptor that an earlier program of this process left open under a known number.
///
/// # Errors
/// `EBADF` when it is not open.
pub fn inherited(number: RawFd) -> io::Result<BorrowedFd<'static>> {
    if number < 0 || !is_open(number) {
        return Err(Errno::BADF);
    }
    // SAFETY: it is open, and the callers never close it (standard descriptors), or not before they have done with it (one at the start of `main`).
    Ok(unsafe { BorrowedFd::borrow_raw(number) })
}

/// Asks the kernel to send SIGKILL to this process when its parent dies. Cleared by a change of identity: call it after that.
///
/// # Errors
/// Those of `prctl(2)`.
pub fn die_with_parent() -> io::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
}

/// Gives this process a session keyring of its own, so that it cannot read the keys of the session it came from.
///
/// # Errors
/// Those of `keyctl(2)`.
pub fn new_session_keyring() -> io::Result<()> {
    const KEYCTL_JOIN_SESSION_KEYRING: libc::c_ulong = 1;
    // SAFETY: a null name asks for an anonymous keyring; no other pointer is passed.
    let result = unsafe { libc::syscall(libc::SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, 0_usize) };
    positive(result).map(drop)
}

fn single_threaded() -> io::Result<()> {
    // A directory of /proc/self/task for each thread, beside `.` and the entry in the parent. Where no /proc is mounted this program is the
    // first process of a container whose configuration has none, and that one starts no thread.
    match rustix::fs::stat("/proc/self/task") {
        Ok(stat) if stat.st_nlink != 3 => Err(Errno::DEADLK),
        Ok(_) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(error),
    }
}

fn clone_bit(bit: libc::c_int) -> u64 {
    u64::from(bit.unsigned_abs())
}

pub(crate) fn last() -> Errno {
    crate::errno::of(&std::io::Error::last_os_error())
}

pub(crate) fn zero(result: libc::c_int) -> io::Result<()> {
    if result == -1 { Err(last()) } else { Ok(()) }
}

pub(crate) fn positive(result: libc::c_long) -> io::Result<i32> {
    if result < 0 {
        Err(last())
    } else {
        i32::try_from(result).map_err(|_| Errno::OVERFLOW)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_thread_forbids_a_fork() {
        let inner = std::thread::spawn(|| fork(Namespaces::NONE).err()).join().unwrap();
        assert_eq!(inner, Some(Errno::DEADLK));
    }

    #[test]
    fn a_signal_is_reported_as_a_shell_does() {
        assert_eq!(Status::Signal(9).shell_code(), 137);
        assert_eq!(Status::Code(3).shell_code(), 3);
    }

    #[test]
    fn without_close_range_descriptors_are_closed_or_marked_one_by_one() {
        use rustix::fd::IntoRawFd as _;
        // Numbers that no other test is given.
        let null = std::fs::File::open("/dev/null").unwrap();
        let [marked, closed] = [701, 702].map(|least| io::fcntl_dupfd_cloexec(&null, least).unwrap().into_raw_fd());
        let (first, flags) = (u32::try_from(marked).unwrap(), libc::CLOSE_RANGE_CLOEXEC);
        // SAFETY: the number is open; the call takes no pointer.
        unsafe { libc::fcntl(marked, libc::F_SETFD, 0) };
        close_each(first, first, flags);
        // SAFETY: as above.
        assert_eq!(unsafe { libc::fcntl(marked, libc::F_GETFD) }, libc::FD_CLOEXEC);
        let last = u32::try_from(closed).unwrap();
        close_each(last, last, 0);
        assert!(is_open(marked) && !is_open(closed));
    }

    #[test]
    fn this_kernel_has_descriptors_of_processes() {
        assert_eq!(check_pidfds(), Ok(()));
    }

    #[test]
    fn standard_descriptors_are_open_and_a_wild_one_is_not() {
        assert!(is_open(0));
        assert!(inherited(100_000).is_err());
    }
}
