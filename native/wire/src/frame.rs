//! Frames: `[kind: u8][length: u32, big endian][payload]`, the same in both directions.
//!
//! Engine to helper, fd 0: one `Request`, then any of `Data` (standard input of a process, or a list of paths), `Secret` and `Control`, then
//! `End`. End of file before the result, be it before or after `End`, means that the engine is gone: the helper stops its work, unmounts and exits.
//! The process of the word `series` takes a further `Request` when it has answered one: its last line and its `End` are out, in either order.
//! It ends when fd 0 does, or with the first operation that is talked to while it runs (`start`, `exec` and their like).
//! Started as `series --locks`, it leaves a process of the word `lock` at the other end of a socket on fd 3: frames come and JSON lines go by it.
//! Helper to engine, fd 1: `Data` (standard output or file content), `ErrorData` (standard error), then `End`. fd 2 carries JSON lines.

/// The length of a frame's head in bytes.
pub const HEAD: usize = 5;
/// The largest payload of one frame in bytes; a longer one is a protocol error.
pub const MAX_FRAME: u32 = 16 * 1024 * 1024;

/// What a frame carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// Nothing follows.
    End = 0,
    /// The request, as JSON.
    Request = 1,
    /// Standard input or standard output of a process, content of a file, or a list of paths.
    Data = 2,
    /// A secret: `[id length: u16, big endian][id][value]`.
    Secret = 3,
    /// A control message, as JSON: `request::Control`.
    Control = 4,
    /// Standard error of a process.
    ErrorData = 5,
}

impl TryFrom<u8> for Kind {
    type Error = u8;

    fn try_from(byte: u8) -> Result<Self, u8> {
        Ok(match byte {
            0 => Self::End,
            1 => Self::Request,
            2 => Self::Data,
            3 => Self::Secret,
            4 => Self::Control,
            5 => Self::ErrorData,
            other => return Err(other),
        })
    }
}

/// The head of a frame whose payload is `length` bytes long.
#[must_use]
pub fn head(kind: Kind, length: u32) -> [u8; HEAD] {
    let [a, b, c, d] = length.to_be_bytes();
    [kind as u8, a, b, c, d]
}

/// Kind and payload length that a head announces.
///
/// # Errors
/// The sentence to show when the kind is unknown or the length is over [`MAX_FRAME`].
pub fn parse_head(head: [u8; HEAD]) -> Result<(Kind, u32), String> {
    let [kind, a, b, c, d] = head;
    let kind = Kind::try_from(kind).map_err(|byte| format!("unknown frame kind {byte}"))?;
    let length = u32::from_be_bytes([a, b, c, d]);
    if length > MAX_FRAME {
        return Err(format!("frame of {length} bytes is over the limit of {MAX_FRAME}"));
    }
    Ok((kind, length))
}
