//! What of an upper snapshot is a change: a walk that compares it with the snapshots below and reads no content but where all else is equal.

use crate::apply::WHITEOUT;
use crate::error::{Context, Error, Result};
use crate::later::Later;
use crate::stack::{Dir, Node, Stack, is_opaque};
use crate::xattrs;
use berth_sys::file::{self, Meta, PATH_MAX};
use berth_sys::xattr::{self, Attribute};
use rustix::fd::OwnedFd;
use rustix::fs::FileType;
use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;

/// Something in the upper snapshot. Directories come before what they hold, names in the order of their bytes.
#[derive(Debug)]
pub(crate) struct Item {
    /// Index of its directory; the root is its own.
    pub(crate) parent: usize,
    pub(crate) depth: usize,
    pub(crate) name: Vec<u8>,
    pub(crate) meta: Meta,
    /// It goes into the layer.
    pub(crate) keep: bool,
    /// A directory that is marked as hiding what is below.
    pub(crate) marked: bool,
    /// The mark hides something: a directory is below.
    pub(crate) opaque: bool,
    /// Something of that name is below.
    pub(crate) existed: bool,
    /// Names below that the mark hides.
    pub(crate) hides: Vec<Vec<u8>>,
}

/// Device and inode.
pub(crate) type FileId = ((u32, u32), u64);

/// All items; the first one is the root.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) items: Vec<Item>,
}

struct Frame {
    dir: OwnedFd,
    lower: Option<Dir>,
    index: usize,
    /// Bytes of the path to it.
    length: usize,
    /// In reverse.
    names: Vec<Vec<u8>>,
}

/// Walk the upper snapshot below `root`. Paths in `untouched` are no change while they are new and empty. A file of `later` that must be compared
/// gets its content for that.
pub(crate) fn plan(root: &OwnedFd, lowers: &Stack, untouched: &BTreeSet<Vec<u8>>, later: &mut Later) -> Result<Plan> {
    let dir = file::open_dir(root, b".").step("openat", b"/")?;
    let meta = file::stat_fd(&dir).step("statx", b"/")?;
    let keep = root_differs(&dir, &meta, lowers)?;
    let mut walk = Walk {
        items: vec![item(0, 0, Vec::new(), meta)],
        frames: Vec::new(),
        untouched,
        later,
    };
    walk.enter(dir, lowers.root(), 0, 0)?;
    while let Some(frame) = walk.frames.last_mut() {
        match frame.names.pop() {
            Some(name) => walk.visit(name)?,
            None => drop(walk.frames.pop()),
        }
    }
    let mut plan = Plan { items: walk.items };
    plan.keep_links_together();
    if let Some(first) = plan.items.first_mut() {
        first.keep = keep;
    }
    Ok(plan)
}

fn item(parent: usize, depth: usize, name: Vec<u8>, meta: Meta) -> Item {
    Item {
        parent,
        depth,
        name,
        meta,
        keep: false,
        marked: false,
        opaque: false,
        existed: false,
        hides: Vec::new(),
    }
}

/// The root is an entry only when something was done to it.
fn root_differs(dir: &OwnedFd, meta: &Meta, lowers: &Stack) -> Result<bool> {
    let below = lowers.root_attributes()?;
    let own = xattrs::visible(xattr::all(dir).step("flistxattr", b"/")?);
    Ok((meta.mode, meta.uid, meta.gid) != (below.mode, below.uid, below.gid) || own != below.xattrs)
}

struct Walk<'a> {
    items: Vec<Item>,
    frames: Vec<Frame>,
    untouched: &'a BTreeSet<Vec<u8>>,
    later: &'a mut Later,
}

impl Walk<'_> {
    fn enter(&mut self, dir: OwnedFd, lower: Option<Dir>, index: usize, length: usize) -> Result<()> {
        let mut names = file::names(&dir).step("getdents64", b"")?;
        names.reverse();
        self.frames.push(Frame {
            dir,
            lower,
            index,
            length,
            names,
        });
        Ok(())
    }

    fn visit(&mut self, name: Vec<u8>) -> Result<()> {
        let Some(frame) = self.frames.last() else { return Ok(()) };
        let length = frame.length + 1 + name.len();
        if length >= PATH_MAX {
            let message = format!("a path is longer than {} bytes, which no layer can hold", PATH_MAX - 1);
            return Err(Error::invalid("make layer", message).subject(&name));
        }
        if name.starts_with(WHITEOUT) {
            return Err(
                Error::invalid("make layer", "a name that starts with .wh. means a deleted file in a layer")
                    .subject(&name)
                    .hint("rename the file, or remove it in the same step"),
            );
        }
        let meta = file::stat(&frame.dir, &name).step("statx", &name)?;
        let below = match &frame.lower {
            Some(lower) => lower.child(&name)?,
            None => None,
        };
        let (index, parent) = (self.items.len(), frame.index);
        let mut made = item(parent, self.frames.len(), name.clone(), meta);
        made.existed = below.is_some();
        self.items.push(made);
        let untouched = below.is_none() && self.is_untouched(index, &meta);
        if meta.is_dir() {
            return self.directory(index, &name, below, length, untouched);
        }
        let Some(frame) = self.frames.last() else { return Ok(()) };
        let changed = match meta.kind {
            FileType::Socket => false,
            _ if untouched => false,
            _ if meta.is_whiteout() => below.is_some(),
            _ => differs(&frame.dir, &name, &meta, below.as_ref(), self.later)?,
        };
        if changed {
            keep(&mut self.items, index);
        }
        Ok(())
    }

    /// A target of a mount as it was made: what was put into a directory counts by itself.
    fn is_untouched(&self, index: usize, meta: &Meta) -> bool {
        let empty = meta.is_dir() || (meta.is_file() && meta.size == 0);
        empty && !self.untouched.is_empty() && self.untouched.contains(&path(&self.items, index))
    }

    fn directory(&mut self, index: usize, name: &[u8], below: Option<Node>, length: usize, untouched: bool) -> Result<()> {
        let Some(frame) = self.frames.last() else { return Ok(()) };
        let dir = file::open_dir(&frame.dir, name).step("openat", name)?;
        let marked = is_opaque(&dir)?;
        let lower = match below {
            Some(Node::Dir(lower)) => Some(lower),
            _ => None,
        };
        let changed = match (&lower, self.items.get_mut(index)) {
            (Some(lower), Some(item)) => {
                (item.marked, item.opaque) = (marked, marked);
                if marked {
                    item.hides = lower.names()?;
                }
                marked || dir_differs(&dir, &item.meta, lower)?
            }
            (None, Some(item)) => {
                item.marked = marked;
                !untouched
            }
            _ => false,
        };
        if changed {
            keep(&mut self.items, index);
        }
        self.enter(dir, lower.filter(|_| !marked), index, length)
    }
}

/// An entry is kept with all its parents.
fn keep(items: &mut [Item], mut index: usize) {
    while let Some(item) = items.get_mut(index).filter(|item| !item.keep) {
        item.keep = true;
        if item.parent == index {
            return;
        }
        index = item.parent;
    }
}

impl Plan {
    /// When one name of a file is in the layer, all are: else they would be different files afterwards.
    fn keep_links_together(&mut self) {
        let mut groups: HashMap<FileId, (bool, Vec<usize>)> = HashMap::new();
        for (index, item) in self.items.iter().enumerate() {
            let linked = item.meta.links > 1 && !item.meta.is_dir() && !item.meta.is_whiteout() && item.meta.kind != FileType::Socket;
            if linked {
                let group = groups.entry((item.meta.device, item.meta.inode)).or_default();
                group.0 |= item.keep;
                group.1.push(index);
            }
        }
        for (_, members) in groups.into_values().filter(|(kept, _)| *kept) {
            for index in members {
                keep(&mut self.items, index);
            }
        }
    }

    /// The path of an item.
    pub(crate) fn path(&self, index: usize) -> Vec<u8> {
        path(&self.items, index)
    }
}

fn path(items: &[Item], index: usize) -> Vec<u8> {
    let mut names = Vec::new();
    let mut at = index;
    while let Some(item) = items.get(at).filter(|item| item.parent != at) {
        names.push(item.name.as_slice());
        at = item.parent;
    }
    names.reverse();
    names.join(&b'/')
}

/// A time that alone has changed is a change, as in Docker's layers: somebody has set it, or something in the directory came and went.
fn dir_differs(dir: &OwnedFd, meta: &Meta, lower: &Dir) -> Result<bool> {
    let below = lower.attributes()?;
    let below_is = (below.mode, below.uid, below.gid, below.modified.seconds);
    if (meta.mode, meta.uid, meta.gid, meta.modified.seconds) != below_is {
        return Ok(true);
    }
    Ok(xattrs::visible(xattr::all(dir).step("flistxattr", b"")?) != below.xattrs)
}

fn differs(dir: &OwnedFd, name: &[u8], meta: &Meta, below: Option<&Node>, later: &mut Later) -> Result<bool> {
    let Some(Node::Leaf(lower)) = below else { return Ok(true) };
    let other = &lower.meta;
    let same = meta.kind == other.kind
        && (meta.mode, meta.uid, meta.gid, meta.size) == (other.mode, other.uid, other.gid, other.size)
        // A finished snapshot has whole seconds, as its tar: what is made anew and compared now must differ as it will then.
        && meta.modified.seconds == other.modified.seconds
        && meta.special == other.special;
    if !same {
        return Ok(true);
    }
    match meta.kind {
        FileType::Symlink => Ok(file::read_link(dir, name).step("readlinkat", name)? != lower.target()?),
        FileType::RegularFile => {
            later.complete((meta.device, meta.inode))?;
            file_differs(dir, name, lower)
        }
        _ => Ok(false),
    }
}

fn file_differs(dir: &OwnedFd, name: &[u8], lower: &crate::stack::Leaf) -> Result<bool> {
    let ours = file::open_read(dir, name).step("openat", name)?;
    let theirs = lower.open()?;
    let attributes = |fd: &OwnedFd| -> Result<Vec<Attribute>> { Ok(xattrs::visible(xattr::all(fd).step("flistxattr", name)?)) };
    if attributes(&ours)? != attributes(&theirs)? {
        return Ok(true);
    }
    let (mut left, mut right) = (vec![0; 128 << 10], vec![0; 128 << 10]);
    loop {
        let length = file::read_full(&ours, &mut left).step("read", name)?;
        if length != file::read_full(&theirs, &mut right).step("read", name)? || left.get(..length) != right.get(..length) {
            return Ok(true);
        }
        if length == 0 {
            return Ok(false);
        }
    }
}

/// Opens directories of the plan on the way through its items.
pub(crate) struct Directories {
    open: Vec<(usize, Rc<OwnedFd>)>,
}

impl Directories {
    pub(crate) fn new(root: &OwnedFd) -> Result<Self> {
        Ok(Self {
            open: vec![(0, Rc::new(file::open_dir(root, b".").step("openat", b"/")?))],
        })
    }

    /// The directory that holds the item `index`. Items must be asked for in their order.
    pub(crate) fn parent(&mut self, plan: &Plan, index: usize) -> Result<Rc<OwnedFd>> {
        let mut missing = Vec::new();
        let mut at = plan.items.get(index).map_or(0, |item| item.parent);
        let depth = plan.items.get(at).map_or(0, |item| item.depth);
        self.open.truncate(depth + 1);
        // Up to the deepest directory that is open already.
        while let Some(item) = plan.items.get(at) {
            if self.open.get(item.depth).is_some_and(|(open, _)| *open == at) {
                self.open.truncate(item.depth + 1);
                break;
            }
            self.open.truncate(item.depth);
            missing.push(at);
            at = item.parent;
        }
        for at in missing.into_iter().rev() {
            let (Some(item), Some((_, above))) = (plan.items.get(at), self.open.last()) else {
                continue;
            };
            let dir = file::open_dir(&**above, &item.name).step("openat", &item.name)?;
            self.open.push((at, Rc::new(dir)));
        }
        self.open
            .last()
            .map(|(_, dir)| Rc::clone(dir))
            .ok_or_else(|| Error::system("openat", rustix::io::Errno::NOENT))
    }
}
