//! Large files whose content waits until the layer is written: they are read once, and each piece goes into the snapshot, the layer and, of what
//! comes from a build context, the digest before the next one comes.

use crate::contents::{Hasher, LENGTH, require_same};
use crate::error::{Context as _, Error, Result};
use crate::plan::FileId;
use crate::report::Report;
use berth_sys::content;
use berth_sys::file::{self, Meta};
use rustix::fd::OwnedFd;
use std::collections::HashMap;

/// What is worth waiting for: below it a second reading comes from the page cache and costs less than the open files.
pub(crate) const LARGE: u64 = 1 << 20;
/// How many files may wait: each has two descriptors open.
const MOST: usize = 256;
const BUFFER: usize = 1 << 20;

/// A file that exists in the new snapshot, with its size and attributes, and has no content yet.
pub(crate) struct Pending {
    source: OwnedFd,
    /// As it was when it was opened.
    meta: Meta,
    target: OwnedFd,
    /// Mode of the target.
    mode: u32,
    /// The target has the blocks of the source.
    shared: bool,
    /// How much has been read.
    position: u64,
    /// Its digest, and which of them it is.
    digest: Option<(Hasher, usize)>,
}

/// Files that wait, and digests of all files of the contexts in the order in which they were listed.
#[derive(Default)]
pub(crate) struct Later {
    waiting: HashMap<FileId, Pending>,
    digests: Vec<[u8; LENGTH]>,
}

impl Later {
    /// Room for the digest of a file.
    pub(crate) fn slot(&mut self) -> usize {
        self.digests.push([0; LENGTH]);
        self.digests.len() - 1
    }

    pub(crate) fn set(&mut self, slot: usize, digest: [u8; LENGTH]) {
        if let Some(place) = self.digests.get_mut(slot) {
            *place = digest;
        }
    }

    pub(crate) fn has_room(&self) -> bool {
        self.waiting.len() < MOST
    }

    /// `source`, of which `meta` tells, is the content of `target`, which has been made as it will be but for that. `slot` is for its digest.
    pub(crate) fn add(&mut self, (source, meta): (OwnedFd, Meta), target: OwnedFd, mode: u32, slot: Option<usize>) -> Result<()> {
        let own = file::stat_fd(&target).step("statx", b"")?;
        let pending = Pending {
            digest: slot.map(|slot| (Hasher::new(meta.size), slot)),
            source,
            meta,
            target,
            mode,
            shared: false,
            position: 0,
        };
        self.waiting.insert((own.device, own.inode), pending);
        Ok(())
    }

    /// Where the content of a file of the new snapshot is to come from.
    pub(crate) fn source(&self, id: FileId) -> Option<&OwnedFd> {
        self.waiting.get(&id).map(|pending| &pending.source)
    }

    /// The file of the new snapshot whose content is to come; who takes it must end it with [`Later::end`].
    pub(crate) fn take(&mut self, id: FileId) -> Option<Pending> {
        let mut pending = self.waiting.remove(&id)?;
        pending.shared = content::share(&pending.source, &pending.target);
        Some(pending)
    }

    /// Note the digest of a file that has been read, and give its target the attributes that writing takes away.
    pub(crate) fn end(&mut self, pending: Pending) -> Result<()> {
        require_same(&pending.source, &pending.meta)?;
        // Writing clears set-id bits.
        if pending.mode & 0o6000 != 0 {
            file::chmod_fd(&pending.target, pending.mode).step("fchmod", b"")?;
        }
        file::set_time_fd(&pending.target, pending.meta.modified).step("futimens", b"")?;
        if let Some((hasher, slot)) = pending.digest {
            self.set(slot, hasher.finish());
        }
        Ok(())
    }

    /// Give a file its content now, because somebody has to look at it.
    pub(crate) fn complete(&mut self, id: FileId) -> Result<()> {
        let Some(mut pending) = self.take(id) else { return Ok(()) };
        let mut buffer = vec![0; BUFFER];
        while pending.read(&mut buffer)? > 0 {}
        self.end(pending)
    }

    /// The digests. What still waits has been replaced by another file since, and is read for its digest alone.
    pub(crate) fn digests(mut self, report: &Report<'_>) -> Result<Vec<u8>> {
        let mut buffer = vec![0; BUFFER];
        for pending in std::mem::take(&mut self.waiting).into_values() {
            if let Some((_, slot)) = pending.digest {
                let digest = crate::contents::digest_of(&pending.source, &pending.meta, &mut buffer, report)?;
                self.set(slot, digest);
            }
        }
        Ok(self.digests.concat())
    }
}

impl Pending {
    /// The file in the snapshot.
    pub(crate) fn target(&self) -> &OwnedFd {
        &self.target
    }

    /// The next piece: read, hashed and in the snapshot. Zero at the end. Where there are only zeros the file stays the hole that it is.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let length = file::read_full(&self.source, buffer).step("read", b"")?;
        let bytes = buffer.get(..length).unwrap_or_default();
        if let Some((hasher, _)) = &mut self.digest {
            hasher.update(bytes);
        }
        if !self.shared && bytes.iter().any(|byte| *byte != 0) {
            file::write_all_at(&self.target, bytes, self.position).map_err(|errno| Error::system("write", errno))?;
        }
        self.position += length as u64;
        Ok(length)
    }
}
