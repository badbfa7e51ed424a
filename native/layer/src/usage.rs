//! Which snapshots there are, and what they take on disk.

use crate::error::{Context, Result};
use crate::snapshot;
use berth_sys::file;
use rustix::fd::{AsFd, OwnedFd};
use std::collections::HashSet;

/// Bytes on disk and inodes of a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Measure {
    pub bytes: u64,
    pub inodes: u64,
    /// Lengths of all that is no directory, holes included: what Docker calls a size.
    pub content: u64,
}

/// Names of all finished snapshots, sorted.
///
/// # Errors
/// The error of a system call.
pub fn names(snapshots: &impl AsFd) -> Result<Vec<String>> {
    let dir = file::open_dir(snapshots, b".").step("openat", b"snapshots")?;
    let names = file::names(&dir).step("getdents64", b"snapshots")?;
    Ok(names
        .into_iter()
        .filter_map(|name| String::from_utf8(name).ok())
        .filter(|name| snapshot::check_name(name).is_ok())
        .collect())
}

/// Add up a snapshot. A file with several names counts once; what vanishes meanwhile does not count.
///
/// # Errors
/// `NotFound` where there is none; the error of a system call.
pub fn measure(snapshots: &impl AsFd, name: &str) -> Result<Measure> {
    measure_tree(snapshot::open(snapshots, name)?, name)
}

/// Add up an open directory; `name` is for errors.
///
/// # Errors
/// The error of a system call.
pub fn measure_tree(root: OwnedFd, name: &str) -> Result<Measure> {
    let own = file::stat_fd(&root).step("statx", name.as_bytes())?;
    let mut measure = Measure {
        bytes: own.blocks * 512,
        inodes: 1,
        content: 0,
    };
    let mut seen = HashSet::new();
    let mut levels: Vec<(OwnedFd, Vec<Vec<u8>>)> = Vec::new();
    let names = file::names(&root).step("getdents64", name.as_bytes())?;
    levels.push((root, names));
    while let Some((dir, names)) = levels.last_mut() {
        let Some(name) = names.pop() else {
            levels.pop();
            continue;
        };
        let Some(meta) = file::try_stat(&*dir, &name).step("statx", &name)? else {
            continue;
        };
        if meta.is_dir() || meta.links < 2 || seen.insert((meta.device, meta.inode)) {
            measure.bytes = measure.bytes.saturating_add(meta.blocks * 512);
            measure.inodes += 1;
            if !meta.is_dir() {
                measure.content = measure.content.saturating_add(meta.size);
            }
        }
        if meta.is_dir() {
            let inner = file::open_dir(&*dir, &name).step("openat", &name)?;
            let names = file::names(&inner).step("getdents64", &name)?;
            levels.push((inner, names));
        }
    }
    Ok(measure)
}
