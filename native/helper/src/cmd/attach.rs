//! `attach`: joins the streams of a running container by way of its monitor.

use crate::channel::{Fill, write_all};
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

/// Bytes read from the monitor at once.
const CHUNK: usize = 64 * 1024;

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
fn relay(context: &Context, monitor: &OwnedFd) -> Result<Option<Ended>, Failure> {
    let mut input = context.input.borrow_mut();
    let mut inbox = Vec::new();
    loop {
        while let Some(one) = input.next()? {
            if one.kind != Kind::End {
                let length = u32::try_from(one.payload.len()).map_err(|_| failed("write frame")(rustix::io::Errno::TOOBIG))?;
                let mut bytes = frame::head(one.kind, length).to_vec();
                bytes.extend_from_slice(&one.payload);
                // A monitor that has gone shows when it is read from.
                let _ = write_all(monitor.as_fd(), &bytes);
            }
        }
        let ready = {
            let mut polled = [
                PollFd::from_borrowed_fd(input.as_fd(), PollFlags::IN),
                PollFd::new(monitor, PollFlags::IN),
            ];
            rustix::io::retry_on_intr(|| rustix::event::poll(&mut polled, None)).map_err(failed("poll"))?;
            polled.map(|one| !one.revents().is_empty())
        };
        let [said, written] = ready;
        if written {
            match receive(monitor, &mut inbox)? {
                Received::More => {}
                Received::End(ended) => return Ok(ended),
            }
        }
        if said && input.fill()? == Fill::Closed {
            return Err(cancelled());
        }
    }
}

enum Received {
    More,
    End(Option<Ended>),
}

fn receive(monitor: &OwnedFd, inbox: &mut Vec<u8>) -> Result<Received, Failure> {
    let mut buffer = vec![0; CHUNK];
    match rustix::io::retry_on_intr(|| rustix::io::read(monitor, &mut *buffer)) {
        Ok(length @ 1..) => inbox.extend_from_slice(buffer.get(..length).unwrap_or_default()),
        Ok(0) | Err(rustix::io::Errno::CONNRESET) => return Ok(Received::End(None)),
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
        write_all(rustix::stdio::stdout(), inbox.get(..whole).unwrap_or_default()).map_err(|_| cancelled())?;
        inbox.drain(..whole);
    }
    Ok(Received::More)
}
