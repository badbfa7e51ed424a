//! The groups of one container, one in each hierarchy.

use crate::fail::failed_on;
use crate::layout::{Hierarchy, Layout};
use crate::limit::{self, Setting};
use berth_wire::oci::Resources;
use berth_wire::{Code, Failure};
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::process::Pid;

/// What a container used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    pub memory_peak: Option<u64>,
    pub cpu_microseconds: Option<u64>,
    /// Processes that the kernel killed for want of memory.
    pub oom_kills: u64,
}

/// The groups of one container. They stay until [`Group::remove`].
#[derive(Debug)]
pub struct Group {
    pub(crate) members: Vec<Member>,
    /// The group above is made for our containers alone.
    pub(crate) owns_parent: bool,
}

#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) path: String,
    /// Length of the hierarchy's own path.
    pub(crate) root: usize,
    pub(crate) directory: OwnedFd,
    pub(crate) v2: bool,
    pub(crate) controllers: Vec<String>,
}

/// Where the groups of containers are that have no other place.
const OWN_PARENTS: [&str; 2] = ["berth", "berth-oci"];
/// How often an emptied group is tried again: its last process may still be on its way out.
const TRIES: u32 = 200;
const PAUSE: std::time::Duration = std::time::Duration::from_millis(5);

impl Group {
    /// Makes the group `path` (such as `/berth/<id>`) in every hierarchy that can be written, and applies the limits.
    ///
    /// # Errors
    /// `NotPermitted` naming the limit that cannot be applied.
    pub fn create(layout: &Layout, path: &str, resources: Option<&Resources>) -> Result<Self, Failure> {
        let parts = components(path)?;
        let wanted = resources.map(limit::controllers).unwrap_or_default();
        let members = layout
            .hierarchies
            .iter()
            .filter_map(|hierarchy| make_or_retry(hierarchy, &parts).ok())
            .collect();
        let group = Self {
            members,
            owns_parent: owns_parent(&parts),
        };
        let default = Resources::default();
        let resources = resources.unwrap_or(&default);
        let applied = group.limit(resources, &wanted).and_then(|()| match &resources.devices {
            Some(rules) => crate::device::apply(&group, rules),
            None => Ok(()),
        });
        if applied.is_err() {
            group.remove();
        }
        applied.map(|()| group)
    }

    /// Applies limits to the group of a running container; those that stay as they were included.
    ///
    /// # Errors
    /// `NotPermitted` naming the limit that cannot be applied.
    pub fn change(&self, resources: &Resources) -> Result<(), Failure> {
        self.limit(resources, &limit::controllers(resources))
    }

    /// Whether there is a group at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Whether the groups keep their processes to the devices that the rules of the container allow.
    #[must_use]
    pub fn holds_devices(&self) -> bool {
        crate::device::held(self)
    }

    /// The groups that a container left behind, where there are any.
    #[must_use]
    pub fn find(layout: &Layout, path: &str) -> Self {
        let Ok(parts) = components(path) else {
            return Self {
                members: Vec::new(),
                owns_parent: false,
            };
        };
        let members = layout
            .hierarchies
            .iter()
            .filter_map(|hierarchy| member(hierarchy, &join(&hierarchy.path, &parts)).ok())
            .collect();
        Self {
            members,
            owns_parent: owns_parent(&parts),
        }
    }

    /// Whether no process is in the groups, nor in one below.
    #[must_use]
    pub fn is_vacant(&self) -> bool {
        !self.members.iter().any(|member| is_populated(&member.path))
    }

    /// The folder that each group has in a container's `/sys/fs/cgroup`, with its path here; a v2 group that is alone has none.
    #[must_use]
    pub fn folders(&self) -> Vec<(String, String)> {
        let name = |member: &Member| match (member.v2, self.members.len()) {
            (true, 1) => String::new(),
            (true, _) => "unified".to_owned(),
            (false, _) => {
                let joined = member.controllers.join(",");
                joined.strip_prefix("name=").map_or(joined.clone(), str::to_owned)
            }
        };
        self.members.iter().map(|member| (name(member), member.path.clone())).collect()
    }

    /// Figures so far; those that no hierarchy counts are `None`.
    #[must_use]
    pub fn usage(&self) -> Usage {
        let mut usage = Usage::default();
        for member in &self.members {
            if member.v2 {
                usage.memory_peak = usage.memory_peak.or_else(|| member.number("memory.peak"));
                usage.cpu_microseconds = usage.cpu_microseconds.or_else(|| member.field("cpu.stat", "usage_usec"));
                usage.oom_kills = usage.oom_kills.max(member.field("memory.events", "oom_kill").unwrap_or_default());
            } else {
                usage.memory_peak = member.number("memory.max_usage_in_bytes").or(usage.memory_peak);
                usage.cpu_microseconds = member
                    .number("cpuacct.usage")
                    .map(|nanoseconds| nanoseconds / 1000)
                    .or(usage.cpu_microseconds);
                usage.oom_kills = usage
                    .oom_kills
                    .max(member.field("memory.oom_control", "oom_kill").unwrap_or_default());
            }
        }
        usage
    }

    /// Kills every process in the groups. A frozen one dies when it is thawed.
    pub fn kill(&self) {
        self.kill_members();
        self.thaw();
    }

    fn kill_members(&self) {
        for member in &self.members {
            // One write where the kernel has it (5.14), else one signal for each, also in groups that the container has made below its own.
            if member.v2 && write(&member.directory, "cgroup.kill", "1").is_ok() {
                continue;
            }
            for pid in below(&member.path).iter().chain([&member.path]).flat_map(|path| processes(path)) {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
        }
    }

    /// Kills what is left and removes the groups. What cannot be removed is left for the next collection.
    pub fn remove(&self) {
        for _ in 0..TRIES {
            self.kill();
            let busy = self
                .members
                .iter()
                .filter(|member| {
                    for path in below(&member.path) {
                        // The group above says whether it is gone.
                        let _ = rustix::fs::rmdir(path);
                    }
                    matches!(rustix::fs::rmdir(member.path.as_str()), Err(Errno::BUSY))
                })
                .count();
            if busy == 0 {
                return self.remove_parents();
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// The group above goes with its last container, unless others made it and set limits there. One that is not empty, or is the root, refuses.
    fn remove_parents(&self) {
        if !self.owns_parent {
            return;
        }
        for member in &self.members {
            if let Some((parent, _)) = member.path.rsplit_once('/').filter(|(parent, _)| parent.len() > member.root) {
                let _ = rustix::fs::rmdir(parent);
            }
        }
    }

    fn limit(&self, resources: &Resources, wanted: &[&str]) -> Result<(), Failure> {
        for controller in wanted {
            let Some(member) = self.members.iter().find(|member| member.controls(controller)) else {
                let message = format!("no cgroup hierarchy here lets this user limit {controller}");
                return Err(Failure::new(Code::NotPermitted, "limit resources", message)
                    .subject(*controller)
                    .hint("Leave the limit out, run as root of the machine or of a privileged container, or give this user a delegated cgroup (systemd: Delegate=yes)"));
            };
            if let Some(field) = limit::impossible(resources, member.v2) {
                let message = "cgroup v2 has no such limit";
                return Err(Failure::new(Code::Unsupported, "limit resources", message)
                    .subject(field)
                    .hint("Leave it out"));
            }
            let settings = limit::settings(resources, member.v2);
            let settings = settings.iter().filter(|setting| setting.controller == *controller);
            if let Some(Setting { file, value, .. }) = settings.clone().find(|setting| setting.file == limit::MEMORY_AND_SWAP) {
                // Memory cannot grow beyond what it may take together with swap; where it shrinks, this has to wait.
                let _ = write(&member.directory, file, value);
            }
            for setting in settings {
                member.set(setting)?;
            }
        }
        Ok(())
    }
}

impl Member {
    pub(crate) fn controls(&self, controller: &str) -> bool {
        self.controllers.iter().any(|name| limit::is_controller(name, controller))
    }

    fn set(&self, setting: &Setting) -> Result<(), Failure> {
        let Setting {
            file, value, else_write, ..
        } = setting;
        let result = match (write(&self.directory, file, value), else_write) {
            (Err(Errno::NOENT), Some((file, value))) => write(&self.directory, file, value),
            (result, _) => result,
        };
        result.map_err(|error| {
            let failure = failed_on("limit resources", file)(error);
            let swap = file.contains("memsw") || file.contains("swap");
            if swap && error == Errno::NOENT {
                failure.hint("This kernel does not count swap: leave the swap limit out")
            } else if file.contains("weight") && matches!(error, Errno::NOENT | Errno::OPNOTSUPP) {
                failure.hint(
                    "No scheduler here weighs block devices: leave the weight out, or choose bfq in /sys/block/DEVICE/queue/scheduler",
                )
            } else if setting.controller == "io" {
                failure.hint("Name a whole block device, as lsblk shows it")
            } else {
                failure
            }
        })?;
        if *file == "memory.max" {
            // The container dies as a whole rather than piece by piece; a kernel without it kills one process.
            let _ = write(&self.directory, "memory.oom.group", "1");
        }
        Ok(())
    }

    pub(crate) fn text(&self, file: &str) -> Option<String> {
        crate::layout::read(&format!("{}/{file}", self.path))
    }

    pub(crate) fn number(&self, file: &str) -> Option<u64> {
        self.text(file)?.trim().parse().ok()
    }

    pub(crate) fn field(&self, file: &str, name: &str) -> Option<u64> {
        self.text(file)?
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
    }

    pub(crate) fn processes(&self) -> Vec<Pid> {
        processes(&self.path)
    }
}

fn processes(path: &str) -> Vec<Pid> {
    let text = crate::layout::read(&format!("{path}/cgroup.procs")).unwrap_or_default();
    text.lines().filter_map(|line| line.parse().ok().and_then(Pid::from_raw)).collect()
}

/// All groups below one, the deepest first.
fn below(path: &str) -> Vec<String> {
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let mut found = Vec::new();
    for folder in folders.filter_map(|entry| entry.path().to_str().map(str::to_owned)) {
        found.extend(below(&folder));
        found.push(folder);
    }
    found
}

/// The names of a group's path. Nothing that could lead out of the hierarchy is taken.
fn components(path: &str) -> Result<Vec<&str>, Failure> {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let bad = |part: &&str| matches!(*part, "." | "..") || part.contains('\0') || part.starts_with("cgroup.");
    if parts.is_empty() || parts.iter().any(bad) {
        return Err(Failure::new(Code::Request, "make cgroup", "the path of the cgroup is not below its hierarchy").subject(path));
    }
    Ok(parts)
}

fn owns_parent(parts: &[&str]) -> bool {
    matches!(parts, [above, _] if OWN_PARENTS.contains(above))
}

fn is_populated(path: &str) -> bool {
    if let Some(events) = crate::layout::read(&format!("{path}/cgroup.events")) {
        return events.lines().any(|line| line == "populated 1");
    }
    let has_process = crate::layout::read(&format!("{path}/cgroup.procs")).is_some_and(|text| !text.trim().is_empty());
    let below = || std::fs::read_dir(path).into_iter().flatten().flatten();
    has_process || below().any(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()) && entry.path().to_str().is_some_and(is_populated))
}

fn join(base: &str, parts: &[&str]) -> String {
    parts
        .iter()
        .fold(base.trim_end_matches('/').to_owned(), |path, part| format!("{path}/{part}"))
}

/// A container that ends just now may take the group above with it.
fn make_or_retry(hierarchy: &Hierarchy, parts: &[&str]) -> Result<Member, Errno> {
    match make(hierarchy, parts) {
        Err(Errno::NOENT) => make(hierarchy, parts),
        other => other,
    }
}

/// Makes the group level by level; in v2 each level must hand its controllers down first.
fn make(hierarchy: &Hierarchy, parts: &[&str]) -> Result<Member, Errno> {
    let mut path = hierarchy.path.trim_end_matches('/').to_owned();
    for part in parts {
        if hierarchy.v2 {
            hand_down(&path, &hierarchy.controllers);
        }
        path = format!("{path}/{part}");
        match rustix::fs::mkdir(path.as_str(), Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(error),
        }
        inherit_cpuset(hierarchy, &path);
    }
    member(hierarchy, &path)
}

fn hand_down(path: &str, controllers: &[String]) {
    let Ok(directory) = open(path) else { return };
    for name in controllers
        .iter()
        .filter(|name| matches!(name.as_str(), "memory" | "pids" | "cpu" | "cpuset" | "io"))
    {
        // Refused where processes live beside groups; a limit that needs it fails by name then.
        let _ = write(&directory, "cgroup.subtree_control", &format!("+{name}"));
    }
}

/// A v1 cpuset takes no process before it has processors and memory nodes of its own.
fn inherit_cpuset(hierarchy: &Hierarchy, path: &str) {
    if !hierarchy.v2 && hierarchy.controllers.iter().any(|name| name == "cpuset") {
        let Ok(directory) = open(path) else { return };
        for file in ["cpuset.cpus", "cpuset.mems"] {
            if let Some(value) = crate::layout::read(&format!("{path}/../{file}")) {
                let _ = write(&directory, file, value.trim());
            }
        }
    }
}

fn member(hierarchy: &Hierarchy, path: &str) -> Result<Member, Errno> {
    let directory = open(path)?;
    rustix::fs::accessat(&directory, "cgroup.procs", rustix::fs::Access::WRITE_OK, AtFlags::EACCESS)?;
    let controllers = if hierarchy.v2 {
        crate::layout::read(&format!("{path}/cgroup.controllers"))
            .unwrap_or_default()
            .split_whitespace()
            .map(str::to_owned)
            .collect()
    } else {
        hierarchy.controllers.clone()
    };
    Ok(Member {
        path: path.to_owned(),
        root: hierarchy.path.trim_end_matches('/').len(),
        directory,
        v2: hierarchy.v2,
        controllers,
    })
}

fn open(path: &str) -> Result<OwnedFd, Errno> {
    rustix::fs::openat(CWD, path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

pub(crate) fn write(directory: &OwnedFd, file: &str, value: &str) -> Result<(), Errno> {
    let fd = rustix::fs::openat(directory, file, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
    rustix::io::retry_on_intr(|| rustix::io::write(&fd, value.as_bytes())).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_cannot_leave_its_hierarchy() {
        assert_eq!(components("/berth/abc").unwrap(), ["berth", "abc"]);
        for path in ["", "/", "/berth/../x", "a/./b", "/cgroup.procs"] {
            assert!(components(path).is_err(), "{path}");
        }
    }

    #[test]
    fn the_group_above_is_taken_away_only_where_it_is_ours() {
        for (path, ours) in [
            ("/berth/abc", true),
            ("/berth-oci/a", true),
            ("/kubepods/pod/a", false),
            ("/machine.slice/a", false),
        ] {
            assert_eq!(owns_parent(&components(path).unwrap()), ours, "{path}");
        }
    }
}
