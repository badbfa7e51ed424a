//! Who keeps a container to the devices that it may use: the rules on its cgroup; in a user namespace the kernel; and where there is no cgroup, the
//! nodes that it has, when it can make and mount no others.

use berth_cgroup::{Group, device};
use berth_wire::oci::{Capabilities, DeviceRule, Process, Resources, Spec};
use berth_wire::{Code, Failure};

/// Character devices that every container has, or gets from its terminal.
pub(crate) const STANDARD: [(u32, Option<u32>); 9] = [
    (1, Some(3)),
    (1, Some(5)),
    (1, Some(7)),
    (1, Some(8)),
    (1, Some(9)),
    (5, Some(0)),
    (5, Some(1)),
    (5, Some(2)),
    (136, None),
];
const HINT: &str = "Give this process a cgroup that it can write (in Docker: --privileged, or --cgroupns host with /sys/fs/cgroup mounted), or set BERTH_ISOLATION=userns-full (in the Action isolation: userns-full)";

/// What is to be applied to a container's groups. In a user namespace the kernel opens no device by a node that was made in it, and takes no rules.
pub(crate) fn applied(resources: Option<Resources>, user_namespace: bool) -> Option<Resources> {
    resources.map(|resources| Resources {
        devices: resources.devices.filter(|_| !user_namespace),
        ..resources
    })
}

/// Whether the nodes of its `/dev` are all that keeps a process to the devices that it may use.
///
/// # Errors
/// `NotPermitted` where they would not: for a rule that says more or less than a node, and for a process that can mount.
pub(crate) fn nodes_only(group: &Group, resources: Option<&Resources>, spec: &Spec, process: &Process) -> Result<bool, Failure> {
    let Some(rules) = resources.and_then(|resources| resources.devices.as_ref()) else {
        return Ok(false);
    };
    if group.holds_devices() || !device::limits(rules) {
        return Ok(false);
    }
    let refused = |message: String| {
        Failure::new(Code::NotPermitted, "limit devices", message)
            .subject("linux.resources.devices")
            .hint(HINT)
    };
    if let Some(rule) = rules.iter().find(|rule| rule.allow && !is_node(rule, spec)) {
        return Err(refused(format!(
            "no cgroup here holds a container to {}",
            serde_json::to_string(rule).unwrap_or_default()
        )));
    }
    if may_mount(process.capabilities.as_ref()) {
        return Err(refused(
            "no cgroup here keeps a container with CAP_SYS_ADMIN from devices".to_owned(),
        ));
    }
    Ok(true)
}

/// [`nodes_only`] of a process that joins a container: it is kept to devices in the way in which the container was started.
///
/// # Errors
/// `NotPermitted` where the container's rules do not reach the process, or its nodes would not keep it.
pub(crate) fn joined(started_so: bool, rules_held: bool, resources: Option<&Resources>, process: &Process) -> Result<bool, Failure> {
    let limited = resources
        .and_then(|resources| resources.devices.as_deref())
        .is_some_and(device::limits);
    let refused = |message: &str| {
        Failure::new(Code::NotPermitted, "join container", message)
            .subject("linux.resources.devices")
            .hint(HINT)
    };
    if started_so && may_mount(process.capabilities.as_ref()) {
        return Err(refused("no cgroup here keeps a process with CAP_SYS_ADMIN from devices"));
    }
    if limited && !started_so && !rules_held {
        return Err(refused("the cgroup that holds it to its devices cannot be reached from here"));
    }
    Ok(started_so)
}

/// Whether a rule allows just what a node in the container gives.
fn is_node(rule: &DeviceRule, spec: &Spec) -> bool {
    let access = rule.access.as_deref().filter(|access| !access.is_empty()).unwrap_or("rwm");
    let Some(major) = rule.major.filter(|_| access.contains('r') && access.contains('w')) else {
        return false;
    };
    let kind = rule.kind.as_deref().unwrap_or_default();
    let standard = kind == "c" && STANDARD.contains(&(major, rule.minor));
    standard
        || spec
            .linux
            .devices
            .iter()
            .any(|node| node.kind == kind && node.major == major && Some(node.minor) == rule.minor)
}

fn may_mount(capabilities: Option<&Capabilities>) -> bool {
    let is = |name: &String| matches!(name.as_str(), "CAP_SYS_ADMIN" | "SYS_ADMIN");
    capabilities.is_some_and(|sets| [&sets.bounding, &sets.permitted].into_iter().flatten().any(is))
}

/// What a container does without then, when its configuration gives it.
pub(crate) fn lost(process: &Process) -> Option<&'static str> {
    let makes = process
        .capabilities
        .as_ref()
        .is_some_and(|sets| sets.bounding.iter().any(|name| matches!(name.as_str(), "CAP_MKNOD" | "MKNOD")));
    makes.then_some("the container does without CAP_MKNOD: there is no cgroup here that keeps it from devices of this machine")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by a panic")]
    use super::*;
    use serde_json::json;

    fn spec(devices: &serde_json::Value) -> Spec {
        serde_json::from_value(json!({
            "ociVersion": "1.2.1",
            "process": {"user": {"uid": 0, "gid": 0}, "args": ["true"], "env": [], "cwd": "/"},
            "root": {"path": "rootfs"},
            "linux": {"namespaces": [], "devices": devices},
        }))
        .unwrap()
    }

    fn rule(value: serde_json::Value) -> DeviceRule {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_rule_is_a_node_when_it_allows_what_the_node_gives() {
        let fuse = spec(&json!([{"path": "/dev/fuse", "type": "c", "major": 10, "minor": 229}]));
        for (given, expected) in [
            (json!({"allow": true, "type": "c", "major": 1, "minor": 3, "access": "rwm"}), true),
            (json!({"allow": true, "type": "c", "major": 136, "access": "rwm"}), true),
            (json!({"allow": true, "type": "c", "major": 10, "minor": 229, "access": "rw"}), true),
            (json!({"allow": true, "type": "c", "major": 10, "minor": 229}), true),
            (json!({"allow": true, "type": "c", "major": 10, "minor": 229, "access": "r"}), false),
            (
                json!({"allow": true, "type": "b", "major": 10, "minor": 229, "access": "rw"}),
                false,
            ),
            (json!({"allow": true, "type": "c", "major": 10, "access": "rwm"}), false),
            (json!({"allow": true, "access": "rwm"}), false),
        ] {
            assert_eq!(is_node(&rule(given.clone()), &fuse), expected, "{given}");
        }
    }

    #[test]
    fn a_process_that_can_mount_is_not_kept_by_nodes() {
        let named = |name: &str| Capabilities {
            bounding: vec![name.to_owned()],
            ..Capabilities::default()
        };
        assert!(may_mount(Some(&named("CAP_SYS_ADMIN"))));
        assert!(!may_mount(Some(&named("CAP_MKNOD"))) && !may_mount(None));
    }

    #[test]
    fn who_joins_is_kept_to_devices_as_the_container_is() {
        let limited = Resources {
            devices: Some(vec![rule(json!({"allow": false, "access": "rwm"}))]),
            ..Resources::default()
        };
        let mut process = spec(&json!([])).process;
        assert!(joined(true, false, Some(&limited), &process).unwrap());
        assert!(!joined(false, true, Some(&limited), &process).unwrap());
        assert_eq!(joined(false, false, Some(&limited), &process).unwrap_err().code, Code::NotPermitted);
        assert!(!joined(false, false, None, &process).unwrap(), "without rules nothing is kept");
        process.capabilities = Some(Capabilities {
            bounding: vec!["CAP_SYS_ADMIN".to_owned()],
            ..Capabilities::default()
        });
        assert!(joined(true, true, Some(&limited), &process).is_err());
    }

    #[test]
    fn in_a_user_namespace_no_rules_are_applied() {
        let resources = Resources {
            devices: Some(Vec::new()),
            ..Resources::default()
        };
        assert!(applied(Some(resources.clone()), true).unwrap().devices.is_none());
        assert!(applied(Some(resources), false).unwrap().devices.is_some());
    }
}
