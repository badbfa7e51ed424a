//! A tar becomes files of the host, below one directory: for the output of a build. It runs as the user, gives everything to the user, follows
//! no link, whatever lies there already, and makes nothing that has power over the machine: no device, no set-id bit, no capability.

use crate::clean::clean;
use crate::error::{Context, Error, Kind, Result, display};
use crate::remove::remove_tree;
use crate::report::Report;
use crate::stack::{describe, join};
use crate::xattrs::{self, Verdict};
use berth_sys::file::{self, Time};
use berth_sys::xattr::{self, Attribute};
use berth_tar::{Entry, Event, Parser};
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, FileType, ftruncate, linkat, symlinkat};
use rustix::io::Errno;
use std::rc::Rc;

/// Permission bits that files get.
const MODE: u32 = 0o777;
/// And directories: the sticky bit takes power away.
const DIRECTORY_MODE: u32 = 0o1777;

/// Files on their way into a directory.
pub struct Extract<'a> {
    root: Rc<OwnedFd>,
    parser: Parser,
    report: &'a Report<'a>,
    /// The way to the directory that was used last.
    way: Vec<(Vec<u8>, Rc<OwnedFd>)>,
    current: Option<(Entry, OwnedFd, u64)>,
    /// Modes and times of directories, set when their content is complete.
    directories: Vec<(Vec<Vec<u8>>, u32, Time)>,
    entries: u64,
}

impl std::fmt::Debug for Extract<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Extract").field("entries", &self.entries).finish_non_exhaustive()
    }
}

impl<'a> Extract<'a> {
    /// Nothing is there yet; `root` is the directory that gets all.
    #[must_use]
    pub fn new(root: OwnedFd, report: &'a Report<'a>) -> Self {
        file::clear_umask();
        Self {
            root: Rc::new(root),
            parser: Parser::new(),
            report,
            way: Vec::new(),
            current: None,
            directories: Vec::new(),
            entries: 0,
        }
    }

    /// Take the next bytes of the tar.
    ///
    /// # Errors
    /// `Invalid` or `Attack` naming the entry; the error of a system call.
    pub fn take(&mut self, mut bytes: &[u8]) -> Result<()> {
        self.report.advance(bytes.len() as u64);
        loop {
            let event = self.parser.next(&mut bytes).map_err(Error::from)?;
            match event {
                None => return Ok(()),
                Some(Event::Entry(entry)) => {
                    let shown = entry.path.clone();
                    self.entry(*entry).map_err(|error| error.of_entry(&shown))?;
                }
                Some(Event::Data { position, bytes }) => {
                    if let Some((entry, file, written)) = &mut self.current {
                        file::write_all_at(&*file, bytes, position).step("pwrite", &entry.path)?;
                        *written = position.saturating_add(bytes.len() as u64);
                    }
                }
                Some(Event::EntryEnd) => self.end_file()?,
            }
        }
    }

    /// The tar has ended: set what could not be set before, and say how many entries there were.
    ///
    /// # Errors
    /// `Invalid` when it has ended inside an entry; the error of a system call.
    pub fn finish(mut self) -> Result<u64> {
        self.parser.finish().map_err(Error::from)?;
        // What is deeper comes later, and its directory may be closed to us once it has its mode.
        for (path, mode, time) in std::mem::take(&mut self.directories).into_iter().rev() {
            self.enter(&path)?;
            let dir = self.here();
            file::set_time_fd(&*dir, time).step("futimens", &join(&path))?;
            file::chmod_fd(&*dir, mode).step("fchmod", &join(&path))?;
        }
        Ok(self.entries)
    }

    fn entry(&mut self, entry: Entry) -> Result<()> {
        self.entries += 1;
        let path = clean(&entry.path, &entry.path)?;
        let Some((name, parent)) = path.split_last() else { return Ok(()) };
        self.enter(parent)?;
        let here = self.here();
        if entry.mode & !DIRECTORY_MODE != 0 && !matches!(entry.kind, berth_tar::Kind::Symlink) {
            self.report.warn_once("set-id", || {
                format!("Left out the set-id bits of {} and of all files after it", display(&entry.path))
            });
        }
        match entry.kind {
            berth_tar::Kind::Directory => self.directory(&here, name, &path, &entry),
            berth_tar::Kind::File => {
                let file = place(&here, name, || file::create_file(&*here, name, 0o600)).step("openat", name)?;
                self.current = Some((entry, file, 0));
                Ok(())
            }
            berth_tar::Kind::HardLink => self.hard_link(&here, name, &entry),
            berth_tar::Kind::Symlink => {
                place(&here, name, || symlinkat(entry.link.as_slice(), &*here, name.as_slice())).step("symlinkat", name)?;
                file::set_time(&*here, name, time(&entry)).step("utimensat", name)
            }
            berth_tar::Kind::Fifo => {
                let mode = entry.mode & MODE;
                place(&here, name, || file::make_node(&*here, name, FileType::Fifo, mode, (0, 0))).step("mknodat", name)?;
                file::set_time(&*here, name, time(&entry)).step("utimensat", name)
            }
            berth_tar::Kind::CharDevice | berth_tar::Kind::BlockDevice => {
                let kind = match entry.kind {
                    berth_tar::Kind::CharDevice => FileType::CharacterDevice,
                    _ => FileType::BlockDevice,
                };
                self.report
                    .warn(format!("Left out {}: it is {}", display(&entry.path), describe(kind)));
                Ok(())
            }
        }
    }

    fn directory(&mut self, here: &Rc<OwnedFd>, name: &[u8], path: &[Vec<u8>], entry: &Entry) -> Result<()> {
        match file::make_dir(&**here, name, 0o700) {
            Ok(()) => {}
            Err(Errno::EXIST) if file::stat(&**here, name).step("statx", name)?.is_dir() => {}
            Err(Errno::EXIST) => {
                remove_tree(&**here, name)?;
                file::make_dir(&**here, name, 0o700).step("mkdirat", name)?;
            }
            Err(errno) => return Err(Error::system("mkdirat", errno)),
        }
        let dir = file::open_dir(&**here, name).step("openat", name)?;
        let mode = entry.mode & DIRECTORY_MODE;
        // Ours while it is being filled.
        file::chmod_fd(&dir, mode | 0o700).step("fchmod", name)?;
        self.xattrs(&dir, &entry.xattrs, name)?;
        self.directories.push((path.to_vec(), mode, time(entry)));
        self.way.push((name.to_vec(), Rc::new(dir)));
        Ok(())
    }

    fn end_file(&mut self) -> Result<()> {
        let Some((entry, file, written)) = self.current.take() else {
            return Ok(());
        };
        if written < entry.size {
            ftruncate(&file, entry.size).step("ftruncate", &entry.path)?;
        }
        self.xattrs(&file, &entry.xattrs, &entry.path)?;
        file::chmod_fd(&file, entry.mode & MODE).step("fchmod", &entry.path)?;
        file::set_time_fd(&file, time(&entry)).step("futimens", &entry.path)
    }

    fn hard_link(&mut self, here: &Rc<OwnedFd>, name: &[u8], entry: &Entry) -> Result<()> {
        let target = clean(&entry.link, &entry.path)?;
        let Some((target_name, parent)) = target.split_last() else {
            return Err(Error::invalid("linkat", "a hard link to a directory"));
        };
        self.enter(parent)?;
        let from = self.here();
        let meta = file::try_stat(&*from, target_name).step("statx", target_name)?;
        if meta.is_none_or(|meta| meta.is_dir()) {
            return Err(Error::invalid("linkat", "the target of the hard link is not in the archive"));
        }
        place(here, name, || {
            linkat(&*from, target_name.as_slice(), &**here, name, AtFlags::empty())
        })
        .step("linkat", name)
    }

    fn xattrs(&self, file: &OwnedFd, attributes: &[Attribute], name: &[u8]) -> Result<()> {
        xattrs::check(attributes, name)?;
        for (attribute, value) in attributes {
            let users = attribute.starts_with(b"user.") && xattrs::verdict(attribute) == Verdict::Keep;
            let outcome = if users {
                xattr::set(file, attribute, value)
            } else {
                Err(Errno::OPNOTSUPP)
            };
            match outcome {
                Ok(()) => {}
                Err(Errno::PERM | Errno::OPNOTSUPP) => {
                    let attribute = display(attribute);
                    let message = || format!("Left out the attribute {attribute} of {} and of all files after it", display(name));
                    self.report.warn_once(&attribute, message);
                }
                Err(errno) => return Err(Error::system("fsetxattr", errno).subject(name)),
            }
        }
        Ok(())
    }

    fn here(&self) -> Rc<OwnedFd> {
        self.way.last().map_or_else(|| Rc::clone(&self.root), |(_, dir)| Rc::clone(dir))
    }

    /// Go to a directory that was made before; one that no entry named is made. A link on the way is an error.
    fn enter(&mut self, path: &[Vec<u8>]) -> Result<()> {
        let common = self.way.iter().zip(path).take_while(|((name, _), wanted)| name == *wanted).count();
        self.way.truncate(common);
        for name in path.iter().skip(common) {
            let here = self.here();
            match file::make_dir(&*here, name, 0o755) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(errno) => return Err(Error::system("mkdirat", errno).subject(name)),
            }
            let dir = file::open_dir(&*here, name).map_err(|errno| match errno {
                Errno::NOTDIR | Errno::LOOP => {
                    Error::new(Kind::Attack, "open parent", "something else than a directory is on the way").subject(name)
                }
                errno => Error::system("openat", errno).subject(name),
            })?;
            self.way.push((name.clone(), Rc::new(dir)));
        }
        Ok(())
    }
}

/// Make `name`; where something has that name it is removed first.
fn place<T>(here: &Rc<OwnedFd>, name: &[u8], make: impl Fn() -> rustix::io::Result<T>) -> rustix::io::Result<T> {
    match make() {
        Err(Errno::EXIST) => {
            remove_tree(&**here, name).map_err(|error| error.errno.unwrap_or(Errno::EXIST))?;
            make()
        }
        other => other,
    }
}

fn time(entry: &Entry) -> Time {
    Time {
        seconds: entry.modified.seconds,
        nanoseconds: entry.modified.nanoseconds,
    }
}
