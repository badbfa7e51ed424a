//! SHA-256 as digests are written.

use sha2::{Digest as _, Sha256};

/// Length of a SHA-256 in bytes.
pub(crate) const LENGTH: usize = 32;

/// A running SHA-256 that counts what it took.
#[derive(Default)]
pub(crate) struct Hasher {
    state: Sha256,
    size: u64,
}

impl Hasher {
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.state.update(bytes);
        self.size = self.size.saturating_add(bytes.len() as u64);
    }

    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    pub(crate) fn finish(self) -> ([u8; LENGTH], u64) {
        (self.state.finalize().into(), self.size)
    }
}

/// Hexadecimal form.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `sha256:…`.
pub(crate) fn sha256(bytes: &[u8; LENGTH]) -> String {
    format!("sha256:{}", hex(bytes))
}

/// The hexadecimal part of a `sha256:…` digest; `None` when it is none.
pub(crate) fn encoded(digest: &str) -> Option<&str> {
    let lower_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    digest
        .strip_prefix("sha256:")
        .filter(|hex| hex.len() == 2 * LENGTH && hex.bytes().all(lower_hex))
}
