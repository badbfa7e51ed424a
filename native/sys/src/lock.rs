//! Locks that die with the process: `flock` on a descriptor, and those of POSIX, which no forked process inherits.

use rustix::fd::AsFd;
use rustix::fs::{FlockOperation, fcntl_lock, flock};
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

/// Lock a file for the life of this process alone, and wait for whoever looks at it just now. A forked process does not have the lock, and whoever
/// of this process closes the file, by any descriptor, gives it back.
///
/// # Errors
/// The error of `fcntl`.
pub fn lock_alone(file: impl AsFd) -> Result<()> {
    rustix::io::retry_on_intr(|| fcntl_lock(&file, FlockOperation::LockExclusive))
}

/// Whether another process holds [`lock_alone`] on a file, also one of another pid namespace.
///
/// # Errors
/// The error of `fcntl`.
pub fn is_locked(file: impl AsFd) -> Result<bool> {
    match rustix::io::retry_on_intr(|| fcntl_lock(&file, FlockOperation::NonBlockingLockShared)) {
        Ok(()) => Ok(false),
        Err(Errno::AGAIN | Errno::ACCESS) => Ok(true),
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
