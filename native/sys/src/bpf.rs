//! Device programs of cgroup v2: instructions of the kernel's virtual machine (linux/bpf.h), their loading and attaching.

use rustix::fd::{AsFd, AsRawFd as _, FromRawFd as _, OwnedFd};
use rustix::io::{self, Errno};

/// Kinds of access (`BPF_DEVCG_ACC_*`).
pub const MKNOD: u32 = 1;
pub const READ: u32 = 2;
pub const WRITE: u32 = 4;
/// Kinds of devices (`BPF_DEVCG_DEV_*`).
pub const BLOCK: u32 = 1;
pub const CHARACTER: u32 = 2;

/// One instruction (`struct bpf_insn`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct Instruction {
    code: u8,
    registers: u8,
    offset: i16,
    immediate: u32,
}

const LOAD_WORD: u8 = 0x61;
const AND: u8 = 0x54;
const SHIFT_RIGHT: u8 = 0x74;
const COPY: u8 = 0xbc;
const SET: u8 = 0xb4;
const JUMP_UNLESS_EQUAL: u8 = 0x56;
const JUMP_IF_EQUAL: u8 = 0x16;
const EXIT: u8 = 0x95;

impl Instruction {
    const fn new(code: u8, to: u8, from: u8, offset: i16, immediate: u32) -> Self {
        Self {
            code,
            registers: to | from << 4,
            offset,
            immediate,
        }
    }

    /// `to = *(u32 *)(from + offset)`
    #[must_use]
    pub const fn load(to: u8, from: u8, offset: i16) -> Self {
        Self::new(LOAD_WORD, to, from, offset, 0)
    }

    #[must_use]
    pub const fn and(to: u8, value: u32) -> Self {
        Self::new(AND, to, 0, 0, value)
    }

    #[must_use]
    pub const fn shift_right(to: u8, bits: u32) -> Self {
        Self::new(SHIFT_RIGHT, to, 0, 0, bits)
    }

    #[must_use]
    pub const fn copy(to: u8, from: u8) -> Self {
        Self::new(COPY, to, from, 0, 0)
    }

    #[must_use]
    pub const fn set(to: u8, value: u32) -> Self {
        Self::new(SET, to, 0, 0, value)
    }

    /// Jumps when `register != value`; where to, [`Self::aim`] says.
    #[must_use]
    pub const fn jump_unless_equal(register: u8, value: u32) -> Self {
        Self::new(JUMP_UNLESS_EQUAL, register, 0, 0, value)
    }

    #[must_use]
    pub const fn jump_if_equal(register: u8, value: u32) -> Self {
        Self::new(JUMP_IF_EQUAL, register, 0, 0, value)
    }

    #[must_use]
    pub const fn exit() -> Self {
        Self::new(EXIT, 0, 0, 0, 0)
    }

    /// Lets a jump skip `instructions`; anything else stays as it is.
    pub fn aim(&mut self, instructions: usize) {
        if matches!(self.code, JUMP_UNLESS_EQUAL | JUMP_IF_EQUAL) {
            self.offset = i16::try_from(instructions).unwrap_or(i16::MAX);
        }
    }
}

/// What the program gives for the three words of its context: for tests.
#[must_use]
pub fn interpret(program: &[Instruction], context: [u32; 3]) -> u64 {
    let mut registers = [0_u32; 11];
    let mut at = 0_usize;
    while let Some(one) = program.get(at) {
        let (to, from) = (usize::from(one.registers & 15), usize::from(one.registers >> 4));
        at = at.saturating_add(1);
        let Some(value) = registers.get(to).copied() else { return 0 };
        let other = registers.get(from).copied().unwrap_or_default();
        let new = match one.code {
            LOAD_WORD => usize::try_from(one.offset / 4)
                .ok()
                .and_then(|word| context.get(word))
                .copied()
                .unwrap_or_default(),
            AND => value & one.immediate,
            SHIFT_RIGHT => value.checked_shr(one.immediate).unwrap_or_default(),
            COPY => other,
            SET => one.immediate,
            EXIT => return registers.first().copied().unwrap_or_default().into(),
            JUMP_UNLESS_EQUAL | JUMP_IF_EQUAL => {
                if (value == one.immediate) == (one.code == JUMP_IF_EQUAL) {
                    at = at.saturating_add(usize::try_from(one.offset).unwrap_or_default());
                }
                value
            }
            _ => return 0,
        };
        if let Some(register) = registers.get_mut(to) {
            *register = new;
        }
    }
    0
}

const PROG_LOAD: u32 = 5;
const PROG_ATTACH: u32 = 8;
const PROG_TYPE_CGROUP_DEVICE: u32 = 15;
const ATTACH_CGROUP_DEVICE: u32 = 6;
const ALLOW_MULTIPLE: u32 = 2;

/// The part of `union bpf_attr` that loading a program needs.
#[repr(C)]
struct LoadAttributes {
    kind: u32,
    length: u32,
    instructions: u64,
    licence: u64,
    log_level: u32,
    log_size: u32,
    log_buffer: u64,
}

#[repr(C)]
struct AttachAttributes {
    target: u32,
    program: u32,
    kind: u32,
    flags: u32,
}

/// Puts a device program on a cgroup, beside those of the groups above. It goes with the group.
///
/// # Errors
/// `EPERM` without the right, `EINVAL` for a program that the kernel's verifier refuses, `ENOSYS` in a kernel without it.
pub fn attach_device_program(group: impl AsFd, program: &[Instruction]) -> io::Result<()> {
    let loaded = load_device_program(program)?;
    let number = |fd: i32| u32::try_from(fd).map_err(|_| Errno::BADF);
    let attributes = AttachAttributes {
        target: number(group.as_fd().as_raw_fd())?,
        program: number(loaded.as_raw_fd())?,
        kind: ATTACH_CGROUP_DEVICE,
        flags: ALLOW_MULTIPLE,
    };
    // SAFETY: the attributes are a live structure of the size that is given, without pointers.
    let result = unsafe { libc::syscall(libc::SYS_bpf, PROG_ATTACH, &raw const attributes, size_of::<AttachAttributes>()) };
    crate::process::positive(result).map(drop)
}

/// Loads a device program, which does nothing before it is attached.
///
/// # Errors
/// As [`attach_device_program`].
pub fn load_device_program(program: &[Instruction]) -> io::Result<OwnedFd> {
    let attributes = LoadAttributes {
        kind: PROG_TYPE_CGROUP_DEVICE,
        length: u32::try_from(program.len()).map_err(|_| Errno::TOOBIG)?,
        instructions: program.as_ptr() as u64,
        licence: c"GPL".as_ptr() as u64,
        log_level: 0,
        log_size: 0,
        log_buffer: 0,
    };
    // SAFETY: both pointers in the attributes lead to memory that lives through the call: `length` instructions and a string that ends in NUL.
    let result = unsafe { libc::syscall(libc::SYS_bpf, PROG_LOAD, &raw const attributes, size_of::<LoadAttributes>()) };
    let fd = crate::process::positive(result)?;
    // SAFETY: the kernel has just made this descriptor, and nothing else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
