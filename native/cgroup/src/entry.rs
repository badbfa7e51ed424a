//! How a new process comes into the groups of a container.
//!
//! A process that one moves in by its number makes the kernel hold up every fork and exec of the machine, for which it waits many milliseconds.
//! It need not where a process is born in its group (v2), or where one of a single thread moves itself (v1), both since Linux 5.7.

use crate::fail::{failed, failed_on};
use crate::group::{Group, Member, write};
use crate::limit;
use berth_sys::process::{self, Child, Forked, Namespaces};
use berth_wire::Failure;
use berth_wire::oci::Resources;
use rustix::fd::{AsFd as _, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{Pid, Signal};

/// What a process writes to move itself.
const MYSELF: &str = "0";

/// The way of one new process into the groups.
#[derive(Debug)]
pub struct Entry<'a> {
    doors: Vec<Door<'a>>,
}

#[derive(Debug)]
struct Door<'a> {
    member: &'a Member,
    /// A limit must hold there: without the group the process does not come to be.
    needed: bool,
    /// Where the process moves itself, opened by who may do it.
    tasks: Option<OwnedFd>,
}

impl Group {
    /// Prepares the way of a new process into the groups, in which `resources` must hold.
    #[must_use]
    pub fn entry(&self, resources: Option<&Resources>) -> Entry<'_> {
        let wanted = resources.map(limit::controllers).unwrap_or_default();
        let devices = resources.is_some_and(|resources| resources.devices.is_some());
        let listed = self.members.iter().any(|member| member.controls("devices"));
        let door = |member| {
            let limits = wanted.iter().any(|wanted| Member::controls(member, wanted));
            // Without the list of v1 it is a program on the group of v2 that keeps devices away, and no controller.
            let keeps = member.controls("devices") || member.v2 && !listed;
            Door {
                member,
                needed: limits || devices && keeps,
                tasks: if member.v2 { None } else { tasks(member).ok() },
            }
        };
        Entry {
            doors: self.members.iter().map(door).collect(),
        }
    }
}

impl Entry<'_> {
    /// Forks a child in new namespaces, and puts it into the groups that it does not enter by [`Self::enter`].
    ///
    /// # Errors
    /// When there can be no child, or when a group that carries a limit does not take it: then it is dead, and waited for.
    pub fn fork(&self, kinds: Namespaces) -> Result<Forked, Failure> {
        let unified = self.doors.iter().find(|door| door.member.v2);
        // Whatever is wrong with the short way, the long one says it by its own error.
        let born = unified.and_then(|door| process::fork_into(kinds, door.member.directory.as_fd()).ok());
        let is_born_in = born.is_some();
        let forked = match born {
            Some(forked) => forked,
            None => process::fork(kinds).map_err(failed("clone"))?,
        };
        if let Forked::Parent(child) = &forked {
            self.put(child.pid, is_born_in).inspect_err(|_| end(child))?;
        }
        Ok(forked)
    }

    fn put(&self, pid: Pid, is_born_in: bool) -> Result<(), Failure> {
        let number = pid.as_raw_nonzero().to_string();
        let closed = self
            .doors
            .iter()
            .filter(|door| if door.member.v2 { !is_born_in } else { door.tasks.is_none() });
        for door in closed {
            door.result(write(&door.member.directory, "cgroup.procs", &number))?;
        }
        Ok(())
    }

    /// In the child, as long as it has one thread: moves it into the other groups.
    ///
    /// # Errors
    /// When a group that carries a limit does not take it.
    pub fn enter(&self) -> Result<(), Failure> {
        for door in &self.doors {
            if let Some(tasks) = &door.tasks {
                door.result(rustix::io::retry_on_intr(|| rustix::io::write(tasks, MYSELF.as_bytes())).map(drop))?;
            }
        }
        Ok(())
    }
}

impl Door<'_> {
    /// A group that does not take a process is a failure only where something was asked for.
    fn result(&self, result: Result<(), Errno>) -> Result<(), Failure> {
        match result {
            Err(error) if self.needed => Err(failed_on("join cgroup", &self.member.path)(error)),
            _ => Ok(()),
        }
    }
}

fn tasks(member: &Member) -> Result<OwnedFd, Errno> {
    rustix::fs::openat(&member.directory, "tasks", OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())
}

fn end(child: &Child) {
    let _ = rustix::process::pidfd_send_signal(&child.pidfd, Signal::KILL);
    let _ = process::wait(child.pid);
}

#[cfg(test)]
mod tests {
    use super::*;
    use berth_wire::oci::Pids;
    use rustix::fs::CWD;
    use std::path::Path;

    /// A folder that looks like a group, with a file for each of `files`.
    fn member(path: &Path, v2: bool, controller: &str, files: &[&str]) -> Member {
        std::fs::create_dir(path).unwrap();
        for file in files {
            std::fs::write(path.join(file), "").unwrap();
        }
        Member {
            path: path.to_str().unwrap().to_owned(),
            root: 0,
            directory: rustix::fs::openat(CWD, path, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).unwrap(),
            v2,
            controllers: vec![controller.to_owned()],
        }
    }

    fn group(members: Vec<Member>) -> Group {
        Group {
            members,
            owns_parent: false,
        }
    }

    #[test]
    fn a_process_moves_itself_where_it_can_and_is_moved_elsewhere() {
        let place = tempfile::tempdir().unwrap();
        let at = |name: &str| place.path().join(name);
        let group = group(vec![
            member(&at("memory"), false, "memory", &["tasks", "cgroup.procs"]),
            member(&at("pids"), false, "pids", &["cgroup.procs"]),
            member(&at("unified"), true, "hugetlb", &["cgroup.procs"]),
        ]);
        let text = |file: &str| std::fs::read_to_string(at(file)).unwrap();
        let pid = rustix::process::getpid();
        let entry = group.entry(None);
        entry.put(pid, true).unwrap();
        assert_eq!(
            [text("memory/cgroup.procs"), text("unified/cgroup.procs")],
            ["", ""],
            "it was born in one and moves itself into the other"
        );
        let number = pid.as_raw_nonzero().to_string();
        assert_eq!(text("pids/cgroup.procs"), number);
        entry.enter().unwrap();
        assert_eq!([text("memory/tasks"), text("memory/cgroup.procs")], ["0", ""]);
        entry.put(pid, false).unwrap();
        assert_eq!(text("unified/cgroup.procs"), number);
    }

    #[test]
    fn a_group_that_does_not_take_a_process_is_named_where_it_limits() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("pids");
        let group = group(vec![member(&path, false, "pids", &["cgroup.procs"])]);
        std::os::unix::fs::symlink("/dev/full", path.join("tasks")).unwrap();
        let limited = Resources {
            pids: Some(Pids { limit: 10 }),
            ..Resources::default()
        };
        let failure = group.entry(Some(&limited)).enter().unwrap_err();
        assert_eq!((failure.step.as_str(), failure.subject.as_deref()), ("join cgroup", path.to_str()));
        assert!(group.entry(None).enter().is_ok());
        std::fs::remove_file(path.join("tasks")).unwrap();
        std::fs::remove_file(path.join("cgroup.procs")).unwrap();
        let failure = group.entry(Some(&limited)).put(rustix::process::getpid(), false).unwrap_err();
        assert_eq!((failure.step.as_str(), failure.subject.as_deref()), ("join cgroup", path.to_str()));
    }
}
