//! ADD of a tar archive: what it holds goes below the destination, as Docker's builder does it. Whether a file is one is told by its content.
//!
//! The archive is inflated in a filtered child as layers are; nothing in it is a whiteout here. Links on the way are followed inside the image,
//! owners are the archive's unless the caller names one.

use crate::clean::clean;
use crate::error::{Context, Result, display};
use crate::inflate::{self, Packing};
use crate::members::{self, Begun, Members};
use crate::place::{Handed, Missing};
use crate::report::Report;
use crate::stack::Stack;
use crate::writer::{Attributes, Present, Writer};
use berth_sys::file::{self, Time};
use berth_sys::strict::Identity;
use berth_tar::{BLOCK, Entry, Kind, Parser};
use rustix::fd::OwnedFd;
use rustix::fs::{FileType, SeekFrom};

/// The most plain tar of one archive. Space on the disk ends before it.
const MAX_BYTES: u64 = 1 << 42;

/// How the archive in `file` is packed; `None` when it is no archive.
///
/// # Errors
/// The error of a system call.
pub(crate) fn detect(file: &OwnedFd, identity: Option<Identity>) -> Result<Option<Packing>> {
    let mut head = [0; BLOCK];
    rewind(file)?;
    let length = file::read_full(file, &mut head).step("read", b"")?;
    let head = head.get(..length).unwrap_or_default();
    let Some(packing) = magic(head) else {
        return Ok(is_header(head).then_some(Packing::None));
    };
    rewind(file)?;
    let inflating = inflate::start(file, packing, MAX_BYTES, identity)?;
    let mut block = [0; BLOCK];
    let length = file::read_full(&inflating.plain, &mut block).step("read", b"")?;
    // It ends because nobody reads on; that a broken file is no archive is all there is to say.
    drop(inflating.finish());
    Ok(is_header(block.get(..length).unwrap_or_default()).then_some(packing))
}

fn magic(head: &[u8]) -> Option<Packing> {
    let known: [(&[u8], Packing); 4] = [
        (b"\x1f\x8b\x08", Packing::Gzip),
        (b"BZh", Packing::Bzip2),
        (b"\xfd7zXZ\0", Packing::Xz),
        (b"\x28\xb5\x2f\xfd", Packing::Zstd),
    ];
    known
        .into_iter()
        .find_map(|(magic, packing)| head.starts_with(magic).then_some(packing))
}

fn is_header(mut block: &[u8]) -> bool {
    block.len() == BLOCK && block.iter().any(|byte| *byte != 0) && Parser::new().next(&mut block).is_ok()
}

fn rewind(file: &OwnedFd) -> Result<()> {
    rustix::fs::seek(file, SeekFrom::Start(0)).step("lseek", b"").map(drop)
}

/// Unpack `file` into a folder of the host as files of `owner`. Gives the number of entries; `None` when it is no archive.
///
/// # Errors
/// `Invalid` or `Attack` naming the entry; the error of a system call.
pub fn into_folder(
    folder: &OwnedFd,
    file: &OwnedFd,
    owner: Identity,
    identity: Option<Identity>,
    report: &Report<'_>,
) -> Result<Option<u64>> {
    let Some(packing) = detect(file, identity)? else { return Ok(None) };
    let missing = Missing {
        mode: 0o755,
        uid: owner.0,
        gid: owner.1,
        handed: Handed::Nothing,
        modified: None,
    };
    let mut writer = Writer::new(folder, &Stack::default(), missing, report)?;
    let target = Target {
        dest: &[],
        owner: Some(owner),
        plain: true,
    };
    let (entries, _) = unpack(&mut writer, file, packing, &target, identity, report)?;
    writer.finish()?;
    Ok(Some(entries))
}

/// Where an archive goes.
pub(crate) struct Target<'a> {
    pub(crate) dest: &'a [Vec<u8>],
    /// Takes the place of the owners in the archive.
    pub(crate) owner: Option<(u32, u32)>,
    /// Keep permission bits and times only: for a folder of the host, whose files belong to this owner.
    pub(crate) plain: bool,
}

/// Unpack `file`, which [`detect`] knows. Gives the number of entries and of bytes in files.
///
/// # Errors
/// `Invalid` or `Attack` naming the entry; the error of a system call.
pub(crate) fn unpack(
    writer: &mut Writer<'_>,
    file: &OwnedFd,
    packing: Packing,
    target: &Target<'_>,
    identity: Option<Identity>,
    report: &Report<'_>,
) -> Result<(u64, u64)> {
    rewind(file)?;
    let inflating = inflate::start(file, packing, MAX_BYTES, identity)?;
    let mut job = Unpack {
        writer,
        target,
        report,
        entries: 0,
        bytes: 0,
    };
    // True when the archive said that it ends.
    let done = job.enter().and_then(|()| members::read(&mut job, &inflating, false, report));
    let counts = (job.entries, job.bytes);
    let inflated = inflating.finish();
    match done {
        // What follows the end of the archive is nobody's business.
        Ok(true) => Ok(counts),
        Ok(false) => inflated.map(|_| counts),
        Err(error) if error.message.contains("truncated") => Err(inflated.err().unwrap_or(error)),
        Err(error) => Err(error),
    }
}

struct Unpack<'a, 'w> {
    writer: &'a mut Writer<'w>,
    target: &'a Target<'a>,
    report: &'a Report<'a>,
    entries: u64,
    bytes: u64,
}

impl Unpack<'_, '_> {
    fn enter(&mut self) -> Result<()> {
        self.writer.enter(self.target.dest)?;
        let (uid, gid) = self.target.owner.filter(|_| self.target.plain).unwrap_or_default();
        self.writer.set_missing(Missing {
            mode: 0o755,
            uid,
            gid,
            handed: Handed::Bit,
            modified: None,
        });
        Ok(())
    }

    /// A link to a directory, such as `/var/run`, stays.
    fn directory(&mut self, entry: &Entry, path: &[Vec<u8>], name: &[u8]) -> Result<()> {
        if matches!(self.writer.present(name)?, Present::Other(FileType::Symlink)) && self.writer.is_directory(path)? {
            return self.writer.enter(path);
        }
        self.writer.directory(name, &self.attributes(entry))
    }

    fn node(&mut self, entry: &Entry, name: &[u8], kind: FileType, device: (u32, u32)) -> Result<()> {
        if self.target.plain || (kind == FileType::CharacterDevice && device == (0, 0)) {
            let what = crate::stack::describe(kind);
            self.report
                .warn(format!("Left out {}: {what} is not unpacked", display(&entry.path)));
            return Ok(());
        }
        self.writer.node(name, kind, device, &self.attributes(entry)).map(drop)
    }
}

impl<'w> Members<'w> for Unpack<'_, 'w> {
    fn member(&mut self, entry: Entry) -> Result<Option<Begun>> {
        let below = clean(&entry.path, &entry.path)?;
        // The destination keeps its own attributes.
        if below.is_empty() {
            return Ok(None);
        }
        self.entries += 1;
        let path = [self.target.dest, below.as_slice()].concat();
        let Some((name, parent)) = path.split_last() else { return Ok(None) };
        if entry.kind == Kind::HardLink {
            let target = [self.target.dest, clean(&entry.link, &entry.path)?.as_slice()].concat();
            return self
                .writer
                .hard_link(parent, name, &target, &self.attributes(&entry))
                .map(|()| None);
        }
        self.writer.enter(parent)?;
        match entry.kind {
            Kind::Directory => self.directory(&entry, &path, name),
            Kind::Symlink => self.writer.symlink(name, &entry.link, &self.attributes(&entry)),
            Kind::Fifo => self.node(&entry, name, FileType::Fifo, (0, 0)),
            Kind::CharDevice => self.node(&entry, name, FileType::CharacterDevice, entry.device),
            Kind::BlockDevice => self.node(&entry, name, FileType::BlockDevice, entry.device),
            Kind::File | Kind::HardLink => {
                let sink = self.writer.file(name)?;
                let name = name.clone();
                return Ok(Some(Begun { entry, name, sink }));
            }
        }
        .map(|()| None)
    }

    fn attributes<'e>(&self, entry: &'e Entry) -> Attributes<'e> {
        let (uid, gid) = self.target.owner.unwrap_or((entry.uid, entry.gid));
        Attributes {
            mode: if self.target.plain { entry.mode & 0o777 } else { entry.mode },
            uid,
            gid,
            modified: Some(Time {
                seconds: entry.modified.seconds,
                nanoseconds: entry.modified.nanoseconds,
            }),
            xattrs: if self.target.plain { &[] } else { &entry.xattrs },
        }
    }

    fn writer(&mut self) -> &mut Writer<'w> {
        self.writer
    }

    fn ended(&mut self, size: u64) {
        self.bytes = self.bytes.saturating_add(size);
    }
}
