//! Files of `/proc`, opened for writing only where they are the kernel's own (`spec/hardening.md` 4, rule 5): what is mounted over them would
//! take the write for something else.

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::{Errno, Result};

const PLACE: &str = "/proc";
/// Magic number of procfs in statfs.
const MAGIC: u64 = 0x9fa0;
/// Inode of the root of every procfs.
const ROOT_INODE: u64 = 1;

/// Whether the file is on a procfs.
///
/// # Errors
/// The error of `fstatfs`.
pub fn is_proc(fd: impl AsFd) -> Result<bool> {
    let found = rustix::fs::fstatfs(fd)?.f_type;
    Ok(u64::try_from(found).is_ok_and(|magic| magic == MAGIC))
}

/// In words, the error that the functions below give where the file is not the kernel's own; none for an error of a call.
#[must_use]
pub fn explain(error: Errno) -> Option<&'static str> {
    (error == Errno::XDEV).then_some("it is not the kernel's own file: something is mounted over it")
}

/// Opens a file of a process, given by its path below `/proc`, for writing.
///
/// # Errors
/// `EXDEV` where `/proc` is no procfs, or something is mounted on the way or over the file; else the error of the call.
pub fn open_to_write(path: &str) -> Result<OwnedFd> {
    open_below(PLACE, path)
}

/// Opens a kernel parameter, given by its path below `/proc/sys`, for writing. Containers have `/proc/sys` bound onto itself, so mounts on the way
/// are no fault here.
///
/// # Errors
/// `EXDEV` where the file is on no procfs; else the error of the call.
pub fn open_parameter(path: &str) -> Result<OwnedFd> {
    let file = rustix::fs::open(
        format!("{PLACE}/sys/{path}"),
        OFlags::WRONLY | OFlags::TRUNC | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    if is_proc(&file)? { Ok(file) } else { Err(Errno::XDEV) }
}

fn open_below(place: &str, path: &str) -> Result<OwnedFd> {
    let root = rustix::fs::open(
        place,
        OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    let is_root = is_proc(&root)? && rustix::fs::fstat(&root)?.st_ino == ROOT_INODE;
    if !is_root {
        return Err(Errno::XDEV);
    }
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_XDEV | ResolveFlags::NO_MAGICLINKS;
    match rustix::fs::openat2(&root, path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty(), resolve) {
        Err(Errno::NOSYS) => open_checked(&root, path),
        other => other,
    }
}

/// Before Linux 5.6, or below a filter that says so: only what is of another file system shows.
fn open_checked(root: &OwnedFd, path: &str) -> Result<OwnedFd> {
    let file = rustix::fs::openat(root, path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
    let same = is_proc(&file)? && rustix::fs::fstat(&file)?.st_dev == rustix::fs::fstat(root)?.st_dev;
    if same { Ok(file) } else { Err(Errno::XDEV) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::{Namespaces, unshare};
    use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_bind, mount_change, unmount};

    const SCORE: &str = "self/oom_score_adj";

    /// Runs `work` in a thread with mounts of its own.
    fn alone(work: impl FnOnce() + Send) {
        let start = || {
            unshare(Namespaces::MOUNT).unwrap();
            mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC).unwrap();
            work();
        };
        std::thread::scope(|scope| scope.spawn(start).join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
    }

    fn own(name: &str) -> String {
        format!("/proc/{}/{name}", std::process::id())
    }

    #[test]
    fn the_kernels_own_files_are_opened() {
        assert!(is_proc(open_to_write(SCORE).unwrap()).unwrap());
        let root = rustix::fs::open(PLACE, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).unwrap();
        assert!(open_checked(&root, SCORE).is_ok());
        assert_eq!(explain(open_to_write("self/nothing").unwrap_err()), None);
    }

    #[test]
    fn a_proc_that_is_none_and_a_folder_of_one_are_refused() {
        for place in ["/dev", "/proc/sys", "/proc/self"] {
            assert!(matches!(open_below(place, SCORE), Err(Errno::XDEV | Errno::NOTDIR)), "{place}");
        }
    }

    #[test]
    fn what_is_mounted_over_a_file_is_not_written() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        alone(|| {
            let place = tempfile::tempdir().unwrap();
            let fake = place.path().join("fake");
            std::fs::write(&fake, "").unwrap();
            mount_bind(&fake, own("oom_score_adj")).unwrap();
            let root = rustix::fs::open(PLACE, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).unwrap();
            let refused = open_to_write(SCORE).unwrap_err();
            assert_eq!(refused, Errno::XDEV);
            assert!(explain(refused).is_some_and(|state| state.contains("mounted over it")));
            assert!(matches!(open_checked(&root, SCORE), Err(Errno::XDEV)));
            unmount(own("oom_score_adj"), UnmountFlags::DETACH).unwrap();
            // Another file of the same procfs, which only its mount gives away.
            mount_bind(own("comm"), own("oom_score_adj")).unwrap();
            assert!(matches!(open_to_write(SCORE), Err(Errno::XDEV)));
        });
        alone(|| {
            assert!(open_parameter("kernel/domainname").is_ok());
            mount("none", "/proc/sys/kernel", "tmpfs", MountFlags::empty(), None).unwrap();
            std::fs::write("/proc/sys/kernel/domainname", "").unwrap();
            assert!(matches!(open_parameter("kernel/domainname"), Err(Errno::XDEV)));
        });
    }
}
