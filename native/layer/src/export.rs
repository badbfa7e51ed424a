//! The merged tree of snapshots as one tar, as it is written: nothing is mounted, no link is followed, and no file is held in memory.

use crate::error::{Context, Error, Result, display};
use crate::gather::{self, BUFFER};
use crate::report::Report;
use crate::stack::{Leaf, Node, Stack, join};
use crate::walk::Walk;
use berth_sys::file;
use berth_tar::{Entry, Kind, writer};
use rustix::fd::OwnedFd;
use rustix::fs::FileType;
use rustix::io::Errno;
use std::collections::HashMap;

/// Takes the tar piece by piece; false when nobody wants more.
pub type Sink<'a> = dyn FnMut(&[u8]) -> bool + 'a;

/// Write the tree of `stack` to `sink`; how many entries that were. Times after `clamp` are set to it. A file that is being written meanwhile
/// has the size that it had when its entry began.
///
/// # Errors
/// The error of a system call, naming the path.
pub fn export(stack: &Stack, clamp: Option<i64>, sink: &mut Sink<'_>, report: &Report<'_>) -> Result<u64> {
    let Some(root) = stack.root() else { return Ok(0) };
    let mut tar = Tar {
        bytes: gather::buffer(),
        sink,
        report,
        clamp,
        links: HashMap::new(),
        entries: 0,
    };
    let mut walk = Walk::new(root)?;
    while let Some((path, node)) = walk.next()? {
        let path = join(&path);
        tar.node(&node, &path).map_err(|error| Error {
            subject: Some(display(&path)),
            ..error
        })?;
    }
    tar.bytes.extend_from_slice(&writer::END);
    tar.flush()?;
    Ok(tar.entries)
}

struct Tar<'a, 'b> {
    bytes: Vec<u8>,
    sink: &'a mut Sink<'b>,
    report: &'a Report<'a>,
    clamp: Option<i64>,
    /// First path of each file with several names.
    links: HashMap<((u32, u32), u64), Vec<u8>>,
    entries: u64,
}

impl Tar<'_, '_> {
    fn node(&mut self, node: &Node, path: &[u8]) -> Result<()> {
        match node {
            Node::Dir(dir) => {
                let attributes = dir.attributes()?;
                let mut entry = Entry::new(path, Kind::Directory);
                (entry.mode, entry.uid, entry.gid) = (attributes.mode, attributes.uid, attributes.gid);
                entry.modified.seconds = gather::clamped(attributes.modified, self.clamp);
                entry.xattrs = gather::sayable(attributes.xattrs, path, self.report);
                self.header(&entry)
            }
            Node::Leaf(leaf) => self.leaf(leaf, path),
        }
    }

    fn leaf(&mut self, leaf: &Leaf, path: &[u8]) -> Result<()> {
        let kind = match leaf.meta.kind {
            FileType::RegularFile => Kind::File,
            FileType::Symlink => Kind::Symlink,
            FileType::Fifo => Kind::Fifo,
            FileType::CharacterDevice => Kind::CharDevice,
            FileType::BlockDevice => Kind::BlockDevice,
            // Nobody can use a socket without the process that made it.
            FileType::Directory | FileType::Socket | FileType::Unknown => return Ok(()),
        };
        let mut entry = Entry::new(path, kind);
        (entry.mode, entry.uid, entry.gid) = (leaf.meta.mode, leaf.meta.uid, leaf.meta.gid);
        entry.modified.seconds = gather::clamped(leaf.meta.modified, self.clamp);
        if let Some(first) = self.first_name(leaf, path) {
            (entry.kind, entry.link) = (Kind::HardLink, first);
            return self.header(&entry);
        }
        match kind {
            Kind::File => return self.file(leaf, entry),
            Kind::Symlink => entry.link = leaf.target()?,
            Kind::CharDevice | Kind::BlockDevice => entry.device = leaf.meta.special,
            _ => {}
        }
        self.header(&entry)
    }

    /// The path under which the same file has been written already.
    fn first_name(&mut self, leaf: &Leaf, path: &[u8]) -> Option<Vec<u8>> {
        if leaf.meta.links < 2 {
            return None;
        }
        let key = (leaf.meta.device, leaf.meta.inode);
        let first = self.links.get(&key).cloned();
        if first.is_none() {
            self.links.insert(key, path.to_vec());
        }
        first
    }

    fn file(&mut self, leaf: &Leaf, mut entry: Entry) -> Result<()> {
        let opened = leaf.open()?;
        // Asked for again: of a running container it may have grown since the walk saw it.
        let size = file::stat_fd(&opened).step("statx", &entry.path)?.size;
        entry.size = size;
        entry.xattrs = gather::sayable(leaf.xattrs()?, &entry.path, self.report);
        self.header(&entry)?;
        let taken = self.content(&opened, size, &entry.path)?;
        if taken < size {
            self.report
                .warn(format!("{} became shorter while it was read", display(&entry.path)));
            self.zeros(size - taken)?;
        }
        self.bytes.extend_from_slice(writer::padding(size));
        self.report.advance(size);
        Ok(())
    }

    /// Take at most `size` bytes of `source`; how many there were.
    fn content(&mut self, source: &OwnedFd, size: u64, name: &[u8]) -> Result<u64> {
        let mut taken = 0;
        while taken < size {
            let length = gather::append(&mut self.bytes, size - taken, |room| {
                file::read_full(source, room).step("read", name)
            })?;
            taken += length as u64;
            if length == 0 {
                break;
            }
            self.flush_when_full()?;
        }
        Ok(taken)
    }

    fn zeros(&mut self, mut count: u64) -> Result<()> {
        while count > 0 {
            let piece = usize::try_from(count).unwrap_or(BUFFER).min(BUFFER);
            self.bytes.resize(self.bytes.len() + piece, 0);
            count -= piece as u64;
            self.flush_when_full()?;
        }
        Ok(())
    }

    fn header(&mut self, entry: &Entry) -> Result<()> {
        writer::header(entry, &mut self.bytes);
        self.entries += 1;
        self.flush_when_full()
    }

    fn flush_when_full(&mut self) -> Result<()> {
        if self.bytes.len() >= BUFFER { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<()> {
        let wanted = (self.sink)(&self.bytes);
        self.bytes.clear();
        if wanted {
            Ok(())
        } else {
            Err(Error::system("write tar", Errno::PIPE))
        }
    }
}
