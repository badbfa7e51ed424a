//! Makes the files of one new snapshot, on top of others, as containerd does when it unpacks a layer.
//!
//! Nothing is written through a link, and nothing outside the snapshot: [`Place`] leads to the directory, and here a single name is made in it.

use crate::error::{Context, Error, Result, display};
use crate::place::{Missing, Place, set_opaque};
use crate::remove::remove_tree;
use crate::report::Report;
use crate::stack::{Leaf, MAX_LINKS, Node, Resolved, Stack, components, describe, join, too_many_links};
use crate::xattrs::{self, Verdict};
use berth_sys::content;
use berth_sys::file::{self, Time};
use berth_sys::xattr::{self, Attribute};
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, FileType, ftruncate, linkat, symlinkat, unlinkat};
use rustix::io::Errno;
use std::collections::BTreeSet;
use std::rc::Rc;

/// What every kind of file has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attributes<'a> {
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// `None` leaves the time of the clock.
    pub(crate) modified: Option<Time>,
    pub(crate) xattrs: &'a [Attribute],
}

/// A snapshot that is being filled.
pub(crate) struct Writer<'a> {
    place: Place,
    /// The new snapshot on top of those below.
    merged: Stack,
    missing: Missing,
    report: &'a Report<'a>,
    /// Files that were copied up only because a hard link needs them: not entries of the layer.
    implied: BTreeSet<Vec<u8>>,
    /// The root was given attributes.
    explicit_root: bool,
}

/// A regular file that is being written.
pub(crate) struct Sink {
    file: OwnedFd,
    written: u64,
}

/// What is in the merged tree under a name.
pub(crate) enum Present {
    Nothing,
    Dir,
    Other(FileType),
}

impl<'a> Writer<'a> {
    pub(crate) fn new(root: &OwnedFd, lowers: &Stack, missing: Missing, report: &'a Report<'a>) -> Result<Self> {
        let root = Rc::new(file::open_dir(root, b".").step("openat", b"/")?);
        let merged = lowers.under(Rc::clone(&root));
        Ok(Self {
            place: Place::new(root, lowers),
            merged,
            missing,
            report,
            implied: BTreeSet::new(),
            explicit_root: false,
        })
    }

    pub(crate) fn self_contained(&self) -> bool {
        self.place.self_contained()
    }

    /// Change how directories that exist nowhere are made from now on.
    pub(crate) fn set_missing(&mut self, missing: Missing) {
        self.missing = missing;
    }

    /// Make the directory `path` the current one.
    pub(crate) fn enter(&mut self, path: &[Vec<u8>]) -> Result<()> {
        let missing = self.missing;
        self.place.enter(path, &missing)
    }

    /// Give the directories that were made without a time since the last call this one.
    pub(crate) fn date(&mut self, time: Option<Time>) {
        self.place.date(time);
    }

    /// The path of `name` in the current directory, links resolved.
    pub(crate) fn path_of(&self, name: &[u8]) -> Vec<u8> {
        self.place.path_of(name)
    }

    /// Set the attributes of the root.
    pub(crate) fn root(&mut self, attributes: &Attributes<'_>) -> Result<()> {
        self.enter(&[])?;
        let root = self.place.dir()?;
        self.set_attributes(&root, attributes, b"/", true)?;
        self.place.set_time(b"", attributes.modified);
        self.explicit_root = true;
        xattr::remove(&*root, xattrs::IMPLICIT).step("fremovexattr", b"/")
    }

    /// Make the directory `name`, or give an existing one these attributes, and go into it.
    pub(crate) fn directory(&mut self, name: &[u8], attributes: &Attributes<'_>) -> Result<()> {
        let here = self.place.dir()?;
        let existed = self.ensure_directory(&here, name)?;
        let dir = file::open_dir(&*here, name).step("openat", name)?;
        self.set_attributes(&dir, attributes, name, existed)?;
        self.place.set_time(name, attributes.modified);
        self.place.descend(name, dir);
        Ok(())
    }

    /// True when there was one already.
    fn ensure_directory(&mut self, here: &OwnedFd, name: &[u8]) -> Result<bool> {
        match file::make_dir(here, name, 0o700) {
            Ok(()) => return Ok(false),
            Err(Errno::EXIST) => {}
            Err(errno) => return Err(self.failed("mkdirat", errno, name)),
        }
        if file::stat(here, name).step("statx", name)?.is_dir() {
            return Ok(true);
        }
        // A whiteout or a file of this layer hides what is below; so must the directory that takes its place.
        self.clear(here, name)?;
        file::make_dir(here, name, 0o700).step("mkdirat", name)?;
        set_opaque(&file::open_dir(here, name).step("openat", name)?)?;
        Ok(false)
    }

    /// Begin the regular file `name`.
    pub(crate) fn file(&mut self, name: &[u8]) -> Result<Sink> {
        let here = self.place.dir()?;
        let file = match file::create_file(&*here, name, 0o600) {
            Err(Errno::EXIST) => {
                self.clear(&here, name)?;
                file::create_file(&*here, name, 0o600)
            }
            other => other,
        };
        file.map(|file| Sink { file, written: 0 })
            .map_err(|errno| self.failed("openat", errno, name))
    }

    /// Complete a regular file of `size` bytes.
    pub(crate) fn finish_file(&self, sink: &Sink, size: u64, attributes: &Attributes<'_>, name: &[u8]) -> Result<()> {
        if sink.written < size {
            ftruncate(&sink.file, size).map_err(|errno| self.failed("ftruncate", errno, name))?;
        }
        self.set_attributes(&sink.file, attributes, name, false)?;
        // Last, because everything before changes it.
        attributes
            .modified
            .map_or(Ok(()), |time| file::set_time_fd(&sink.file, time).step("futimens", name))
    }

    /// Make the symbolic link `name`.
    pub(crate) fn symlink(&mut self, name: &[u8], target: &[u8], attributes: &Attributes<'_>) -> Result<()> {
        let here = self.place.dir()?;
        self.retry(&here, name, |here| symlinkat(target, here, name))
            .map_err(|errno| self.failed("symlinkat", errno, name))?;
        self.set_attributes_at(&here, name, attributes, false)
    }

    /// Make the device node or FIFO `name`. False, with a warning, where this user may not.
    pub(crate) fn node(&mut self, name: &[u8], kind: FileType, device: (u32, u32), attributes: &Attributes<'_>) -> Result<bool> {
        let here = self.place.dir()?;
        match self.retry(&here, name, |here| {
            file::make_node(here, name, kind, attributes.mode & 0o777, device)
        }) {
            Ok(()) => self.set_attributes_at(&here, name, attributes, true).map(|()| true),
            Err(Errno::PERM) => {
                let path = display(&self.path_of(name));
                self.report.warn(format!(
                    "Left out {path}: {} cannot be made without root privileges",
                    describe(kind)
                ));
                Ok(false)
            }
            Err(errno) => Err(self.failed("mknodat", errno, name)),
        }
    }

    /// Try, and try again after what has the name was removed.
    fn retry(&mut self, here: &OwnedFd, name: &[u8], make: impl Fn(&OwnedFd) -> rustix::io::Result<()>) -> rustix::io::Result<()> {
        match make(here) {
            Err(Errno::EXIST) => {
                self.clear(here, name).map_err(|error| error.errno.unwrap_or(Errno::EXIST))?;
                make(here)
            }
            other => other,
        }
    }

    /// Make `name` in the directory `parent` a further name of the file `target`, which may be one of the snapshots below.
    pub(crate) fn hard_link(&mut self, parent: &[Vec<u8>], name: &[u8], target: &[Vec<u8>], attributes: &Attributes<'_>) -> Result<()> {
        let Some((target_name, target_parent)) = target.split_last() else {
            return Err(Error::invalid("linkat", "a hard link to a directory").subject(name));
        };
        self.enter(target_parent)?;
        let from = self.link_target(target_name, target)?;
        self.enter(parent)?;
        let here = self.place.dir()?;
        let source = file::stat(&*from, target_name).step("statx", target_name)?;
        if file::try_stat(&*here, name)
            .step("statx", name)?
            .is_some_and(|meta| meta.inode == source.inode && meta.device == source.device)
        {
            return Ok(());
        }
        let made = self.retry(&here, name, |here| {
            linkat(&*from, target_name.as_slice(), here, name, AtFlags::empty())
        });
        match made {
            Ok(()) => self.set_attributes_at(&here, name, attributes, !source.is_link()),
            Err(Errno::NOENT) => Err(no_target(target)),
            Err(errno) => Err(self.failed("linkat", errno, name)),
        }
    }

    /// The directory of the snapshot in which the target is, after it was copied up if need be.
    fn link_target(&mut self, name: &[u8], target: &[Vec<u8>]) -> Result<Rc<OwnedFd>> {
        let here = self.place.dir()?;
        match file::try_stat(&*here, name).step("statx", name)? {
            Some(meta) if meta.is_dir() => Err(Error::invalid("linkat", "a hard link to a directory").subject(&join(target))),
            Some(meta) if meta.is_whiteout() => Err(no_target(target)),
            Some(_) => Ok(here),
            None => match self.place.below(name)? {
                Some(Node::Leaf(leaf)) => {
                    self.place.depends();
                    self.copy_up(&leaf)?;
                    self.implied.insert(self.path_of(name));
                    Ok(here)
                }
                Some(Node::Dir(_)) => Err(Error::invalid("linkat", "a hard link to a directory").subject(&join(target))),
                None => Err(no_target(target)),
            },
        }
    }

    /// Make the same file here that a snapshot below has.
    fn copy_up(&mut self, leaf: &Leaf) -> Result<()> {
        let xattrs = leaf.xattrs()?;
        let meta = &leaf.meta;
        let attributes = Attributes {
            mode: meta.mode,
            uid: meta.uid,
            gid: meta.gid,
            modified: Some(meta.modified),
            xattrs: &xattrs,
        };
        match meta.kind {
            FileType::RegularFile => {
                let mut sink = self.file(&leaf.name)?;
                sink.copy_from(&leaf.open()?, meta.size, &leaf.name)?;
                self.finish_file(&sink, meta.size, &attributes, &leaf.name)
            }
            FileType::Symlink => self.symlink(&leaf.name, &leaf.target()?, &attributes),
            kind => self.node(&leaf.name, kind, meta.special, &attributes).map(drop),
        }
    }

    /// Hide what the snapshots below have under `name`; what this layer itself has put there stays.
    pub(crate) fn whiteout(&mut self, name: &[u8]) -> Result<()> {
        let here = self.place.dir()?;
        let implied = self.implied.remove(&self.path_of(name));
        match file::try_stat(&*here, name).step("statx", name)? {
            Some(meta) if meta.is_dir() => {
                self.enter_name(name)?;
                self.hide_below()
            }
            Some(_) if !implied => Ok(()),
            Some(_) => {
                unlinkat(&*here, name, AtFlags::empty()).step("unlinkat", name)?;
                file::make_whiteout(&*here, name).map_err(|errno| self.failed("mknodat", errno, name))
            }
            None => file::make_whiteout(&*here, name).map_err(|errno| self.failed("mknodat", errno, name)),
        }
    }

    /// Hide everything that the snapshots below have in the current directory.
    pub(crate) fn opaque(&mut self) -> Result<()> {
        if self.place.is_root() {
            self.opaque_root()
        } else {
            self.hide_below()
        }
    }

    fn enter_name(&mut self, name: &[u8]) -> Result<()> {
        let here = self.place.dir()?;
        let dir = file::open_dir(&*here, name).step("openat", name)?;
        self.place.descend(name, dir);
        Ok(())
    }

    fn hide_below(&mut self) -> Result<()> {
        self.place.hide_below()?;
        // What is here only for a hard link was one of the things to hide.
        let prefix = [self.path_of(b"").as_slice(), b"/"].concat();
        let here = self.place.dir()?;
        let inside: Vec<Vec<u8>> = self.implied.iter().filter(|path| path.starts_with(&prefix)).cloned().collect();
        for path in inside {
            self.implied.remove(&path);
            if let Some(relative) = path.get(prefix.len()..) {
                unlink_beneath(&here, relative)?;
            }
        }
        Ok(())
    }

    /// The kernel ignores the mark on a root, so every name below is hidden by itself.
    fn opaque_root(&mut self) -> Result<()> {
        let names = self.place.lower()?.map_or_else(|| Ok(Vec::new()), |lower| lower.names())?;
        self.place.depends();
        for name in names {
            self.enter(&[])?;
            self.whiteout(&name)?;
        }
        self.enter(&[])
    }

    /// What the merged tree has under `name` of the current directory.
    pub(crate) fn present(&mut self, name: &[u8]) -> Result<Present> {
        let here = self.place.dir()?;
        let found = match file::try_stat(&*here, name).step("statx", name)? {
            Some(meta) if meta.is_whiteout() => return Ok(Present::Nothing),
            Some(meta) => Some(meta.kind),
            None => self.place.below(name)?.map(|node| match node {
                Node::Dir(_) => FileType::Directory,
                Node::Leaf(leaf) => leaf.meta.kind,
            }),
        };
        Ok(match found {
            None => Present::Nothing,
            Some(FileType::Directory) => Present::Dir,
            Some(kind) => Present::Other(kind),
        })
    }

    /// Go to the directory in which the path ends, links followed, also the last one; the name there. `None` for the root.
    pub(crate) fn locate(&mut self, path: &[Vec<u8>]) -> Result<Option<Vec<u8>>> {
        let mut path = path.to_vec();
        for _ in 0..=MAX_LINKS {
            let Some((name, parent)) = path.split_last() else { return Ok(None) };
            if name == b".." {
                self.enter(&path)?;
                path = components(&self.path_of(b"")).into();
                continue;
            }
            self.enter(parent)?;
            let Some(target) = self.link_at(name)? else {
                return Ok(Some(name.clone()));
            };
            let base = if target.first() == Some(&b'/') {
                Vec::new()
            } else {
                self.path_of(b"")
            };
            path = components(&[base.as_slice(), b"/", target.as_slice()].concat()).into();
        }
        Err(too_many_links(&join(&path)))
    }

    /// Target of the link `name` of the merged tree.
    fn link_at(&mut self, name: &[u8]) -> Result<Option<Vec<u8>>> {
        let here = self.place.dir()?;
        match file::try_stat(&*here, name).step("statx", name)? {
            Some(meta) if meta.is_link() => file::read_link(&*here, name).step("readlinkat", name).map(Some),
            Some(_) => Ok(None),
            None => match self.place.below(name)? {
                Some(Node::Leaf(leaf)) if leaf.meta.is_link() => leaf.target().map(Some),
                _ => Ok(None),
            },
        }
    }

    /// Whether the merged tree has a directory at `path`, links followed. Makes nothing.
    pub(crate) fn is_directory(&mut self, path: &[Vec<u8>]) -> Result<bool> {
        let found = self.merged.resolve(&join(path), true)?;
        Ok(matches!(found, Some(Resolved { node: Node::Dir(_), .. })))
    }

    /// Remove whatever this snapshot has under `name`.
    fn clear(&mut self, here: &OwnedFd, name: &[u8]) -> Result<()> {
        self.implied.remove(&self.path_of(name));
        remove_tree(here, name).map(drop)
    }

    fn set_attributes(&self, file: &OwnedFd, attributes: &Attributes<'_>, name: &[u8], replace: bool) -> Result<()> {
        file::chown_fd(file, attributes.uid, attributes.gid).map_err(|errno| self.unmapped(errno, attributes, name))?;
        // After the owner, which clears set-id bits.
        file::chmod_fd(file, attributes.mode).step("fchmod", name)?;
        if replace {
            for (old, _) in xattrs::visible(xattr::all(file).step("flistxattr", name)?) {
                xattr::remove(file, &old).step("fremovexattr", name)?;
            }
        }
        self.set_xattrs(attributes, name, |attribute, value| xattr::set(file, attribute, value))
    }

    /// For what cannot be opened. A link has no mode of its own.
    fn set_attributes_at(&self, here: &OwnedFd, name: &[u8], attributes: &Attributes<'_>, has_mode: bool) -> Result<()> {
        file::chown(here, name, attributes.uid, attributes.gid).map_err(|errno| self.unmapped(errno, attributes, name))?;
        if has_mode {
            file::chmod(here, name, attributes.mode).step("fchmodat", name)?;
        }
        self.set_xattrs(attributes, name, |attribute, value| xattr::set_at(here, name, attribute, value))?;
        attributes
            .modified
            .map_or(Ok(()), |time| file::set_time(here, name, time).step("utimensat", name))
    }

    fn set_xattrs(&self, attributes: &Attributes<'_>, name: &[u8], set: impl Fn(&[u8], &[u8]) -> rustix::io::Result<()>) -> Result<()> {
        xattrs::check(attributes.xattrs, name)?;
        for (attribute, value) in attributes.xattrs {
            let outcome = match xattrs::verdict(attribute) {
                Verdict::Overlay => continue,
                Verdict::Host => Err(Errno::OPNOTSUPP),
                Verdict::Keep => set(attribute, value),
            };
            match outcome {
                Ok(()) => {}
                Err(Errno::PERM | Errno::OPNOTSUPP) => self.warn_dropped(attribute, name),
                Err(Errno::INVAL) => {
                    return Err(
                        Error::invalid("fsetxattr", format!("extended attribute {} is malformed", display(attribute)))
                            .subject(&self.path_of(name)),
                    );
                }
                Err(errno) => return Err(self.failed("fsetxattr", errno, name)),
            }
        }
        Ok(())
    }

    fn warn_dropped(&self, attribute: &[u8], name: &[u8]) {
        let attribute = display(attribute);
        let message = || {
            format!(
                "Left out the attribute {attribute} of {} and of all files after it: this file system or user cannot set it",
                display(&self.path_of(name))
            )
        };
        self.report.warn_once(&attribute, message);
    }

    fn failed(&self, step: &'static str, errno: Errno, name: &[u8]) -> Error {
        Error::system(step, errno).subject(&self.path_of(name))
    }

    fn unmapped(&self, errno: Errno, attributes: &Attributes<'_>, name: &[u8]) -> Error {
        if errno != Errno::INVAL {
            return self.failed("fchown", errno, name);
        }
        let message = format!(
            "owner {}:{} is outside the ids of the user namespace",
            attributes.uid, attributes.gid
        );
        Error {
            message,
            ..self.failed("fchown", errno, name)
        }
        .hint("give this user a larger range in /etc/subuid and /etc/subgid, or run as root")
    }

    /// Complete the snapshot. False when nothing was said about its root.
    pub(crate) fn finish(mut self) -> Result<bool> {
        self.place.finish()?;
        Ok(self.explicit_root)
    }
}

fn no_target(target: &[Vec<u8>]) -> Error {
    Error::invalid("linkat", "the target of the hard link does not exist in the image").subject(&join(target))
}

fn unlink_beneath(dir: &OwnedFd, path: &[u8]) -> Result<()> {
    let (parent, name) = match path.iter().rposition(|byte| *byte == b'/') {
        Some(at) => (path.get(..at).unwrap_or_default(), path.get(at + 1..).unwrap_or_default()),
        None => (b".".as_slice(), path),
    };
    let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::DIRECTORY;
    match berth_sys::path::open_beneath(dir, parent, flags).and_then(|parent| unlinkat(parent, name, AtFlags::empty())) {
        Ok(()) | Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(()),
        Err(errno) => Err(Error::system("unlinkat", errno).subject(path)),
    }
}

impl Sink {
    /// The file itself, when it has been finished but for its content.
    pub(crate) fn into_file(self) -> OwnedFd {
        self.file
    }

    /// Write what comes after what has been written.
    pub(crate) fn append(&mut self, bytes: &[u8], name: &[u8]) -> Result<()> {
        self.write(self.written, bytes, name)
    }

    /// Write `bytes` at `position`; what is skipped becomes a hole.
    pub(crate) fn write(&mut self, position: u64, bytes: &[u8], name: &[u8]) -> Result<()> {
        file::write_all_at(&self.file, bytes, position).step("pwrite", name)?;
        self.written = self.written.max(position.saturating_add(bytes.len() as u64));
        Ok(())
    }

    /// Copy the whole of `source`, which is expected to have `size` bytes.
    pub(crate) fn copy_from(&mut self, source: &OwnedFd, size: u64, name: &[u8]) -> Result<u64> {
        let copied = content::copy(source, &self.file, size).step("copy", name)?;
        self.written = self.written.max(copied);
        Ok(copied)
    }
}
