//! Re-execution from a sealed copy in memory: what runs inside an image can then never write to the helper's file (`spec/hardening.md` 4, rule 1).

use crate::fail::failed;
use berth_sys::process;
use berth_wire::{Code, Failure};
use rustix::fd::OwnedFd;
use rustix::fs::{MemfdFlags, Mode, OFlags, SealFlags};
use rustix::io::Errno;
use std::ffi::{CString, OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::time::Duration;

/// The argument that says that this process was started from the copy.
pub(crate) const MARK: &str = "--sealed";
/// The name of the program and of the copy.
const NAME: &str = "berth-native";
const SEAL_ATTEMPTS: u32 = 100;
const SEAL_PAUSE: Duration = Duration::from_millis(10);

/// Returns in a process whose program is a sealed copy: at once, or by starting it anew.
pub(crate) fn ensure(arguments: &[OsString]) -> Result<(), Failure> {
    let says = arguments.iter().any(|argument| argument == MARK);
    restart(says, arguments.iter().skip(1).map(OsString::as_os_str).chain([OsStr::new(MARK)]))
}

/// The same for a command line with words of others at its end: `says` tells whether the mark was in its own place, where `words` have it.
pub(crate) fn ensure_words(says: bool, words: impl Iterator<Item = String>) -> Result<(), Failure> {
    let words: Vec<OsString> = words.map(OsString::from).collect();
    restart(says, words.iter().map(OsString::as_os_str))
}

fn restart<'a>(says: bool, words: impl Iterator<Item = &'a OsStr>) -> Result<(), Failure> {
    let program = open_program()?;
    if is_sealed(&program) {
        return Ok(());
    }
    if says {
        return Err(Failure::new(
            Code::NotPermitted,
            "re-execute",
            "this program says that it is sealed, and is not",
        ));
    }
    let copy = sealed_copy(&program)?;
    // The first argument is ours: where the helper lies on the host is nobody's business inside.
    let argv = [OsStr::new(NAME)].into_iter().chain(words);
    let argv: Result<Vec<CString>, _> = argv.map(|text| CString::new(text.as_bytes())).collect();
    let argv = argv.map_err(|_| failed("re-execute")(Errno::INVAL))?;
    let error = process::execveat(&copy, &argv, &[]);
    Err(failed("re-execute")(error).hint("Set the sysctl vm.memfd_noexec to 0: the helper runs from a sealed copy of itself"))
}

fn open_program() -> Result<OwnedFd, Failure> {
    rustix::fs::open("/proc/self/exe", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).map_err(failed("open /proc/self/exe"))
}

fn is_sealed(program: &OwnedFd) -> bool {
    rustix::fs::fcntl_get_seals(program).is_ok_and(|seals| seals.contains(seals_wanted()))
}

fn seals_wanted() -> SealFlags {
    SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE
}

fn sealed_copy(program: &OwnedFd) -> Result<OwnedFd, Failure> {
    let size = rustix::fs::fstat(program).map_err(failed("stat helper"))?.st_size;
    let mut left = u64::try_from(size).unwrap_or_default();
    let copy = create()?;
    while left > 0 {
        let chunk = usize::try_from(left).unwrap_or(usize::MAX);
        match rustix::fs::sendfile(&copy, program, None, chunk).map_err(failed("copy helper"))? {
            0 => return Err(failed("copy helper")(Errno::IO)),
            done => left = left.saturating_sub(done.try_into().unwrap_or(u64::MAX)),
        }
    }
    seal(&copy)?;
    Ok(copy)
}

/// Seals the copy. The kernel answers EBUSY while it has a page of it pinned for a moment (memory management does that on its own), so the
/// call is made again for up to a second before that counts.
fn seal(copy: &OwnedFd) -> Result<(), Failure> {
    for _ in 0..SEAL_ATTEMPTS {
        match rustix::fs::fcntl_add_seals(copy, seals_wanted()) {
            Err(Errno::BUSY) => std::thread::sleep(SEAL_PAUSE),
            result => return result.map_err(failed("seal helper")),
        }
    }
    Err(failed("seal helper")(Errno::BUSY))
}

fn create() -> Result<OwnedFd, Failure> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    match rustix::fs::memfd_create(NAME, flags | MemfdFlags::EXEC) {
        // Before Linux 6.3 there is no such flag, and every memfd is executable.
        Err(Errno::INVAL) => rustix::fs::memfd_create(NAME, flags),
        other => other,
    }
    .map_err(failed("memfd_create"))
}
