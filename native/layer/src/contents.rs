//! Digests of the files of a build context, for cache keys: what the engine would compute itself, made while the files are read anyway.
//!
//! The engine hashes small files with SHA-256, sooner than a helper starts; larger ones have a BLAKE3 here. The size alone decides, so that a file
//! has one digest.

use crate::context::{Record, Tree, records};
use crate::error::{Context as _, Error, Result};
use crate::report::Report;
use berth_sys::file::{self, Meta};
use rustix::fd::OwnedFd;
use sha2::{Digest as _, Sha256};

/// Up to this size a digest is a SHA-256; `engine/context/content.ts` has the same number.
const SMALL: u64 = 64 << 10;
const BUFFER: usize = 1 << 20;
/// Length of either digest.
pub(crate) const LENGTH: usize = 32;

/// A running digest of the kind that the size of the file asks for.
pub(crate) enum Hasher {
    Small(Sha256),
    Large(Box<blake3::Hasher>),
}

impl Hasher {
    pub(crate) fn new(size: u64) -> Self {
        if size <= SMALL {
            Self::Small(Sha256::new())
        } else {
            Self::Large(Box::new(blake3::Hasher::new()))
        }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Small(hasher) => hasher.update(bytes),
            Self::Large(hasher) => drop(hasher.update(bytes)),
        }
    }

    pub(crate) fn finish(self) -> [u8; LENGTH] {
        match self {
            Self::Small(hasher) => hasher.finalize().into(),
            Self::Large(hasher) => hasher.finalize().into(),
        }
    }
}

/// The digests of the regular files that `list` names below `root`, one behind the other.
///
/// # Errors
/// `Invalid` naming a file that changes or is not the one that was listed; the error of a system call.
pub fn contents(root: OwnedFd, list: &[u8], report: &Report<'_>) -> Result<Vec<u8>> {
    let mut tree = Tree::new(root);
    let mut buffer = vec![0; BUFFER];
    let mut digests = Vec::new();
    for record in records(list)? {
        if let Some(digest) = one(&mut tree, &record, &mut buffer, report)? {
            digests.extend_from_slice(&digest);
        }
    }
    Ok(digests)
}

fn one(tree: &mut Tree, record: &Record<'_>, buffer: &mut [u8], report: &Report<'_>) -> Result<Option<[u8; LENGTH]>> {
    let (dir, name, meta) = tree.find(record)?;
    if !meta.is_file() {
        return Ok(None);
    }
    let source = Tree::open(&dir, name, &meta, record.path)?;
    let digest = digest_of(&source, &meta, buffer, report).map_err(|error| error.subject(record.path))?;
    Ok(Some(digest))
}

/// The digest of an open file, read from its position to the end.
pub(crate) fn digest_of(source: &OwnedFd, meta: &Meta, buffer: &mut [u8], report: &Report<'_>) -> Result<[u8; LENGTH]> {
    let mut hasher = Hasher::new(meta.size);
    loop {
        let length = file::read_full(source, buffer).step("read", b"")?;
        let Some(bytes) = buffer.get(..length).filter(|bytes| !bytes.is_empty()) else {
            break;
        };
        hasher.update(bytes);
        report.advance(length as u64);
    }
    require_same(source, meta)?;
    Ok(hasher.finish())
}

/// The file is still what it was when `before` was looked at.
pub(crate) fn require_same(source: &OwnedFd, before: &Meta) -> Result<()> {
    let now = file::stat_fd(source).step("statx", b"")?;
    if (now.inode, now.size, now.modified, now.changed) == (before.inode, before.size, before.modified, before.changed) {
        return Ok(());
    }
    Err(Error::invalid("read file", "changed while reading"))
}
