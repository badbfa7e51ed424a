//! The two messages of rtnetlink that a container's network needs, and their answer. Source: `rtnetlink(7)`, `netlink(7)`.

use rustix::fd::OwnedFd;
use rustix::io::{self, Errno};
use rustix::net::{self, AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};
use std::net::Ipv4Addr;

const NLMSG_ERROR: u16 = 2;
const RTM_NEWLINK: u16 = 16;
const RTM_NEWADDR: u16 = 20;
const NLM_F_REQUEST: u16 = 1;
const NLM_F_ACK: u16 = 4;
const NLM_F_CREATE: u16 = 0x400;
const NLM_F_REPLACE: u16 = 0x100;
const IFF_UP: u32 = 1;
const AF_INET: u8 = 2;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
/// Length of `struct nlmsghdr`.
const HEAD: usize = 16;

/// A socket that speaks rtnetlink in the namespace of this thread.
#[derive(Debug)]
pub(crate) struct Socket(OwnedFd);

impl Socket {
    pub(crate) fn open() -> io::Result<Self> {
        // Protocol 0 of this family is rtnetlink.
        net::socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None).map(Self)
    }

    /// Sets a link up.
    pub(crate) fn set_up(&self, index: u32) -> io::Result<()> {
        // struct ifinfomsg: family, padding, type, index, flags, change mask.
        let mut body = vec![0_u8; 4];
        body.extend(index.to_ne_bytes());
        body.extend(IFF_UP.to_ne_bytes());
        body.extend(IFF_UP.to_ne_bytes());
        self.ask(RTM_NEWLINK, 0, &body)
    }

    /// Adds `address`/32 to a link; one that is there already stays.
    pub(crate) fn add_address(&self, index: u32, address: Ipv4Addr) -> io::Result<()> {
        // struct ifaddrmsg: family, prefix length, flags, scope, index.
        let mut body = vec![AF_INET, 32, 0, 0];
        body.extend(index.to_ne_bytes());
        for kind in [IFA_LOCAL, IFA_ADDRESS] {
            body.extend(8_u16.to_ne_bytes());
            body.extend(kind.to_ne_bytes());
            body.extend(address.octets());
        }
        self.ask(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, &body)
    }

    fn ask(&self, kind: u16, flags: u16, body: &[u8]) -> io::Result<()> {
        let message = message(kind, flags | NLM_F_REQUEST | NLM_F_ACK, body)?;
        net::send(&self.0, &message, SendFlags::empty())?;
        let mut answer = [0_u8; 4096];
        let (length, _) = net::recv(&self.0, &mut answer[..], RecvFlags::empty())?;
        verdict(answer.get(..length).unwrap_or_default())
    }
}

fn message(kind: u16, flags: u16, body: &[u8]) -> io::Result<Vec<u8>> {
    let length = u32::try_from(HEAD.saturating_add(body.len())).map_err(|_| Errno::INVAL)?;
    let mut bytes = Vec::with_capacity(HEAD.saturating_add(body.len()));
    bytes.extend(length.to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(flags.to_ne_bytes());
    bytes.extend(1_u32.to_ne_bytes());
    bytes.extend(0_u32.to_ne_bytes());
    bytes.extend(body);
    Ok(bytes)
}

/// The error that the kernel's acknowledgement carries; 0 is success.
fn verdict(answer: &[u8]) -> io::Result<()> {
    let kind = answer.get(4..6).and_then(|b| <[u8; 2]>::try_from(b).ok()).map(u16::from_ne_bytes);
    let code = answer
        .get(HEAD..20)
        .and_then(|b| <[u8; 4]>::try_from(b).ok())
        .map(i32::from_ne_bytes);
    match (kind, code) {
        (Some(NLMSG_ERROR), Some(0)) => Ok(()),
        (Some(NLMSG_ERROR), Some(code)) => Err(Errno::from_raw_os_error(code.saturating_neg())),
        _ => Err(Errno::PROTO),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(code: i32) -> Vec<u8> {
        message(NLMSG_ERROR, 0, &code.to_ne_bytes()).unwrap()
    }

    #[test]
    fn reads_the_kernels_verdict() {
        assert_eq!(verdict(&answer(0)), Ok(()));
        assert_eq!(verdict(&answer(-1)), Err(Errno::PERM));
    }

    #[test]
    fn refuses_an_answer_that_is_none() {
        assert_eq!(verdict(&[]), Err(Errno::PROTO));
        assert_eq!(verdict(&message(RTM_NEWLINK, 0, &[0; 4]).unwrap()), Err(Errno::PROTO));
    }
}
