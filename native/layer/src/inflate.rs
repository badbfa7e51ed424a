//! Foreign bytes become plain tar in a child that can do nothing but that: the identity of the store's owner, a filter that leaves it `read` and
//! `write`, the blob, and two pipes. The plain bytes are hashed there too.

use crate::codec::Codec;
use crate::digest::{Hasher, LENGTH};
use crate::error::{Error, Result};
use crate::stream::{self, Outcome, Stream};
use berth_sys::file;
use berth_sys::strict::{self, Child, End, Identity, Limits};
use rustix::fd::{AsFd, OwnedFd};
use std::io::{self, BufReader, Read};

/// How much is inflated before it is written.
const BLOCK: usize = 1 << 20;
/// How much of the blob is read at once.
const INPUT: usize = 256 << 10;
/// Plain bytes up to which any ratio is accepted: a file of zeros is no attack.
const FREE: u64 = 1 << 30;
/// Plain bytes for one byte of gzip, beyond [`FREE`]. Deflate itself ends at 1032.
const MAX_RATIO_GZIP: u64 = 1_000;
/// Plain bytes for one byte of zstd, beyond [`FREE`]. Our own frames of zeros have about 20 000.
const MAX_RATIO_ZSTD: u64 = 50_000;
/// Plain bytes for one byte of bzip2 or xz, beyond [`FREE`]: what zeros give, and some.
const MAX_RATIO_ARCHIVE: u64 = 60_000;
/// The largest dictionary of xz that is taken, in KiB: eight times that of `xz -9`.
const MAX_XZ_MEMORY: u32 = 640 << 10;

/// How foreign bytes are packed: layers as [`Codec`] says, archives also in ways that we never write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Packing {
    None,
    Gzip,
    Zstd,
    Bzip2,
    Xz,
}

impl From<Codec> for Packing {
    fn from(codec: Codec) -> Self {
        match codec {
            Codec::None => Self::None,
            Codec::Gzip => Self::Gzip,
            Codec::Zstd => Self::Zstd,
        }
    }
}

/// Plain tar of a blob, and where it comes from.
pub(crate) struct Inflating {
    pub(crate) plain: OwnedFd,
    result: OwnedFd,
    child: Child,
}

/// What the child found out.
pub(crate) struct Inflated {
    pub(crate) digest: [u8; LENGTH],
    pub(crate) size: u64,
}

/// Start to inflate `blob`. More than `max_bytes` of plain tar are refused.
pub(crate) fn start(blob: &OwnedFd, packing: Packing, max_bytes: u64, identity: Option<Identity>) -> Result<Inflating> {
    let (plain, plain_end) = stream::pipe(true)?;
    if !berth_sys::seccomp::available() {
        // Foreign bytes are not unpacked without it.
        return Err(Error::system("seccomp", rustix::io::Errno::NOSYS));
    }
    let (result, result_end) = stream::pipe(false)?;
    let limits = Limits { identity, filter: true };
    let descriptors = [blob.as_fd(), plain_end.as_fd(), result_end.as_fd()];
    let child = strict::start(limits, &descriptors, |fds| match fds {
        [blob, plain, result] => u8::from(!stream::send(result, &work(blob, plain, packing, max_bytes))),
        _ => 1,
    })
    .map_err(|errno| Error::system("fork", errno))?;
    Ok(Inflating { plain, result, child })
}

impl Inflating {
    /// The result, once `plain` is at its end.
    pub(crate) fn finish(self) -> Result<Inflated> {
        // A child that still writes ends by EPIPE.
        drop(self.plain);
        let outcome = stream::receive(&self.result)?;
        let end = self.child.wait().map_err(|errno| Error::system("waitpid", errno))?;
        match outcome {
            Some(Ok(bytes)) => parse(&bytes).ok_or_else(|| lost(end)),
            Some(Err(message)) => Err(Error::invalid("inflate blob", message)),
            None => Err(lost(end)),
        }
    }
}

fn parse(bytes: &[u8]) -> Option<Inflated> {
    let (digest, size) = bytes.split_at_checked(LENGTH)?;
    Some(Inflated {
        digest: digest.try_into().ok()?,
        size: u64::from_be_bytes(size.try_into().ok()?),
    })
}

fn lost(end: End) -> Error {
    let how = match end {
        End::Exited(code) => format!("exit code {code}"),
        End::Signalled(signal) => format!("signal {signal}"),
    };
    Error::new(
        crate::Kind::System,
        "inflate blob",
        format!("the process that inflates ended early, {how}"),
    )
}

fn work(blob: &OwnedFd, plain: &OwnedFd, packing: Packing, max_bytes: u64) -> Outcome {
    let mut input = Counted {
        inner: Stream(blob),
        count: 0,
    };
    let mut hasher = Hasher::default();
    match packing {
        Packing::None => pump(&mut input, |input| input, plain, max_bytes, None, &mut hasher),
        Packing::Gzip => {
            let mut decoder = flate2::bufread::MultiGzDecoder::new(BufReader::with_capacity(INPUT, input));
            pump(
                &mut decoder,
                |decoder| decoder.get_ref().get_ref(),
                plain,
                max_bytes,
                Some(MAX_RATIO_GZIP),
                &mut hasher,
            )
        }
        Packing::Zstd => {
            let reader = BufReader::with_capacity(INPUT, input);
            let mut decoder = zstd::stream::read::Decoder::with_buffer(reader).map_err(|error| malformed(&error))?;
            pump(
                &mut decoder,
                |decoder| decoder.get_ref().get_ref(),
                plain,
                max_bytes,
                Some(MAX_RATIO_ZSTD),
                &mut hasher,
            )
        }
        Packing::Bzip2 => {
            let reader = BufReader::with_capacity(INPUT, input);
            let mut decoder = bzip2::bufread::MultiBzDecoder::new(reader);
            pump(
                &mut decoder,
                |decoder| decoder.get_ref().get_ref(),
                plain,
                max_bytes,
                Some(MAX_RATIO_ARCHIVE),
                &mut hasher,
            )
        }
        Packing::Xz => {
            let reader = BufReader::with_capacity(INPUT, input);
            let mut decoder = lzma_rust2::XzReader::new_mem_limit(reader, true, MAX_XZ_MEMORY);
            pump(
                &mut decoder,
                |decoder| decoder.inner().get_ref(),
                plain,
                max_bytes,
                Some(MAX_RATIO_ARCHIVE),
                &mut hasher,
            )
        }
    }?;
    let (digest, size) = hasher.finish();
    Ok([digest.as_slice(), &size.to_be_bytes()].concat())
}

fn pump<'a, R: Read>(
    reader: &mut R,
    input: impl Fn(&R) -> &Counted<'a>,
    plain: &OwnedFd,
    max_bytes: u64,
    max_ratio: Option<u64>,
    hasher: &mut Hasher,
) -> std::result::Result<(), String> {
    let mut buffer = vec![0; BLOCK];
    loop {
        let (length, read) = fill(reader, &mut buffer);
        let Some(bytes) = buffer.get(..length).filter(|bytes| !bytes.is_empty()) else {
            return read.map_err(|error| malformed(&error));
        };
        hasher.update(bytes);
        let (size, taken) = (hasher.size(), input(reader).count.max(1));
        if size > max_bytes {
            return Err(format!("the layer has more than {max_bytes} bytes, which is the limit"));
        }
        if let Some(ratio) = max_ratio.filter(|ratio| size > FREE && size / taken > *ratio) {
            return Err(format!("{taken} compressed bytes became {size}, more than {ratio} for one"));
        }
        file::write_all(plain, bytes).map_err(|errno| format!("the plain bytes are not taken any more: {errno}"))?;
        // What came before a mistake is written all the same: that an archive is one is told by its first bytes.
        read.map_err(|error| malformed(&error))?;
    }
}

/// Fill the buffer, so that few large blocks are hashed and written; and how far that went.
fn fill(reader: &mut impl Read, buffer: &mut [u8]) -> (usize, io::Result<()>) {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match reader.read(rest) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (filled, Err(error)),
        }
    }
    (filled, Ok(()))
}

fn malformed(error: &io::Error) -> String {
    format!("the blob is malformed: {error}")
}

/// Counts what is read.
struct Counted<'a> {
    inner: Stream<'a>,
    count: u64,
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.count = self.count.saturating_add(count as u64);
        Ok(count)
    }
}
