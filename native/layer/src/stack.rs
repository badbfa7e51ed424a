//! The merged tree of snapshots, looked at by overlayfs' own rules and without mounting anything.
//!
//! - A character device 0:0 hides what is below its name.
//! - A directory with `user.overlay.opaque=y` hides what is below it; the kernel does not look at that mark on the roots, and neither does this.
//! - A directory above a directory merges; anything else hides what is below.
//!
//! Symbolic links are followed inside the merged root, `..` stops at it. Every step is an `openat` without links from an open directory, so that
//! nothing can be swapped under a resolution.

use crate::error::{Context, Error, Kind, Result, display};
use crate::xattrs;
use berth_sys::file::{self, Meta};
use berth_sys::xattr::{self, Attribute};
use rustix::fd::OwnedFd;
use rustix::fs::FileType;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

/// How many links one resolution follows, as the kernel's own limit.
pub(crate) const MAX_LINKS: usize = 40;

/// Root directories of snapshots, topmost first.
#[derive(Debug, Clone, Default)]
pub struct Stack {
    roots: Vec<Rc<OwnedFd>>,
}

/// A directory of the merged tree: the directories it is merged from, topmost first, of which the first gives the attributes.
#[derive(Debug, Clone)]
pub struct Dir {
    parts: Vec<Rc<OwnedFd>>,
    is_root: bool,
}

/// Anything but a directory.
#[derive(Debug, Clone)]
pub struct Leaf {
    pub dir: Rc<OwnedFd>,
    pub name: Vec<u8>,
    pub meta: Meta,
}

/// Something in the merged tree.
#[derive(Debug, Clone)]
pub enum Node {
    Dir(Dir),
    Leaf(Leaf),
}

/// What a path leads to.
#[derive(Debug, Clone)]
pub struct Resolved {
    pub node: Node,
    /// Its components with all links resolved.
    pub path: Vec<Vec<u8>>,
}

/// Attributes of a directory.
#[derive(Debug, Clone)]
pub struct DirAttributes {
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub modified: file::Time,
    pub xattrs: Vec<Attribute>,
}

impl Stack {
    /// A stack of root directories, topmost first.
    #[must_use]
    pub fn new(roots: Vec<OwnedFd>) -> Self {
        Self {
            roots: roots.into_iter().map(Rc::new).collect(),
        }
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.roots.is_empty()
    }

    /// The same with one more snapshot on top.
    pub(crate) fn under(&self, top: Rc<OwnedFd>) -> Self {
        Self {
            roots: [&[top], self.roots.as_slice()].concat(),
        }
    }

    /// The merged root; `None` when there is no snapshot.
    #[must_use]
    pub fn root(&self) -> Option<Dir> {
        (!self.is_empty()).then(|| Dir {
            parts: self.roots.clone(),
            is_root: true,
        })
    }

    /// Attributes of the merged root: those of the topmost snapshot that says something about its root.
    ///
    /// # Errors
    /// The error of a system call.
    pub fn root_attributes(&self) -> Result<DirAttributes> {
        let mut last = file::Time::default();
        for root in &self.roots {
            let attributes = attributes(root)?;
            if xattr::get(root, xattrs::IMPLICIT).step("fgetxattr", b"/")?.is_none() {
                return Ok(attributes);
            }
            last = attributes.modified;
        }
        Ok(DirAttributes {
            mode: 0o755,
            uid: 0,
            gid: 0,
            modified: last,
            xattrs: Vec::new(),
        })
    }

    /// Resolve a path inside the merged root. `follow_last` follows a link that is the last component. `None` where nothing is there.
    ///
    /// # Errors
    /// `Invalid` after [`MAX_LINKS`] links; the error of a system call.
    pub fn resolve(&self, path: &[u8], follow_last: bool) -> Result<Option<Resolved>> {
        let Some(root) = self.root() else { return Ok(None) };
        let mut walk = Walk {
            levels: vec![(Vec::new(), root)],
            rest: components(path),
            links: 0,
        };
        while let Some(name) = walk.rest.pop_front() {
            match walk.step(name, follow_last)? {
                Stepped::On => {}
                Stepped::Nothing => return Ok(None),
                Stepped::Leaf(leaf) if walk.rest.is_empty() => {
                    let mut path = walk.path();
                    path.push(leaf.name.clone());
                    return Ok(Some(Resolved {
                        node: Node::Leaf(leaf),
                        path,
                    }));
                }
                // A file in the middle of the path.
                Stepped::Leaf(_) => return Ok(None),
            }
        }
        let path = walk.path();
        Ok(walk.levels.pop().map(|(_, dir)| Resolved {
            node: Node::Dir(dir),
            path,
        }))
    }
}

struct Walk {
    levels: Vec<(Vec<u8>, Dir)>,
    rest: VecDeque<Vec<u8>>,
    links: usize,
}

enum Stepped {
    On,
    Nothing,
    Leaf(Leaf),
}

impl Walk {
    fn step(&mut self, name: Vec<u8>, follow_last: bool) -> Result<Stepped> {
        if name == b".." {
            self.levels.truncate(self.levels.len().saturating_sub(1).max(1));
            return Ok(Stepped::On);
        }
        let Some((_, here)) = self.levels.last() else {
            return Ok(Stepped::Nothing);
        };
        match here.child(&name)? {
            None => Ok(Stepped::Nothing),
            Some(Node::Dir(dir)) => {
                self.levels.push((name, dir));
                Ok(Stepped::On)
            }
            Some(Node::Leaf(leaf)) if leaf.meta.is_link() && (follow_last || !self.rest.is_empty()) => {
                self.follow(&leaf)?;
                Ok(Stepped::On)
            }
            Some(Node::Leaf(leaf)) => Ok(Stepped::Leaf(leaf)),
        }
    }

    fn follow(&mut self, link: &Leaf) -> Result<()> {
        self.links += 1;
        if self.links > MAX_LINKS {
            return Err(too_many_links(&link.name));
        }
        let target = link.target()?;
        if target.first() == Some(&b'/') {
            self.levels.truncate(1);
        }
        for name in components(&target).into_iter().rev() {
            self.rest.push_front(name);
        }
        Ok(())
    }

    fn path(&self) -> Vec<Vec<u8>> {
        self.levels.iter().skip(1).map(|(name, _)| name.clone()).collect()
    }
}

/// Components of a path without `.` and empty ones.
pub(crate) fn components(path: &[u8]) -> VecDeque<Vec<u8>> {
    path.split(|byte| *byte == b'/')
        .filter(|name| !matches!(*name, b"" | b"."))
        .map(<[u8]>::to_vec)
        .collect()
}

pub(crate) fn too_many_links(subject: &[u8]) -> Error {
    Error::invalid("resolve", format!("more than {MAX_LINKS} symbolic links")).subject(subject)
}

fn attributes(dir: &OwnedFd) -> Result<DirAttributes> {
    let meta = file::stat_fd(dir).step("statx", b"")?;
    let xattrs = xattrs::visible(xattr::all(dir).step("flistxattr", b"")?);
    Ok(DirAttributes {
        mode: meta.mode,
        uid: meta.uid,
        gid: meta.gid,
        modified: meta.modified,
        xattrs,
    })
}

impl Dir {
    /// What has the name `name` here.
    ///
    /// # Errors
    /// The error of a system call.
    pub fn child(&self, name: &[u8]) -> Result<Option<Node>> {
        let mut parts = Vec::new();
        for (index, part) in self.parts.iter().enumerate() {
            let Some(meta) = file::try_stat(part, name).step("statx", name)? else {
                continue;
            };
            if meta.is_whiteout() {
                break;
            }
            if !meta.is_dir() {
                if parts.is_empty() {
                    return Ok(Some(Node::Leaf(Leaf {
                        dir: Rc::clone(part),
                        name: name.to_vec(),
                        meta,
                    })));
                }
                break;
            }
            let dir = file::open_dir(part, name).step("openat", name)?;
            let stop = index + 1 < self.parts.len() && is_opaque(&dir)?;
            parts.push(Rc::new(dir));
            if stop {
                break;
            }
        }
        Ok((!parts.is_empty()).then_some(Node::Dir(Self { parts, is_root: false })))
    }

    /// Names of what is here, sorted by their bytes.
    ///
    /// # Errors
    /// The error of a system call.
    pub fn names(&self) -> Result<Vec<Vec<u8>>> {
        let mut seen: BTreeMap<Vec<u8>, bool> = BTreeMap::new();
        for part in &self.parts {
            for (name, kind) in file::entries(part).step("getdents64", b"")? {
                if seen.contains_key(&name) {
                    continue;
                }
                let may_hide = matches!(kind, FileType::CharacterDevice | FileType::Unknown);
                let hides = may_hide
                    && file::try_stat(part, &name)
                        .step("statx", &name)?
                        .is_none_or(|meta| meta.is_whiteout());
                seen.insert(name, !hides);
            }
        }
        Ok(seen.into_iter().filter_map(|(name, shown)| shown.then_some(name)).collect())
    }

    /// Attributes of the merged directory, without those that overlayfs keeps for itself.
    ///
    /// # Errors
    /// The error of a system call.
    pub fn attributes(&self) -> Result<DirAttributes> {
        if self.is_root {
            return Stack { roots: self.parts.clone() }.root_attributes();
        }
        match self.parts.first() {
            Some(dir) => attributes(dir),
            None => Err(Error::new(Kind::System, "statx", "the directory has no part")),
        }
    }
}

/// Whether a directory hides what lies below it.
pub(crate) fn is_opaque(dir: &OwnedFd) -> Result<bool> {
    Ok(xattr::get(dir, xattrs::OPAQUE).step("fgetxattr", b"")?.as_deref() == Some(b"y"))
}

impl Leaf {
    /// Target of the link.
    ///
    /// # Errors
    /// The error of `readlinkat`.
    pub fn target(&self) -> Result<Vec<u8>> {
        file::read_link(&*self.dir, &self.name).step("readlinkat", &self.name)
    }

    /// Open a regular file for reading. What is no regular file, also when it has just become something else, is refused without waiting.
    ///
    /// # Errors
    /// `Invalid` when it is no regular file; the error of `openat`.
    pub fn open(&self) -> Result<OwnedFd> {
        if self.meta.is_file() {
            let opened = file::open_read(&*self.dir, &self.name).step("openat", &self.name)?;
            if file::stat_fd(&opened).step("statx", &self.name)?.is_file() {
                return Ok(opened);
            }
        }
        Err(Error::invalid("open", format!("{} is no regular file", describe(self.meta.kind))).subject(&self.name))
    }

    /// Extended attributes, without those that overlayfs keeps for itself.
    ///
    /// # Errors
    /// The error of a system call.
    pub fn xattrs(&self) -> Result<Vec<Attribute>> {
        Ok(xattrs::visible(
            xattr::all_at(&self.dir, &self.name).step("llistxattr", &self.name)?,
        ))
    }
}

/// What to call a type of file.
pub(crate) fn describe(kind: FileType) -> &'static str {
    match kind {
        FileType::RegularFile => "a file",
        FileType::Directory => "a directory",
        FileType::Symlink => "a symbolic link",
        FileType::Fifo => "a FIFO",
        FileType::Socket => "a socket",
        FileType::CharacterDevice => "a character device",
        FileType::BlockDevice => "a block device",
        FileType::Unknown => "something unknown",
    }
}

/// Components joined with slashes.
pub(crate) fn join(path: &[Vec<u8>]) -> Vec<u8> {
    path.join(&b'/')
}

/// Open the regular file at `path` of the merged tree, links resolved inside the root, and give its size.
///
/// # Errors
/// `NotFound`; `Invalid` when it is no regular file or larger than `max_bytes`.
pub fn open_file(stack: &Stack, path: &[u8], max_bytes: u64) -> Result<(OwnedFd, u64)> {
    let missing = || Error::new(Kind::NotFound, "read file", "there is no such file in the image").subject(path);
    let Resolved { node, .. } = stack.resolve(path, true)?.ok_or_else(missing)?;
    let Node::Leaf(leaf) = node else {
        return Err(Error::invalid("read file", "a directory is no regular file").subject(path));
    };
    let opened = leaf.open().map_err(|error| Error {
        subject: Some(display(path)),
        ..error
    })?;
    let size = file::stat_fd(&opened).step("statx", path)?.size;
    if size > max_bytes {
        return Err(Error::invalid("read file", format!("the file has {size} bytes, the limit is {max_bytes}")).subject(path));
    }
    Ok((opened, size))
}
