//! The part of DNS that answers for containers' names: one question in, one answer out. Source: RFC 1035 4.1.
//!
//! Messages come from containers, and are not trusted: no compression is followed in a question, and nothing is read past its end.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const HEAD: usize = 12;
const MAX_NAME: usize = 253;
const MAX_LABEL: usize = 63;
const CLASS_INTERNET: u16 = 1;
pub(crate) const TYPE_ADDRESS: u16 = 1;
pub(crate) const TYPE_POINTER: u16 = 12;
pub(crate) const TYPE_ADDRESS6: u16 = 28;
/// Seconds that an answer may be kept; Docker's.
const TIME_TO_LIVE: u32 = 600;
/// Addresses that fit into an answer by udp with any name.
const MAX_ADDRESSES: usize = 14;
const MAX_ADDRESSES6: usize = 8;
const SERVER_FAILURE: u8 = 2;

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Question {
    /// In small letters, without the dot at the end.
    pub(crate) name: String,
    pub(crate) kind: u16,
    /// Where the question ends in the message.
    end: usize,
}

/// The question of a message that holds one, of the Internet.
pub(crate) fn question(message: &[u8]) -> Option<Question> {
    let flags = *message.get(2)?;
    // A question, of the ordinary kind.
    if flags & 0xf8 != 0 || u16_at(message, 4)? != 1 {
        return None;
    }
    let (name, at) = name(message)?;
    let kind = u16_at(message, at)?;
    let class = u16_at(message, at.checked_add(2)?)?;
    (class == CLASS_INTERNET).then_some(Question {
        name,
        kind,
        end: at.checked_add(4)?,
    })
}

fn name(message: &[u8]) -> Option<(String, usize)> {
    let mut labels: Vec<String> = Vec::new();
    let mut at = HEAD;
    loop {
        let length = usize::from(*message.get(at)?);
        at = at.checked_add(1)?;
        if length == 0 {
            break;
        }
        let end = at.checked_add(length)?;
        if length > MAX_LABEL || end > HEAD.checked_add(MAX_NAME)? {
            return None;
        }
        let label = message.get(at..end)?;
        labels.push(String::from_utf8_lossy(label).to_ascii_lowercase());
        at = end;
    }
    Some((labels.join("."), at))
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at.checked_add(2)?)?.try_into().ok().map(u16::from_be_bytes)
}

/// The address that a name of the reverse tree stands for.
pub(crate) fn reverse(name: &str) -> Option<IpAddr> {
    reverse4(name).map(IpAddr::V4).or_else(|| reverse6(name).map(IpAddr::V6))
}

fn reverse4(name: &str) -> Option<Ipv4Addr> {
    let parts: Vec<u8> = name
        .strip_suffix(".in-addr.arpa")?
        .split('.')
        .map(|part| part.parse().ok())
        .collect::<Option<_>>()?;
    let [d, c, b, a] = parts.try_into().ok()?;
    Some(Ipv4Addr::new(a, b, c, d))
}

/// A digit of 32 after the other, the last one first.
fn reverse6(name: &str) -> Option<Ipv6Addr> {
    let digits: Vec<&str> = name.strip_suffix(".ip6.arpa")?.split('.').collect();
    if digits.len() != 32 || digits.iter().any(|digit| digit.len() != 1) {
        return None;
    }
    let bits = digits.iter().rev().try_fold(0_u128, |bits, digit| {
        let digit = u128::from_str_radix(digit, 16).ok()?;
        Some(bits.checked_shl(4)? | digit)
    });
    bits.map(Ipv6Addr::from_bits)
}

/// Addresses of a name, of the kind that is asked for; of a name that has none of this kind, an answer without any.
pub(crate) fn addresses(message: &[u8], question: &Question, addresses: &[IpAddr]) -> Vec<u8> {
    let records = addresses.iter().filter_map(|address| match (question.kind, address) {
        (TYPE_ADDRESS, IpAddr::V4(address)) => Some(record(TYPE_ADDRESS, &address.octets())),
        (TYPE_ADDRESS6, IpAddr::V6(address)) => Some(record(TYPE_ADDRESS6, &address.octets())),
        _ => None,
    });
    let most = if question.kind == TYPE_ADDRESS6 {
        MAX_ADDRESSES6
    } else {
        MAX_ADDRESSES
    };
    answer(message, question, &records.take(most).collect::<Vec<_>>())
}

/// The name of an address.
pub(crate) fn pointer(message: &[u8], question: &Question, name: &str) -> Vec<u8> {
    let mut data = Vec::new();
    for label in name.split('.') {
        let label = label.as_bytes().get(..MAX_LABEL.min(label.len())).unwrap_or_default();
        data.push(u8::try_from(label.len()).unwrap_or_default());
        data.extend(label);
    }
    data.push(0);
    answer(message, question, &[record(TYPE_POINTER, &data)])
}

fn record(kind: u16, data: &[u8]) -> Vec<u8> {
    // The name is that of the question, at the end of the head.
    let mut record = vec![0xc0, 12];
    record.extend(kind.to_be_bytes());
    record.extend(CLASS_INTERNET.to_be_bytes());
    record.extend(TIME_TO_LIVE.to_be_bytes());
    record.extend(u16::try_from(data.len()).unwrap_or_default().to_be_bytes());
    record.extend(data);
    record
}

fn answer(message: &[u8], question: &Question, records: &[Vec<u8>]) -> Vec<u8> {
    let mut answer = head(message, 0);
    answer.extend([0, 1]);
    answer.extend(u16::try_from(records.len()).unwrap_or_default().to_be_bytes());
    answer.extend([0, 0, 0, 0]);
    answer.extend(message.get(HEAD..question.end).unwrap_or_default());
    answer.extend(records.concat());
    answer
}

/// Says that nobody could be asked.
pub(crate) fn failure(message: &[u8]) -> Vec<u8> {
    let mut answer = head(message, SERVER_FAILURE);
    let asked = question(message);
    answer.extend([0, u8::from(asked.is_some()), 0, 0, 0, 0, 0, 0]);
    answer.extend(asked.and_then(|question| message.get(HEAD..question.end)).unwrap_or_default());
    answer
}

/// Number and flags: an answer, recursion as it was asked for and offered.
fn head(message: &[u8], code: u8) -> Vec<u8> {
    let byte = |at: usize| message.get(at).copied().unwrap_or_default();
    vec![byte(0), byte(1), 0x80 | (byte(2) & 1), 0x80 | code]
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A message that asks for `name`.
    pub(crate) fn ask(number: u16, name: &str, kind: u16) -> Vec<u8> {
        let mut message = number.to_be_bytes().to_vec();
        message.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
        for label in name.split('.') {
            message.push(u8::try_from(label.len()).unwrap());
            message.extend(label.as_bytes());
        }
        message.push(0);
        message.extend(kind.to_be_bytes());
        message.extend([0, 1]);
        message
    }

    #[test]
    fn answers_with_every_address_of_a_name() {
        let message = ask(0x1234, "Api.Net", TYPE_ADDRESS);
        let asked = question(&message).unwrap();
        assert_eq!(asked.name, "api.net");
        let all: [IpAddr; 3] = ["10.0.0.2", "10.0.0.3", "fd00::3"].map(|text| text.parse().unwrap());
        let answer = addresses(&message, &asked, &all);
        assert_eq!(&answer[..12], [0x12, 0x34, 0x81, 0x80, 0, 1, 0, 2, 0, 0, 0, 0]);
        assert_eq!(&answer[answer.len() - 16..], [0xc0, 12, 0, 1, 0, 1, 0, 0, 2, 88, 0, 4, 10, 0, 0, 3]);
        let message = ask(0x1234, "api", TYPE_ADDRESS6);
        let answer = addresses(&message, &question(&message).unwrap(), &all);
        assert_eq!(answer[7], 1);
        assert!(answer.ends_with(&[0, 16, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3]));
    }

    #[test]
    fn a_name_without_such_an_address_exists_all_the_same() {
        let message = ask(7, "api", 28);
        let answer = addresses(&message, &question(&message).unwrap(), &[]);
        assert_eq!((answer[3] & 15, answer[7]), (0, 0));
    }

    #[test]
    fn finds_the_name_of_an_address() {
        assert_eq!(reverse("4.3.2.10.in-addr.arpa"), Some("10.2.3.4".parse().unwrap()));
        let six = format!("{}0.0.d.f.ip6.arpa", "2.".to_owned() + &"0.".repeat(27));
        assert_eq!(reverse(&six), Some("fd00::2".parse().unwrap()));
        assert_eq!(reverse(&six.replace("2.", "")), None);
        assert_eq!(reverse(&six.replace('2', "x")), None);
        assert_eq!(reverse("3.2.10.in-addr.arpa"), None);
        assert_eq!(reverse("300.3.2.10.in-addr.arpa"), None);
        let message = ask(7, "4.3.2.10.in-addr.arpa", TYPE_POINTER);
        let answer = pointer(&message, &question(&message).unwrap(), "db.mine");
        assert!(answer.ends_with(b"\x02db\x04mine\0"));
    }

    #[test]
    fn reads_nothing_past_the_end_and_follows_no_pointer() {
        let whole = ask(7, "some.name", TYPE_ADDRESS);
        for length in 0..whole.len() {
            assert_eq!(question(&whole[..length]), None, "{length}");
        }
        let mut pointing = whole.clone();
        pointing[12] = 0xc0;
        assert_eq!(question(&pointing), None);
        let mut answer = whole.clone();
        answer[2] = 0x80;
        assert_eq!(question(&answer), None);
        assert_eq!(failure(&[1]).len(), 12);
    }
}
