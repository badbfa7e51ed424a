//! Any bytes as a message of a container to the responder for names: a question that lies inside them, or none; and every answer is one that a
//! client of udp takes. The module is private to its crate, so its file is taken in here.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::net::Ipv4Addr;

#[path = "../../net/src/dns.rs"]
#[allow(dead_code, reason = "the resolver uses all of it")]
mod dns;

const HEAD: usize = 12;
/// What a client takes by udp without asking for more.
const MAX_ANSWER: usize = 512;
/// More than an answer has room for.
const ADDRESSES: [Ipv4Addr; 20] = [Ipv4Addr::new(10, 0, 0, 2); 20];

fuzz_target!(|message: &[u8]| {
    let refused = dns::failure(message);
    assert!((HEAD..=MAX_ANSWER).contains(&refused.len()));
    let Some(question) = dns::question(message) else { return };
    let echoed = refused.get(HEAD..).expect("a head");
    assert!(!echoed.is_empty() && message.get(HEAD..).is_some_and(|asked| asked.starts_with(echoed)));
    let answers = [
        dns::failure(message),
        dns::addresses(message, &question, &[]),
        dns::addresses(message, &question, &ADDRESSES),
        dns::pointer(message, &question, "a.container.of-some.network"),
    ];
    for answer in answers {
        assert!(answer.len() <= MAX_ANSWER, "an answer of {} bytes", answer.len());
        assert_eq!(answer.get(..2), message.get(..2), "another number than was asked with");
        assert_eq!(answer.get(2).map(|flags| flags & 0x80), Some(0x80), "no answer");
        assert!(answer.get(HEAD..).is_some_and(|rest| rest.starts_with(echoed)), "another question");
        // Asked again with the answer, nobody answers: two responders cannot keep each other busy.
        assert_eq!(dns::question(&answer), None);
    }
    if let Some(address) = dns::reverse(&question.name) {
        let [a, b, c, d] = address.octets();
        assert_eq!(dns::reverse(&format!("{d}.{c}.{b}.{a}.in-addr.arpa")), Some(address));
    }
});
