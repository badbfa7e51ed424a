//! The kernel's machine for filters, as far as filters use it: what a compiled filter answers to a call. For tests.

use crate::condition::{AND, JUMP, JUMP_AT_LEAST, JUMP_EQUAL, JUMP_GREATER, LOAD, RETURN};
use berth_sys::seccomp::Instruction;

/// What the kernel shows to a filter.
pub(crate) struct Call {
    pub(crate) number: u32,
    pub(crate) architecture: u32,
    pub(crate) arguments: [u64; 6],
}

impl Call {
    fn word(&self, offset: u32) -> u32 {
        match offset {
            0 => self.number,
            4 => self.architecture,
            16..64 => {
                let argument = self.arguments[(offset as usize - 16) / 8];
                let half = argument >> if offset % 8 == 4 { 32 } else { 0 };
                u32::try_from(half & u64::from(u32::MAX)).unwrap()
            }
            other => panic!("load from {other}"),
        }
    }
}

/// The answer of `filter`; panics where the kernel would not load it.
pub(crate) fn run(filter: &[Instruction], call: &Call) -> u32 {
    let (mut at, mut accumulator) = (0, 0_u32);
    loop {
        let Instruction {
            code,
            if_true,
            if_false,
            operand,
        } = filter[at];
        let jump = |taken: bool| usize::from(if taken { if_true } else { if_false });
        at += 1;
        match code {
            LOAD => accumulator = call.word(operand),
            AND => accumulator &= operand,
            JUMP => at += operand as usize,
            JUMP_EQUAL => at += jump(accumulator == operand),
            JUMP_GREATER => at += jump(accumulator > operand),
            JUMP_AT_LEAST => at += jump(accumulator >= operand),
            RETURN => return operand,
            other => panic!("instruction {other:#x}"),
        }
    }
}
