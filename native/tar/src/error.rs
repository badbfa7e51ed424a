//! Why a stream is no tar that we accept.

use std::fmt;

/// A refusal: what is wrong, where, and with which entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// Offset of the header that is wrong, in bytes from the start of the stream.
    pub offset: u64,
    /// Name of the entry as far as it is known.
    pub entry: Option<Vec<u8>>,
    /// The sentence to show.
    pub message: String,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at offset {}", self.message, self.offset)
    }
}

impl std::error::Error for Error {}
