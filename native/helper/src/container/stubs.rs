//! Mount targets that were made in the upper snapshot: gone again before anybody looks at what the process changed.

use berth_jail::Stub;
use rustix::fd::{AsFd as _, BorrowedFd};
use rustix::fs::{AtFlags, Mode, OFlags, Timespec, Timestamps};
use rustix::io::Errno;

/// Removes the stubs that are still as they were made, the last one first, and gives the directories that held them their times back.
/// `upper` is the tree of the upper snapshot, no longer mounted. What the process put something into is its own, and stays.
pub(crate) fn remove(upper: BorrowedFd<'_>, stubs: &[Stub]) {
    for stub in stubs.iter().rev() {
        // A stub that cannot be removed is part of what the process changed: an empty file or folder, and no failure of the step.
        let _ = remove_one(upper, stub);
    }
}

fn remove_one(upper: BorrowedFd<'_>, stub: &Stub) -> Result<(), Errno> {
    let at = stub.path.iter().rposition(|byte| *byte == b'/').ok_or(Errno::INVAL)?;
    let (folder, name) = stub.path.split_at(at);
    let folder = folder.strip_prefix(b"/").unwrap_or(folder);
    let name = name.get(1..).unwrap_or_default();
    let parent = if folder.is_empty() {
        rustix::fs::openat(upper, ".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?
    } else {
        berth_sys::path::open_beneath(upper, folder, OFlags::RDONLY | OFlags::DIRECTORY)?
    };
    let before = rustix::fs::fstat(&parent)?;
    if stub.directory {
        rustix::fs::unlinkat(&parent, name, AtFlags::REMOVEDIR)?;
    } else {
        let file = berth_sys::file::try_stat(parent.as_fd(), name)?.ok_or(Errno::NOENT)?;
        let empty = rustix::fs::statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW)?.st_size == 0;
        if !file.is_file() || !empty {
            return Err(Errno::EXIST);
        }
        rustix::fs::unlinkat(&parent, name, AtFlags::empty())?;
    }
    let modified = Timespec {
        tv_sec: before.st_mtime,
        tv_nsec: before.st_mtime_nsec.try_into().map_err(|_| Errno::OVERFLOW)?,
    };
    let accessed = Timespec {
        tv_sec: 0,
        tv_nsec: rustix::fs::UTIME_OMIT,
    };
    rustix::fs::futimens(
        &parent,
        &Timestamps {
            last_access: accessed,
            last_modification: modified,
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_untouched_stubs_away_and_leaves_no_trace_in_their_parents() {
        let place = tempfile::tempdir().unwrap();
        let root = rustix::fs::open(place.path(), OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).unwrap();
        std::fs::create_dir(place.path().join("etc")).unwrap();
        std::fs::create_dir_all(place.path().join("made/deep")).unwrap();
        std::fs::create_dir(place.path().join("used")).unwrap();
        std::fs::write(place.path().join("used/file"), "x").unwrap();
        std::fs::write(place.path().join("etc/hosts"), "").unwrap();
        std::fs::write(place.path().join("etc/written"), "x").unwrap();
        let past = Timespec { tv_sec: 1000, tv_nsec: 5 };
        rustix::fs::utimensat(
            &root,
            "etc",
            &Timestamps {
                last_access: past,
                last_modification: past,
            },
            AtFlags::empty(),
        )
        .unwrap();
        let stub = |path: &str, directory| Stub {
            path: path.as_bytes().to_vec(),
            directory,
        };
        remove(
            root.as_fd(),
            &[
                stub("/made", true),
                stub("/made/deep", true),
                stub("/etc/hosts", false),
                stub("/etc/written", false),
                stub("/used", true),
            ],
        );
        let names = |path: &str| {
            let mut names: Vec<_> = std::fs::read_dir(place.path().join(path))
                .unwrap()
                .map(|entry| entry.unwrap().file_name())
                .collect();
            names.sort();
            names
        };
        assert_eq!(names(""), ["etc", "used"]);
        assert_eq!(names("etc"), ["written"]);
        let etc = rustix::fs::statat(&root, "etc", AtFlags::empty()).unwrap();
        assert_eq!((etc.st_mtime, etc.st_mtime_nsec), (1000, 5));
    }
}
