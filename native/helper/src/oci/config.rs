//! `config.json` of a bundle, checked whole before the first privileged call: what the specification has and this runtime does not do is refused
//! by its path in the file.

use crate::cmd::start::filter;
use crate::fail::{escape, failed_on};
use crate::oci::hooks::Hooks;
use crate::run::devices;
use berth_jail::features;
use berth_jail::plan::{self, Filter};
use berth_sys::process::Namespaces;
use berth_wire::oci::{DeviceRule, Resources, Spec};
use berth_wire::{Code, Failure};
use rustix::fs::{CWD, Mode, OFlags};
use serde::Deserialize;
use serde_json::{Value, json};

/// The largest configuration in bytes.
const MAX_CONFIG: usize = 8 * 1024 * 1024;
/// Fields of the specification that are not done; `[]` is every item of a list.
const REFUSED: [&str; 34] = [
    "solaris",
    "windows",
    "vm",
    "zos",
    "freebsd",
    "process.commandLine",
    "process.scheduler",
    "process.ioPriority",
    "process.execCPUAffinity",
    "process.apparmorProfile",
    "process.selinuxLabel",
    "linux.mountLabel",
    "linux.intelRdt",
    "linux.personality",
    "linux.timeOffsets",
    "linux.netDevices",
    "linux.memoryPolicy",
    "linux.seccomp.listenerPath",
    "linux.seccomp.listenerMetadata",
    "linux.resources.blockIO.leafWeight",
    "linux.resources.blockIO.weightDevice[].leafWeight",
    "linux.resources.network",
    "linux.resources.hugepageLimits",
    "linux.resources.rdma",
    "linux.resources.unified",
    "linux.resources.memory.kernel",
    "linux.resources.memory.kernelTCP",
    "linux.resources.memory.checkBeforeUpdate",
    "linux.resources.cpu.burst",
    "linux.resources.cpu.realtimeRuntime",
    "linux.resources.cpu.realtimePeriod",
    "linux.resources.cpu.idle",
    "mounts[].uidMappings",
    "mounts[].gidMappings",
];
/// A range of ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Mapping {
    #[serde(rename = "containerID")]
    pub(crate) container: u32,
    #[serde(rename = "hostID")]
    pub(crate) host: u32,
    pub(crate) size: u32,
}

/// Those of users and of groups.
pub(crate) type Ids = (Vec<Mapping>, Vec<Mapping>);

/// What the runtime command line reads beside what every container has.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Rest {
    domainname: Option<String>,
    hooks: Hooks,
    linux: RestOfLinux,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct RestOfLinux {
    uid_mappings: Vec<Mapping>,
    gid_mappings: Vec<Mapping>,
}

/// A configuration that can be carried out.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) spec: Spec,
    /// The file's own text, for later commands.
    pub(crate) text: Vec<u8>,
    /// Absolute path of the root file system.
    pub(crate) rootfs: String,
    pub(crate) domain_name: Option<String>,
    pub(crate) hooks: Hooks,
    /// All kinds of namespaces that the container has to itself, made or joined; without the user namespace.
    pub(crate) kinds: Namespaces,
    /// Kinds that are there already, by the path of their file.
    pub(crate) joined: Vec<(Namespaces, String)>,
    /// A user namespace is made, with these ids.
    pub(crate) user: Option<Ids>,
    pub(crate) filter: Option<Filter>,
    /// Without a process a container can be made, and not started.
    pub(crate) has_process: bool,
    /// What is left out.
    pub(crate) warnings: Vec<String>,
}

impl Config {
    /// Reads and checks `config.json` of the bundle at the absolute path `bundle`.
    ///
    /// # Errors
    /// `NotFound`, or `Request` naming the field.
    pub(crate) fn load(bundle: &str) -> Result<Self, Failure> {
        Self::read(&read_file(&format!("{bundle}/config.json"))?, bundle)
    }

    /// The same of its text.
    pub(crate) fn read(text: &[u8], bundle: &str) -> Result<Self, Failure> {
        let mut value: Value = serde_json::from_slice(text).map_err(|error| malformed(&error))?;
        without_nulls(&mut value);
        refuse(&value)?;
        without_zeroes(&mut value);
        let has_process = value.get("process").is_some();
        if let Some(map) = value.as_object_mut().filter(|_| !has_process) {
            // It is never run: what is made is all but its process.
            map.insert("process".to_owned(), json!({"args": ["none"], "cwd": "/"}));
        }
        let warnings = without_unknown_capabilities(value.get_mut("process"));
        let rest: Rest = serde_json::from_value(value.clone()).map_err(|error| malformed(&error))?;
        let mut spec: Spec = serde_json::from_value(value).map_err(|error| malformed(&error))?;
        check_version(&spec.oci_version)?;
        let joined = take_paths(&mut spec)?;
        let user = user_namespace(&spec, &joined, rest.linux)?;
        let kinds = kinds(&spec, user.is_some() || joined.iter().any(|(kind, _)| *kind == Namespaces::USER))?;
        let rootfs = absolute(bundle, &spec.root.path, "root.path")?;
        for mount in spec.mounts.iter_mut().filter(|mount| is_bind(mount)) {
            if let Some(source) = mount.source.as_mut() {
                *source = absolute(bundle, source, "mounts.source")?;
            }
        }
        if rest.domainname.is_some() && !kinds.has(Namespaces::UTS) {
            return Err(refused("domainname", "a domain name needs a uts namespace"));
        }
        rest.hooks.check()?;
        check_cgroup(spec.linux.cgroups_path.as_deref())?;
        if let Some(resources) = &mut spec.linux.resources {
            allow_standard(resources);
        }
        Ok(Self {
            filter: filter(spec.linux.seccomp.as_ref())?,
            text: text.to_vec(),
            rootfs,
            domain_name: rest.domainname,
            hooks: rest.hooks,
            kinds,
            joined,
            user,
            spec,
            has_process,
            warnings,
        })
    }

    /// Whether the processes live in a user namespace of the configuration.
    pub(crate) fn has_user_namespace(&self) -> bool {
        self.user.is_some() || self.joined.iter().any(|(kind, _)| *kind == Namespaces::USER)
    }

    /// Kinds that are made for the container.
    pub(crate) fn made(&self) -> Namespaces {
        self.joined.iter().fold(self.kinds, |kinds, (kind, _)| kinds.without(*kind))
    }
}

/// A file of a bundle, bounded.
pub(crate) fn read_file(path: &str) -> Result<Vec<u8>, Failure> {
    let file =
        rustix::fs::openat(CWD, path, OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOCTTY, Mode::empty()).map_err(failed_on("open", path))?;
    let mut text = vec![0; MAX_CONFIG.saturating_add(1)];
    let length = berth_sys::file::read_full(&file, &mut text).map_err(failed_on("read", path))?;
    if length > MAX_CONFIG {
        return Err(Failure::new(
            Code::Invalid,
            "read configuration",
            format!("the file is over the limit of {MAX_CONFIG} bytes"),
        )
        .subject(path));
    }
    text.truncate(length);
    Ok(text)
}

pub(crate) fn malformed(error: &serde_json::Error) -> Failure {
    Failure::new(Code::Request, "read configuration", error.to_string()).subject("config.json")
}

pub(crate) fn refused(field: &str, message: impl Into<String>) -> Failure {
    Failure::new(Code::Request, "read configuration", message).subject(escape(field))
}

/// Go writes empty lists and absent objects as null.
pub(crate) fn without_nulls(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, value| !value.is_null());
            map.values_mut().for_each(without_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(without_nulls),
        _ => {}
    }
}

/// Refuses the first field that says something and that is not done.
pub(crate) fn refuse(value: &Value) -> Result<(), Failure> {
    REFUSED.iter().try_for_each(|path| match find(value, path) {
        Some(_) => Err(refused(path, "this runtime does not do it").hint(hint(path))),
        None => Ok(()),
    })
}

fn hint(path: &str) -> &'static str {
    match path {
        "process.apparmorProfile" => "Leave it out: podman and docker do with --security-opt apparmor=unconfined",
        "process.selinuxLabel" | "linux.mountLabel" => "Leave it out: podman and docker do with --security-opt label=disable",
        _ => "Leave it out, or use another runtime for this container",
    }
}

/// What stands at `path`, when it says something.
fn find<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    let Some((head, tail)) = path.split_once('.') else {
        return value.get(path).filter(|value| says_something(value));
    };
    match head.strip_suffix("[]") {
        Some(list) => value.get(list)?.as_array()?.iter().find_map(|item| find(item, tail)),
        None => find(value.get(head)?, tail),
    }
}

fn says_something(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(is) => *is,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => items.iter().any(says_something),
        Value::Object(map) => map.values().any(says_something),
    }
}

/// Takes names of capabilities out that are none to this runtime, as one that is newer than it; gives a warning for each.
pub(crate) fn without_unknown_capabilities(process: Option<&mut Value>) -> Vec<String> {
    let known = features::capabilities();
    let is_known = |name: &str| known.contains(&format!("CAP_{}", name.strip_prefix("CAP_").unwrap_or(name)));
    let mut unknown: Vec<String> = Vec::new();
    let sets = process.and_then(|process| process.get_mut("capabilities")?.as_object_mut());
    for names in sets.into_iter().flat_map(|sets| sets.values_mut()).filter_map(Value::as_array_mut) {
        names.retain(|name| match name.as_str() {
            Some(text) if !is_known(text) => {
                unknown.push(text.to_owned());
                false
            }
            _ => true,
        });
    }
    unknown.sort();
    unknown.dedup();
    let warning = |name: &String| format!("capability {:?} is left out: this runtime does not know it", escape(name));
    unknown.iter().map(warning).collect()
}

/// A limit of 0 is none, for runc and for those who write for it.
pub(crate) fn without_zeroes(value: &mut Value) {
    for (object, field) in [
        ("pids", "limit"),
        ("memory", "limit"),
        ("memory", "swap"),
        ("memory", "reservation"),
        ("blockIO", "weight"),
    ] {
        let Some(Value::Object(map)) = value.pointer_mut(&format!("/linux/resources/{object}")) else {
            continue;
        };
        if map.get(field).is_some_and(|number| number.as_i64() == Some(0)) {
            map.remove(field);
        }
    }
    // Pids has nothing but its limit.
    if let Some(Value::Object(resources)) = value.pointer_mut("/linux/resources")
        && resources.get("pids").is_some_and(|pids| pids.get("limit").is_none())
    {
        resources.remove("pids");
    }
}

fn check_version(version: &str) -> Result<(), Failure> {
    let known = version.split('.').count() >= 3 && version.starts_with("1.");
    if known {
        return Ok(());
    }
    let message = format!(
        "version {version:?} is not one of this runtime, which knows 1.0.0 to {}",
        super::OCI_VERSION
    );
    Err(refused("ociVersion", message))
}

/// Takes the paths of namespaces that are joined out of the specification.
fn take_paths(spec: &mut Spec) -> Result<Vec<(Namespaces, String)>, Failure> {
    let mut joined = Vec::new();
    let mut seen: Vec<String> = Vec::new();
    for namespace in &mut spec.linux.namespaces {
        if seen.contains(&namespace.kind) {
            return Err(refused(
                "linux.namespaces",
                format!("namespace {:?} is there twice", namespace.kind),
            ));
        }
        seen.push(namespace.kind.clone());
        let Some(path) = namespace.path.take().filter(|path| !path.is_empty()) else {
            continue;
        };
        let kind = kind(&namespace.kind)?;
        if !path.starts_with('/') {
            return Err(refused("linux.namespaces.path", format!("{path:?} is not an absolute path")));
        }
        if kind == Namespaces::MOUNT {
            return Err(refused("linux.namespaces.path", "this runtime does not join a mount namespace"));
        }
        joined.push((kind, path));
    }
    Ok(joined)
}

fn kind(name: &str) -> Result<Namespaces, Failure> {
    Ok(match name {
        "mount" => Namespaces::MOUNT,
        "pid" => Namespaces::PID,
        "ipc" => Namespaces::IPC,
        "uts" => Namespaces::UTS,
        "cgroup" => Namespaces::CGROUP,
        "network" => Namespaces::NETWORK,
        "user" => Namespaces::USER,
        other => {
            return Err(refused(
                "linux.namespaces.type",
                format!("this runtime does not do namespace {other:?}"),
            ));
        }
    })
}

fn kinds(spec: &Spec, user: bool) -> Result<Namespaces, Failure> {
    for namespace in &spec.linux.namespaces {
        kind(&namespace.kind)?;
    }
    let network = spec.linux.namespaces.iter().any(|namespace| namespace.kind == "network");
    plan::check(spec, user, network)
}

fn user_namespace(spec: &Spec, joined: &[(Namespaces, String)], maps: RestOfLinux) -> Result<Option<Ids>, Failure> {
    let RestOfLinux {
        uid_mappings,
        gid_mappings,
    } = maps;
    let wanted = spec.linux.namespaces.iter().any(|namespace| namespace.kind == "user");
    let made = wanted && !joined.iter().any(|(kind, _)| *kind == Namespaces::USER);
    let empty = uid_mappings.is_empty() || gid_mappings.is_empty();
    match (made, empty) {
        (true, true) => Err(refused(
            "linux.uidMappings",
            "a user namespace needs linux.uidMappings and linux.gidMappings",
        )),
        (true, false) => Ok(Some((uid_mappings, gid_mappings))),
        // Of a namespace that is joined they only say what is so already.
        (false, _) if wanted => Ok(None),
        (false, _) if uid_mappings.is_empty() && gid_mappings.is_empty() => Ok(None),
        (false, _) => Err(refused("linux.uidMappings", "a mapping of ids needs a user namespace")),
    }
}

fn check_cgroup(path: Option<&str>) -> Result<(), Failure> {
    match path {
        Some(path) if path.contains(':') => Err(refused(
            "linux.cgroupsPath",
            "it is a name of systemd, which this runtime does not ask for groups",
        )
        .hint("Let the caller manage cgroups itself: podman --cgroup-manager=cgroupfs")),
        _ => Ok(()),
    }
}

/// A path as the bundle means it.
fn absolute(bundle: &str, path: &str, field: &str) -> Result<String, Failure> {
    if path.is_empty() || path.contains('\0') {
        return Err(refused(field, "the path is empty, or holds a NUL"));
    }
    Ok(if path.starts_with('/') {
        path.to_owned()
    } else {
        format!("{bundle}/{path}")
    })
}

fn is_bind(mount: &berth_wire::oci::Mount) -> bool {
    mount.kind.as_deref() == Some("bind") || mount.options.iter().any(|option| option == "bind" || option == "rbind")
}

/// The devices that every container has are usable whatever the rules say, and any node may be made.
fn allow_standard(resources: &mut Resources) {
    let Some(rules) = &mut resources.devices else { return };
    let rule = |kind: &str, (major, minor): (Option<u32>, Option<u32>), access: &str| DeviceRule {
        allow: true,
        kind: Some(kind.to_owned()),
        major,
        minor,
        access: Some(access.to_owned()),
    };
    if !berth_cgroup::device::limits(rules) {
        return;
    }
    rules.extend(["c", "b"].map(|kind| rule(kind, (None, None), "m")));
    rules.extend(devices::STANDARD.map(|(major, minor)| rule("c", (Some(major), minor), "rwm")));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Value {
        json!({
            "ociVersion": "1.0.2",
            "process": {"args": ["true"], "cwd": "/", "user": {"uid": 0, "gid": 0}, "env": null},
            "root": {"path": "rootfs"},
            "linux": {"namespaces": [{"type": "mount"}, {"type": "pid"}]},
        })
    }

    fn read(value: &Value) -> Result<Config, Failure> {
        Config::read(&serde_json::to_vec(value).unwrap(), "/b")
    }

    fn with(pointer: &str, field: &str, value: Value) -> Value {
        let mut config = config();
        config.pointer_mut(pointer).unwrap()[field] = value;
        config
    }

    #[test]
    fn paths_are_those_of_the_bundle() {
        let value = with(
            "",
            "mounts",
            json!([{"destination": "/data", "source": "data", "options": ["rbind"]}]),
        );
        let config = read(&value).unwrap();
        assert_eq!(config.rootfs, "/b/rootfs");
        assert_eq!(config.spec.mounts[0].source.as_deref(), Some("/b/data"));
        assert_eq!(read(&with("/root", "path", json!("/other"))).unwrap().rootfs, "/other");
    }

    #[test]
    fn what_is_not_done_is_refused_by_its_path() {
        for (pointer, field, value, path) in [
            (
                "/process",
                "ioPriority",
                json!({"class": "IOPRIO_CLASS_IDLE"}),
                "process.ioPriority",
            ),
            ("/process", "apparmorProfile", json!("docker-default"), "process.apparmorProfile"),
            ("/linux", "intelRdt", json!({"closID": "x"}), "linux.intelRdt"),
            (
                "/linux",
                "resources",
                json!({"blockIO": {"leafWeight": 10}}),
                "linux.resources.blockIO.leafWeight",
            ),
            (
                "/linux",
                "resources",
                json!({"memory": {"kernel": 5}}),
                "linux.resources.memory.kernel",
            ),
            ("/linux", "timeOffsets", json!({"monotonic": {"secs": 1}}), "linux.timeOffsets"),
            (
                "",
                "mounts",
                json!([{"destination": "/x", "uidMappings": [{"size": 1}]}]),
                "mounts[].uidMappings",
            ),
            ("", "ociVersion", json!("2.0.0"), "ociVersion"),
            ("", "domainname", json!("x"), "domainname"),
            ("/linux", "cgroupsPath", json!("a.slice:b:c"), "linux.cgroupsPath"),
            (
                "/linux",
                "uidMappings",
                json!([{"containerID": 0, "hostID": 1, "size": 1}]),
                "linux.uidMappings",
            ),
            (
                "/linux",
                "namespaces",
                json!([{"type": "mount"}, {"type": "mount"}]),
                "linux.namespaces",
            ),
            (
                "/linux",
                "namespaces",
                json!([{"type": "mount", "path": "/x"}]),
                "linux.namespaces.path",
            ),
            (
                "/linux",
                "namespaces",
                json!([{"type": "mount"}, {"type": "pid", "path": "x"}]),
                "linux.namespaces.path",
            ),
            (
                "/linux",
                "namespaces",
                json!([{"type": "mount"}, {"type": "time"}]),
                "linux.namespaces.type",
            ),
            (
                "/linux",
                "namespaces",
                json!([{"type": "mount"}, {"type": "user"}]),
                "linux.uidMappings",
            ),
        ] {
            let failure = read(&with(pointer, field, value)).unwrap_err();
            assert_eq!(failure.subject.as_deref(), Some(path), "{failure}");
        }
    }

    #[test]
    fn what_says_nothing_is_no_reason_to_refuse() {
        let resources = json!({"blockIO": {"weight": 0}, "memory": {"limit": 0, "kernel": 0}, "pids": {"limit": 0}, "network": {}});
        let config = read(&with("/linux", "resources", resources)).unwrap();
        let resources = config.spec.linux.resources.unwrap();
        assert!(resources.pids.is_none() && resources.memory.unwrap().limit.is_none());
        assert!(read(&with("", "com.example.extension", json!({"any": "thing"}))).is_ok());
    }

    #[test]
    fn a_joined_namespace_is_not_made() {
        let namespaces = json!([{"type": "mount"}, {"type": "network", "path": "/proc/1/ns/net"}, {"type": "uts"}]);
        let config = read(&with("/linux", "namespaces", namespaces)).unwrap();
        assert!(config.kinds.has(Namespaces::NETWORK) && !config.made().has(Namespaces::NETWORK));
        assert!(config.made().has(Namespaces::UTS));
        assert_eq!(config.joined, [(Namespaces::NETWORK, "/proc/1/ns/net".to_owned())]);
    }

    #[test]
    fn a_list_that_allows_nothing_leaves_the_standard_devices() {
        let resources = json!({"devices": [{"allow": false, "access": "rwm"}]});
        let config = read(&with("/linux", "resources", resources)).unwrap();
        let rules = config.spec.linux.resources.unwrap().devices.unwrap();
        assert!(
            rules
                .iter()
                .any(|rule| rule.allow && (rule.major, rule.minor) == (Some(1), Some(3)))
        );
        let resources = json!({"devices": [{"allow": true, "access": "rwm"}]});
        let config = read(&with("/linux", "resources", resources)).unwrap();
        assert_eq!(config.spec.linux.resources.unwrap().devices.unwrap().len(), 1);
    }
}
