//! Signals: names, a descriptor to read them from, and the state that a new program expects.

use rustix::fd::{FromRawFd, OwnedFd};
use rustix::io::{self, Errno};
use rustix::process::Signal;
use std::mem::MaybeUninit;
use std::ptr;

/// The signal with this name (`SIGTERM`, `TERM`, `15`), if there is one.
#[must_use]
pub fn parse(name: &str) -> Option<Signal> {
    let number = match name.parse::<i32>() {
        Ok(number) => number,
        Err(_) => number_of(name.strip_prefix("SIG").unwrap_or(name))?,
    };
    if number == 0 || number > LAST {
        return None;
    }
    if let Some(signal) = Signal::from_named_raw(number) {
        return Some(signal);
    }
    // SAFETY: the number is between 1 and 64 and none of the standard signals, so it is a real-time signal; it is only sent, never handled.
    (number >= FIRST_REAL_TIME).then(|| unsafe { Signal::from_raw_unchecked(number) })
}

/// The name of a signal, such as `SIGKILL`; `SIGRTMIN+n` for real-time ones.
#[must_use]
pub fn name(number: i32) -> String {
    match NAMES.iter().find(|(_, known)| *known == number) {
        Some((name, _)) => format!("SIG{name}"),
        None if number >= REAL_TIME_MIN => format!("SIGRTMIN+{}", number.saturating_sub(REAL_TIME_MIN)),
        None => format!("SIG{number}"),
    }
}

fn number_of(name: &str) -> Option<i32> {
    if let Some(offset) = name.strip_prefix("RTMIN+") {
        return offset
            .parse::<i32>()
            .ok()?
            .checked_add(REAL_TIME_MIN)
            .filter(|number| *number >= REAL_TIME_MIN);
    }
    if name == "RTMIN" {
        return Some(REAL_TIME_MIN);
    }
    NAMES.iter().find(|(known, _)| *known == name).map(|(_, number)| *number)
}

const FIRST_REAL_TIME: i32 = 32;
/// Where real-time signals begin for programs: the C libraries keep the two below.
const REAL_TIME_MIN: i32 = 34;
const LAST: i32 = 64;

const NAMES: &[(&str, i32)] = &[
    ("HUP", 1),
    ("INT", 2),
    ("QUIT", 3),
    ("ILL", 4),
    ("TRAP", 5),
    ("ABRT", 6),
    ("IOT", 6),
    ("BUS", 7),
    ("FPE", 8),
    ("KILL", 9),
    ("USR1", 10),
    ("SEGV", 11),
    ("USR2", 12),
    ("PIPE", 13),
    ("ALRM", 14),
    ("TERM", 15),
    ("STKFLT", 16),
    ("CHLD", 17),
    ("CLD", 17),
    ("CONT", 18),
    ("STOP", 19),
    ("TSTP", 20),
    ("TTIN", 21),
    ("TTOU", 22),
    ("URG", 23),
    ("XCPU", 24),
    ("XFSZ", 25),
    ("VTALRM", 26),
    ("PROF", 27),
    ("WINCH", 28),
    ("IO", 29),
    ("POLL", 29),
    ("PWR", 30),
    ("SYS", 31),
];

/// A descriptor from which blocked signals are read.
#[derive(Debug)]
pub struct SignalFd(OwnedFd);

impl rustix::fd::AsFd for SignalFd {
    fn as_fd(&self) -> rustix::fd::BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl SignalFd {
    /// Blocks `signals` for this process and opens a non-blocking descriptor of them.
    ///
    /// # Errors
    /// Those of `sigprocmask(2)` and `signalfd(2)`.
    pub fn block(signals: &[Signal]) -> io::Result<Self> {
        let set = set_of(signals);
        change_mask(libc::SIG_BLOCK, &set)?;
        // SAFETY: the set is initialised by `set_of`; -1 asks for a new descriptor.
        let fd = unsafe { libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) };
        crate::process::zero(fd)?;
        // SAFETY: the call has just made the descriptor, and nothing else owns it.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// The number of the next signal that has arrived.
    ///
    /// # Errors
    /// Those of `read(2)`, but not `EAGAIN`.
    pub fn next(&self) -> io::Result<Option<i32>> {
        let mut info = [0_u8; size_of::<libc::signalfd_siginfo>()];
        match rustix::io::retry_on_intr(|| rustix::io::read(&self.0, &mut info)) {
            Ok(length) if length == info.len() => {
                let [a, b, c, d, ..] = info;
                Ok(i32::try_from(u32::from_ne_bytes([a, b, c, d])).ok())
            }
            Ok(_) | Err(Errno::AGAIN) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Gives every signal its default action and an empty mask, as a new program expects.
///
/// # Errors
/// Those of `sigprocmask(2)`.
pub fn reset() -> io::Result<()> {
    // The kernel's own structure, since the C libraries refuse the two signals that they keep, which a caller may have ignored: handler, flags,
    // restorer, mask.
    let default = [0_u64; 4];
    for number in 1..=LAST {
        // SAFETY: all zeroes ask for the default action, which runs no code of ours. SIGKILL and SIGSTOP are refused, which is as well.
        unsafe {
            libc::syscall(
                libc::SYS_rt_sigaction,
                number,
                default.as_ptr(),
                ptr::null::<u64>(),
                size_of::<u64>(),
            )
        };
    }
    change_mask(libc::SIG_SETMASK, &set_of(&[]))
}

fn change_mask(how: libc::c_int, set: &libc::sigset_t) -> io::Result<()> {
    // SAFETY: `set` is a live, initialised set; the old one is not asked for.
    let result = unsafe { libc::sigprocmask(how, ptr::from_ref(set), ptr::null_mut()) };
    crate::process::zero(result)
}

fn set_of(signals: &[Signal]) -> libc::sigset_t {
    let mut set = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: the call initialises the set that the pointer names.
    unsafe { libc::sigemptyset(set.as_mut_ptr()) };
    // SAFETY: initialised by the call above.
    let mut set = unsafe { set.assume_init() };
    for signal in signals {
        // SAFETY: the set is initialised and the number is a signal's.
        unsafe { libc::sigaddset(&raw mut set, signal.as_raw()) };
    }
    set
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_names_with_and_without_prefix_and_numbers() {
        for text in ["SIGTERM", "TERM", "15"] {
            assert_eq!(parse(text), Some(Signal::TERM), "{text}");
        }
        assert_eq!(parse("SIGRTMIN+3").map(Signal::as_raw), Some(37));
    }

    #[test]
    fn refuses_what_is_no_signal() {
        for text in ["", "0", "65", "-1", "SIGNOPE", "term", "SIGRTMIN+99", "SIGRTMIN+-9"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn names_every_signal() {
        assert_eq!(name(9), "SIGKILL");
        assert_eq!(name(37), "SIGRTMIN+3");
    }
}
