//! Copy the content of a file by the cheapest way that the two file systems allow.

use crate::file::{read_some, write_all};
use rustix::fd::AsFd;
use rustix::fs::{copy_file_range, ioctl_ficlone};
use rustix::io::{Errno, Result};

/// How much one call copies.
const STEP: usize = 64 * 1024 * 1024;
const BUFFER: usize = 256 * 1024;

/// Copy from the position of `source` to its end, into the empty file `target`: shared blocks, else inside the kernel, else by reading.
/// Returns the number of bytes.
///
/// # Errors
/// The error of `read` or `write`.
pub fn copy(source: impl AsFd, target: impl AsFd, size: u64) -> Result<u64> {
    if size == 0 {
        return by_reading(&source, &target);
    }
    if share(&source, &target) {
        return Ok(crate::file::stat_fd(&target)?.size);
    }
    match in_kernel(&source, &target)? {
        Some(copied) => Ok(copied),
        None => by_reading(&source, &target),
    }
}

/// Let `target` have the blocks of `source`, where the file system can do that. Nothing is read or written.
pub fn share(source: impl AsFd, target: impl AsFd) -> bool {
    ioctl_ficlone(&target, &source).is_ok()
}

/// `None` when the kernel cannot do it for these two files; nothing is copied then.
fn in_kernel(source: &impl AsFd, target: &impl AsFd) -> Result<Option<u64>> {
    let mut copied: u64 = 0;
    loop {
        match copy_file_range(source, None, target, None, STEP) {
            Ok(0) => return Ok(Some(copied)),
            Ok(count) => copied += count as u64,
            Err(Errno::INTR) => {}
            Err(Errno::XDEV | Errno::NOSYS | Errno::INVAL | Errno::OPNOTSUPP | Errno::PERM | Errno::BADF) if copied == 0 => {
                return Ok(None);
            }
            Err(errno) => return Err(errno),
        }
    }
}

fn by_reading(source: &impl AsFd, target: &impl AsFd) -> Result<u64> {
    let mut buffer = vec![0; BUFFER];
    let mut copied: u64 = 0;
    loop {
        let count = read_some(source, &mut buffer)?;
        if count == 0 {
            return Ok(copied);
        }
        write_all(target, buffer.get(..count).unwrap_or_default())?;
        copied += count as u64;
    }
}
