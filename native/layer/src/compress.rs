//! Independent compressed blocks: gzip members and zstd frames of 1 MiB of plain bytes each.
//!
//! A block's bytes depend on its input, codec and level alone, so the number of threads changes nothing. A gzip member says its own length in an
//! extra field (`BT`, four bytes, little endian), so that a reader can cut our blobs into members without inflating them.

use crate::codec::Codec;
use crate::error::{Error, Kind, Result};
use libdeflater::{CompressionLvl, Compressor};

/// Plain bytes in one block.
pub(crate) const BLOCK: usize = 1 << 20;
/// Head of a member: magic, deflate, an extra field, no time, no hint, unknown system.
const HEAD: [u8; 10] = [0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 0xff];
/// Length of the extra field, its id, and the length of its data.
const EXTRA: [u8; 6] = [8, 0, b'B', b'T', 4, 0];
/// Bytes before the deflate stream.
const BEFORE: usize = HEAD.len() + EXTRA.len() + 4;
/// Checksum and plain length.
const AFTER: usize = 8;

/// Compresses blocks; each thread has its own.
pub(crate) enum Encoder {
    Gzip(Box<Compressor>),
    Zstd(Box<zstd::bulk::Compressor<'static>>),
}

/// Refuse a level that the codec does not have.
pub(crate) fn check_level(codec: Codec, level: u32) -> Result<()> {
    let highest = match codec {
        Codec::None => return Ok(()),
        Codec::Gzip => 12,
        Codec::Zstd => 22,
    };
    if (1..=highest).contains(&level) {
        return Ok(());
    }
    Err(Error::new(
        Kind::Request,
        "compress layer",
        format!("level {level} is not from 1 to {highest}"),
    ))
}

impl Encoder {
    /// `None` for a codec or level that does not compress.
    pub(crate) fn new(codec: Codec, level: u32) -> Option<Self> {
        let level = i32::try_from(level).ok()?;
        match codec {
            Codec::None => None,
            Codec::Gzip => Some(Self::Gzip(Box::new(Compressor::new(CompressionLvl::new(level).ok()?)))),
            Codec::Zstd => Some(Self::Zstd(Box::new(zstd::bulk::Compressor::new(level).ok()?))),
        }
    }

    /// Room for any compressed block.
    pub(crate) fn bound(&mut self) -> usize {
        match self {
            Self::Gzip(compressor) => BEFORE + AFTER + compressor.deflate_compress_bound(BLOCK),
            Self::Zstd(_) => zstd::zstd_safe::compress_bound(BLOCK),
        }
    }

    /// Compress `input` into `output`, whose capacity is [`Encoder::bound`]. `None` when the library fails.
    pub(crate) fn block(&mut self, input: &[u8], output: &mut Vec<u8>) -> Option<()> {
        match self {
            Self::Gzip(compressor) => member(compressor, input, output),
            Self::Zstd(compressor) => {
                output.clear();
                compressor.compress_to_buffer(input, output).ok().map(drop)
            }
        }
    }
}

fn member(compressor: &mut Compressor, input: &[u8], output: &mut Vec<u8>) -> Option<()> {
    output.resize(output.capacity(), 0);
    let length = compressor.deflate_compress(input, output.get_mut(BEFORE..)?).ok()?;
    let whole = BEFORE + length + AFTER;
    output.truncate(whole.checked_sub(AFTER)?);
    output.get_mut(..HEAD.len())?.copy_from_slice(&HEAD);
    output.get_mut(HEAD.len()..BEFORE - 4)?.copy_from_slice(&EXTRA);
    output
        .get_mut(BEFORE - 4..BEFORE)?
        .copy_from_slice(&u32::try_from(whole).ok()?.to_le_bytes());
    output.extend_from_slice(&libdeflater::crc32(input).to_le_bytes());
    output.extend_from_slice(&u32::try_from(input.len()).ok()?.to_le_bytes());
    Some(())
}
