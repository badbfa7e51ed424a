//! Loads a compiled seccomp filter.

use rustix::io;

/// One instruction of classic BPF, as the kernel reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct Instruction {
    pub code: u16,
    pub if_true: u8,
    pub if_false: u8,
    pub operand: u32,
}

#[repr(C)]
struct Program {
    length: u16,
    instructions: *const Instruction,
}

/// Puts `filter` on this process for good. `log` asks the kernel to log what it refuses.
///
/// # Errors
/// `EINVAL` for a malformed or overlong filter, `EACCES` without `no_new_privs` or `CAP_SYS_ADMIN`, `ENOSYS` in a kernel without it.
pub fn install(filter: &[Instruction], log: bool) -> io::Result<()> {
    let length = u16::try_from(filter.len()).map_err(|_| io::Errno::INVAL)?;
    let program = Program {
        length,
        instructions: filter.as_ptr(),
    };
    let flags = if log { libc::SECCOMP_FILTER_FLAG_LOG } else { 0 };
    // SAFETY: the program points to `length` instructions that live until the kernel has copied them.
    let result = unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const program) };
    crate::process::positive(result).map(drop)
}

/// Whether the kernel has seccomp filters.
#[must_use]
pub fn available() -> bool {
    let action: u32 = libc::SECCOMP_RET_KILL_PROCESS;
    // SAFETY: the kernel reads four bytes from a live variable.
    let result = unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_GET_ACTION_AVAIL, 0, &raw const action) };
    result == 0
}
