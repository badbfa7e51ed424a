//! Messages of netlink: their bytes, their acknowledgements, their dumps. Source: `netlink(7)`, `include/uapi/linux/netlink.h`.

use rustix::fd::{AsFd as _, BorrowedFd, OwnedFd};
use rustix::io::{self, Errno};
use rustix::net::{self, AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink};

const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
pub(crate) const NLM_F_REQUEST: u16 = 1;
pub(crate) const NLM_F_ACK: u16 = 4;
pub(crate) const NLM_F_REPLACE: u16 = 0x100;
pub(crate) const NLM_F_EXCL: u16 = 0x200;
pub(crate) const NLM_F_DUMP: u16 = 0x300;
pub(crate) const NLM_F_CREATE: u16 = 0x400;
pub(crate) const NLM_F_APPEND: u16 = 0x800;
/// Marks an attribute that holds attributes.
const NLA_F_NESTED: u16 = 0x8000;
const NLA_TYPE_MASK: u16 = 0x3fff;
const RTMGRP_IPV4_IFADDR: u32 = 0x10;
const RTMGRP_IPV6_IFADDR: u32 = 0x100;
/// Length of `struct nlmsghdr`, and of `struct nlattr`.
const HEAD: usize = 16;
const ATTRIBUTE_HEAD: usize = 4;
/// The largest answer of one read; the kernel makes no larger ones for a buffer of this size.
const ANSWER: usize = 64 * 1024;

/// The bytes of a message's body, or of an attribute that holds attributes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Body(Vec<u8>);

impl Body {
    /// A body that begins with a fixed structure.
    pub(crate) fn new(head: &[u8]) -> Self {
        Self(head.to_vec())
    }

    #[cfg(test)]
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Appends an attribute, padded to four bytes.
    pub(crate) fn attribute(mut self, kind: u16, value: &[u8]) -> Self {
        // No value that is built here comes near the limit; a longer one could not be told from a short one.
        let length = u16::try_from(ATTRIBUTE_HEAD.saturating_add(value.len())).unwrap_or(u16::MAX);
        self.0.extend(length.to_ne_bytes());
        self.0.extend(kind.to_ne_bytes());
        self.0.extend(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    /// Appends a text that ends with NUL.
    pub(crate) fn text(self, kind: u16, text: &str) -> Self {
        let value = [text.as_bytes(), &[0]].concat();
        self.attribute(kind, &value)
    }

    /// Appends an attribute of attributes.
    pub(crate) fn nest(self, kind: u16, inner: &Self) -> Self {
        self.attribute(kind | NLA_F_NESTED, &inner.0)
    }
}

/// Splits the attributes that follow a message's fixed structure.
pub(crate) fn attributes(mut bytes: &[u8]) -> Vec<(u16, &[u8])> {
    let mut found = Vec::new();
    while let (Some(length), Some(kind)) = (u16_at(bytes, 0), u16_at(bytes, 2)) {
        let length = usize::from(length);
        let Some(value) = bytes.get(ATTRIBUTE_HEAD..length) else { break };
        found.push((kind & NLA_TYPE_MASK, value));
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    found
}

/// The value of the attribute `kind`.
pub(crate) fn attribute(bytes: &[u8], kind: u16) -> Option<&[u8]> {
    attributes(bytes)
        .into_iter()
        .find(|(found, _)| *found == kind)
        .map(|(_, value)| value)
}

/// A text attribute without its NUL.
pub(crate) fn text(value: &[u8]) -> String {
    let end = value.iter().position(|byte| *byte == 0).unwrap_or(value.len());
    String::from_utf8_lossy(value.get(..end).unwrap_or_default()).into_owned()
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at.checked_add(2)?)?.try_into().ok().map(u16::from_ne_bytes)
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at.checked_add(4)?)?.try_into().ok().map(u32::from_ne_bytes)
}

/// One message on its way to the kernel.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    pub(crate) kind: u16,
    pub(crate) flags: u16,
    pub(crate) body: Body,
}

/// A message that the kernel sent.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) kind: u16,
    pub(crate) body: Vec<u8>,
}

/// A netlink socket in the namespace of this thread.
#[derive(Debug)]
pub(crate) struct Socket(OwnedFd);

impl Socket {
    /// Links, addresses and routes.
    pub(crate) fn route() -> io::Result<Self> {
        // Protocol 0 of this family.
        Self::open(None)
    }

    /// Tells when addresses come and go.
    pub(crate) fn watch_addresses() -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = net::socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?;
        net::bind(
            &socket,
            &netlink::SocketAddrNetlink::new(0, RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR),
        )?;
        Ok(Self(socket))
    }

    /// Takes all that a watching socket was told. Messages that were lost mean a change as well.
    pub(crate) fn drain(&self) {
        let mut buffer = vec![0_u8; ANSWER];
        while matches!(
            net::recv(&self.0, &mut buffer[..], RecvFlags::DONTWAIT),
            Ok(_) | Err(Errno::INTR | Errno::NOBUFS)
        ) {}
    }

    /// Packet rules.
    pub(crate) fn netfilter() -> io::Result<Self> {
        Self::open(Some(netlink::NETFILTER))
    }

    fn open(protocol: Option<net::Protocol>) -> io::Result<Self> {
        net::socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, protocol).map(Self)
    }

    /// The descriptor to poll.
    pub(crate) fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    /// Sends a request and waits for its acknowledgement.
    pub(crate) fn ask(&self, kind: u16, flags: u16, body: Body) -> io::Result<()> {
        self.ask_all(&[Message {
            kind,
            flags: flags | NLM_F_REQUEST | NLM_F_ACK,
            body,
        }])
    }

    /// Sends messages at once and waits for the acknowledgements that they ask for, or for the first error.
    pub(crate) fn ask_all(&self, messages: &[Message]) -> io::Result<()> {
        let mut bytes = Vec::new();
        for (sequence, message) in (1_u32..).zip(messages) {
            encode(message, sequence, &mut bytes)?;
        }
        net::send(&self.0, &bytes, SendFlags::empty())?;
        let mut wanted = messages.iter().filter(|message| message.flags & NLM_F_ACK != 0).count();
        while wanted > 0 {
            for answer in self.read()? {
                if answer.kind == NLMSG_ERROR {
                    verdict(&answer)?;
                    wanted = wanted.saturating_sub(1);
                }
            }
        }
        Ok(())
    }

    /// All messages that answer a request for a list.
    pub(crate) fn dump(&self, kind: u16, body: Body) -> io::Result<Vec<Answer>> {
        let message = Message {
            kind,
            flags: NLM_F_REQUEST | NLM_F_DUMP,
            body,
        };
        let mut bytes = Vec::new();
        encode(&message, 1, &mut bytes)?;
        net::send(&self.0, &bytes, SendFlags::empty())?;
        let mut all = Vec::new();
        loop {
            for answer in self.read()? {
                match answer.kind {
                    NLMSG_DONE => return Ok(all),
                    NLMSG_ERROR => verdict(&answer)?,
                    _ => all.push(answer),
                }
            }
        }
    }

    fn read(&self) -> io::Result<Vec<Answer>> {
        let mut buffer = vec![0_u8; ANSWER];
        let (length, _) = rustix::io::retry_on_intr(|| net::recv(&self.0, &mut buffer[..], RecvFlags::empty()))?;
        let answers = split(buffer.get(..length).unwrap_or_default());
        if answers.is_empty() { Err(Errno::PROTO) } else { Ok(answers) }
    }
}

fn encode(message: &Message, sequence: u32, bytes: &mut Vec<u8>) -> io::Result<()> {
    let length = u32::try_from(HEAD.saturating_add(message.body.0.len())).map_err(|_| Errno::INVAL)?;
    bytes.extend(length.to_ne_bytes());
    bytes.extend(message.kind.to_ne_bytes());
    bytes.extend(message.flags.to_ne_bytes());
    bytes.extend(sequence.to_ne_bytes());
    bytes.extend(0_u32.to_ne_bytes());
    bytes.extend(&message.body.0);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    Ok(())
}

fn split(mut bytes: &[u8]) -> Vec<Answer> {
    let mut answers = Vec::new();
    while let (Some(length), Some(kind)) = (u32_at(bytes, 0), u16_at(bytes, 4)) {
        let Some(length) = usize::try_from(length).ok() else { break };
        let Some(body) = bytes.get(HEAD..length) else { break };
        answers.push(Answer { kind, body: body.to_vec() });
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    answers
}

/// The error that the kernel's acknowledgement carries; 0 is success.
fn verdict(answer: &Answer) -> io::Result<()> {
    match answer.body.get(..4).and_then(|bytes| bytes.try_into().ok()).map(i32::from_ne_bytes) {
        Some(0) => Ok(()),
        Some(code) => Err(Errno::from_raw_os_error(code.saturating_neg())),
        None => Err(Errno::PROTO),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pads_attributes_and_reads_them_back() {
        let inner = Body::default().attribute(7, &[1, 2, 3, 4]);
        let body = Body::new(&[9; 4]).text(1, "ab").nest(2, &inner).attribute(3, &[]);
        assert_eq!(&body.bytes()[..12], [9, 9, 9, 9, 7, 0, 1, 0, b'a', b'b', 0, 0]);
        let found = attributes(&body.bytes()[4..]);
        assert_eq!(found.iter().map(|(kind, _)| *kind).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(text(found[0].1), "ab");
        assert_eq!(attribute(found[1].1, 7), Some([1, 2, 3, 4].as_slice()));
    }

    #[test]
    fn stops_at_an_attribute_that_is_longer_than_its_message() {
        assert!(attributes(&[200, 0, 1, 0, 1]).is_empty());
        assert!(attributes(&[0, 0, 1, 0]).is_empty());
    }

    fn sent(kind: u16, code: i32) -> Vec<u8> {
        let mut bytes = Vec::new();
        let message = Message {
            kind,
            flags: 0,
            body: Body::new(&code.to_ne_bytes()),
        };
        encode(&message, 5, &mut bytes).unwrap();
        bytes
    }

    #[test]
    fn reads_the_kernels_verdict() {
        let bytes = [sent(NLMSG_ERROR, 0), sent(NLMSG_ERROR, -1)].concat();
        let answers = split(&bytes);
        assert_eq!(answers.iter().map(verdict).collect::<Vec<_>>(), [Ok(()), Err(Errno::PERM)]);
    }

    #[test]
    fn refuses_an_answer_that_is_none() {
        assert!(split(&[]).is_empty());
        assert!(split(&[255; 20]).is_empty());
        let short = Answer {
            kind: NLMSG_ERROR,
            body: vec![1],
        };
        assert_eq!(verdict(&short), Err(Errno::PROTO));
    }
}
