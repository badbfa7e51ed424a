//! A tar goes into a live tree, where `docker cp` would put it.
//!
//! The tree may belong to a process that changes it meanwhile, and the tar may come from anybody. A directory is found from the root anew for each
//! entry: inside a container by `RESOLVE_IN_ROOT`, on the host beneath the destination and through no link at all. In it a single name is made, which
//! is never followed.

use crate::copy_out::split;
use crate::error::{Context, Error, Kind, Result, display};
use crate::report::Report;
use berth_sys::file::{self, Meta, Time};
use berth_sys::{path, xattr};
use berth_tar::{Entry, Event, Kind as Type, Parser};
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, FileType, OFlags, linkat, symlinkat, unlinkat};
use rustix::io::Errno;

/// Bits that run a program as its owner.
const SET_ID: u32 = 0o6000;
/// Links from which a destination that does not exist yet may hang.
const MAX_DANGLING: usize = 10;

/// What a tar is unpacked into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ground {
    /// The root of a container: links are followed inside it, devices are made, and everything belongs to 0:0 unless owners are kept.
    Container,
    /// The root of this machine: no link is followed below the destination, devices are left out, and everything belongs to the caller, without
    /// set-id bits, unless owners are kept.
    Host,
}

/// How the destination is read.
#[derive(Debug, Clone, Copy)]
pub struct Rules<'a> {
    pub dest: &'a str,
    pub ground: Ground,
    pub keep_owner: bool,
    /// The destination is a directory that exists, and entries go into it under their own names: a tar from standard input. Else Docker's rules for a
    /// copy apply.
    pub into: bool,
}

/// How much was unpacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Unpacked {
    pub entries: u64,
    /// Bytes of content.
    pub bytes: u64,
}

/// A tar that is being unpacked.
#[derive(Debug)]
pub struct CopyIn<'a> {
    root: &'a OwnedFd,
    rules: Rules<'a>,
    report: &'a Report<'a>,
    parser: Parser,
    /// Known from the first entry on.
    place: Option<Place>,
    current: Option<Current>,
    times: Vec<(Vec<u8>, Time)>,
    unpacked: Unpacked,
}

/// Where the entries go.
#[derive(Debug)]
struct Place {
    /// Path of the destination's directory inside the root, and the directory.
    path: Vec<u8>,
    dir: OwnedFd,
    /// What the first component of every name is replaced by.
    rename: Option<Vec<u8>>,
    /// The directory is new and takes the attributes of the tar's `.`.
    fresh: bool,
}

/// A regular file that is being written.
#[derive(Debug)]
struct Current {
    file: OwnedFd,
    entry: Box<Entry>,
}

impl<'a> CopyIn<'a> {
    #[must_use]
    pub fn new(root: &'a OwnedFd, rules: Rules<'a>, report: &'a Report<'a>) -> Self {
        file::clear_umask();
        Self {
            root,
            rules,
            report,
            parser: Parser::new(),
            place: None,
            current: None,
            times: Vec::new(),
            unpacked: Unpacked::default(),
        }
    }

    /// Take the next bytes of the tar.
    ///
    /// # Errors
    /// `Invalid` for what is no tar, `Attack` for a name that leads out, `Conflict` for what is in the way; the error of a system call.
    pub fn feed(&mut self, mut bytes: &[u8]) -> Result<()> {
        loop {
            // The parser is taken out for the time of a step, since its events borrow from it.
            let mut parser = std::mem::take(&mut self.parser);
            let step = parser.next(&mut bytes).map_err(Error::from).and_then(|event| match event {
                None => Ok(false),
                Some(Event::Entry(entry)) => self.entry(entry).map(|()| true),
                Some(Event::Data { position, bytes }) => self.data(position, bytes).map(|()| true),
                Some(Event::EntryEnd) => self.entry_end().map(|()| true),
            });
            self.parser = parser;
            if !step? {
                return Ok(());
            }
        }
    }

    /// The tar is complete: directories get their times.
    ///
    /// # Errors
    /// `Invalid` when it ended too early; the error of a system call.
    pub fn finish(mut self) -> Result<Unpacked> {
        self.parser.finish().map_err(Error::from)?;
        if self.place.is_none() && self.rules.into {
            self.destination(&Entry::new(b".".as_slice(), Type::Directory))?;
        }
        for (path, time) in std::mem::take(&mut self.times).into_iter().rev() {
            // Replaced meanwhile: then its time is somebody else's business.
            if let Ok(dir) = self.directory(&path) {
                file::set_time_fd(&dir, time).step("futimens", &path)?;
            }
        }
        Ok(self.unpacked)
    }

    fn entry(&mut self, entry: Box<Entry>) -> Result<()> {
        let names = components(&entry.path)?;
        if self.place.is_none() {
            self.place = Some(self.destination(&entry)?);
        }
        let Some(place) = &self.place else { return Ok(()) };
        let names = match (&place.rename, names.split_first()) {
            (Some(name), Some((_, rest))) => [std::slice::from_ref(name), rest].concat(),
            _ => names,
        };
        self.unpacked.entries = self.unpacked.entries.saturating_add(1);
        let Some((name, parents)) = names.split_last() else {
            return self.top(&entry);
        };
        let parent = join(parents);
        let dir = self.parent(&parent)?;
        match entry.kind {
            Type::Directory => self.make_directory(&dir, name, &names, &entry),
            Type::File => self.make_file(&dir, name, entry),
            _ => self.make_other(&dir, name, &entry),
        }
    }

    /// The tar's `.`: the destination itself. One that was there keeps its attributes.
    fn top(&mut self, entry: &Entry) -> Result<()> {
        let Some(place) = self.place.as_ref().filter(|place| place.fresh) else {
            return Ok(());
        };
        let dir = file::open_dir(&place.dir, b".").step("openat", &entry.path)?;
        self.attributes(&dir, entry)?;
        self.times.push((Vec::new(), time(entry)));
        Ok(())
    }

    fn make_directory(&mut self, dir: &OwnedFd, name: &[u8], names: &[Vec<u8>], entry: &Entry) -> Result<()> {
        match file::make_dir(dir, name, 0o700) {
            Ok(()) => {}
            Err(Errno::EXIST) if file::stat(dir, name).step("statx", &entry.path)?.is_dir() => {}
            Err(Errno::EXIST) => return Err(in_the_way(&entry.path, "cannot overwrite non-directory with directory")),
            Err(errno) => return Err(Error::system("mkdirat", errno).subject(&entry.path)),
        }
        let made = file::open_dir(dir, name).step("openat", &entry.path)?;
        self.attributes(&made, entry)?;
        self.times.push((join(names), time(entry)));
        Ok(())
    }

    fn make_file(&mut self, dir: &OwnedFd, name: &[u8], entry: Box<Entry>) -> Result<()> {
        clear(dir, name, &entry.path)?;
        let file = file::create_file(dir, name, 0o600).step("openat", &entry.path)?;
        self.current = Some(Current { file, entry });
        Ok(())
    }

    fn make_other(&mut self, dir: &OwnedFd, name: &[u8], entry: &Entry) -> Result<()> {
        let path = entry.path.as_slice();
        let kind = match entry.kind {
            Type::CharDevice => FileType::CharacterDevice,
            Type::BlockDevice => FileType::BlockDevice,
            _ => FileType::Fifo,
        };
        let is_device = matches!(kind, FileType::CharacterDevice | FileType::BlockDevice);
        if is_device && self.rules.ground == Ground::Host {
            self.report
                .warn(format!("Left out {}: a device is not copied to this machine", display(path)));
            return Ok(());
        }
        clear(dir, name, path)?;
        match entry.kind {
            Type::Symlink => symlinkat(entry.link.as_slice(), dir, name).step("symlinkat", path)?,
            Type::HardLink => return self.hard_link(dir, name, entry),
            _ => match file::make_node(dir, name, kind, entry.mode & 0o777, entry.device) {
                Err(Errno::PERM) if is_device => {
                    self.report.warn(format!("Left out {}: devices cannot be made here", display(path)));
                    return Ok(());
                }
                other => other.step("mknodat", path)?,
            },
        }
        if let Some((uid, gid)) = self.owner(entry) {
            file::chown(dir, name, uid, gid).map_err(|errno| not_owner(errno, path))?;
        }
        file::set_time(dir, name, time(entry)).step("utimensat", path)
    }

    /// The first name lies in the same tar, and is found as every other path of it.
    fn hard_link(&mut self, dir: &OwnedFd, name: &[u8], entry: &Entry) -> Result<()> {
        let names = components(&entry.link)?;
        let rename = self.place.as_ref().and_then(|place| place.rename.clone());
        let names = match (rename, names.split_first()) {
            (Some(first), Some((_, rest))) => [&[first], rest].concat(),
            _ => names,
        };
        let Some((target, parents)) = names.split_last() else {
            return Err(Error::invalid("linkat", "the link has no target").subject(&entry.path));
        };
        let from = self.directory(&join(parents))?;
        if file::stat(&from, target).step("statx", &entry.link)?.is_dir() {
            return Err(Error::invalid("linkat", "a directory cannot have a second name").subject(&entry.path));
        }
        linkat(&from, target.as_slice(), dir, name, AtFlags::empty()).step("linkat", &entry.path)
    }

    fn data(&mut self, position: u64, bytes: &[u8]) -> Result<()> {
        let Some(Current { file, entry }) = &self.current else {
            return Ok(());
        };
        file::write_all_at(file, bytes, position).step("pwrite", &entry.path)?;
        self.report.advance(bytes.len() as u64);
        Ok(())
    }

    fn entry_end(&mut self) -> Result<()> {
        let Some(Current { file, entry }) = self.current.take() else {
            return Ok(());
        };
        rustix::fs::ftruncate(&file, entry.size).step("ftruncate", &entry.path)?;
        self.attributes(&file, &entry)?;
        self.unpacked.bytes = self.unpacked.bytes.saturating_add(entry.size);
        file::set_time_fd(&file, time(&entry)).step("futimens", &entry.path)
    }

    /// Owner first: it takes set-id bits away.
    fn attributes(&self, made: &OwnedFd, entry: &Entry) -> Result<()> {
        if let Some((uid, gid)) = self.owner(entry) {
            file::chown_fd(made, uid, gid).map_err(|errno| not_owner(errno, &entry.path))?;
        }
        let foreign = self.rules.ground == Ground::Host && !self.rules.keep_owner;
        let mode = if foreign { entry.mode & !SET_ID } else { entry.mode };
        file::chmod_fd(made, mode).step("fchmod", &entry.path)?;
        if foreign {
            return Ok(());
        }
        for (name, value) in &entry.xattrs {
            match xattr::set(made, name, value) {
                Ok(()) => {}
                Err(Errno::OPNOTSUPP | Errno::PERM) => self
                    .report
                    .warn_once("xattr", || "Extended attributes cannot be set here, and are left out".to_owned()),
                Err(errno) => return Err(Error::system("fsetxattr", errno).subject(&entry.path)),
            }
        }
        Ok(())
    }

    fn owner(&self, entry: &Entry) -> Option<(u32, u32)> {
        match self.rules {
            Rules { keep_owner: true, .. } => Some((entry.uid, entry.gid)),
            Rules {
                ground: Ground::Container, ..
            } => Some((0, 0)),
            _ => None,
        }
    }

    /// Docker's rules: what the first entry is and what stands at the destination decide where everything goes.
    fn destination(&self, first: &Entry) -> Result<Place> {
        let dest = self.rules.dest;
        let is_dir = first.kind == Type::Directory;
        let whole = components(&first.path)?.is_empty();
        match self.look(dest)? {
            Found::Directory => {
                let dir =
                    path::open_in_root(self.root, dest.as_bytes(), OFlags::RDONLY | OFlags::DIRECTORY).step("openat2", dest.as_bytes())?;
                Ok(Place {
                    path: dest.as_bytes().to_vec(),
                    dir,
                    rename: None,
                    fresh: false,
                })
            }
            _ if self.rules.into => Err(in_the_way(dest.as_bytes(), "the destination must be a directory that exists")),
            Found::Other(_) if is_dir => Err(in_the_way(dest.as_bytes(), "cannot copy a directory to a file")),
            Found::Other(real) => self.renamed(&real, false),
            Found::Nothing(_) if dest.ends_with('/') && !is_dir => {
                Err(Error::new(Kind::NotFound, "find destination", "no such directory").subject(dest.as_bytes()))
            }
            Found::Nothing(real) => self.renamed(&real, whole),
        }
    }

    /// The source takes the destination's name, in the directory that holds it. With `whole` the destination is made, and takes the content.
    fn renamed(&self, real: &[u8], whole: bool) -> Result<Place> {
        let trimmed = trim(real);
        let (parent, name) = split(trimmed);
        let subject = self.rules.dest.as_bytes();
        let dir = path::open_in_root(self.root, parent, OFlags::RDONLY | OFlags::DIRECTORY).map_err(|errno| match errno {
            Errno::NOENT | Errno::NOTDIR => Error::new(
                Kind::NotFound,
                "find destination",
                "the directory that is to hold it does not exist",
            )
            .subject(subject),
            errno => Error::system("openat2", errno).subject(subject),
        })?;
        if !whole {
            return Ok(Place {
                path: parent.to_vec(),
                dir,
                rename: Some(name.to_vec()),
                fresh: false,
            });
        }
        file::make_dir(&dir, name, 0o755).step("mkdirat", subject)?;
        let made = file::open_dir(&dir, name).step("openat", subject)?;
        if let (Ground::Container, false) = (self.rules.ground, self.rules.keep_owner) {
            file::chown_fd(&made, 0, 0).step("fchown", subject)?;
        }
        Ok(Place {
            path: trimmed.to_vec(),
            dir: made,
            rename: None,
            fresh: true,
        })
    }

    /// What stands at a path; of a link that leads to nothing, where it leads.
    fn look(&self, dest: &str) -> Result<Found> {
        let mut current = dest.as_bytes().to_vec();
        for _ in 0..MAX_DANGLING {
            match path::open_in_root(self.root, &current, OFlags::PATH) {
                Ok(found) => {
                    let meta: Meta = file::stat_fd(&found).step("statx", &current)?;
                    return Ok(if meta.is_dir() { Found::Directory } else { Found::Other(current) });
                }
                Err(Errno::NOENT | Errno::NOTDIR) => {}
                Err(errno) => return Err(Error::system("openat2", errno).subject(&current)),
            }
            let trimmed = trim(&current);
            let (parent, name) = split(trimmed);
            let link = path::open_in_root(self.root, parent, OFlags::PATH | OFlags::DIRECTORY).and_then(|dir| file::read_link(&dir, name));
            let Ok(target) = link else {
                return Ok(Found::Nothing(trimmed.to_vec()));
            };
            current = if target.starts_with(b"/") {
                target
            } else {
                [parent, b"/", &target].concat()
            };
        }
        Err(Error::system("openat2", Errno::LOOP).subject(dest.as_bytes()))
    }

    /// The directory `below` the destination, made where it is missing: a tar need not list it.
    fn parent(&self, below: &[u8]) -> Result<OwnedFd> {
        match self.directory(below) {
            Err(error) if error.errno == Some(Errno::NOENT) => {}
            other => return other,
        }
        let (above, name) = match below.iter().rposition(|byte| *byte == b'/') {
            Some(at) => (
                below.get(..at).unwrap_or_default(),
                below.get(at.saturating_add(1)..).unwrap_or_default(),
            ),
            None => (b"".as_slice(), below),
        };
        let dir = self.parent(above)?;
        match file::make_dir(&dir, name, 0o755) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(Error::system("mkdirat", errno).subject(below)),
        }
        if self.rules.ground == Ground::Container {
            let made = file::open_dir(&dir, name).step("openat", below)?;
            file::chown_fd(&made, 0, 0).step("fchown", below)?;
        }
        self.directory(below)
    }

    fn directory(&self, below: &[u8]) -> Result<OwnedFd> {
        let Some(place) = &self.place else {
            return Err(Error::system("openat2", Errno::NOENT));
        };
        if below.is_empty() {
            return file::open_dir(&place.dir, b".").step("openat", &place.path);
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let found = match self.rules.ground {
            Ground::Host => path::open_beneath(&place.dir, below, flags),
            Ground::Container => path::open_in_root(self.root, &[place.path.as_slice(), b"/", below].concat(), flags),
        };
        found.map_err(|errno| match errno {
            Errno::LOOP if self.rules.ground == Ground::Host => {
                Error::new(Kind::Attack, "openat2", "a link stands where a directory is needed").subject(below)
            }
            errno => Error::system("openat2", errno).subject(below),
        })
    }
}

/// What stands at the destination.
enum Found {
    Directory,
    /// Something else, at this path.
    Other(Vec<u8>),
    /// Nothing, at this path.
    Nothing(Vec<u8>),
}

fn trim(path: &[u8]) -> &[u8] {
    let mut trimmed = path;
    while trimmed.len() > 1 {
        let Some(rest) = trimmed.strip_suffix(b"/").or_else(|| trimmed.strip_suffix(b"/.")) else {
            break;
        };
        trimmed = rest;
    }
    trimmed
}

/// The components of a name in the tar. One that leads up is an attack, wherever it would end.
fn components(path: &[u8]) -> Result<Vec<Vec<u8>>> {
    let names = path.split(|byte| *byte == b'/').filter(|name| !matches!(*name, b"" | b"."));
    names
        .map(|name| {
            if file::is_component(name) {
                Ok(name.to_vec())
            } else {
                Err(Error::new(Kind::Attack, "read tar", "a name of the archive leads out of the destination").subject(path))
            }
        })
        .collect()
}

fn join(names: &[Vec<u8>]) -> Vec<u8> {
    names.join(b"/".as_slice())
}

fn time(entry: &Entry) -> Time {
    Time {
        seconds: entry.modified.seconds,
        nanoseconds: entry.modified.nanoseconds,
    }
}

/// Make room for a new file.
fn clear(dir: &OwnedFd, name: &[u8], path: &[u8]) -> Result<()> {
    match unlinkat(dir, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(Errno::ISDIR | Errno::PERM) if file::stat(dir, name).is_ok_and(|meta| meta.is_dir()) => {
            Err(in_the_way(path, "cannot overwrite directory with non-directory"))
        }
        Err(errno) => Err(Error::system("unlinkat", errno).subject(path)),
    }
}

fn in_the_way(path: &[u8], message: &str) -> Error {
    Error::new(Kind::Conflict, "copy", message).subject(path)
}

fn not_owner(errno: Errno, path: &[u8]) -> Error {
    let error = Error::system("fchown", errno).subject(path);
    match errno {
        Errno::PERM => error.hint("leave out -a, which keeps owners, or run as root"),
        Errno::INVAL => error.hint("this user's range of ids in /etc/subuid does not reach that owner: leave out -a"),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use berth_tar::writer::{END, header, padding};
    use std::os::unix::fs::{MetadataExt as _, symlink};
    use std::path::Path;

    /// Names, types and contents or targets of an archive's members.
    type Members<'a> = &'a [(&'a str, Type, &'a str)];

    fn fd(path: &Path) -> OwnedFd {
        std::fs::File::open(path).unwrap().into()
    }

    fn tar(entries: &[(&str, Type, &str)]) -> Vec<u8> {
        let mut out = Vec::new();
        for (path, kind, content) in entries {
            let mut entry = Entry::new(path.as_bytes(), *kind);
            entry.mode = if *kind == Type::Directory { 0o755 } else { 0o4644 };
            (entry.uid, entry.gid) = (7, 8);
            entry.modified.seconds = 1000;
            match kind {
                Type::File => entry.size = content.len() as u64,
                Type::CharDevice => entry.device = (1, 3),
                _ => entry.link = content.as_bytes().to_vec(),
            }
            header(&entry, &mut out);
            if *kind == Type::File {
                out.extend_from_slice(content.as_bytes());
                out.extend_from_slice(padding(entry.size));
            }
        }
        out.extend_from_slice(&END);
        out
    }

    fn unpack(root: &Path, dest: &str, ground: Ground, into: bool, entries: &[(&str, Type, &str)]) -> Result<Unpacked> {
        let root = fd(root);
        let report = Report::new(&|_, _| {}, &|_| {});
        let rules = Rules {
            dest,
            ground,
            keep_owner: false,
            into,
        };
        let mut unpack = CopyIn::new(&root, rules, &report);
        for chunk in tar(entries).chunks(700) {
            unpack.feed(chunk)?;
        }
        unpack.finish()
    }

    fn world() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("root/srv")).unwrap();
        std::fs::write(dir.path().join("root/file"), "old").unwrap();
        std::fs::create_dir(dir.path().join("outside")).unwrap();
        symlink("/srv", dir.path().join("root/link")).unwrap();
        symlink("srv/later", dir.path().join("root/dangling")).unwrap();
        symlink("../../outside", dir.path().join("root/out")).unwrap();
        dir
    }

    const FILE: &[(&str, Type, &str)] = &[("a", Type::File, "new")];
    const TREE: &[(&str, Type, &str)] = &[
        ("d/", Type::Directory, ""),
        ("d/a", Type::File, "new"),
        ("d/b", Type::HardLink, "d/a"),
    ];
    const CONTENT: &[(&str, Type, &str)] = &[("./", Type::Directory, ""), ("./a", Type::File, "new")];

    #[test]
    fn a_copy_goes_where_docker_puts_it() {
        let cases: &[(&str, Members<'_>, &str)] = &[
            ("/srv", FILE, "srv/a"),
            ("/srv/", FILE, "srv/a"),
            ("/srv/x", FILE, "srv/x"),
            ("/file", FILE, "file"),
            ("/link", FILE, "srv/a"),
            ("/dangling", FILE, "srv/later"),
            ("/", FILE, "a"),
            ("/srv", TREE, "srv/d/b"),
            ("/srv/x", TREE, "srv/x/b"),
            ("/srv/x/", TREE, "srv/x/b"),
            ("/srv", CONTENT, "srv/a"),
            ("/srv/x", CONTENT, "srv/x/a"),
        ];
        for (dest, entries, wanted) in cases {
            for ground in [Ground::Container, Ground::Host] {
                let dir = world();
                let root = dir.path().join("root");
                unpack(&root, dest, ground, false, entries).unwrap();
                assert_eq!(std::fs::read(root.join(wanted)).unwrap(), b"new", "{dest}");
                let meta = std::fs::metadata(root.join(wanted)).unwrap();
                assert_eq!(meta.mtime(), 1000);
                assert_eq!(meta.mode() & 0o4000 == 0, ground == Ground::Host);
            }
        }
    }

    #[test]
    fn what_docker_refuses_is_refused() {
        let cases: &[(&str, Members<'_>, Kind)] = &[
            ("/srv/x/", FILE, Kind::NotFound),
            ("/no/x", FILE, Kind::NotFound),
            ("/no/x", TREE, Kind::NotFound),
            ("/file", TREE, Kind::Conflict),
            ("/file", CONTENT, Kind::Conflict),
            ("/", &[("srv", Type::File, "new")], Kind::Conflict),
            ("/", &[("file/", Type::Directory, "")], Kind::Conflict),
        ];
        for (dest, entries, kind) in cases {
            let dir = world();
            let error = unpack(&dir.path().join("root"), dest, Ground::Container, false, entries).unwrap_err();
            assert_eq!(error.kind, *kind, "{dest}");
            assert_eq!(std::fs::read(dir.path().join("root/file")).unwrap(), b"old");
        }
        let dir = world();
        assert!(unpack(&dir.path().join("root"), "/new", Ground::Container, true, FILE).is_err());
    }

    #[test]
    fn nothing_leaves_the_destination() {
        let hostile: &[&[(&str, Type, &str)]] = &[
            &[("../../x", Type::File, "x")],
            &[("x", Type::Symlink, "../../outside"), ("x/y", Type::File, "y")],
            &[("x", Type::Symlink, "/"), ("x/y", Type::File, "y")],
            &[("x", Type::HardLink, "../../outside")],
            &[("out/y", Type::File, "y")],
        ];
        for entries in hostile {
            for ground in [Ground::Container, Ground::Host] {
                let dir = world();
                let root = dir.path().join("root");
                let result = unpack(&root, "/", ground, true, entries);
                assert!(result.is_err() || ground == Ground::Container, "{entries:?}");
                assert_eq!(std::fs::read_dir(dir.path().join("outside")).unwrap().count(), 0, "{entries:?}");
                assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
            }
        }
    }

    #[test]
    fn a_device_is_never_made_on_the_host() {
        let dir = world();
        unpack(
            &dir.path().join("root"),
            "/srv",
            Ground::Host,
            true,
            &[("null", Type::CharDevice, "")],
        )
        .unwrap();
        assert!(!dir.path().join("root/srv/null").exists());
    }

    #[test]
    fn a_directory_that_is_swapped_for_a_link_all_the_time_leads_nowhere() {
        let dir = world();
        let root = dir.path().join("root");
        std::fs::create_dir_all(root.join("srv/d")).unwrap();
        symlink(dir.path().join("outside"), root.join("srv/evil")).unwrap();
        let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let (swapped, seen) = (root.join("srv"), std::sync::Arc::clone(&stop));
        let swapper = std::thread::spawn(move || {
            while !seen.load(std::sync::atomic::Ordering::Relaxed) {
                let exchange = rustix::fs::RenameFlags::EXCHANGE;
                let _ = rustix::fs::renameat_with(rustix::fs::CWD, swapped.join("d"), rustix::fs::CWD, swapped.join("evil"), exchange);
            }
        });
        for ground in [Ground::Container, Ground::Host] {
            for _ in 0..200 {
                // It may fail, and it may land in either directory; it may not land outside.
                drop(unpack(&root, "/srv", ground, false, TREE));
            }
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        swapper.join().unwrap();
        assert_eq!(std::fs::read_dir(dir.path().join("outside")).unwrap().count(), 0);
    }
}
