//! What things of a network are called on the host: all by its id, 64 random hex digits, so that the folder `networks/<id>` is the record of
//! what is ours.

use crate::link::Mac;

const TABLE: &str = "berth-";
/// Letters of an interface's name; the kernel takes 15.
const BRIDGE: &str = "berth";

fn head(id: &str, digits: usize) -> &str {
    id.get(..digits).unwrap_or(id)
}

/// The table of rules.
pub(crate) fn table(id: &str) -> String {
    format!("{TABLE}{}", head(id, 12))
}

/// Whether a table is one of ours, of whatever store.
pub(crate) fn is_table(name: &str) -> bool {
    name.strip_prefix(TABLE)
        .is_some_and(|rest| rest.len() == 12 && rest.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// The comment of rules in foreign chains.
pub(crate) fn comment(id: &str) -> String {
    format!("berth network {}", head(id, 12))
}

/// The bridge.
pub(crate) fn bridge(id: &str) -> String {
    format!("{BRIDGE}{}", head(id, 10))
}

/// The host's end of a container's pair.
pub(crate) fn veth(container: &str, network: &str) -> String {
    format!("bv{}{}", head(container, 9), head(network, 4))
}

/// The bridge's address; the same each time, so that its neighbours need not learn another. Locally administered, as Docker's.
pub(crate) fn mac(id: &str) -> Mac {
    let byte = |at: usize| {
        let digits = id.get(at..at.saturating_add(2)).unwrap_or_default();
        u8::from_str_radix(digits, 16).unwrap_or_default()
    };
    [0x02, 0x42, byte(0), byte(2), byte(4), byte(6)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_the_kernel() {
        let id = "0123456789abcdef".repeat(4);
        assert_eq!(bridge(&id).len(), 15);
        assert_eq!(veth(&id, &id).len(), 15);
        assert!(is_table(&table(&id)));
        assert!(!is_table("filter"));
    }
}
