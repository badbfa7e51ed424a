//! Where in a new snapshot something goes: the way from the root to the directory that gets it.
//!
//! The snapshot is the top of a merged tree. A directory that is missing in it and exists below is copied up, a link is followed inside the root,
//! and what exists nowhere is made. Every step is an open directory; nothing on the way is reached through a link.

use crate::error::{Context, Error, Result};
use crate::stack::{Dir, MAX_LINKS, Node, Stack, components, describe, is_opaque, join, too_many_links};
use crate::xattrs;
use berth_sys::file::{self, Meta, Time};
use berth_sys::xattr;
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, unlinkat};
use rustix::io::Errno;
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

const SET_GROUP_ID: u32 = 0o2000;

/// How to make a directory that exists nowhere.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Missing {
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) handed: Handed,
    /// `None` leaves the time of the clock, or what [`Place::date`] says.
    pub(crate) modified: Option<Time>,
}

/// What a new directory takes over from one with the set-group-id bit that holds it, beside what it is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Handed {
    Nothing,
    /// As where `mkdir` is followed by a change of the owner.
    Bit,
    /// As where nothing follows `mkdir`.
    BitAndGroup,
}

impl Missing {
    /// Mode and group of a directory in `parent`.
    fn below(&self, parent: &Meta) -> (u32, u32) {
        let bit = parent.mode & SET_GROUP_ID;
        match self.handed {
            Handed::Bit => (self.mode | bit, self.gid),
            Handed::BitAndGroup if bit != 0 => (self.mode | bit, parent.gid),
            Handed::BitAndGroup | Handed::Nothing => (self.mode, self.gid),
        }
    }
}

/// A directory of the new snapshot on the way to the current one.
struct Level {
    name: Vec<u8>,
    upper: Rc<OwnedFd>,
    lower: Lower,
}

/// What lies below a directory of the new snapshot.
enum Lower {
    Unknown,
    Known(Option<Dir>),
}

/// The way to the current directory.
pub(crate) struct Place {
    levels: Vec<Level>,
    /// The path that was asked for, when a link was followed for it: the way is not its components then.
    through_links: Option<Vec<Vec<u8>>>,
    /// Times of directories, set when their content is complete.
    times: HashMap<Vec<u8>, Time>,
    /// Directories that were made without a time.
    undated: Vec<Vec<u8>>,
    self_contained: bool,
}

impl Place {
    pub(crate) fn new(root: Rc<OwnedFd>, lowers: &Stack) -> Self {
        let root = Level {
            name: Vec::new(),
            upper: root,
            lower: Lower::Known(lowers.root()),
        };
        Self {
            levels: vec![root],
            through_links: None,
            times: HashMap::new(),
            undated: Vec::new(),
            self_contained: true,
        }
    }

    /// The current directory.
    pub(crate) fn dir(&self) -> Result<Rc<OwnedFd>> {
        self.levels
            .last()
            .map(|level| Rc::clone(&level.upper))
            .ok_or_else(|| Error::system("openat", Errno::NOENT))
    }

    /// The path of `name` in the current directory, links resolved.
    pub(crate) fn path_of(&self, name: &[u8]) -> Vec<u8> {
        let mut path: Vec<Vec<u8>> = self.levels.iter().skip(1).map(|level| level.name.clone()).collect();
        if !name.is_empty() {
            path.push(name.to_vec());
        }
        join(&path)
    }

    pub(crate) fn is_root(&self) -> bool {
        self.levels.len() == 1
    }

    pub(crate) fn self_contained(&self) -> bool {
        self.self_contained
    }

    /// Something was taken from the snapshots below.
    pub(crate) fn depends(&mut self) {
        self.self_contained = false;
    }

    /// Remember the time of the directory `name` in the current one.
    pub(crate) fn set_time(&mut self, name: &[u8], time: Option<Time>) {
        if let Some(time) = time {
            self.times.insert(self.path_of(name), time);
        }
    }

    /// Give the directories that were made without a time since the last call this one.
    pub(crate) fn date(&mut self, time: Option<Time>) {
        let undated = std::mem::take(&mut self.undated);
        self.times.extend(
            undated
                .into_iter()
                .zip(std::iter::repeat(time))
                .filter_map(|(path, time)| Some((path, time?))),
        );
    }

    /// Make `path` the current directory. What exists nowhere is made as `missing` says.
    pub(crate) fn enter(&mut self, path: &[Vec<u8>], missing: &Missing) -> Result<()> {
        let mut rest = match &self.through_links {
            Some(last) if last == path => return Ok(()),
            Some(_) => {
                self.levels.truncate(1);
                path
            }
            None => {
                let common = self
                    .levels
                    .iter()
                    .skip(1)
                    .zip(path)
                    .take_while(|(level, name)| level.name == **name)
                    .count();
                self.levels.truncate(common + 1);
                path.get(common..).unwrap_or_default()
            }
        }
        .iter()
        .cloned()
        .collect::<VecDeque<_>>();
        self.through_links = None;
        let mut links = 0;
        while let Some(name) = rest.pop_front() {
            // Behind a link the path of the failure is not the one that was asked for.
            let step = self
                .step(name, missing)
                .map_err(|error| if links > 0 { error.asked_for(path) } else { error });
            if let Some(target) = step? {
                links += 1;
                if links > MAX_LINKS {
                    return Err(too_many_links(&join(path)));
                }
                self.through_links = Some(path.to_vec());
                if target.first() == Some(&b'/') {
                    self.levels.truncate(1);
                }
                for name in components(&target).into_iter().rev() {
                    rest.push_front(name);
                }
            }
        }
        Ok(())
    }

    /// Go one component down; the target when it is a link.
    fn step(&mut self, name: Vec<u8>, missing: &Missing) -> Result<Option<Vec<u8>>> {
        if name == b".." {
            self.levels.truncate(self.levels.len().saturating_sub(1).max(1));
            return Ok(None);
        }
        let here = self.dir()?;
        match file::open_dir(&*here, &name) {
            Ok(dir) => {
                self.push(name, dir, Lower::Unknown);
                Ok(None)
            }
            Err(Errno::NOENT) => self.step_below(name, missing),
            Err(Errno::NOTDIR | Errno::LOOP) => self.step_over(&here, name, missing),
            Err(errno) => Err(Error::system("openat", errno).subject(&self.path_of(&name))),
        }
    }

    /// The snapshot itself has something else than a directory there.
    fn step_over(&mut self, here: &OwnedFd, name: Vec<u8>, missing: &Missing) -> Result<Option<Vec<u8>>> {
        let meta = file::stat(here, &name).step("statx", &name)?;
        if meta.is_link() {
            return file::read_link(here, &name).step("readlinkat", &name).map(Some);
        }
        if !meta.is_whiteout() {
            return Err(self.in_the_way(&name, &meta));
        }
        // The layer hides what is below and has something of its own inside: what is below stays hidden.
        unlinkat(here, name.as_slice(), AtFlags::empty()).step("unlinkat", &name)?;
        self.self_contained = false;
        self.make(name, missing, true)?;
        Ok(None)
    }

    /// The snapshot has nothing there.
    fn step_below(&mut self, name: Vec<u8>, missing: &Missing) -> Result<Option<Vec<u8>>> {
        self.self_contained = false;
        match self.below(&name)? {
            None => self.make(name, missing, false).map(|()| None),
            Some(Node::Dir(dir)) => self.copy_up(name, dir).map(|()| None),
            Some(Node::Leaf(leaf)) if leaf.meta.is_link() => leaf.target().map(Some),
            Some(Node::Leaf(leaf)) => Err(self.in_the_way(&name, &leaf.meta)),
        }
    }

    fn in_the_way(&self, name: &[u8], meta: &Meta) -> Error {
        let message = format!("{} is in the way where a directory is needed", describe(meta.kind));
        Error::invalid("open parent", message).subject(&self.path_of(name))
    }

    fn push(&mut self, name: Vec<u8>, upper: OwnedFd, lower: Lower) {
        self.levels.push(Level {
            name,
            upper: Rc::new(upper),
            lower,
        });
    }

    fn make(&mut self, name: Vec<u8>, missing: &Missing, opaque: bool) -> Result<()> {
        let here = self.dir()?;
        file::make_dir(&*here, &name, missing.mode).step("mkdirat", &name)?;
        let dir = file::open_dir(&*here, &name).step("openat", &name)?;
        let (mode, gid) = missing.below(&file::stat_fd(&*here).step("statx", &name)?);
        file::chown_fd(&dir, missing.uid, gid).step("fchown", &name)?;
        file::chmod_fd(&dir, mode).step("fchmod", &name)?;
        if opaque {
            set_opaque(&dir)?;
        }
        if missing.modified.is_none() {
            self.undated.push(self.path_of(&name));
        }
        self.set_time(&name, missing.modified);
        self.push(name, dir, Lower::Known(None));
        Ok(())
    }

    fn copy_up(&mut self, name: Vec<u8>, lower: Dir) -> Result<()> {
        let here = self.dir()?;
        let attributes = lower.attributes()?;
        file::make_dir(&*here, &name, 0o700).step("mkdirat", &name)?;
        let dir = file::open_dir(&*here, &name).step("openat", &name)?;
        file::chown_fd(&dir, attributes.uid, attributes.gid).step("fchown", &name)?;
        file::chmod_fd(&dir, attributes.mode).step("fchmod", &name)?;
        for (attribute, value) in &attributes.xattrs {
            xattr::set(&dir, attribute, value).step("fsetxattr", &name)?;
        }
        self.set_time(&name, Some(attributes.modified));
        self.push(name, dir, Lower::Known(Some(lower)));
        Ok(())
    }

    /// Go down into a directory of the snapshot that has just been made or found.
    pub(crate) fn descend(&mut self, name: &[u8], dir: OwnedFd) {
        self.push(name.to_vec(), dir, Lower::Unknown);
        if let Some(path) = &mut self.through_links {
            path.push(name.to_vec());
        }
    }

    /// What the snapshots below have under `name` of the current directory.
    pub(crate) fn below(&mut self, name: &[u8]) -> Result<Option<Node>> {
        match self.lower()? {
            Some(dir) => dir.child(name),
            None => Ok(None),
        }
    }

    /// What the snapshots below have in place of the current directory.
    pub(crate) fn lower(&mut self) -> Result<Option<Dir>> {
        let mut above: Option<Dir> = None;
        for level in &mut self.levels {
            if let Lower::Unknown = level.lower {
                let found = match above {
                    Some(dir) if !is_opaque(&level.upper)? => dir.child(&level.name)?,
                    _ => None,
                };
                level.lower = Lower::Known(match found {
                    Some(Node::Dir(dir)) => Some(dir),
                    _ => None,
                });
            }
            above = match &level.lower {
                Lower::Known(dir) => dir.clone(),
                Lower::Unknown => None,
            };
        }
        Ok(above)
    }

    /// The current directory hides what is below from now on.
    pub(crate) fn hide_below(&mut self) -> Result<()> {
        let Some(level) = self.levels.last_mut() else { return Ok(()) };
        level.lower = Lower::Known(None);
        set_opaque(&level.upper)
    }

    /// Set the times of directories. What has been replaced since is left alone.
    pub(crate) fn finish(&mut self) -> Result<()> {
        let Some(root) = self.levels.first().map(|level| Rc::clone(&level.upper)) else {
            return Ok(());
        };
        self.levels.truncate(1);
        self.through_links = None;
        for (path, time) in self.times.drain() {
            let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::DIRECTORY | rustix::fs::OFlags::NOFOLLOW;
            match berth_sys::path::open_beneath(&*root, &path, flags) {
                Ok(dir) => file::set_time_fd(&dir, time).step("futimens", &path)?,
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {}
                Err(errno) => return Err(Error::system("openat2", errno).subject(&path)),
            }
        }
        Ok(())
    }
}

/// Mark a directory as hiding what is below.
pub(crate) fn set_opaque(dir: &OwnedFd) -> Result<()> {
    match xattr::set(dir, xattrs::OPAQUE, b"y") {
        Ok(()) => Ok(()),
        Err(Errno::OPNOTSUPP) => Err(Error::system("fsetxattr", Errno::OPNOTSUPP)
            .subject(xattrs::OPAQUE)
            .hint("the file system of the store has no user attributes; put the store on ext4, xfs, btrfs or a tmpfs of Linux 6.6")),
        Err(errno) => Err(Error::system("fsetxattr", errno).subject(xattrs::OPAQUE)),
    }
}
