//! Conditions on arguments, as instructions. An argument has 64 bits and the machine of a filter 32, so each is compared in two halves.

use crate::action::refused;
use berth_sys::seccomp::Instruction;
use berth_wire::Failure;
use berth_wire::oci::{SyscallArgument, SyscallRule};

pub(crate) const LOAD: u16 = 0x20;
pub(crate) const JUMP: u16 = 0x05;
pub(crate) const JUMP_EQUAL: u16 = 0x15;
pub(crate) const JUMP_GREATER: u16 = 0x25;
pub(crate) const JUMP_AT_LEAST: u16 = 0x35;
pub(crate) const AND: u16 = 0x54;
pub(crate) const RETURN: u16 = 0x06;

/// Offset of the first argument in the kernel's `seccomp_data`.
const ARGUMENTS: u32 = 16;
/// Arguments of a call.
const COUNT: u32 = 6;

pub(crate) const fn instruction(code: u16, operand: u32, if_true: u8, if_false: u8) -> Instruction {
    Instruction {
        code,
        if_true,
        if_false,
        operand,
    }
}

/// A condition on one argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Condition {
    index: u32,
    comparison: Comparison,
    negated: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Equal { mask: u64, value: u64 },
    Greater { value: u64, or_equal: bool },
}

/// The alternatives of a rule, each a list of conditions that must all hold. A rule without conditions is one empty alternative.
pub(crate) fn alternatives(rule: &SyscallRule) -> Result<Vec<Vec<Condition>>, Failure> {
    let conditions: Vec<Condition> = rule.args.iter().map(Condition::new).collect::<Result<_, _>>()?;
    let repeated = conditions
        .iter()
        .enumerate()
        .any(|(at, one)| conditions.iter().take(at).any(|other| other.index == one.index));
    Ok(if repeated {
        conditions.into_iter().map(|one| vec![one]).collect()
    } else {
        vec![conditions]
    })
}

impl Condition {
    fn new(argument: &SyscallArgument) -> Result<Self, Failure> {
        let SyscallArgument {
            index,
            value,
            value_two,
            op,
        } = argument;
        if *index >= COUNT {
            return Err(refused(format!("a call has no argument {index}")));
        }
        let equal = Comparison::Equal {
            mask: u64::MAX,
            value: *value,
        };
        let (comparison, negated) = match op.as_str() {
            "SCMP_CMP_EQ" => (equal, false),
            "SCMP_CMP_NE" => (equal, true),
            "SCMP_CMP_GT" => (
                Comparison::Greater {
                    value: *value,
                    or_equal: false,
                },
                false,
            ),
            "SCMP_CMP_LE" => (
                Comparison::Greater {
                    value: *value,
                    or_equal: false,
                },
                true,
            ),
            "SCMP_CMP_GE" => (
                Comparison::Greater {
                    value: *value,
                    or_equal: true,
                },
                false,
            ),
            "SCMP_CMP_LT" => (
                Comparison::Greater {
                    value: *value,
                    or_equal: true,
                },
                true,
            ),
            "SCMP_CMP_MASKED_EQ" => (
                Comparison::Equal {
                    mask: *value,
                    value: *value_two,
                },
                false,
            ),
            other => return Err(refused(format!("no comparison is called {other:?}"))),
        };
        Ok(Self {
            index: *index,
            comparison,
            negated,
        })
    }

    /// Instructions that go on to the next one when the condition holds, and `miss` further than their end when it does not.
    pub(crate) fn emit(self, miss: u8) -> Result<Vec<Instruction>, Failure> {
        let code = match self.comparison {
            Comparison::Equal { mask, value } => self.equal(mask, value),
            Comparison::Greater { value, or_equal } => self.greater(value, or_equal),
        };
        let length = code.len();
        let resolve = |at: usize, goal: Goal| -> Result<u8, Failure> {
            let end = length.saturating_sub(at).saturating_sub(1);
            let end = u8::try_from(end).map_err(|_| refused("a condition is too long"))?;
            let hit = end;
            let missed = end.checked_add(miss).ok_or_else(|| refused("a rule is too long"))?;
            Ok(match goal {
                Goal::Next => 0,
                Goal::Holds => {
                    if self.negated {
                        missed
                    } else {
                        hit
                    }
                }
                Goal::Fails => {
                    if self.negated {
                        hit
                    } else {
                        missed
                    }
                }
            })
        };
        code.iter()
            .enumerate()
            .map(|(at, step)| {
                Ok(instruction(
                    step.code,
                    step.operand,
                    resolve(at, step.then)?,
                    resolve(at, step.otherwise)?,
                ))
            })
            .collect()
    }

    fn equal(self, mask: u64, value: u64) -> Vec<Step> {
        let half = |half: Half, last: Goal| {
            let mut steps = vec![self.load(half)];
            if half.of(mask) != u32::MAX {
                steps.push(Step {
                    code: AND,
                    operand: half.of(mask),
                    then: Goal::Next,
                    otherwise: Goal::Next,
                });
            }
            steps.push(Step {
                code: JUMP_EQUAL,
                operand: half.of(value),
                then: last,
                otherwise: Goal::Fails,
            });
            steps
        };
        [half(Half::High, Goal::Next), half(Half::Low, Goal::Holds)].concat()
    }

    fn greater(self, value: u64, or_equal: bool) -> Vec<Step> {
        let low = if or_equal { JUMP_AT_LEAST } else { JUMP_GREATER };
        vec![
            self.load(Half::High),
            Step {
                code: JUMP_GREATER,
                operand: Half::High.of(value),
                then: Goal::Holds,
                otherwise: Goal::Next,
            },
            Step {
                code: JUMP_EQUAL,
                operand: Half::High.of(value),
                then: Goal::Next,
                otherwise: Goal::Fails,
            },
            self.load(Half::Low),
            Step {
                code: low,
                operand: Half::Low.of(value),
                then: Goal::Holds,
                otherwise: Goal::Fails,
            },
        ]
    }

    fn load(self, half: Half) -> Step {
        let offset = ARGUMENTS.saturating_add(self.index.saturating_mul(8)).saturating_add(half.offset());
        Step {
            code: LOAD,
            operand: offset,
            then: Goal::Next,
            otherwise: Goal::Next,
        }
    }
}

/// An instruction whose jumps are not yet numbers.
#[derive(Clone, Copy)]
struct Step {
    code: u16,
    operand: u32,
    then: Goal,
    otherwise: Goal,
}

#[derive(Clone, Copy)]
enum Goal {
    Next,
    Holds,
    Fails,
}

#[derive(Clone, Copy)]
enum Half {
    High,
    Low,
}

impl Half {
    /// Both architectures are little-endian.
    fn offset(self) -> u32 {
        match self {
            Self::High => 4,
            Self::Low => 0,
        }
    }

    fn of(self, value: u64) -> u32 {
        let [a, b, c, d, e, f, g, h] = value.to_be_bytes();
        match self {
            Self::High => u32::from_be_bytes([a, b, c, d]),
            Self::Low => u32::from_be_bytes([e, f, g, h]),
        }
    }
}
