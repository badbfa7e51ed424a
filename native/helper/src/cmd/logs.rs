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
    let watch = Watch::new(&folder.fd)?;
    for file in older(&folder, 1, None)? {
        send(context, &file)?;
    }
    let mut current = open(&folder, NEWEST)?;
    loop {
        // Asked for before the last read: what was written until the end is then seen by it.
        let runs = args.follow && life::look(context, &folder)?.is_some_and(|state| life::runs(&state));
        if let Some(file) = &current {
            send(context, file)?;
        }
        if let Some(next) = replaced(&folder, current.as_ref())? {
            // The log may have moved on by more than one part.
            for file in older(&folder, 1, current.as_ref())? {
                send(context, &file)?;
            }
            current = Some(next);
            continue;
        }
        if !runs {
            return Ok(Reply::Logs);
        }
        watch.wait(None, Some(LOOK))?;
    }
}

/// Parts from `age` on that are newer than `until`, oldest first.
fn older(folder: &Folder, age: u32, until: Option<&OwnedFd>) -> Result<Vec<OwnedFd>, Failure> {
    let mut parts = Vec::new();
    for age in age..log::MAX_FILES {
        let Some(file) = open(folder, &log::part(age))? else { break };
        if until.map(identity).transpose()? == Some(identity(&file)?) {
            break;
        }
        parts.push(file);
    }
    parts.reverse();
    Ok(parts)
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

/// Sends from where the last call stopped to the end of the file as it is now.
fn send(context: &Context, file: &OwnedFd) -> Result<(), Failure> {
    let mut buffer = vec![0; CHUNK];
    loop {
        match berth_sys::file::read_some(file, &mut buffer).map_err(failed("read log"))? {
            0 => return Ok(()),
            length => context.output.data(buffer.get(..length).unwrap_or_default())?,
        }
    }
}
