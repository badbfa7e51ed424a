//! COPY, ADD, WORKDIR and here-documents: files of the host or of other snapshots go into a new snapshot, where Docker would put them.

use crate::context::{Record, Tree, records};
use crate::error::{Context as _, Error, Kind, Result, display};
use crate::glob::{self, Match};
use crate::place::Missing;
use crate::plan::FileId;
use crate::report::Report;
use crate::snapshot::{self, Part};
use crate::stack::{Leaf, Node, Stack, components, describe, join};
use crate::walk::Walk;
use crate::writer::{Attributes, Present, Writer};
use berth_sys::file::{self, Meta, Time};
use berth_sys::xattr::Attribute;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::FileType;
use std::collections::HashMap;

/// User and group.
pub type Owner = (u32, u32);

/// Permissions of directories that nobody asked for by mode.
const DIRECTORY: u32 = 0o755;

/// One step.
#[derive(Debug)]
pub enum Action<'a> {
    /// `mkdir -p`.
    Mkdir {
        path: &'a str,
        mode: u32,
        owner: Owner,
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
    /// Time of directories that the copy makes by itself.
    pub created: Option<i64>,
}

/// Where a copy reads from.
#[derive(Debug)]
pub enum Source<'a> {
    /// A directory of the host, and the list of what to take.
    Context { root: OwnedFd, list: &'a [u8] },
    /// The merged tree of snapshots, and Go patterns of absolute paths.
    Snapshots { stack: Stack, patterns: &'a [String] },
}

/// How much was copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Copied {
    pub entries: u64,
    pub bytes: u64,
}

/// Make the snapshot `name` on top of `lowers`.
///
/// # Errors
/// `NotFound` with the pattern that selects nothing; `Invalid` when a file changes or a file and a directory collide; `Conflict` when the snapshot
/// exists; the error of a system call.
pub fn copy(snapshots: &impl AsFd, name: &str, lowers: &[String], actions: Vec<Action<'_>>, report: &Report<'_>) -> Result<Copied> {
    if snapshot::exists(snapshots, name)? {
        return Err(snapshot::taken(name));
    }
    let lowers = snapshot::stack(snapshots, lowers)?;
    let part = Part::create(snapshots)?;
    snapshot::inherit_root(part.fs(), &lowers)?;
    let missing = Missing {
        mode: DIRECTORY,
        uid: 0,
        gid: 0,
        modified: None,
    };
    let mut job = Job {
        writer: Writer::new(part.fs(), &lowers, missing, report)?,
        report,
        copied: Copied::default(),
        links: HashMap::new(),
    };
    for action in actions {
        job.action(action)?;
    }
    let copied = job.copied;
    job.writer.finish()?;
    if part.commit(name, false)? {
        Ok(copied)
    } else {
        Err(snapshot::taken(name))
    }
}

struct Job<'a> {
    writer: Writer<'a>,
    report: &'a Report<'a>,
    copied: Copied,
    /// Where the first name of a file with several names went.
    links: HashMap<FileId, Vec<Vec<u8>>>,
}

/// Where the sources of one action go.
struct Target<'a> {
    dest: Vec<Vec<u8>>,
    is_directory: bool,
    owner: Option<Owner>,
    mode: Option<u32>,
    shown: &'a str,
}

/// A file to copy.
struct File<'a> {
    meta: Meta,
    xattrs: &'a [Attribute],
    owner: Owner,
    mode: Option<u32>,
}

impl File<'_> {
    fn attributes(&self) -> Attributes<'_> {
        let mode = if self.meta.is_link() {
            self.meta.mode
        } else {
            self.mode.unwrap_or(self.meta.mode)
        };
        Attributes {
            mode,
            uid: self.owner.0,
            gid: self.owner.1,
            modified: Some(self.meta.modified),
            xattrs: self.xattrs,
        }
    }
}

fn time(seconds: Option<i64>) -> Option<Time> {
    seconds.map(|seconds| Time { seconds, nanoseconds: 0 })
}

impl Job<'_> {
    fn action(&mut self, action: Action<'_>) -> Result<()> {
        match action {
            Action::Mkdir {
                path,
                mode,
                owner,
                created,
            } => {
                self.writer.set_missing(Missing {
                    mode,
                    uid: owner.0,
                    gid: owner.1,
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
        let (uid, gid) = copy.owner.unwrap_or_default();
        self.writer.set_missing(Missing {
            mode: DIRECTORY,
            uid,
            gid,
            modified: time(copy.created),
        });
        let dest = Vec::from(components(copy.dest.as_bytes()));
        let target = Target {
            dest,
            is_directory: copy.dest_is_directory,
            owner: copy.owner,
            mode: copy.mode,
            shown: copy.dest,
        };
        match copy.source {
            Source::Context { root, list } => self.take_context(&target, Tree::new(root), list),
            Source::Snapshots { stack, patterns } => self.take_snapshots(&target, &stack, patterns),
        }
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
        let (dir, name, meta) = tree.find(record.path)?;
        let file = File {
            meta,
            xattrs: &[],
            owner: target.owner.unwrap_or_default(),
            mode: target.mode.or(record.mode),
        };
        let below = Vec::from(components(record.dest));
        match meta.kind {
            FileType::Directory => self.directory(target, &below, &file),
            FileType::RegularFile => {
                let source = Tree::open(&dir, name, &meta, record.path)?;
                let place = self.place(target, &below, name)?;
                self.file(&place, &source, &file)
            }
            FileType::Symlink => {
                let link = file::read_link(&*dir, name).step("readlinkat", record.path)?;
                let place = self.place(target, &below, name)?;
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

    fn take_snapshots(&mut self, target: &Target<'_>, stack: &Stack, patterns: &[String]) -> Result<()> {
        let mut matches = Vec::new();
        for pattern in patterns {
            let found = glob::select(stack, pattern)?;
            if found.is_empty() {
                return Err(Error::new(Kind::NotFound, "copy", "nothing in the image has this name").subject(pattern.as_bytes()));
            }
            matches.extend(found);
        }
        let files = matches.iter().filter(|found| matches!(found.node, Node::Leaf(_))).count();
        if files > 1 && !target.is_directory && !self.is_directory(&target.dest)? {
            let message = "several files are to be copied, and the destination is not a directory";
            return Err(Error::invalid("copy", message)
                .subject(target.shown.as_bytes())
                .hint("end the destination with a slash"));
        }
        for Match { name, node } in matches {
            match node {
                Node::Leaf(leaf) => self.leaf(target, &[], &name, &leaf)?,
                Node::Dir(dir) => {
                    self.writer.enter(&target.dest).map_err(|error| about(error, target.shown))?;
                    self.tree(target, Walk::new(dir)?)?;
                }
            }
        }
        Ok(())
    }

    fn tree(&mut self, target: &Target<'_>, mut walk: Walk) -> Result<()> {
        while let Some((path, node)) = walk.next()? {
            match node {
                Node::Leaf(leaf) => self.leaf(target, &path, &[], &leaf)?,
                Node::Dir(dir) => {
                    let own = dir.attributes()?;
                    let (uid, gid) = target.owner.unwrap_or((own.uid, own.gid));
                    let mode = target.mode.unwrap_or(own.mode);
                    let attributes = Attributes {
                        mode,
                        uid,
                        gid,
                        modified: Some(own.modified),
                        xattrs: &own.xattrs,
                    };
                    self.subdirectory(target, &path, &attributes)?;
                }
            }
        }
        Ok(())
    }

    fn leaf(&mut self, target: &Target<'_>, below: &[Vec<u8>], name: &[u8], leaf: &Leaf) -> Result<()> {
        let meta = leaf.meta;
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
            mode: target.mode,
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
            return self.file_place(&target.dest).map_err(|error| about(error, target.shown));
        }
        let own = [name.to_vec()];
        let below = if below.is_empty() { own.as_slice() } else { below };
        let Some((last, parents)) = below.split_last() else {
            return Err(Error::system("copy", rustix::io::Errno::INVAL));
        };
        self.writer.enter(&[target.dest.as_slice(), parents].concat())?;
        self.refuse_directory(last)?;
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
        self.refuse_directory(&name)?;
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
            // Docker writes through a link to a directory, such as /var/run; anything else is in the way.
            Present::Other(FileType::Symlink) if self.is_directory(&path)? => self.writer.enter(&path),
            Present::Other(kind) => {
                let message = format!("{} is in the way where a directory is copied", describe(kind));
                Err(Error::invalid("copy", message).subject(&join(&path)))
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

    fn symlink(&mut self, name: &[u8], link: &[u8], file: &File<'_>) -> Result<()> {
        self.copied.entries += 1;
        self.writer.symlink(name, link, &file.attributes())
    }
}

/// The path of the request is the subject when nothing deeper is.
fn about(error: Error, path: &str) -> Error {
    Error {
        subject: Some(error.subject.unwrap_or_else(|| display(path.as_bytes()))),
        ..error
    }
}
