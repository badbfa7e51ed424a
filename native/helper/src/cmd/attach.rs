//! `attach`: joins the streams of a running container by way of its monitor.

use crate::channel::Fill;
use crate::container::{self, Folder, life};
use crate::context::Context;
use crate::fail::{cancelled, failed};
use crate::journal;
use berth_monitor::clients;
use berth_wire::frame::{self, Kind};
use berth_wire::reply::Ended;
use berth_wire::request::Attach;
use berth_wire::{Code, Failure, Reply};
use rustix::event::{PollFd, PollFlags};
use rustix::fd::{AsFd as _, OwnedFd};
use rustix::fs::OFlags;
use rustix::io::Errno;

/// Bytes read from the monitor at once.
const CHUNK: usize = 64 * 1024;
/// Bytes that may wait for the monitor before nothing more is taken from the engine.
const MAX_OUTBOX: usize = 1024 * 1024;

pub(crate) fn run(context: &Context, args: &Attach) -> Result<Reply, Failure> {
    let folder = Folder::open(context, &args.container)?;
    if !life::look(context, &folder)?.is_some_and(|state| life::runs(&state)) {
        return Err(Failure::new(Code::Conflict, "attach", "the container is not running").subject(args.container.clone()));
    }
    let monitor = clients::connect(&folder.fd)?;
    journal::of_container(context, &folder, "attach", &[]);
    let result = relay(context, &monitor);
    if result.as_ref().is_err_and(|failure| failure.code == Code::Cancelled) {
        journal::of_container(context, &folder, "detach", &[]);
    }
    match result? {
        Some(ended) => Ok(Reply::Attach(ended)),
        // The monitor has gone without a word.
        None => {
            let state = life::look(context, &folder)?;
            Ok(Reply::Attach(state.and_then(|state| state.ended).unwrap_or_else(container::unseen)))
        }
    }
}

/// Passes frames both ways. `None` when the monitor has gone.
///
/// Neither way waits for the other: a process that takes no input while nobody takes its output would stop both for ever.
fn relay(context: &Context, monitor: &OwnedFd) -> Result<Option<Ended>, Failure> {
    let mut input = context.input.borrow_mut();
    let (mut inbox, mut outbox) = (Vec::new(), Vec::new());
    unblock(monitor)?;
    loop {
        while outbox.len() < MAX_OUTBOX
            && let Some(one) = input.next()?
        {
            if one.kind != Kind::End {
                let length = u32::try_from(one.payload.len()).map_err(|_| failed("write frame")(Errno::TOOBIG))?;
                outbox.extend_from_slice(&frame::head(one.kind, length));
                outbox.extend_from_slice(&one.payload);
            }
        }
        push(monitor, &mut outbox);
        let full = outbox.len() >= MAX_OUTBOX;
        let [said, written] = {
            let room = if outbox.is_empty() { PollFlags::empty() } else { PollFlags::OUT };
            // A hang-up is reported whatever is asked for.
            let more = if full { PollFlags::RDHUP } else { PollFlags::IN };
            let mut polled = [
                PollFd::from_borrowed_fd(input.as_fd(), more),
                PollFd::new(monitor, PollFlags::IN | room),
            ];
            rustix::io::retry_on_intr(|| rustix::event::poll(&mut polled, None)).map_err(failed("poll"))?;
            let [said, written] = polled.map(|one| one.revents());
            [!said.is_empty(), !written.difference(PollFlags::OUT).is_empty()]
        };
        if written {
            match receive(context, monitor, &mut inbox)? {
                Received::More => {}
                Received::End(ended) => return Ok(ended),
            }
        }
        if said && (full || input.fill()? == Fill::Closed) {
            return Err(cancelled());
        }
    }
}

fn unblock(monitor: &OwnedFd) -> Result<(), Failure> {
    rustix::fs::fcntl_getfl(monitor)
        .and_then(|flags| rustix::fs::fcntl_setfl(monitor, flags | OFlags::NONBLOCK))
        .map_err(failed("fcntl"))
}

/// Hands on what the monitor takes.
fn push(monitor: &OwnedFd, outbox: &mut Vec<u8>) {
    while !outbox.is_empty() {
        match rustix::io::write(monitor, outbox) {
            Ok(done) => drop(outbox.drain(..done)),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => return,
            // A monitor that has gone shows when it is read from.
            Err(_) => outbox.clear(),
        }
    }
}

enum Received {
    More,
    End(Option<Ended>),
}

fn receive(context: &Context, monitor: &OwnedFd, inbox: &mut Vec<u8>) -> Result<Received, Failure> {
    let mut buffer = vec![0; CHUNK];
    match rustix::io::retry_on_intr(|| rustix::io::read(monitor, &mut *buffer)) {
        Ok(length @ 1..) => inbox.extend_from_slice(buffer.get(..length).unwrap_or_default()),
        Err(Errno::AGAIN) => return Ok(Received::More),
        Ok(0) | Err(Errno::CONNRESET) => return Ok(Received::End(None)),
        Err(error) => return Err(failed("read monitor")(error)),
    }
    while let Some((head, rest)) = inbox.split_first_chunk::<{ frame::HEAD }>() {
        let malformed = |message| Failure::new(Code::Invalid, "read monitor", message);
        let (kind, length) = frame::parse_head(*head).map_err(malformed)?;
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let Some(payload) = rest.get(..length) else { break };
        if kind == Kind::Control {
            return Ok(Received::End(serde_json::from_slice(payload).ok()));
        }
        let whole = frame::HEAD.saturating_add(length);
        context.output.pass(inbox.get(..whole).unwrap_or_default())?;
        inbox.drain(..whole);
    }
    Ok(Received::More)
}
