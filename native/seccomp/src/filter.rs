//! The whole filter: checks of the calling convention, then a search tree over call numbers whose leaves are answers.

use crate::action::{self, refused};
use crate::condition::{self, Condition, JUMP, JUMP_AT_LEAST, JUMP_EQUAL, LOAD, RETURN, instruction};
use crate::{Architecture, table};
use berth_sys::seccomp::Instruction;
use berth_wire::Failure;
use berth_wire::oci::Seccomp;
use std::collections::BTreeMap;

/// The most instructions that the kernel loads.
const MAX_INSTRUCTIONS: usize = 4096;
/// From here on x86_64 numbers are calls of the x32 convention.
const X32: u32 = 0x4000_0000;

/// A filter and the flags to load it with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compiled {
    pub instructions: Vec<Instruction>,
    pub log: bool,
}

/// What is answered to one call: conditions in their order, then the rest.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Answer {
    cases: Vec<(Vec<Condition>, u32)>,
    otherwise: u32,
}

/// Compiles a profile for an architecture.
///
/// # Errors
/// `Request` naming the action, comparison, flag or architecture that is unknown or not done.
pub fn compile(profile: &Seccomp, architecture: Architecture) -> Result<Compiled, Failure> {
    if !profile.architectures.is_empty() && !profile.architectures.iter().any(|name| name == architecture.name()) {
        return Err(refused(format!("the profile is not for this machine ({})", architecture.name())));
    }
    let log = flags(&profile.flags)?;
    let default = action::parse(&profile.default_action, profile.default_errno_ret)?;
    let answers = answers(profile, architecture, default)?;
    let mut instructions = prologue(architecture);
    instructions.extend(tree(&ranges(&answers, default))?);
    if instructions.len() > MAX_INSTRUCTIONS {
        return Err(refused(format!(
            "the filter has {} instructions, the kernel takes {MAX_INSTRUCTIONS}",
            instructions.len()
        )));
    }
    Ok(Compiled { instructions, log })
}

fn flags(names: &[String]) -> Result<bool, Failure> {
    names.iter().try_fold(false, |log, name| match name.as_str() {
        "SECCOMP_FILTER_FLAG_LOG" => Ok(true),
        // The filter is loaded by a program with one thread.
        "SECCOMP_FILTER_FLAG_TSYNC" => Ok(log),
        other => Err(refused(format!("this helper does not do the flag {other:?}"))),
    })
}

fn answers(profile: &Seccomp, architecture: Architecture, default: u32) -> Result<BTreeMap<u32, Answer>, Failure> {
    let mut answers: BTreeMap<u32, Answer> = BTreeMap::new();
    for rule in &profile.syscalls {
        let result = action::parse(&rule.action, rule.errno_ret)?;
        let alternatives = condition::alternatives(rule)?;
        for number in rule.names.iter().filter_map(|name| table::number(name, architecture)) {
            let answer = answers.entry(number).or_insert_with(|| Answer {
                cases: Vec::new(),
                otherwise: default,
            });
            for conditions in &alternatives {
                if conditions.is_empty() {
                    answer.otherwise = result;
                } else {
                    answer.cases.push((conditions.clone(), result));
                }
            }
        }
    }
    Ok(answers)
}

/// Refuses foreign conventions, and leaves the number of the call for the tree.
fn prologue(architecture: Architecture) -> Vec<Instruction> {
    let mut code = vec![
        instruction(LOAD, 4, 0, 0),
        instruction(JUMP_EQUAL, architecture.audit(), 1, 0),
        instruction(RETURN, action::KILL_PROCESS, 0, 0),
        instruction(LOAD, 0, 0, 0),
    ];
    if architecture == Architecture::X86_64 {
        code.push(instruction(JUMP_AT_LEAST, X32, 0, 1));
        code.push(instruction(RETURN, action::NO_SUCH_CALL, 0, 0));
    }
    code
}

/// Ranges of numbers with one answer, each given by its first number; together they hold every number.
fn ranges(answers: &BTreeMap<u32, Answer>, default: u32) -> Vec<(u32, Answer)> {
    let rest = Answer {
        cases: Vec::new(),
        otherwise: default,
    };
    let mut ranges = vec![(0, rest.clone())];
    for (number, answer) in answers {
        push(&mut ranges, *number, answer.clone());
        push(&mut ranges, number.saturating_add(1), rest.clone());
    }
    ranges
}

fn push(ranges: &mut Vec<(u32, Answer)>, first: u32, answer: Answer) {
    if ranges.last().is_some_and(|(start, _)| *start == first) {
        ranges.pop();
    }
    if ranges.last().is_none_or(|(_, last)| *last != answer) {
        ranges.push((first, answer));
    }
}

fn tree(ranges: &[(u32, Answer)]) -> Result<Vec<Instruction>, Failure> {
    let (left, right) = ranges.split_at(ranges.len() / 2);
    let Some((middle, _)) = right.first() else { return Ok(Vec::new()) };
    if left.is_empty() {
        return right.first().map_or_else(|| Ok(Vec::new()), |(_, answer)| leaf(answer));
    }
    let (left, right) = (tree(left)?, tree(right)?);
    let over = u32::try_from(left.len()).map_err(|_| refused("the filter is too long"))?;
    // A conditional jump reaches 255 instructions, an unconditional one all.
    let mut code = vec![instruction(JUMP_AT_LEAST, *middle, 0, 1), instruction(JUMP, over, 0, 0)];
    code.extend(left);
    code.extend(right);
    Ok(code)
}

fn leaf(answer: &Answer) -> Result<Vec<Instruction>, Failure> {
    let mut code = Vec::new();
    for (conditions, result) in &answer.cases {
        code.extend(case(conditions, *result)?);
    }
    code.push(instruction(RETURN, answer.otherwise, 0, 0));
    Ok(code)
}

/// Conditions one after the other, then the answer; a miss leads behind it. Built from the back, where the distance is known.
fn case(conditions: &[Condition], result: u32) -> Result<Vec<Instruction>, Failure> {
    let mut code = vec![instruction(RETURN, result, 0, 0)];
    for condition in conditions.iter().rev() {
        let miss = u8::try_from(code.len()).map_err(|_| refused("a rule is too long"))?;
        let mut front = condition.emit(miss)?;
        front.append(&mut code);
        code = front;
    }
    Ok(code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interpreter::{Call, run};
    use berth_wire::oci::{SyscallArgument, SyscallRule};

    const ALLOW: u32 = action::ALLOW;

    fn rule(names: &[&str], action: &str, errno: Option<u32>, args: Vec<SyscallArgument>) -> SyscallRule {
        SyscallRule {
            names: names.iter().map(|&name| name.to_owned()).collect(),
            action: action.to_owned(),
            errno_ret: errno,
            args,
        }
    }

    fn argument(index: u32, op: &str, value: u64, value_two: u64) -> SyscallArgument {
        SyscallArgument {
            index,
            value,
            value_two,
            op: op.to_owned(),
        }
    }

    fn profile(syscalls: Vec<SyscallRule>) -> Seccomp {
        Seccomp {
            default_action: "SCMP_ACT_ERRNO".into(),
            default_errno_ret: Some(38),
            architectures: vec![],
            flags: vec![],
            syscalls,
        }
    }

    fn compiled(syscalls: Vec<SyscallRule>) -> Vec<Instruction> {
        compile(&profile(syscalls), Architecture::X86_64).unwrap().instructions
    }

    fn call(name: &str, arguments: [u64; 6]) -> Call {
        Call {
            number: table::number(name, Architecture::X86_64).unwrap(),
            architecture: 0xc000_003e,
            arguments,
        }
    }

    #[test]
    fn answers_each_call_by_its_rule_and_the_rest_by_the_default() {
        let names = ["read", "write", "openat", "clone3", "listns"];
        let code = compiled(vec![
            rule(&names[..3], "SCMP_ACT_ALLOW", None, vec![]),
            rule(&names[3..4], "SCMP_ACT_ERRNO", Some(1), vec![]),
            rule(&["no_such_call"], "SCMP_ACT_KILL_PROCESS", None, vec![]),
        ]);
        for number in 0..600 {
            let expected = match number {
                0 | 1 | 257 => ALLOW,
                435 => 0x0005_0001,
                _ => 0x0005_0026,
            };
            assert_eq!(
                run(
                    &code,
                    &Call {
                        number,
                        architecture: 0xc000_003e,
                        arguments: [0; 6]
                    }
                ),
                expected,
                "call {number}"
            );
        }
    }

    #[test]
    fn foreign_conventions_never_reach_a_rule() {
        let code = compiled(vec![rule(&["read"], "SCMP_ACT_ALLOW", None, vec![])]);
        assert_eq!(
            run(
                &code,
                &Call {
                    number: 0,
                    architecture: 0x4000_0003,
                    arguments: [0; 6]
                }
            ),
            action::KILL_PROCESS
        );
        assert_eq!(
            run(
                &code,
                &Call {
                    number: X32,
                    architecture: 0xc000_003e,
                    arguments: [0; 6]
                }
            ),
            action::NO_SUCH_CALL
        );
        assert_eq!(
            run(
                &code,
                &Call {
                    number: u32::MAX,
                    architecture: 0xc000_003e,
                    arguments: [0; 6]
                }
            ),
            action::NO_SUCH_CALL
        );
    }

    #[test]
    fn every_comparison_is_exact_on_both_halves_of_an_argument() {
        let edges = [
            0,
            1,
            2,
            0xffff_fffe,
            0xffff_ffff,
            0x1_0000_0000,
            0x1_0000_0001,
            0x2_0000_0000,
            u64::MAX - 1,
            u64::MAX,
        ];
        type Holds = fn(u64, u64) -> bool;
        let comparisons: [(&str, Holds); 6] = [
            ("SCMP_CMP_EQ", |a, b| a == b),
            ("SCMP_CMP_NE", |a, b| a != b),
            ("SCMP_CMP_GT", |a, b| a > b),
            ("SCMP_CMP_GE", |a, b| a >= b),
            ("SCMP_CMP_LT", |a, b| a < b),
            ("SCMP_CMP_LE", |a, b| a <= b),
        ];
        for (name, holds) in comparisons {
            for value in edges {
                let code = compiled(vec![rule(&["ioctl"], "SCMP_ACT_ALLOW", None, vec![argument(1, name, value, 0)])]);
                for given in edges {
                    let allowed = run(&code, &call("ioctl", [7, given, 7, 7, 7, 7])) == ALLOW;
                    assert_eq!(allowed, holds(given, value), "{given:#x} {name} {value:#x}");
                }
            }
        }
    }

    #[test]
    fn a_mask_looks_at_its_bits_only() {
        let mask = 0x7e02_0000;
        let code = compiled(vec![rule(
            &["clone"],
            "SCMP_ACT_ALLOW",
            None,
            vec![argument(0, "SCMP_CMP_MASKED_EQ", mask, 0)],
        )]);
        assert_eq!(run(&code, &call("clone", [0x11, 0, 0, 0, 0, 0])), ALLOW);
        assert_ne!(run(&code, &call("clone", [0x1000_0011, 0, 0, 0, 0, 0])), ALLOW);
        assert_eq!(run(&code, &call("clone", [0xff00_0000_0000_0011, 0, 0, 0, 0, 0])), ALLOW);
    }

    #[test]
    fn conditions_on_different_arguments_must_all_hold_and_on_one_are_alternatives() {
        let both = vec![argument(0, "SCMP_CMP_EQ", 1, 0), argument(2, "SCMP_CMP_GT", 5, 0)];
        let code = compiled(vec![rule(&["socket"], "SCMP_ACT_ALLOW", None, both)]);
        assert_eq!(run(&code, &call("socket", [1, 0, 6, 0, 0, 0])), ALLOW);
        assert_ne!(run(&code, &call("socket", [1, 0, 5, 0, 0, 0])), ALLOW);
        assert_ne!(run(&code, &call("socket", [2, 0, 6, 0, 0, 0])), ALLOW);
        let either = vec![argument(0, "SCMP_CMP_EQ", 1, 0), argument(0, "SCMP_CMP_EQ", 2, 0)];
        let code = compiled(vec![rule(&["socket"], "SCMP_ACT_ALLOW", None, either)]);
        assert_eq!(
            [1, 2, 3].map(|family| run(&code, &call("socket", [family, 0, 0, 0, 0, 0])) == ALLOW),
            [true, true, false]
        );
    }

    #[test]
    fn the_first_condition_that_holds_answers_before_the_rule_without_one() {
        let code = compiled(vec![
            rule(&["personality"], "SCMP_ACT_ERRNO", Some(1), vec![argument(0, "SCMP_CMP_EQ", 8, 0)]),
            rule(&["personality"], "SCMP_ACT_ALLOW", None, vec![]),
        ]);
        assert_eq!(run(&code, &call("personality", [8, 0, 0, 0, 0, 0])), 0x0005_0001);
        assert_eq!(run(&code, &call("personality", [0, 0, 0, 0, 0, 0])), ALLOW);
    }

    #[test]
    fn what_is_not_done_is_refused_by_name() {
        let refusals = [
            (
                Seccomp {
                    default_action: "SCMP_ACT_NOTIFY".into(),
                    ..profile(vec![])
                },
                "SCMP_ACT_NOTIFY",
            ),
            (
                Seccomp {
                    flags: vec!["SECCOMP_FILTER_FLAG_SPEC_ALLOW".into()],
                    ..profile(vec![])
                },
                "SPEC_ALLOW",
            ),
            (
                Seccomp {
                    architectures: vec!["SCMP_ARCH_ARM".into()],
                    ..profile(vec![])
                },
                "SCMP_ARCH_X86_64",
            ),
            (
                Seccomp {
                    default_errno_ret: Some(5000),
                    ..profile(vec![])
                },
                "5000",
            ),
            (
                profile(vec![rule(
                    &["read"],
                    "SCMP_ACT_ALLOW",
                    None,
                    vec![argument(6, "SCMP_CMP_EQ", 0, 0)],
                )]),
                "6",
            ),
            (
                profile(vec![rule(&["read"], "SCMP_ACT_ALLOW", None, vec![argument(0, "SCMP_CMP_X", 0, 0)])]),
                "SCMP_CMP_X",
            ),
        ];
        for (profile, word) in refusals {
            let failure = compile(&profile, Architecture::X86_64).unwrap_err();
            assert!(failure.message.contains(word), "{}", failure.message);
        }
    }

    /// The same policy written for another compiler gives the same answer to every call.
    #[test]
    fn agrees_with_seccompiler() {
        use seccompiler::{
            BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule, TargetArch,
        };
        let at_least = SeccompCondition::new(2, SeccompCmpArgLen::Qword, SeccompCmpOp::Ge, 0x1_0000_0005).unwrap();
        let masked = SeccompCondition::new(0, SeccompCmpArgLen::Qword, SeccompCmpOp::MaskedEq(0xf0), 0x30).unwrap();
        let rules = [
            (0, vec![]),
            (257, vec![]),
            (16, vec![SeccompRule::new(vec![at_least]).unwrap()]),
            (41, vec![SeccompRule::new(vec![masked]).unwrap()]),
        ];
        let other: BpfProgram = SeccompFilter::new(
            rules.into_iter().collect(),
            SeccompAction::Errno(38),
            SeccompAction::Allow,
            TargetArch::x86_64,
        )
        .unwrap()
        .try_into()
        .unwrap();
        let other: Vec<Instruction> = other
            .iter()
            .map(|one| Instruction {
                code: one.code,
                if_true: one.jt,
                if_false: one.jf,
                operand: one.k,
            })
            .collect();
        let ours = compiled(vec![
            rule(&["read", "openat"], "SCMP_ACT_ALLOW", None, vec![]),
            rule(
                &["ioctl"],
                "SCMP_ACT_ALLOW",
                None,
                vec![argument(2, "SCMP_CMP_GE", 0x1_0000_0005, 0)],
            ),
            rule(
                &["socket"],
                "SCMP_ACT_ALLOW",
                None,
                vec![argument(0, "SCMP_CMP_MASKED_EQ", 0xf0, 0x30)],
            ),
        ]);
        for number in 0..470 {
            for value in [0, 0x30, 0x31, 0x40, 5, 0x1_0000_0004, 0x1_0000_0005, u64::MAX] {
                let call = Call {
                    number,
                    architecture: 0xc000_003e,
                    arguments: [value; 6],
                };
                assert_eq!(run(&ours, &call), run(&other, &call), "call {number} with {value:#x}");
            }
        }
    }
}
