//! The ids of a user namespace that the configuration asks for.

use crate::fail::failed;
use crate::idmap;
use crate::oci::config::{Mapping, refused};
use berth_sys::process::Status;
use berth_sys::procfs;
use berth_wire::{Code, Failure};
use rustix::io::Errno;
use rustix::process::{Gid, Pid, Uid};
use std::ffi::CString;

/// Where the programs are that may write the ids of others.
const FOLDERS: [&str; 3] = ["/usr/bin", "/bin", "/usr/local/bin"];

/// Both maps of a user namespace.
#[derive(Debug)]
pub(crate) struct Maps {
    uids: Vec<Mapping>,
    gids: Vec<Mapping>,
}

impl Maps {
    pub(crate) fn new(uids: &[Mapping], gids: &[Mapping]) -> Self {
        Self {
            uids: uids.to_vec(),
            gids: gids.to_vec(),
        }
    }

    /// Whether they name nobody but the caller itself, who needs no right for that, but may not change groups then.
    pub(crate) fn is_single(&self) -> bool {
        let is = |maps: &[Mapping], id: u32| matches!(maps, [one] if one.size == 1 && one.host == id);
        let (uid, gid) = (rustix::process::geteuid(), rustix::process::getegid());
        !uid.is_root() && is(&self.uids, uid.as_raw()) && is(&self.gids, gid.as_raw())
    }

    /// Writes them for a process in a new user namespace.
    ///
    /// # Errors
    /// `NotPermitted` with the program's own words, where these ids are not the caller's to give.
    pub(crate) fn write(&self, pid: Pid) -> Result<(), Failure> {
        let number = pid.as_raw_nonzero().get();
        if self.is_single() {
            let path = format!("{number}/setgroups");
            put(&path, "deny").map_err(refusal("write setgroups", &path))?;
        }
        write_one(number, "gid_map", "newgidmap", &self.gids)?;
        write_one(number, "uid_map", "newuidmap", &self.uids)
    }
}

fn write_one(pid: i32, file: &str, tool: &str, maps: &[Mapping]) -> Result<(), Failure> {
    let lines: String = maps
        .iter()
        .map(|map| format!("{} {} {}\n", map.container, map.host, map.size))
        .collect();
    let path = format!("{pid}/{file}");
    match put(&path, &lines) {
        Err(Errno::PERM) => by_tool(pid, tool, maps),
        other => other.map_err(|error| match procfs::explain(error) {
            Some(_) => refusal("map ids", &path)(error),
            None => failed("map ids")(error).subject(lines.trim().to_owned()),
        }),
    }
}

/// A file of `/proc` that is not the kernel's own is no fault of the kernel's.
fn refusal<'a>(step: &'a str, path: &'a str) -> impl FnOnce(Errno) -> Failure + use<'a> {
    move |error| match procfs::explain(error) {
        Some(state) => Failure::new(Code::Attack, step, state).subject(format!("/proc/{path}")),
        None => failed(step)(error),
    }
}

fn put(path: &str, text: &str) -> Result<(), Errno> {
    let file = procfs::open_to_write(path)?;
    rustix::io::write(&file, text.as_bytes()).map(drop)
}

fn by_tool(pid: i32, tool: &str, maps: &[Mapping]) -> Result<(), Failure> {
    let hint = "Give this user a range in /etc/subuid and /etc/subgid that holds these ids, and install newuidmap (Debian: package uidmap)";
    let found = FOLDERS
        .iter()
        .map(|folder| format!("{folder}/{tool}"))
        .find(|path| rustix::fs::access(path.as_str(), rustix::fs::Access::EXEC_OK).is_ok());
    let Some(path) = found else {
        return Err(Failure::new(
            Code::NotPermitted,
            "map ids",
            format!("there is no {tool} here, and this user may not write them itself"),
        )
        .hint(hint));
    };
    let numbers = maps
        .iter()
        .flat_map(|map| [map.container, map.host, map.size])
        .map(|number| number.to_string());
    let arguments: Vec<CString> = [path.clone(), pid.to_string()]
        .into_iter()
        .chain(numbers)
        .filter_map(|text| CString::new(text).ok())
        .collect();
    match idmap::capture(&arguments, false)? {
        (Status::Code(0), _) => Ok(()),
        (_, message) => Err(Failure::new(Code::NotPermitted, "map ids", message).subject(path).hint(hint)),
    }
}

/// Whether processes of this user namespace may not change their groups.
pub(crate) fn groups_are_fixed() -> bool {
    idmap::read_small(c"/proc/self/setgroups").is_some_and(|text| text.trim() == "deny")
}

/// Refuses groups where they cannot be set.
pub(crate) fn check_groups(fixed: bool, groups: &[u32]) -> Result<(), Failure> {
    if fixed && !groups.is_empty() {
        let message = "groups cannot be set where the user namespace has but the caller's own ids";
        return Err(refused("process.user.additionalGids", message));
    }
    Ok(())
}

/// In the user namespace: its root, with no group of the caller's where they can be left.
pub(crate) fn become_root(fixed: bool) -> Result<(), Failure> {
    if !fixed {
        rustix::thread::set_thread_groups(&[]).map_err(failed("setgroups"))?;
    }
    rustix::thread::set_thread_res_gid(Gid::ROOT, Gid::ROOT, Gid::ROOT).map_err(failed("setresgid"))?;
    rustix::thread::set_thread_res_uid(Uid::ROOT, Uid::ROOT, Uid::ROOT).map_err(failed("setresuid"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use berth_sys::process::{Namespaces, unshare};
    use rustix::mount::{MountPropagationFlags, mount_bind, mount_change};

    #[test]
    fn a_map_that_is_not_the_kernels_own_is_named() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let pid = rustix::process::getpid().as_raw_nonzero().get();
        let map = Mapping {
            container: 0,
            host: 0,
            size: 1,
        };
        let work = || {
            unshare(Namespaces::MOUNT).unwrap();
            mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC).unwrap();
            let fake = tempfile::NamedTempFile::new().unwrap();
            mount_bind(fake.path(), format!("/proc/{pid}/gid_map")).unwrap();
            write_one(pid, "gid_map", "newgidmap", &[map]).unwrap_err()
        };
        let failure = std::thread::scope(|scope| scope.spawn(work).join().unwrap());
        assert_eq!(failure.code, Code::Attack);
        assert_eq!(failure.subject, Some(format!("/proc/{pid}/gid_map")));
        assert!(failure.message.contains("something is mounted over it"), "{failure}");
    }
}
