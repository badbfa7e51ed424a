//! How the bytes of a blob are compressed.

/// Codec of a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    None,
    Gzip,
    Zstd,
}
