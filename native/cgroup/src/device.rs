//! Which devices a container's processes may use: the device list of v1, a program of the kernel's virtual machine in v2.

use crate::fail::{failed, failed_on};
use crate::group::{Group, write};
use crate::layout::Layout;
use berth_sys::bpf;
use berth_wire::oci::DeviceRule;
use berth_wire::{Code, Failure};
use rustix::io::Errno;

/// The controller of v1.
const NAME: &str = "devices";
/// Every kind of access.
const ALL: u32 = bpf::READ | bpf::WRITE | bpf::MKNOD;

/// What a rule is about, checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Rule {
    allow: bool,
    /// `None`: both kinds.
    block: Option<bool>,
    major: Option<u32>,
    minor: Option<u32>,
    access: u32,
}

impl Rule {
    /// Whether it decides every access.
    fn is_about_all(&self) -> bool {
        self.block.is_none() && self.major.is_none() && self.minor.is_none() && self.access == ALL
    }
}

/// Applies `rules`. Without any hierarchy that can, there is nothing to apply them to: [`held`] says so, and the caller decides what then.
///
/// # Errors
/// For a malformed rule, and where a hierarchy that can do it refuses one.
pub(crate) fn apply(group: &Group, rules: &[DeviceRule]) -> Result<(), Failure> {
    let parsed = rules.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
    if let Some(member) = group.members.iter().find(|member| !member.v2 && member.controls(NAME)) {
        for rule in &parsed {
            let file = if rule.allow { "devices.allow" } else { "devices.deny" };
            write(&member.directory, file, &text(rule)).map_err(failed_on("limit devices", &member.path))?;
        }
        return Ok(());
    }
    match group.members.iter().find(|member| member.v2) {
        // A group of v2 keeps nobody from anything until a program says so.
        Some(member) if limits(rules) => bpf::attach_device_program(&member.directory, &program(&parsed)).map_err(refusal),
        _ => Ok(()),
    }
}

/// Whether a group of these keeps its processes to the devices of the rules that were applied.
pub(crate) fn held(group: &Group) -> bool {
    group.members.iter().any(|member| member.v2 || member.controls(NAME))
}

/// Whether `rules` keep anything from anybody: the last one that is about every device outdoes all before it.
#[must_use]
pub fn limits(rules: &[DeviceRule]) -> bool {
    for rule in rules.iter().rev() {
        match parse(rule) {
            Ok(rule) if rule.allow && rule.is_about_all() => return false,
            Ok(rule) if rule.allow => {}
            _ => return true,
        }
    }
    true
}

/// Whether the groups of this machine can keep a container to its devices, tried: `Ok(false)` where no hierarchy takes one.
///
/// # Errors
/// Where groups of v2 can be made, and the kernel takes no program for them.
pub fn rehearse(layout: &Layout) -> Result<bool, Failure> {
    let mut writable = layout.hierarchies.iter().filter(|one| one.is_writable());
    if writable
        .clone()
        .any(|one| !one.v2 && one.controllers.iter().any(|name| name == NAME))
    {
        return Ok(true);
    }
    if !writable.any(|one| one.v2) {
        return Ok(false);
    }
    bpf::load_device_program(&program(&[])).map(|_| true).map_err(refusal)
}

fn refusal(error: Errno) -> Failure {
    let failure = failed("limit devices")(error);
    let message = format!("the kernel takes no device program for a cgroup ({})", failure.message);
    let hint = match error {
        Errno::PERM | Errno::ACCESS => {
            "Let the helper call bpf: give CAP_SYS_ADMIN or CAP_BPF, and a seccomp profile that allows bpf; or set BERTH_ISOLATION=userns-full (in the Action isolation: userns-full), or run with --privileged"
        }
        _ => {
            "Use a kernel with CONFIG_CGROUP_BPF, and let bpf through the filter around this process; or set BERTH_ISOLATION=userns-full (in the Action isolation: userns-full), or run with --privileged"
        }
    };
    let code = if error == Errno::INVAL { Code::Unsupported } else { failure.code };
    Failure { code, message, ..failure }.subject("linux.resources.devices").hint(hint)
}

fn parse(rule: &DeviceRule) -> Result<Rule, Failure> {
    let refused = |what: String| Failure::new(Code::Request, "limit devices", what).subject("linux.resources.devices");
    let block = match rule.kind.as_deref() {
        None | Some("" | "a") => None,
        Some("b") => Some(true),
        Some("c" | "u") => Some(false),
        Some(other) => return Err(refused(format!("{other:?} is no kind of device"))),
    };
    let mut access = 0;
    for letter in rule.access.as_deref().filter(|access| !access.is_empty()).unwrap_or("rwm").chars() {
        access |= match letter {
            'm' => bpf::MKNOD,
            'r' => bpf::READ,
            'w' => bpf::WRITE,
            other => return Err(refused(format!("{other:?} is no kind of access"))),
        };
    }
    Ok(Rule {
        allow: rule.allow,
        block,
        major: rule.major,
        minor: rule.minor,
        access,
    })
}

/// `c 1:3 rwm`, as v1 reads it.
fn text(rule: &Rule) -> String {
    let number = |number: Option<u32>| number.map_or_else(|| "*".to_owned(), |number| number.to_string());
    let letters: String = [(bpf::READ, 'r'), (bpf::WRITE, 'w'), (bpf::MKNOD, 'm')]
        .iter()
        .filter(|(bit, _)| rule.access & bit != 0)
        .map(|(_, letter)| *letter)
        .collect();
    match rule.block {
        // v1 takes "all kinds" for everything at once alone.
        None => "a".to_owned(),
        Some(block) => format!(
            "{} {}:{} {letters}",
            if block { 'b' } else { 'c' },
            number(rule.major),
            number(rule.minor)
        ),
    }
}

/// The last rule that fits an access decides it, so the program tries the rules from the last to the first. An allowing rule fits when it covers all
/// that is asked for, a refusing one when it covers any of it.
fn program(rules: &[Rule]) -> Vec<bpf::Instruction> {
    use bpf::Instruction as I;
    let mut code = vec![
        // r2 = kind, r3 = access, r4 = major, r5 = minor; r1 is the context.
        I::load(2, 1, 0),
        I::and(2, 0xffff),
        I::load(3, 1, 0),
        I::shift_right(3, 16),
        I::load(4, 1, 4),
        I::load(5, 1, 8),
    ];
    for rule in rules.iter().rev() {
        code.extend(block(rule));
        // Nothing gets past it, and the kernel takes no program with instructions that are never reached.
        if rule.is_about_all() {
            return code;
        }
    }
    code.extend([I::set(0, 0), I::exit()]);
    code
}

fn block(rule: &Rule) -> Vec<bpf::Instruction> {
    use bpf::Instruction as I;
    // Each test jumps over the rest of the block when the rule does not fit; the distances are filled in at the end.
    let mut code = Vec::new();
    if let Some(block) = rule.block {
        code.push(I::jump_unless_equal(2, if block { bpf::BLOCK } else { bpf::CHARACTER }));
    }
    if let Some(major) = rule.major {
        code.push(I::jump_unless_equal(4, major));
    }
    if let Some(minor) = rule.minor {
        code.push(I::jump_unless_equal(5, minor));
    }
    if rule.access != ALL {
        code.push(I::copy(6, 3));
        if rule.allow {
            code.extend([I::and(6, !rule.access & ALL), I::jump_unless_equal(6, 0)]);
        } else {
            code.extend([I::and(6, rule.access), I::jump_if_equal(6, 0)]);
        }
    }
    code.extend([I::set(0, u32::from(rule.allow)), I::exit()]);
    let length = code.len();
    for (at, instruction) in code.iter_mut().enumerate() {
        instruction.aim(length.saturating_sub(at).saturating_sub(1));
    }
    code
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(allow: bool, kind: &str, numbers: (Option<u32>, Option<u32>), access: &str) -> DeviceRule {
        DeviceRule {
            allow,
            kind: Some(kind.to_owned()),
            major: numbers.0,
            minor: numbers.1,
            access: Some(access.to_owned()),
        }
    }

    #[test]
    fn writes_rules_as_v1_reads_them() {
        let texts = |given: DeviceRule| text(&parse(&given).unwrap());
        assert_eq!(texts(rule(false, "a", (None, None), "rwm")), "a");
        assert_eq!(texts(rule(true, "c", (Some(1), Some(3)), "rwm")), "c 1:3 rwm");
        assert_eq!(texts(rule(true, "b", (Some(8), None), "r")), "b 8:* r");
        assert!(parse(&rule(true, "x", (None, None), "r")).is_err());
        assert!(parse(&rule(true, "c", (None, None), "q")).is_err());
    }

    #[test]
    fn the_kernel_takes_the_program_of_any_rules() {
        let nothing = rule(false, "a", (None, None), "rwm");
        let null = rule(true, "c", (Some(1), Some(3)), "rwm");
        let terminals = rule(true, "c", (Some(136), None), "rw");
        let reading = rule(false, "b", (None, None), "r");
        let lists = [
            vec![],
            vec![nothing.clone()],
            vec![nothing.clone(), null.clone(), terminals.clone(), reading.clone()],
            vec![null.clone(), nothing, terminals],
            vec![rule(true, "a", (None, None), "rwm"), reading, null],
        ];
        for list in lists {
            let rules: Vec<Rule> = list.iter().map(|one| parse(one).unwrap()).collect();
            match bpf::load_device_program(&program(&rules)) {
                // Not as root, or a kernel without.
                Ok(_) | Err(Errno::PERM | Errno::NOSYS) => {}
                Err(error) => panic!("{error}: {list:?}"),
            }
        }
    }

    #[test]
    fn rules_that_end_in_everything_limit_nothing() {
        let everything = rule(true, "a", (None, None), "rwm");
        let nothing = rule(false, "a", (None, None), "rwm");
        let null = rule(true, "c", (Some(1), Some(3)), "rwm");
        assert!(limits(&[]), "without a rule nothing is allowed");
        assert!(limits(&[everything.clone(), nothing.clone(), null.clone()]));
        assert!(limits(&[nothing.clone(), rule(true, "a", (None, None), "r")]));
        assert!(limits(&[everything.clone(), rule(false, "c", (Some(1), Some(3)), "w")]));
        assert!(!limits(&[nothing, null.clone(), everything, null]));
    }

    #[test]
    fn what_the_kernel_refuses_says_what_to_do() {
        for (error, code, word) in [
            (Errno::NOSYS, Code::Unsupported, "filter"),
            (Errno::INVAL, Code::Unsupported, "CONFIG_CGROUP_BPF"),
            (Errno::PERM, Code::NotPermitted, "CAP_BPF"),
        ] {
            let failure = refusal(error);
            assert_eq!(failure.code, code);
            assert!(failure.hint.is_some_and(|hint| hint.contains(word)), "{error}");
        }
    }

    /// Runs the program as the kernel would.
    fn decide(rules: &[DeviceRule], (kind, access, major, minor): (u32, u32, u32, u32)) -> u64 {
        let rules: Vec<Rule> = rules.iter().map(|one| parse(one).unwrap()).collect();
        bpf::interpret(&program(&rules), [kind | access << 16, major, minor])
    }

    #[test]
    fn the_last_rule_that_fits_decides() {
        let rules = [
            rule(false, "a", (None, None), "rwm"),
            rule(true, "c", (Some(1), Some(3)), "rwm"),
            rule(true, "c", (Some(136), None), "rw"),
            rule(true, "b", (Some(8), Some(0)), "r"),
            rule(false, "c", (Some(136), Some(7)), "w"),
        ];
        let (c, b) = (bpf::CHARACTER, bpf::BLOCK);
        let (r, w, m) = (bpf::READ, bpf::WRITE, bpf::MKNOD);
        assert_eq!(decide(&rules, (c, r | w, 1, 3)), 1);
        assert_eq!(decide(&rules, (b, r | w, 1, 3)), 0);
        assert_eq!(decide(&rules, (c, r | w, 136, 2)), 1);
        assert_eq!(decide(&rules, (c, m, 136, 2)), 0);
        assert_eq!(decide(&rules, (b, r, 8, 0)), 1);
        assert_eq!(decide(&rules, (b, r | w, 8, 0)), 0);
        assert_eq!(decide(&rules, (c, r | w, 136, 7)), 0);
        assert_eq!(decide(&rules, (c, r, 136, 7)), 1);
        assert_eq!(decide(&rules, (c, r, 10, 229)), 0);
    }
}
