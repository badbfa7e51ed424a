//! Resource limits of a process.

use crate::fail::{failed_on, refused};
use crate::plan::Confinement;
use crate::report::Reporter;
use berth_wire::Failure;
use berth_wire::oci::{Process, Rlimit};
use rustix::io::Errno;
use rustix::process::Resource;

const NAMES: &[(&str, Resource)] = &[
    ("RLIMIT_CPU", Resource::Cpu),
    ("RLIMIT_FSIZE", Resource::Fsize),
    ("RLIMIT_DATA", Resource::Data),
    ("RLIMIT_STACK", Resource::Stack),
    ("RLIMIT_CORE", Resource::Core),
    ("RLIMIT_RSS", Resource::Rss),
    ("RLIMIT_NPROC", Resource::Nproc),
    ("RLIMIT_NOFILE", Resource::Nofile),
    ("RLIMIT_MEMLOCK", Resource::Memlock),
    ("RLIMIT_AS", Resource::As),
    ("RLIMIT_LOCKS", Resource::Locks),
    ("RLIMIT_SIGPENDING", Resource::Sigpending),
    ("RLIMIT_MSGQUEUE", Resource::Msgqueue),
    ("RLIMIT_NICE", Resource::Nice),
    ("RLIMIT_RTPRIO", Resource::Rtprio),
    ("RLIMIT_RTTIME", Resource::Rttime),
];

/// Refuses unknown names and a soft limit above the hard one.
pub(crate) fn check(process: &Process) -> Result<(), Failure> {
    for limit in &process.rlimits {
        resource(limit)?;
        if limit.soft > limit.hard {
            return Err(refused(
                "process.rlimits",
                format!("{}: the soft limit is above the hard limit", limit.kind),
            ));
        }
    }
    Ok(())
}

/// Sets the limits. A hard limit that may not be raised is an error where the user asked for it, else it is clamped with a warning.
pub(crate) fn apply(confinement: &Confinement<'_>, reporter: &Reporter) -> Result<(), Failure> {
    for limit in &confinement.process.rlimits {
        let resource = resource(limit)?;
        let new = rustix::process::Rlimit {
            current: value(limit.soft),
            maximum: value(limit.hard),
        };
        match rustix::process::setrlimit(resource, new) {
            Ok(()) => {}
            Err(Errno::PERM) if !confinement.requested_rlimits.contains(&limit.kind) => clamp(limit, resource, reporter)?,
            Err(error) => {
                return Err(failed_on("setrlimit", &limit.kind)(error)
                    .hint("Lower the limit, or run the helper with CAP_SYS_RESOURCE: only that may raise a hard limit"));
            }
        }
    }
    Ok(())
}

fn clamp(limit: &Rlimit, resource: Resource, reporter: &Reporter) -> Result<(), Failure> {
    let held = rustix::process::getrlimit(resource).maximum;
    let soft = lower(value(limit.soft), held);
    let new = rustix::process::Rlimit {
        current: soft,
        maximum: held,
    };
    rustix::process::setrlimit(resource, new).map_err(failed_on("setrlimit", &limit.kind))?;
    let shown = |value: Option<u64>| value.map_or_else(|| "unlimited".to_owned(), |number| number.to_string());
    reporter.warn(format!(
        "{} stays at {}: the helper may not raise it to {}",
        limit.kind,
        shown(held),
        shown(value(limit.hard))
    ));
    Ok(())
}

fn lower(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (one, other) => one.or(other),
    }
}

/// The specification writes "unlimited" as the largest number; the largest that JavaScript can write exactly counts as well.
fn value(number: u64) -> Option<u64> {
    const MAX_SAFE_INTEGER: u64 = (1 << 53) - 1;
    (number < MAX_SAFE_INTEGER).then_some(number)
}

fn resource(limit: &Rlimit) -> Result<Resource, Failure> {
    let found = NAMES.iter().find(|(name, _)| *name == limit.kind).map(|(_, resource)| *resource);
    found.ok_or_else(|| refused("process.rlimits", format!("no limit is called {:?}", limit.kind)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unlimited_is_above_every_number() {
        assert_eq!(lower(None, Some(5)), Some(5));
        assert_eq!(lower(Some(3), Some(5)), Some(3));
        assert_eq!(lower(None, None), None);
    }

    #[test]
    fn refuses_a_soft_limit_above_the_hard_one() {
        let limit = Rlimit {
            kind: "RLIMIT_NOFILE".into(),
            soft: 2,
            hard: 1,
        };
        let process = Process {
            rlimits: vec![limit],
            ..Process::default()
        };
        assert!(check(&process).unwrap_err().message.contains("RLIMIT_NOFILE"));
    }
}
