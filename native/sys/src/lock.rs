//! Locks that die with the process: `flock` on a descriptor.

use rustix::fd::AsFd;
use rustix::fs::{FlockOperation, flock};
use rustix::io::{Errno, Result};

/// Lock an open file, and wait for whoever holds it.
///
/// # Errors
/// The error of `flock`.
pub fn lock(file: impl AsFd, exclusive: bool) -> Result<()> {
    let operation = if exclusive {
        FlockOperation::LockExclusive
    } else {
        FlockOperation::LockShared
    };
    rustix::io::retry_on_intr(|| flock(&file, operation))
}

/// Try to lock an open file without waiting; false when somebody else holds it.
///
/// # Errors
/// The error of `flock`.
pub fn try_lock(file: impl AsFd, exclusive: bool) -> Result<bool> {
    let operation = if exclusive {
        FlockOperation::NonBlockingLockExclusive
    } else {
        FlockOperation::NonBlockingLockShared
    };
    match rustix::io::retry_on_intr(|| flock(&file, operation)) {
        Ok(()) => Ok(true),
        Err(Errno::WOULDBLOCK) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// Gives the lock back, also where a forked process holds the same descriptor.
///
/// # Errors
/// The error of `flock`.
pub fn unlock(file: impl AsFd) -> Result<()> {
    rustix::io::retry_on_intr(|| flock(&file, FlockOperation::Unlock))
}
