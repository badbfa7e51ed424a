//! Capabilities by name, and the five sets of a process.

use crate::fail::{failed, refused};
use crate::report::Reporter;
use berth_wire::Failure;
use berth_wire::oci::{Capabilities, Process};
use rustix::io::Errno;
use rustix::thread::{CapabilitySet, CapabilitySets};

/// Names by number, from capability.h.
pub(crate) const NAMES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// The sets that a configuration asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) bounding: CapabilitySet,
    pub(crate) effective: CapabilitySet,
    pub(crate) permitted: CapabilitySet,
    pub(crate) inheritable: CapabilitySet,
    pub(crate) ambient: CapabilitySet,
}

impl Wanted {
    /// All sets without `one`.
    pub(crate) fn without(self, one: CapabilitySet) -> Self {
        Self {
            bounding: self.bounding.difference(one),
            effective: self.effective.difference(one),
            permitted: self.permitted.difference(one),
            inheritable: self.inheritable.difference(one),
            ambient: self.ambient.difference(one),
        }
    }
}

/// Refuses names that no kernel knows.
pub(crate) fn check(process: &Process) -> Result<(), Failure> {
    wanted(process.capabilities.as_ref()).map(drop)
}

/// The sets of a configuration; without one, none at all.
pub(crate) fn wanted(given: Option<&Capabilities>) -> Result<Wanted, Failure> {
    let none = Capabilities::default();
    let given = given.unwrap_or(&none);
    Ok(Wanted {
        bounding: parse("process.capabilities.bounding", &given.bounding)?,
        effective: parse("process.capabilities.effective", &given.effective)?,
        permitted: parse("process.capabilities.permitted", &given.permitted)?,
        inheritable: parse("process.capabilities.inheritable", &given.inheritable)?,
        ambient: parse("process.capabilities.ambient", &given.ambient)?,
    })
}

fn parse(field: &str, names: &[String]) -> Result<CapabilitySet, Failure> {
    names.iter().try_fold(CapabilitySet::empty(), |set, name| {
        let short = name.strip_prefix("CAP_").unwrap_or(name);
        let number = NAMES.iter().position(|known| *known == short);
        let number = number.ok_or_else(|| refused(field, format!("no capability is called {name:?}")))?;
        Ok(set | CapabilitySet::from_bits_retain(1_u64 << number))
    })
}

/// What of `wanted` can be given: the rest is a warning, since less is never weaker.
pub(crate) fn available(wanted: Wanted, reporter: &Reporter) -> Result<Wanted, Failure> {
    let held = rustix::thread::capabilities(None).map_err(failed("capget"))?.permitted;
    let missing: Vec<String> = (wanted.permitted | wanted.bounding)
        .difference(held)
        .iter()
        .map(|one| {
            NAMES
                .get(usize::try_from(one.bits().trailing_zeros()).unwrap_or(usize::MAX))
                .map_or_else(String::new, |name| format!("CAP_{name}"))
        })
        .collect();
    if !missing.is_empty() {
        reporter.warn(format!(
            "the container does without {}: the helper does not have it here",
            missing.join(", ")
        ));
    }
    let possible = wanted.permitted & wanted.inheritable;
    if !possible.contains(wanted.ambient) {
        reporter.warn("the ambient capabilities that are not both permitted and inheritable are left out");
    }
    Ok(Wanted {
        bounding: wanted.bounding & held,
        effective: wanted.effective & held,
        permitted: wanted.permitted & held,
        inheritable: wanted.inheritable & held,
        ambient: wanted.ambient & possible & held,
    })
}

/// Takes everything that is not in `wanted` out of the bounding set.
pub(crate) fn bound(wanted: &Wanted) -> Result<(), Failure> {
    for number in 0..64 {
        let one = CapabilitySet::from_bits_retain(1_u64 << number);
        if wanted.bounding.contains(one) {
            continue;
        }
        match rustix::thread::remove_capability_from_bounding_set(one) {
            Ok(()) => {}
            // The kernel knows no capability of this number, nor of a higher one.
            Err(Errno::INVAL) => break,
            Err(error) => return Err(failed("prctl PR_CAPBSET_DROP")(error)),
        }
    }
    Ok(())
}

/// Sets the three classic sets, with `extra` kept on top in effective and permitted.
pub(crate) fn set(wanted: &Wanted, extra: CapabilitySet) -> Result<(), Failure> {
    let sets = CapabilitySets {
        effective: wanted.effective | extra,
        permitted: wanted.permitted | extra,
        inheritable: wanted.inheritable,
    };
    rustix::thread::set_capabilities(None, sets).map_err(failed("capset"))
}

/// Sets the ambient set, which survives exec without set-id bits.
pub(crate) fn set_ambient(wanted: &Wanted) -> Result<(), Failure> {
    rustix::thread::clear_ambient_capability_set().map_err(failed("prctl PR_CAP_AMBIENT"))?;
    for one in wanted.ambient.iter() {
        rustix::thread::configure_capability_in_ambient_set(one, true).map_err(failed("prctl PR_CAP_AMBIENT"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_names_with_and_without_prefix() {
        let names = ["CAP_CHOWN".to_owned(), "KILL".to_owned()];
        assert_eq!(parse("x", &names).unwrap().bits(), 0b10_0001);
    }

    #[test]
    fn refuses_an_unknown_name_and_says_where() {
        let failure = parse("process.capabilities.bounding", &["CAP_NOPE".to_owned()]).unwrap_err();
        assert_eq!(failure.subject.as_deref(), Some("process.capabilities.bounding"));
        assert!(failure.message.contains("CAP_NOPE"));
    }

    #[test]
    fn what_is_taken_away_is_in_no_set() {
        let names = vec!["CAP_MKNOD".to_owned(), "CAP_KILL".to_owned()];
        let given = Capabilities {
            bounding: names.clone(),
            effective: names.clone(),
            permitted: names.clone(),
            inheritable: names.clone(),
            ambient: names,
        };
        let kill = vec!["CAP_KILL".to_owned()];
        let left = Capabilities {
            bounding: kill.clone(),
            effective: kill.clone(),
            permitted: kill.clone(),
            inheritable: kill.clone(),
            ambient: kill,
        };
        assert_eq!(
            wanted(Some(&given)).unwrap().without(CapabilitySet::MKNOD),
            wanted(Some(&left)).unwrap()
        );
    }

    #[test]
    fn without_a_list_nothing_is_given() {
        assert!(wanted(None).unwrap().bounding.is_empty());
    }
}
