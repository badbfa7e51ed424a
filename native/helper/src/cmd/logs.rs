//! `logs`: the container's json-file log, and what is added to it until the container has ended.

use crate::container::watch::Watch;
use crate::container::{Folder, life};
use crate::context::Context;
use crate::fail::failed;
use berth_monitor::log::{self, NEWEST};
use berth_wire::request::Logs;
use berth_wire::{Failure, Reply};
use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::time::Duration;

/// Bytes sent at once.
const CHUNK: usize = 64 * 1024;
/// How often the monitor is asked for while nothing is written: it may vanish without a change in the folder.
const LOOK: Duration = Duration::from_secs(1);

pub(crate) fn run(context: &Context, args: &Logs) -> Result<Reply, Failure> {
    let folder = Folder::open(context, &args.container)?;
    if args.follow {
        follow(context, &folder)?;
    } else {
        show(context, &folder)?;
    }
    Ok(Reply::Logs)
}

/// What is there now; a container that writes faster than this reads has no end of its own.
fn show(context: &Context, folder: &Folder) -> Result<(), Failure> {
    let newest = open(folder, NEWEST)?;
    let length = newest.as_ref().map_or(Ok(0), length)?;
    for file in before(folder, newest.as_ref())? {
        send(context, &file, u64::MAX)?;
    }
    newest.map_or(Ok(()), |file| send(context, &file, length))
}

fn follow(context: &Context, folder: &Folder) -> Result<(), Failure> {
    let watch = Watch::new(&folder.fd)?;
    for file in older(folder, None)? {
        send(context, &file, u64::MAX)?;
    }
    let mut current = open(folder, NEWEST)?;
    loop {
        // Asked for before the last read: what was written until the end is then seen by it.
        let runs = life::look(context, folder)?.is_some_and(|state| life::runs(&state));
        if let Some(file) = &current {
            send(context, file, u64::MAX)?;
        }
        if let Some(next) = replaced(folder, current.as_ref())? {
            // The log may have moved on by more than one part.
            for file in older(folder, current.as_ref())? {
                send(context, &file, u64::MAX)?;
            }
            current = Some(next);
            continue;
        }
        if !runs {
            return Ok(());
        }
        watch.wait(None, Some(LOOK))?;
    }
}

/// Parts that are older than `newest`, which may have become one of them meanwhile, oldest first.
fn before(folder: &Folder, newest: Option<&OwnedFd>) -> Result<Vec<OwnedFd>, Failure> {
    let newest = newest.map(identity).transpose()?;
    let mut parts = Vec::new();
    let mut last = newest;
    let mut gap = 0;
    for age in 1..log::MAX_FILES {
        let Some(file) = open(folder, &log::part(age))? else {
            // While the parts move on, one name is free.
            gap += 1;
            if gap > 1 {
                break;
            }
            continue;
        };
        gap = 0;
        let this = Some(identity(&file)?);
        if this == newest {
            parts.clear();
        } else if this != last {
            // The same one twice has moved on between the two looks.
            parts.push(file);
        }
        last = this;
    }
    parts.reverse();
    Ok(parts)
}

/// Parts that are newer than `until`, oldest first.
fn older(folder: &Folder, until: Option<&OwnedFd>) -> Result<Vec<OwnedFd>, Failure> {
    let mut parts = Vec::new();
    for age in 1..log::MAX_FILES {
        let Some(file) = open(folder, &log::part(age))? else { break };
        if until.map(identity).transpose()? == Some(identity(&file)?) {
            break;
        }
        parts.push(file);
    }
    parts.reverse();
    Ok(parts)
}

fn length(file: &OwnedFd) -> Result<u64, Failure> {
    let stat = rustix::fs::fstat(file).map_err(failed("stat log"))?;
    Ok(u64::try_from(stat.st_size).unwrap_or(0))
}

fn identity(file: &OwnedFd) -> Result<(u64, u64), Failure> {
    rustix::fs::fstat(file)
        .map(|stat| (stat.st_dev, stat.st_ino))
        .map_err(failed("stat log"))
}

/// The log file that has taken the place of the open one.
fn replaced(folder: &Folder, current: Option<&OwnedFd>) -> Result<Option<OwnedFd>, Failure> {
    let Some(next) = open(folder, NEWEST)? else { return Ok(None) };
    let same = match current {
        Some(current) => identity(current)? == identity(&next)?,
        None => false,
    };
    Ok((!same).then_some(next))
}

fn open(folder: &Folder, name: &str) -> Result<Option<OwnedFd>, Failure> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    match rustix::fs::openat(&folder.fd, name, flags, Mode::empty()) {
        Ok(file) => Ok(Some(file)),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(failed("open log")(error)),
    }
}

/// Sends from where the last call stopped to the end of the file as it is now, and at most `limit` bytes.
fn send(context: &Context, file: &OwnedFd, limit: u64) -> Result<(), Failure> {
    let mut buffer = vec![0; CHUNK];
    let mut left = limit;
    while left > 0 {
        let room = buffer.len().min(usize::try_from(left).unwrap_or(CHUNK));
        let part = buffer.get_mut(..room).unwrap_or_default();
        let length = berth_sys::file::read_some(file, part).map_err(failed("read log"))?;
        if length == 0 {
            break;
        }
        context.output.data(buffer.get(..length).unwrap_or_default())?;
        left = left.saturating_sub(u64::try_from(length).unwrap_or(u64::MAX));
    }
    Ok(())
}
