//! A layer blob becomes a snapshot.
//!
//! What the tar says is done as containerd does it on a mounted overlay, but into the bare directory that overlayfs will take as a lower one:
//! whiteouts become character devices 0:0, opaque directories get their mark. A whiteout hides lower layers only; what the same layer holds stays,
//! wherever in the tar it stands (image-spec, "Whiteouts").

use crate::clean::clean;
use crate::codec::Codec;
use crate::digest;
use crate::error::{Error, Kind, Result, display};
use crate::inflate::{self, Inflating};
use crate::members::{self, Begun, Members};
use crate::place::{Handed, Missing};
use crate::report::Report;
use crate::snapshot::{self, Part};
use crate::stack::Stack;
use crate::writer::{Attributes, Writer};
use berth_sys::file::Time;
use berth_sys::strict::Identity;
use berth_tar::Entry;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::FileType;

/// Start of the names that hide something.
pub(crate) const WHITEOUT: &[u8] = b".wh.";
/// The name that hides everything in its directory.
pub(crate) const OPAQUE: &[u8] = b".wh..wh..opq";
/// Start of the names that aufs keeps its own data under.
const AUFS: &[u8] = b".wh..wh.";

/// A directory that the layer does not list and that exists nowhere.
const IMPLIED: Missing = Missing {
    mode: 0o755,
    uid: 0,
    gid: 0,
    handed: Handed::Nothing,
    modified: Some(Time {
        seconds: 0,
        nanoseconds: 0,
    }),
};

/// What to apply.
#[derive(Debug)]
pub struct Apply<'a> {
    pub blob: OwnedFd,
    pub codec: Codec,
    /// `sha256:…` of the plain tar.
    pub diff_id: &'a str,
    pub chain_id: &'a str,
    /// Names of the snapshots below, topmost first.
    pub lowers: &'a [String],
    pub max_bytes: u64,
    pub max_entries: u64,
    /// Who inflates.
    pub identity: Option<Identity>,
    /// A name of its own for the tree, instead of one by its content.
    pub name: Option<&'a str>,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// Name of the snapshot: the one it was to have, else the diff id's hexadecimal part when the layer needs nothing below it, else the chain id's.
    pub snapshot: String,
    pub self_contained: bool,
    /// Bytes of plain tar.
    pub size: u64,
    pub entries: u64,
}

/// Unpack a layer.
///
/// # Errors
/// `Invalid` or `Attack` naming the entry; the error of a system call. Nothing is left behind but a `.part-` folder when the process is killed.
pub fn apply(snapshots: &impl AsFd, what: &Apply<'_>, report: &Report<'_>) -> Result<Applied> {
    let diff_name = name(what.diff_id)?;
    let chain_name = name(what.chain_id)?;
    what.name.map_or(Ok(()), snapshot::check_name)?;
    let lowers = snapshot::stack(snapshots, what.lowers)?;
    let inflating = inflate::start(&what.blob, what.codec.into(), what.max_bytes, what.identity)?;
    let part = Part::create(snapshots)?;
    let mut unpack = Unpack::new(part.fs(), &lowers, what, report)?;
    let parsed = members::read(&mut unpack, &inflating, true, report);
    let inflated = match (parsed, inflating) {
        (Ok(_), inflating) => inflating.finish(),
        (Err(error), inflating) => Err(cause(error, inflating)),
    }?;
    let found = digest::sha256(&inflated.digest);
    if found != what.diff_id {
        return Err(Error::invalid("verify layer", format!("the plain tar is {found}")).subject(what.diff_id.as_bytes()));
    }
    let (self_contained, entries) = (unpack.writer.self_contained(), unpack.entries);
    unpack.writer.finish()?;
    let by_content = if self_contained { diff_name } else { chain_name };
    let snapshot = what.name.unwrap_or(by_content).to_owned();
    part.commit(&snapshot, true)?;
    Ok(Applied {
        snapshot,
        self_contained,
        size: inflated.size,
        entries,
    })
}

fn name(digest: &str) -> Result<&str> {
    let refusal = || {
        Error::new(
            Kind::Request,
            "apply layer",
            "the digest is not sha256 and 64 lower-case hexadecimal digits",
        )
    };
    digest::encoded(digest).ok_or_else(|| refusal().subject(digest.as_bytes()))
}

/// A tar that ends too early is the consequence when inflating failed.
fn cause(error: Error, inflating: Inflating) -> Error {
    let may_be_cut = error.kind == Kind::Invalid && error.message.contains("truncated");
    match inflating.finish() {
        Err(inner) if may_be_cut => inner,
        _ => error,
    }
}

struct Unpack<'a> {
    writer: Writer<'a>,
    what: &'a Apply<'a>,
    report: &'a Report<'a>,
    entries: u64,
    /// Bytes of all files, holes included.
    logical: u64,
}

impl<'a> Unpack<'a> {
    fn new(root: &OwnedFd, lowers: &Stack, what: &'a Apply<'a>, report: &'a Report<'a>) -> Result<Self> {
        let writer = Writer::new(root, lowers, IMPLIED, report)?;
        Ok(Self {
            writer,
            what,
            report,
            entries: 0,
            logical: 0,
        })
    }

    fn root(&mut self, entry: &Entry) -> Result<()> {
        if entry.kind == berth_tar::Kind::Directory {
            return self.writer.root(&attributes(entry));
        }
        Err(Error::invalid("read tar", "only a directory can be the root of the image"))
    }

    /// Anything but a whiteout.
    fn real(&mut self, entry: Entry, parent: &[Vec<u8>], name: &[u8]) -> Result<Option<Begun>> {
        let attributes = attributes(&entry);
        if entry.kind == berth_tar::Kind::HardLink {
            let target = clean(&entry.link, &entry.path)?;
            return self.writer.hard_link(parent, name, &target, &attributes).map(|()| None);
        }
        self.writer.enter(parent)?;
        match entry.kind {
            berth_tar::Kind::Directory => self.writer.directory(name, &attributes),
            berth_tar::Kind::Symlink => self.writer.symlink(name, &entry.link, &attributes),
            berth_tar::Kind::Fifo => self.writer.node(name, FileType::Fifo, (0, 0), &attributes).map(drop),
            berth_tar::Kind::CharDevice if entry.device == (0, 0) => {
                self.report.warn(format!(
                    "Left out {}: a character device 0:0 would hide files of other layers",
                    display(&entry.path)
                ));
                Ok(())
            }
            berth_tar::Kind::CharDevice => self
                .writer
                .node(name, FileType::CharacterDevice, entry.device, &attributes)
                .map(drop),
            berth_tar::Kind::BlockDevice => self.writer.node(name, FileType::BlockDevice, entry.device, &attributes).map(drop),
            berth_tar::Kind::File | berth_tar::Kind::HardLink => {
                let sink = self.writer.file(name)?;
                let name = name.to_vec();
                return Ok(Some(Begun { entry, name, sink }));
            }
        }
        .map(|()| None)
    }

    fn count(&mut self, entry: &Entry) -> Result<()> {
        self.entries += 1;
        if self.entries > self.what.max_entries {
            return Err(Error::invalid(
                "read tar",
                format!("the layer has more than {} entries, which is the limit", self.what.max_entries),
            ));
        }
        self.logical = self.logical.saturating_add(entry.size);
        if self.logical > self.what.max_bytes {
            let message = format!(
                "the files of the layer have more than {} bytes, which is the limit",
                self.what.max_bytes
            );
            return Err(Error::invalid("read tar", message));
        }
        Ok(())
    }
}

impl<'a> Members<'a> for Unpack<'a> {
    fn member(&mut self, entry: Entry) -> Result<Option<Begun>> {
        self.count(&entry)?;
        let path = clean(&entry.path, &entry.path)?;
        let Some((name, parent)) = path.split_last() else {
            return self.root(&entry).map(|()| None);
        };
        if parent.iter().any(|name| name.starts_with(AUFS)) || (name.starts_with(AUFS) && name != OPAQUE) {
            return Ok(None);
        }
        if parent.iter().any(|name| name.starts_with(WHITEOUT)) {
            return Err(Error::invalid("read tar", "a directory has a name that is reserved for whiteouts"));
        }
        match name.strip_prefix(WHITEOUT) {
            _ if name == OPAQUE => {
                self.writer.enter(parent)?;
                self.writer.opaque().map(|()| None)
            }
            Some(b"" | b"." | b"..") => Err(Error::invalid("read tar", "the whiteout hides no name")),
            Some(hidden) => {
                self.writer.enter(parent)?;
                self.writer.whiteout(hidden).map(|()| None)
            }
            None => self.real(entry, parent, name),
        }
    }

    fn attributes<'e>(&self, entry: &'e Entry) -> Attributes<'e> {
        attributes(entry)
    }

    fn writer(&mut self) -> &mut Writer<'a> {
        &mut self.writer
    }

    fn ended(&mut self, _size: u64) {}
}

fn attributes(entry: &Entry) -> Attributes<'_> {
    let modified = Time {
        seconds: entry.modified.seconds,
        nanoseconds: entry.modified.nanoseconds,
    };
    Attributes {
        mode: entry.mode,
        uid: entry.uid,
        gid: entry.gid,
        modified: Some(modified),
        xattrs: &entry.xattrs,
    }
}
