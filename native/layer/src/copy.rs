//! COPY, ADD, WORKDIR and here-documents: files of the host or of other snapshots go into a new snapshot, where Docker would put them.

use crate::compress::check_level;
use crate::contents::{self, Hasher, require_same};
use crate::context::{Record, Tree, records};
use crate::diff::{self, Blob, Layer};
use crate::error::{Context as _, Error, Kind, Result, display};
use crate::filter::{Chosen, Filter, Matcher};
use crate::glob::{self, Match};
use crate::later::{LARGE, Later};
use crate::place::{Handed, Missing};
use crate::plan::FileId;
use crate::report::Report;
use crate::search::Forbidden;
use crate::snapshot::{self, Part};
use crate::stack::{Dir, Leaf, Node, Stack, components, describe, join};
use crate::unpack;
use crate::writer::{Attributes, Present, Writer};
use berth_sys::file::{self, Meta, Time};
use berth_sys::strict::Identity;
use berth_sys::xattr::Attribute;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::FileType;
use std::collections::HashMap;

/// User and group.
pub type Owner = (u32, u32);

/// Permissions of directories that nobody asked for by mode.
const DIRECTORY: u32 = 0o755;

const BUFFER: usize = 256 << 10;

/// One step.
#[derive(Debug)]
pub enum Action<'a> {
    /// `mkdir -p`.
    Mkdir {
        path: &'a str,
        mode: u32,
        owner: Option<Owner>,
        created: Option<i64>,
    },
    Copy(Copy<'a>),
    /// Write a file.
    Write {
        path: &'a str,
        content: &'a [u8],
        mode: u32,
        owner: Owner,
        created: Option<i64>,
    },
}

/// Copy what `source` selects to `dest`.
#[derive(Debug)]
pub struct Copy<'a> {
    pub source: Source<'a>,
    pub dest: &'a str,
    /// Every source goes below `dest`.
    pub dest_is_directory: bool,
    /// `None` keeps the owner in a snapshot, and is 0:0 from a context.
    pub owner: Option<Owner>,
    pub mode: Option<u32>,
    /// Changes of the permission bits, one after the other.
    pub changes: Vec<ModeChange>,
    /// Time of directories that the copy makes by itself; `None` is that of the newest file that it copies, so that equal files give an equal
    /// layer. It is also that of a file that the caller has written.
    pub created: Option<i64>,
}

/// One step of a symbolic mode: first `clear`, then the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ModeChange {
    pub clear: u32,
    pub set: u32,
    /// Given to directories, and to files that somebody may execute before the first change.
    pub set_if_executable: u32,
    /// Bits of one class for others, as they were before `clear`.
    pub copy: Option<ModeCopy>,
}

/// Permission bits of one class for others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModeCopy {
    /// How far right the bits of the class stand: 6 for the user, 3 for the group, 0 for others.
    pub shift: u32,
    /// Which bits may change.
    pub to: u32,
    /// Take them away instead.
    pub remove: bool,
}

/// The mode that the changes make of `mode`.
#[must_use]
pub fn changed_mode(mode: u32, is_directory: bool, changes: &[ModeChange]) -> u32 {
    let executable = is_directory || mode & 0o111 != 0;
    changes.iter().fold(mode, |before, change| {
        let conditional = if executable { change.set_if_executable } else { 0 };
        let mode = before & !change.clear | change.set | conditional;
        match change.copy {
            None => mode,
            Some(copy) => {
                let bits = (((before >> copy.shift) & 0o7) * 0o111) & copy.to;
                if copy.remove { mode & !bits } else { mode | bits }
            }
        }
    })
}

/// What of the directories that patterns select is meant.
#[derive(Debug, Clone, Copy, Default)]
pub struct Selection<'a> {
    pub patterns: &'a [String],
    /// For each pattern: only what this matches; an empty text or list takes all.
    pub include: &'a [String],
    /// Nothing that these match.
    pub exclude: &'a [String],
}

/// What one source pattern selects.
pub(crate) struct Selected {
    pub(crate) matches: Vec<Match>,
    pub(crate) filter: Filter,
    /// The path that must be there, when the pattern to include has no wildcard.
    pub(crate) required: Option<String>,
}

impl Selection<'_> {
    /// What each pattern selects, in their order.
    pub(crate) fn resolve(&self, stack: &Stack) -> Result<Vec<Selected>> {
        let exclude = Matcher::parse(self.exclude)?;
        let one = |(at, pattern): (usize, &String)| {
            let include = self.include.get(at).filter(|include| !include.is_empty());
            let is_plain = |text: &&String| !text.contains(['*', '?', '[', '\\']) && !pattern.contains(['*', '?', '[', '\\']);
            let required = include
                .filter(is_plain)
                .map(|include| format!("{}/{include}", pattern.trim_end_matches('/')));
            Ok(Selected {
                matches: glob::select(stack, pattern)?,
                filter: Filter {
                    include: Matcher::parse(include.map(std::slice::from_ref).unwrap_or_default())?,
                    exclude: exclude.clone(),
                },
                required,
            })
        };
        self.patterns.iter().enumerate().map(one).collect()
    }
}

/// Where a copy reads from.
#[derive(Debug)]
pub enum Source<'a> {
    /// A directory of the host, and the list of what to take.
    Context { root: OwnedFd, list: &'a [u8] },
    /// The merged tree of snapshots, and what of it is meant, by Go patterns of absolute paths.
    Snapshots { stack: Stack, selection: Selection<'a> },
    /// A file that the caller has written.
    Inline { name: &'a str, mode: u32, content: &'a [u8] },
}

/// How much was copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Copied {
    pub entries: u64,
    pub bytes: u64,
}

/// Make the snapshot `name` on top of `lowers`. `identity` is who inflates archives.
///
/// # Errors
/// `NotFound` with the pattern that selects nothing; `Invalid` when a file changes or a file and a directory collide; `Conflict` when the snapshot
/// exists; the error of a system call.
pub fn copy(
    snapshots: &impl AsFd,
    name: &str,
    lowers: &[String],
    actions: Vec<Action<'_>>,
    identity: Option<Identity>,
    report: &Report<'_>,
) -> Result<Copied> {
    if snapshot::exists(snapshots, name)? {
        return Err(snapshot::taken(name));
    }
    let lowers = snapshot::stack(snapshots, lowers)?;
    let part = Part::create(snapshots)?;
    let (copied, _) = fill(&part, &lowers, actions, identity, None, report)?;
    if part.commit(name, false)? {
        Ok(copied)
    } else {
        Err(snapshot::taken(name))
    }
}

/// A layer that a copy has made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    pub copied: Copied,
    pub layer: Layer,
    /// Digests of the regular files that came from contexts, in the order of the lists, as [`contents::contents`] gives them.
    pub contents: Vec<u8>,
}

/// Do the same and make the layer at once: a large file is read a single time for snapshot, layer, digest and, when one is wanted, `blob`. The
/// snapshot gets the name of the layer; there is none, nor a blob, when the layer holds a forbidden value. An empty layer has no blob either.
///
/// # Errors
/// As [`copy`], and those of a layer that cannot be made.
pub fn layer(
    snapshots: &impl AsFd,
    lowers: &[String],
    actions: Vec<Action<'_>>,
    forbidden: &[Forbidden<'_>],
    blob: Option<&Blob<'_>>,
    identity: Option<Identity>,
    report: &Report<'_>,
) -> Result<Finished> {
    if let Some(blob) = blob {
        check_level(blob.codec, blob.level)?;
    }
    let lowers = snapshot::stack(snapshots, lowers)?;
    let part = Part::create(snapshots)?;
    let (copied, later) = fill(&part, &lowers, actions, identity, Some(Later::default()), report)?;
    let mut later = later.unwrap_or_default();
    let layer = diff::layer_of(part, &lowers, &mut later, forbidden, blob, report)?;
    let contents = later.digests(report).inspect_err(|_| diff::discard(blob))?;
    Ok(Finished { copied, layer, contents })
}

/// Do the actions in an empty snapshot. With `later` the files of contexts get digests, and the large ones their content when the layer is made.
fn fill(
    part: &Part<'_>,
    lowers: &Stack,
    actions: Vec<Action<'_>>,
    identity: Option<Identity>,
    later: Option<Later>,
    report: &Report<'_>,
) -> Result<(Copied, Option<Later>)> {
    snapshot::inherit_root(part.fs(), lowers)?;
    let mut job = Job::new(part.fs(), lowers, identity, report)?;
    job.later = later;
    for action in actions {
        job.action(action)?;
    }
    let Job { writer, copied, later, .. } = job;
    writer.finish()?;
    Ok((copied, later))
}

/// Copy what the directory `dir` of a merged tree holds, with its own owner and permissions, into the empty directory `into`.
///
/// # Errors
/// `Invalid` when a file changes meanwhile; the error of a system call.
pub(crate) fn copy_tree(into: &OwnedFd, dir: Dir, report: &Report<'_>) -> Result<Copied> {
    let own = dir.attributes()?;
    let nothing = Stack::default();
    let mut job = Job::new(into, &nothing, None, report)?;
    let target = Target {
        dest: Vec::new(),
        is_directory: true,
        owner: None,
        mode: None,
        changes: &[],
        shown: "/",
    };
    job.tree(&target, Chosen::new(dir, &Filter::default())?)?;
    job.writer.root(&Attributes {
        mode: own.mode,
        uid: own.uid,
        gid: own.gid,
        modified: Some(own.modified),
        xattrs: &own.xattrs,
    })?;
    let copied = job.copied;
    job.writer.finish()?;
    Ok(copied)
}

struct Job<'a> {
    writer: Writer<'a>,
    report: &'a Report<'a>,
    copied: Copied,
    /// Where the first name of a file with several names went.
    links: HashMap<FileId, Vec<Vec<u8>>>,
    identity: Option<Identity>,
    /// How directories are made that exist nowhere, in the current copy.
    missing: Missing,
    /// A file of the current copy has become the destination itself.
    has_whole: bool,
    /// Digests of what comes from contexts, and the files whose content waits for the layer.
    later: Option<Later>,
    newest: Newest,
    /// For files that are read here.
    buffer: Vec<u8>,
}

/// The latest times of what one copy takes.
#[derive(Default)]
struct Newest {
    file: Option<Time>,
    directory: Option<Time>,
}

impl Newest {
    fn see(&mut self, is_directory: bool, time: Time) {
        let newest = if is_directory { &mut self.directory } else { &mut self.file };
        *newest = (*newest).max(Some(time));
    }
}

/// Where the sources of one action go.
struct Target<'a> {
    dest: Vec<Vec<u8>>,
    is_directory: bool,
    owner: Option<Owner>,
    mode: Option<u32>,
    changes: &'a [ModeChange],
    shown: &'a str,
}

impl Target<'_> {
    /// The mode of what had `own` as source.
    fn mode(&self, own: u32, is_directory: bool) -> u32 {
        changed_mode(self.mode.unwrap_or(own), is_directory, self.changes)
    }
}

/// A file to copy.
struct File<'a> {
    meta: Meta,
    xattrs: &'a [Attribute],
    owner: Owner,
    mode: u32,
}

impl File<'_> {
    fn attributes(&self) -> Attributes<'_> {
        Attributes {
            mode: if self.meta.is_link() { self.meta.mode } else { self.mode },
            uid: self.owner.0,
            gid: self.owner.1,
            modified: Some(self.meta.modified),
            xattrs: self.xattrs,
        }
    }
}

/// What the kernel hands down on a directory's `mkdir`; an owner that is named replaces the group.
fn handed(owner: Option<Owner>) -> Handed {
    if owner.is_some() { Handed::Bit } else { Handed::BitAndGroup }
}

fn time(seconds: Option<i64>) -> Option<Time> {
    seconds.map(|seconds| Time { seconds, nanoseconds: 0 })
}

impl<'a> Job<'a> {
    fn new(root: &OwnedFd, lowers: &Stack, identity: Option<Identity>, report: &'a Report<'a>) -> Result<Self> {
        let missing = Missing {
            mode: DIRECTORY,
            uid: 0,
            gid: 0,
            handed: Handed::Nothing,
            modified: None,
        };
        Ok(Self {
            writer: Writer::new(root, lowers, missing, report)?,
            report,
            copied: Copied::default(),
            links: HashMap::new(),
            identity,
            missing,
            has_whole: false,
            later: None,
            newest: Newest::default(),
            buffer: vec![0; BUFFER],
        })
    }

    fn action(&mut self, action: Action<'_>) -> Result<()> {
        match action {
            Action::Mkdir {
                path,
                mode,
                owner,
                created,
            } => {
                let (uid, gid) = owner.unwrap_or_default();
                self.writer.set_missing(Missing {
                    mode,
                    uid,
                    gid,
                    handed: handed(owner),
                    modified: time(created),
                });
                self.writer
                    .enter(&Vec::from(components(path.as_bytes())))
                    .map_err(|error| about(error, path))?;
                self.copied.entries += 1;
                Ok(())
            }
            Action::Write {
                path,
                content,
                mode,
                owner,
                created,
            } => {
                self.writer.set_missing(Missing {
                    mode: DIRECTORY,
                    uid: owner.0,
                    gid: owner.1,
                    handed: Handed::Bit,
                    modified: time(created),
                });
                let attributes = Attributes {
                    mode,
                    uid: owner.0,
                    gid: owner.1,
                    modified: time(created),
                    xattrs: &[],
                };
                self.write(path, content, &attributes).map_err(|error| about(error, path))
            }
            Action::Copy(copy) => self.copy(copy),
        }
    }

    fn write(&mut self, path: &str, content: &[u8], attributes: &Attributes<'_>) -> Result<()> {
        let name = self.file_place(&Vec::from(components(path.as_bytes())))?;
        let mut sink = self.writer.file(&name)?;
        sink.write(0, content, &name)?;
        self.writer.finish_file(&sink, content.len() as u64, attributes, &name)?;
        self.count(content.len() as u64);
        Ok(())
    }

    fn count(&mut self, bytes: u64) {
        self.copied.entries += 1;
        self.copied.bytes = self.copied.bytes.saturating_add(bytes);
        self.report.advance(bytes);
    }

    fn copy(&mut self, copy: Copy<'_>) -> Result<()> {
        self.newest = Newest::default();
        self.copy_undated(copy)?;
        self.writer.date(self.newest.file.or(self.newest.directory));
        Ok(())
    }

    fn copy_undated(&mut self, copy: Copy<'_>) -> Result<()> {
        let (uid, gid) = copy.owner.unwrap_or_default();
        self.missing = Missing {
            mode: DIRECTORY,
            uid,
            gid,
            handed: handed(copy.owner),
            modified: time(copy.created),
        };
        self.writer.set_missing(self.missing);
        self.has_whole = false;
        let dest = Vec::from(components(copy.dest.as_bytes()));
        let target = Target {
            dest,
            is_directory: copy.dest_is_directory,
            owner: copy.owner,
            mode: copy.mode,
            changes: &copy.changes,
            shown: copy.dest,
        };
        match copy.source {
            Source::Context { root, list } => self.take_context(&target, Tree::new(root), list),
            Source::Snapshots { stack, selection } => self.take_snapshots(&target, &stack, &selection),
            Source::Inline { name, mode, content } => self.inline(&target, name.as_bytes(), mode, content),
        }
    }

    fn inline(&mut self, target: &Target<'_>, name: &[u8], mode: u32, content: &[u8]) -> Result<()> {
        if !file::is_component(name) {
            return Err(Error::new(Kind::Request, "copy", "the name is not one of a file").subject(name));
        }
        let (uid, gid) = target.owner.unwrap_or_default();
        let attributes = Attributes {
            mode: target.mode(mode, false),
            uid,
            gid,
            modified: self.missing.modified,
            xattrs: &[],
        };
        let place = self.place(target, &[], name)?;
        let mut sink = self.writer.file(&place)?;
        sink.write(0, content, &place)?;
        self.writer.finish_file(&sink, content.len() as u64, &attributes, &place)?;
        self.count(content.len() as u64);
        Ok(())
    }

    fn take_context(&mut self, target: &Target<'_>, mut tree: Tree, list: &[u8]) -> Result<()> {
        for record in records(list)? {
            self.record(target, &mut tree, &record).map_err(|error| Error {
                subject: Some(error.subject.unwrap_or_else(|| display(record.path))),
                ..error
            })?;
        }
        Ok(())
    }

    fn record(&mut self, target: &Target<'_>, tree: &mut Tree, record: &Record<'_>) -> Result<()> {
        let (dir, name, meta) = tree.find(record)?;
        self.newest.see(meta.is_dir(), meta.modified);
        let file = File {
            meta,
            xattrs: &[],
            owner: target.owner.unwrap_or_default(),
            mode: target.mode(record.mode.unwrap_or(meta.mode), meta.is_dir()),
        };
        // A source itself, with the name that it has in a directory.
        let (below, name_there) = match record.dest.strip_prefix(b"/") {
            Some(given) => (Vec::new(), given),
            None => (Vec::from(components(record.dest)), name),
        };
        match meta.kind {
            FileType::Directory => self.directory(target, &below, &file),
            FileType::RegularFile => {
                let source = Tree::open(&dir, name, &meta, record.path)?;
                let slot = self.later.as_mut().map(Later::slot);
                if record.unpack && self.unpack(target, &source)? {
                    return self.archive(&source, &meta, slot);
                }
                let place = self.place(target, &below, name_there)?;
                match slot {
                    Some(slot) => self.hashed(&place, source, &file, slot),
                    None => self.file(&place, &source, &file),
                }
            }
            FileType::Symlink => {
                let link = file::read_link(&*dir, name).step("readlinkat", record.path)?;
                let place = self.place(target, &below, name_there)?;
                self.symlink(&place, &link, &file)
            }
            kind => {
                self.report.warn(format!(
                    "Left out {}: {} in the build context is not copied",
                    display(record.path),
                    describe(kind)
                ));
                Ok(())
            }
        }
    }

    /// False when the file is no archive.
    fn unpack(&mut self, target: &Target<'_>, source: &OwnedFd) -> Result<bool> {
        let Some(packing) = unpack::detect(source, self.identity)? else {
            rustix::fs::seek(source, rustix::fs::SeekFrom::Start(0)).step("lseek", b"")?;
            return Ok(false);
        };
        let into = unpack::Target {
            dest: &target.dest,
            owner: target.owner,
            plain: false,
        };
        let (entries, bytes) = unpack::unpack(&mut self.writer, source, packing, &into, self.identity, self.report)?;
        self.writer.set_missing(self.missing);
        self.copied.entries += entries;
        self.copied.bytes = self.copied.bytes.saturating_add(bytes);
        Ok(true)
    }

    fn take_snapshots(&mut self, target: &Target<'_>, stack: &Stack, selection: &Selection<'_>) -> Result<()> {
        let selected = selection.resolve(stack)?;
        for (one, pattern) in selected.iter().zip(selection.patterns) {
            if one.matches.is_empty() {
                return Err(nothing(pattern));
            }
        }
        for Selected { matches, filter, required } in selected {
            let mut found = required.is_none();
            for Match { name, node } in matches {
                match node {
                    // A path below a file leads nowhere.
                    Node::Leaf(_) if required.is_some() => {}
                    Node::Leaf(_) if filter.hides(&name) => found = true,
                    Node::Leaf(leaf) => {
                        found = true;
                        self.leaf(target, &[], &name, &leaf)?;
                    }
                    Node::Dir(dir) => {
                        self.writer.enter(&target.dest).map_err(|error| about(error, target.shown))?;
                        found |= self.tree(target, Chosen::new(dir, &filter)?)?;
                    }
                }
            }
            if let Some(path) = required.filter(|_| !found) {
                return Err(nothing(&path));
            }
        }
        Ok(())
    }

    /// Whether anything was meant.
    fn tree(&mut self, target: &Target<'_>, mut walk: Chosen<'_>) -> Result<bool> {
        while let Some((path, node)) = walk.next()? {
            match node {
                Node::Leaf(leaf) => self.leaf(target, &path, &[], &leaf)?,
                Node::Dir(dir) => {
                    let own = dir.attributes()?;
                    self.newest.see(true, own.modified);
                    let (uid, gid) = target.owner.unwrap_or((own.uid, own.gid));
                    let attributes = Attributes {
                        mode: target.mode(own.mode, true),
                        uid,
                        gid,
                        modified: Some(own.modified),
                        xattrs: &own.xattrs,
                    };
                    self.subdirectory(target, &path, &attributes)?;
                }
            }
        }
        Ok(walk.found())
    }

    fn leaf(&mut self, target: &Target<'_>, below: &[Vec<u8>], name: &[u8], leaf: &Leaf) -> Result<()> {
        let meta = leaf.meta;
        self.newest.see(false, meta.modified);
        if meta.kind == FileType::Socket {
            self.report
                .warn(format!("Left out {}: a socket is not copied", display(&leaf.name)));
            return Ok(());
        }
        let xattrs = if meta.is_file() { leaf.xattrs()? } else { Vec::new() };
        let file = File {
            meta,
            xattrs: &xattrs,
            owner: target.owner.unwrap_or((meta.uid, meta.gid)),
            mode: target.mode(meta.mode, false),
        };
        let place = self.place(target, below, name)?;
        let key = (meta.device, meta.inode);
        if let Some(first) = self.links.get(&key).filter(|_| meta.links > 1).cloned() {
            let parent: Vec<Vec<u8>> = components(&self.writer.path_of(b"")).into();
            self.copied.entries += 1;
            return self.writer.hard_link(&parent, &place, &first, &file.attributes());
        }
        if meta.links > 1 {
            self.links.insert(key, components(&self.writer.path_of(&place)).into());
        }
        match meta.kind {
            // Writing takes the capabilities of a file away: what has attributes gets its content first.
            FileType::RegularFile if xattrs.is_empty() && self.may_wait(&meta) => self.postpone(&place, leaf.open()?, &file, None),
            FileType::RegularFile => self.file(&place, &leaf.open()?, &file),
            FileType::Symlink => self.symlink(&place, &leaf.target()?, &file),
            kind => {
                let made = self.writer.node(&place, kind, meta.special, &file.attributes())?;
                self.copied.entries += u64::from(made);
                Ok(())
            }
        }
    }

    /// Go to the directory in which a file goes, and say under which name: `below` the destination, or, when that is empty, the destination itself
    /// or `name` in it.
    fn place(&mut self, target: &Target<'_>, below: &[Vec<u8>], name: &[u8]) -> Result<Vec<u8>> {
        if below.is_empty() && !target.is_directory && !self.is_directory(&target.dest)? {
            if std::mem::replace(&mut self.has_whole, true) {
                self.report.warn_once(target.shown, || {
                    let shown = display(target.shown.as_bytes());
                    format!(
                        "Several files go to {shown}, which is no directory: only the last one stays. End it with a slash to keep them all"
                    )
                });
            }
            return self.file_place(&target.dest).map_err(|error| about(error, target.shown));
        }
        let own = [name.to_vec()];
        let below = if below.is_empty() { own.as_slice() } else { below };
        let Some((last, parents)) = below.split_last() else {
            return Err(Error::system("copy", rustix::io::Errno::INVAL));
        };
        self.writer.enter(&[target.dest.as_slice(), parents].concat())?;
        self.refuse_directory(last)
            .map_err(|error| error.asked_for(&[target.dest.as_slice(), below].concat()))?;
        Ok(last.clone())
    }

    fn refuse_directory(&mut self, name: &[u8]) -> Result<()> {
        match self.writer.present(name)? {
            Present::Dir => Err(Error::invalid("copy", "a directory cannot be replaced by a file").subject(&self.writer.path_of(name))),
            Present::Nothing | Present::Other(_) => Ok(()),
        }
    }

    /// The place of a file by its full path: a final link is followed.
    fn file_place(&mut self, path: &[Vec<u8>]) -> Result<Vec<u8>> {
        let name = self
            .writer
            .locate(path)?
            .ok_or_else(|| Error::invalid("copy", "a directory cannot be replaced by a file").subject(&join(path)))?;
        self.refuse_directory(&name).map_err(|error| error.asked_for(path))?;
        Ok(name)
    }

    fn is_directory(&mut self, path: &[Vec<u8>]) -> Result<bool> {
        self.writer.is_directory(path)
    }

    /// A directory of a context. The destination itself is only made; others get the attributes of their source.
    fn directory(&mut self, target: &Target<'_>, below: &[Vec<u8>], file: &File<'_>) -> Result<()> {
        if below.is_empty() {
            return self.writer.enter(&target.dest).map_err(|error| about(error, target.shown));
        }
        self.subdirectory(target, below, &file.attributes())
    }

    fn subdirectory(&mut self, target: &Target<'_>, below: &[Vec<u8>], attributes: &Attributes<'_>) -> Result<()> {
        let Some((name, parents)) = below.split_last() else { return Ok(()) };
        let path = [target.dest.as_slice(), below].concat();
        self.writer.enter(&[target.dest.as_slice(), parents].concat())?;
        self.copied.entries += 1;
        match self.writer.present(name)? {
            Present::Nothing | Present::Dir => self.writer.directory(name, attributes),
            Present::Other(kind) => {
                let message = format!("{} is in the way where a directory is copied", describe(kind));
                let error = Error::invalid("copy", message).subject(&self.writer.path_of(name)).asked_for(&path);
                Err(match kind {
                    // As BuildKit: what is meant to be a directory would be written somewhere else.
                    FileType::Symlink => error.hint("remove the link first, or copy what the directory holds to where the link leads"),
                    _ => error,
                })
            }
        }
    }

    fn file(&mut self, name: &[u8], source: &OwnedFd, file: &File<'_>) -> Result<()> {
        let mut sink = self.writer.file(name)?;
        let copied = sink.copy_from(source, file.meta.size, name)?;
        let after = file::stat_fd(source).step("statx", name)?;
        if copied != file.meta.size || after.size != file.meta.size || after.modified != file.meta.modified {
            return Err(Error::invalid("copy", "changed while reading"));
        }
        self.writer.finish_file(&sink, file.meta.size, &file.attributes(), name)?;
        self.count(copied);
        Ok(())
    }

    /// A file of a context, with its digest; a large one gets its content later.
    fn hashed(&mut self, name: &[u8], source: OwnedFd, file: &File<'_>, slot: usize) -> Result<()> {
        let (meta, attributes) = (file.meta, file.attributes());
        if self.may_wait(&meta) {
            return self.postpone(name, source, file, Some(slot));
        }
        let mut sink = self.writer.file(name)?;
        let mut hasher = Hasher::new(meta.size);
        let mut taken: u64 = 0;
        loop {
            let length = file::read_full(&source, &mut self.buffer).step("read", b"")?;
            let Some(bytes) = self.buffer.get(..length).filter(|bytes| !bytes.is_empty()) else {
                break;
            };
            hasher.update(bytes);
            sink.append(bytes, name)?;
            taken += length as u64;
        }
        require_same(&source, &meta)?;
        self.writer.finish_file(&sink, taken, &attributes, name)?;
        if let Some(later) = &mut self.later {
            later.set(slot, hasher.finish());
        }
        self.count(taken);
        Ok(())
    }

    /// Whether the content of a file can come when the layer is made.
    fn may_wait(&self, meta: &Meta) -> bool {
        meta.size >= LARGE && self.later.as_ref().is_some_and(Later::has_room)
    }

    /// Make the file without its content, which comes when the layer is made.
    fn postpone(&mut self, name: &[u8], source: OwnedFd, file: &File<'_>, slot: Option<usize>) -> Result<()> {
        let sink = self.writer.file(name)?;
        self.writer.finish_file(&sink, file.meta.size, &file.attributes(), name)?;
        if let Some(later) = &mut self.later {
            later.add((source, file.meta), sink.into_file(), file.mode, slot)?;
        }
        // Its bytes are counted when they are read.
        self.copied.entries += 1;
        self.copied.bytes = self.copied.bytes.saturating_add(file.meta.size);
        Ok(())
    }

    /// An archive was unpacked; what it says to the key is its content.
    fn archive(&mut self, source: &OwnedFd, meta: &Meta, slot: Option<usize>) -> Result<()> {
        let (Some(slot), Some(later)) = (slot, &mut self.later) else {
            return Ok(());
        };
        rustix::fs::seek(source, rustix::fs::SeekFrom::Start(0)).step("lseek", b"")?;
        let digest = contents::digest_of(source, meta, &mut self.buffer, self.report)?;
        later.set(slot, digest);
        Ok(())
    }

    fn symlink(&mut self, name: &[u8], link: &[u8], file: &File<'_>) -> Result<()> {
        self.copied.entries += 1;
        self.writer.symlink(name, link, &file.attributes())
    }
}

fn nothing(pattern: &str) -> Error {
    Error::new(Kind::NotFound, "copy", "nothing in the image has this name").subject(pattern.as_bytes())
}

/// The path of the request is the subject when nothing deeper is.
fn about(error: Error, path: &str) -> Error {
    Error {
        subject: Some(error.subject.unwrap_or_else(|| display(path.as_bytes()))),
        ..error
    }
}
