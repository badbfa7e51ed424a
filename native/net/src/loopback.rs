//! Brings loopback up in a new network namespace, with one more address: by rtnetlink, in the two messages that it takes.

use crate::fail::failed;
use berth_wire::Failure;
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};
use std::net::Ipv4Addr;

const NEW_LINK: u16 = 16;
const NEW_ADDRESS: u16 = 20;
const ERROR: u16 = 2;
/// `NLM_F_REQUEST | NLM_F_ACK`.
const REQUEST: u16 = 0x5;
/// `NLM_F_CREATE | NLM_F_EXCL`.
const CREATE: u16 = 0x600;
const UP: u32 = 1;
/// Loopback is the first interface of every namespace.
const LOOPBACK: u32 = 1;
const FAMILY_IPV4: u8 = 2;
/// Attributes of an address: the one that peers see, and our own.
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;

/// Brings loopback up, and puts `address` on it as a host address.
///
/// # Errors
/// Those of rtnetlink.
pub fn bring_up(address: Option<Ipv4Addr>) -> Result<(), Failure> {
    let socket =
        rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None).map_err(failed("socket netlink"))?;
    ask(&socket, NEW_LINK, REQUEST, &link_up()).map_err(failed("bring loopback up"))?;
    let Some(address) = address else { return Ok(()) };
    match ask(&socket, NEW_ADDRESS, REQUEST | CREATE, &host_address(address)) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(error) => Err(failed("add address")(error).subject(address.to_string())),
    }
}

/// `struct ifinfomsg`: family, padding, type, index, flags, mask of the flags to change.
fn link_up() -> Vec<u8> {
    let mut message = vec![0; 4];
    for word in [LOOPBACK, UP, UP] {
        message.extend_from_slice(&word.to_ne_bytes());
    }
    message
}

/// `struct ifaddrmsg`: family, prefix length, flags, scope, index; then the address twice.
fn host_address(address: Ipv4Addr) -> Vec<u8> {
    let mut message = vec![FAMILY_IPV4, 32, 0, 0];
    message.extend_from_slice(&LOOPBACK.to_ne_bytes());
    for kind in [IFA_LOCAL, IFA_ADDRESS] {
        message.extend_from_slice(&8_u16.to_ne_bytes());
        message.extend_from_slice(&kind.to_ne_bytes());
        message.extend_from_slice(&address.octets());
    }
    message
}

fn ask(socket: &OwnedFd, kind: u16, flags: u16, body: &[u8]) -> Result<(), Errno> {
    rustix::net::send(socket, &request(kind, flags, body)?, SendFlags::empty())?;
    let mut answer = [0_u8; 4096];
    let (length, _) = rustix::io::retry_on_intr(|| rustix::net::recv(socket, &mut answer, RecvFlags::empty()))?;
    acknowledged(answer.get(..length).unwrap_or_default())
}

fn request(kind: u16, flags: u16, body: &[u8]) -> Result<Vec<u8>, Errno> {
    let length = u32::try_from(body.len().saturating_add(16)).map_err(|_| Errno::TOOBIG)?;
    let mut message = length.to_ne_bytes().to_vec();
    message.extend_from_slice(&kind.to_ne_bytes());
    message.extend_from_slice(&flags.to_ne_bytes());
    // Sequence and port: one request at a time, from a socket of its own.
    message.extend_from_slice(&[0; 8]);
    message.extend_from_slice(body);
    Ok(message)
}

/// An acknowledgement is an error message with the number 0.
fn acknowledged(answer: &[u8]) -> Result<(), Errno> {
    let Some((head, rest)) = answer.split_first_chunk::<16>() else {
        return Err(Errno::IO);
    };
    let [_, _, _, _, a, b, ..] = *head;
    let Some(number) = rest.first_chunk::<4>() else {
        return Err(Errno::IO);
    };
    match (u16::from_ne_bytes([a, b]), i32::from_ne_bytes(*number)) {
        (ERROR, 0) => Ok(()),
        (ERROR, number) => Err(Errno::from_raw_os_error(number.saturating_neg())),
        _ => Err(Errno::IO),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_carries_its_own_length() {
        let message = request(NEW_ADDRESS, REQUEST, &host_address(Ipv4Addr::new(10, 88, 0, 2))).unwrap();
        assert_eq!(message.len(), 16 + 8 + 2 * 8);
        assert_eq!(message[0], 40);
        assert_eq!(message[message.len() - 4..], [10, 88, 0, 2]);
    }

    #[test]
    fn an_answer_is_read_as_the_kernel_writes_it() {
        let answer = |kind: u16, number: i32| [&20_u32.to_ne_bytes()[..], &kind.to_ne_bytes(), &[0; 10], &number.to_ne_bytes()].concat();
        assert_eq!(acknowledged(&answer(ERROR, 0)), Ok(()));
        assert_eq!(acknowledged(&answer(ERROR, -17)), Err(Errno::EXIST));
        assert_eq!(acknowledged(&answer(3, 0)), Err(Errno::IO));
        assert_eq!(acknowledged(&[]), Err(Errno::IO));
    }
}
