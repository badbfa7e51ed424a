//! What the child tells its parent before it becomes another program: one message a packet. End of file means that exec worked.

use crate::fail::failed;
use berth_wire::Failure;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::{Errno, IoSlice, IoSliceMut};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags,
    SocketType,
};
use serde::{Deserialize, Serialize};
use std::mem::MaybeUninit;

/// The largest message in bytes: a path and a sentence.
const MAX_MESSAGE: usize = 32 * 1024;

/// One thing to tell.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Message {
    /// A mount target that was missing and was made in the upper snapshot.
    Stub(Stub),
    /// Work goes on without something.
    Warning(String),
    /// The end: the process was not started.
    Failure(Failure),
    /// The other end of the container's terminal comes with this message.
    Terminal,
    /// The process waits to be let on, with its namespaces and root ready.
    Prepared,
    /// Nothing can fail any more before the process is started.
    Ready,
}

/// A mount target that exists only because something was mounted over it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stub {
    /// Path below the root, as bytes: names of the image need not be text.
    pub path: Vec<u8>,
    pub directory: bool,
}

/// A packet that arrived.
#[derive(Debug)]
pub struct Packet {
    pub message: Message,
    pub descriptor: Option<OwnedFd>,
}

/// The child's end.
#[derive(Debug)]
pub struct Reporter {
    socket: OwnedFd,
}

/// The parent's end.
#[derive(Debug)]
pub struct Receiver {
    pub socket: OwnedFd,
}

/// Both ends.
///
/// # Errors
/// When no socket could be made.
pub fn channel() -> Result<(Receiver, Reporter), Failure> {
    let flags = SocketFlags::CLOEXEC;
    let (a, b) = rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).map_err(failed("socketpair"))?;
    Ok((Receiver { socket: a }, Reporter { socket: b }))
}

impl AsFd for Reporter {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl From<OwnedFd> for Reporter {
    fn from(socket: OwnedFd) -> Self {
        Self { socket }
    }
}

impl Reporter {
    /// Tells `message`. A parent that is gone is no error: it takes this process with it.
    pub fn tell(&self, message: &Message) {
        let Ok(bytes) = serde_json::to_vec(message) else { return };
        let cut = bytes.get(..MAX_MESSAGE.min(bytes.len())).unwrap_or_default();
        let _ = rustix::io::retry_on_intr(|| rustix::net::send(&self.socket, cut, SendFlags::NOSIGNAL));
    }

    /// Tells that work goes on without something.
    pub fn warn(&self, sentence: impl Into<String>) {
        self.tell(&Message::Warning(sentence.into()));
    }

    /// Hands a terminal over, or another descriptor that is waited for.
    ///
    /// # Errors
    /// When it could not be sent.
    pub fn hand_over(&self, terminal: impl AsFd) -> Result<(), Failure> {
        let bytes = serde_json::to_vec(&Message::Terminal).unwrap_or_default();
        let descriptors = [terminal.as_fd()];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        control.push(SendAncillaryMessage::ScmRights(&descriptors));
        rustix::net::sendmsg(&self.socket, &[IoSlice::new(&bytes)], &mut control, SendFlags::NOSIGNAL)
            .map(drop)
            .map_err(failed("send terminal"))
    }
}

impl Receiver {
    /// The next message; waits for it. `None` when the child has become another program, or has ended.
    ///
    /// # Errors
    /// When the socket fails or the message is not one.
    pub fn next(&self) -> Result<Option<Packet>, Failure> {
        let mut bytes = vec![0_u8; MAX_MESSAGE];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let received = rustix::io::retry_on_intr(|| {
            rustix::net::recvmsg(
                &self.socket,
                &mut [IoSliceMut::new(&mut bytes)],
                &mut control,
                RecvFlags::CMSG_CLOEXEC,
            )
        });
        let length = match received {
            Ok(received) => received.bytes,
            Err(Errno::CONNRESET) => 0,
            Err(error) => return Err(failed("recvmsg")(error)),
        };
        if length == 0 {
            return Ok(None);
        }
        let message = serde_json::from_slice(bytes.get(..length).unwrap_or_default())
            .map_err(|error| failed("read report")(Errno::INVAL).subject(error.to_string()))?;
        Ok(Some(Packet {
            message,
            descriptor: first_descriptor(&mut control),
        }))
    }
}

fn first_descriptor(control: &mut RecvAncillaryBuffer<'_>) -> Option<OwnedFd> {
    control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_arrive_one_by_one_and_the_end_is_seen() {
        let (receiver, reporter) = channel().unwrap();
        reporter.tell(&Message::Stub(Stub {
            path: b"etc/\xff".to_vec(),
            directory: false,
        }));
        reporter.warn("less");
        drop(reporter);
        let Some(Packet {
            message: Message::Stub(stub),
            descriptor: None,
        }) = receiver.next().unwrap()
        else {
            panic!("no stub")
        };
        assert_eq!(stub.path, b"etc/\xff");
        assert!(matches!(
            receiver.next().unwrap(),
            Some(Packet {
                message: Message::Warning(_),
                ..
            })
        ));
        assert!(receiver.next().unwrap().is_none());
    }

    #[test]
    fn a_terminal_comes_with_its_message() {
        let (receiver, reporter) = channel().unwrap();
        let (one, _other) = rustix::pipe::pipe().unwrap();
        reporter.hand_over(&one).unwrap();
        let packet = receiver.next().unwrap().unwrap();
        assert!(matches!(packet.message, Message::Terminal));
        assert!(packet.descriptor.is_some());
    }
}
