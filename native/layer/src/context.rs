//! A directory of the host as a source: each entry that the list names is opened beneath the root, without following a link.

use crate::error::{Context as _, Error, Kind, Result};
use berth_sys::file::{self, Meta};
use berth_sys::path::open_beneath;
use rustix::fd::OwnedFd;
use rustix::fs::OFlags;
use rustix::io::Errno;
use std::rc::Rc;

/// One record of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record<'a> {
    /// Path below the root.
    pub(crate) path: &'a [u8],
    /// Path below the destination; empty is the destination itself.
    pub(crate) dest: &'a [u8],
    pub(crate) mode: Option<u32>,
    /// An archive is unpacked.
    pub(crate) unpack: bool,
    /// What the file was when it was listed; `None` takes it as it is.
    pub(crate) stamp: Option<Stamp>,
}

/// Tells a file from what it becomes and from what takes its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) inode: u64,
    pub(crate) size: u64,
    /// Nanoseconds since 1970.
    pub(crate) changed: i128,
}

impl Stamp {
    fn of(meta: &Meta) -> Self {
        Self {
            inode: meta.inode,
            size: meta.size,
            changed: i128::from(meta.changed.seconds) * 1_000_000_000 + i128::from(meta.changed.nanoseconds),
        }
    }
}

/// Read a list of `path NUL dest NUL mode NUL stamp NUL`; an `a` behind the mode is for archives, the stamp `inode:size:changed` or empty.
pub(crate) fn records(list: &[u8]) -> Result<Vec<Record<'_>>> {
    let malformed = || Error::new(Kind::Request, "read list", "the list of files is malformed");
    let Some(whole) = list.strip_suffix(b"\0") else {
        return if list.is_empty() { Ok(Vec::new()) } else { Err(malformed()) };
    };
    let fields: Vec<&[u8]> = whole.split(|byte| *byte == 0).collect();
    let records = fields.chunks_exact(4);
    if !records.remainder().is_empty() {
        return Err(malformed());
    }
    records
        .map(|fields| match fields {
            [path, dest, mode, stamp] => {
                let (mode, unpack) = mode.strip_suffix(b"a").map_or((*mode, false), |mode| (mode, true));
                Ok(Record {
                    path,
                    dest,
                    mode: octal(mode).ok_or_else(malformed)?,
                    unpack,
                    stamp: if stamp.is_empty() {
                        None
                    } else {
                        Some(parse(stamp).ok_or_else(malformed)?)
                    },
                })
            }
            _ => Err(malformed()),
        })
        .collect()
}

fn parse(stamp: &[u8]) -> Option<Stamp> {
    let mut numbers = std::str::from_utf8(stamp).ok()?.split(':');
    let stamp = Stamp {
        inode: numbers.next()?.parse().ok()?,
        size: numbers.next()?.parse().ok()?,
        changed: numbers.next()?.parse().ok()?,
    };
    numbers.next().is_none().then_some(stamp)
}

/// Permission bits; `Some(None)` when there are none.
fn octal(digits: &[u8]) -> Option<Option<u32>> {
    if digits.is_empty() {
        return Some(None);
    }
    let text = std::str::from_utf8(digits)
        .ok()
        .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?;
    u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o7777).map(Some)
}

/// The root of a context, and the directory that was used last.
pub(crate) struct Tree {
    root: OwnedFd,
    last: Option<(Vec<u8>, Rc<OwnedFd>)>,
}

impl Tree {
    pub(crate) fn new(root: OwnedFd) -> Self {
        Self { root, last: None }
    }

    /// The directory that holds what a record names, its name in there, and its attributes, which are those that it was listed with.
    pub(crate) fn find<'p>(&mut self, record: &Record<'p>) -> Result<(Rc<OwnedFd>, &'p [u8], Meta)> {
        let path = record.path;
        let (parent, name) = match path.iter().rposition(|byte| *byte == b'/') {
            Some(at) => (path.get(..at).unwrap_or_default(), path.get(at + 1..).unwrap_or_default()),
            None => (b"".as_slice(), path),
        };
        let name = if path.is_empty() { b".".as_slice() } else { name };
        if name != b"." && !file::is_component(name) {
            return Err(Error::new(Kind::Request, "read list", "the path is not clean").subject(path));
        }
        let dir = self.parent(parent).map_err(|errno| changed("openat2", errno, path))?;
        let meta = file::stat(&*dir, name).map_err(|errno| changed("statx", errno, path))?;
        if record.stamp.is_some_and(|stamp| stamp != Stamp::of(&meta)) {
            return Err(Error::invalid("read context", "changed while the context was read").subject(path));
        }
        Ok((dir, name, meta))
    }

    fn parent(&mut self, path: &[u8]) -> rustix::io::Result<Rc<OwnedFd>> {
        if let Some((last, dir)) = &self.last
            && last == path
        {
            return Ok(Rc::clone(dir));
        }
        let dir = Rc::new(open_beneath(&self.root, path, OFlags::RDONLY | OFlags::DIRECTORY)?);
        self.last = Some((path.to_vec(), Rc::clone(&dir)));
        Ok(dir)
    }

    /// Open the regular file that [`Tree::find`] found.
    pub(crate) fn open(dir: &OwnedFd, name: &[u8], meta: &Meta, path: &[u8]) -> Result<OwnedFd> {
        let opened = file::open_read(dir, name).map_err(|errno| changed("openat", errno, path))?;
        let now = file::stat_fd(&opened).step("statx", path)?;
        if now.inode != meta.inode || now.device != meta.device || !now.is_file() {
            return Err(Error::invalid("read context", "changed while reading").subject(path));
        }
        Ok(opened)
    }
}

/// A link where a directory or file was listed, or nothing at all, means that somebody works in the context.
fn changed(step: &'static str, errno: Errno, path: &[u8]) -> Error {
    match errno {
        Errno::LOOP | Errno::NOTDIR => {
            Error::invalid("read context", "changed while reading: a symbolic link or file took its place").subject(path)
        }
        Errno::NOENT => Error {
            kind: Kind::NotFound,
            message: "vanished while reading".to_owned(),
            ..Error::system(step, errno)
        }
        .subject(path),
        Errno::XDEV => Error::new(Kind::Attack, "read context", "the path leaves the context").subject(path),
        errno => Error::system(step, errno).subject(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_records_and_refuses_halves() {
        let expected = [
            Record {
                path: b"a\n",
                dest: b"",
                mode: None,
                unpack: false,
                stamp: None,
            },
            Record {
                path: b"b/c",
                dest: b"d",
                mode: Some(0o644),
                unpack: true,
                stamp: Some(Stamp {
                    inode: 7,
                    size: 8,
                    changed: 9,
                }),
            },
        ];
        assert_eq!(records(b"a\n\0\0\0\0b/c\0d\x00644a\x007:8:9\0").unwrap(), expected);
        assert_eq!(records(b"").unwrap(), []);
        for bad in [
            b"a\0\0".as_slice(),
            b"a\0b\0\0",
            b"a\0b\0\0\0c",
            b"a\0b\x009\0\0",
            b"a\0b\x0010000\0\0",
            b"a\0b\0\x001:2\0",
            b"a\0b\0\x001:2:3:4\0",
            b"a\0b\0\x00-1:2:3\0",
            b"a",
        ] {
            assert!(records(bad).is_err(), "{bad:?}");
        }
    }
}
