//! `events` and `announce`: the journal is read, and written by the engine.

use crate::container::watch::Watch;
use crate::context::Context;
use crate::fail::{failed, failed_on};
use crate::journal::{self, FILES};
use berth_wire::request::{Announce, Events};
use berth_wire::{Code, Failure, Reply};
use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

/// Bytes sent at once.
const CHUNK: usize = 64 * 1024;
/// The longest name of a kind or an action.
const MAX_WORD: usize = 256;

pub(crate) fn events(context: &Context, args: &Events) -> Result<Reply, Failure> {
    let watch = Watch::new(&context.store)?;
    let [newest, older] = FILES;
    if let Some(file) = open(context, older)? {
        send(context, &file)?;
    }
    let mut current = open(context, newest)?;
    loop {
        if let Some(file) = &current {
            send(context, file)?;
        }
        if let Some(next) = replaced(context, current.as_ref())? {
            current = Some(next);
            continue;
        }
        if !args.follow {
            return Ok(Reply::Events);
        }
        watch.wait(None, None)?;
    }
}

pub(crate) fn announce(context: &Context, args: &Announce) -> Result<Reply, Failure> {
    for word in [&args.kind, &args.action, &args.id] {
        // What is told of all of a kind, such as a prune, has no id.
        let is_missing = word.is_empty() && !std::ptr::eq(word, &args.id);
        if is_missing || word.len() > MAX_WORD * 4 || word.chars().any(char::is_control) {
            return Err(Failure::new(
                Code::Request,
                "announce",
                "a word is empty, too long or holds control characters",
            ));
        }
    }
    journal::write(context, &args.kind, &args.action, &args.id, &args.attributes);
    Ok(Reply::Announce)
}

/// The file that has taken the place of the open one.
fn replaced(context: &Context, current: Option<&OwnedFd>) -> Result<Option<OwnedFd>, Failure> {
    let Some(next) = open(context, FILES[0])? else { return Ok(None) };
    let identity = |file: &OwnedFd| {
        rustix::fs::fstat(file)
            .map(|stat| (stat.st_dev, stat.st_ino))
            .map_err(failed("stat journal"))
    };
    let same = match current {
        Some(current) => identity(current)? == identity(&next)?,
        None => false,
    };
    Ok((!same).then_some(next))
}

fn open(context: &Context, name: &str) -> Result<Option<OwnedFd>, Failure> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    match rustix::fs::openat(&context.store, name, flags, Mode::empty()) {
        Ok(file) => Ok(Some(file)),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(failed_on("open journal", name)(error)),
    }
}

/// Sends from where the last call stopped to the end of the file as it is now.
fn send(context: &Context, file: &OwnedFd) -> Result<(), Failure> {
    let mut buffer = vec![0; CHUNK];
    loop {
        match berth_sys::file::read_some(file, &mut buffer).map_err(failed("read journal"))? {
            0 => return Ok(()),
            length => context.output.data(buffer.get(..length).unwrap_or_default())?,
        }
    }
}
