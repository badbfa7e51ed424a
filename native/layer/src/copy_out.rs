//! A file or a directory of a live tree as a tar, as `docker cp` sends it.
//!
//! The tree may belong to a process that changes it meanwhile. The source is found by [`berth_sys::path`] inside the root; below it every step is an
//! `openat` without links from an open directory, each thing is looked at through its own descriptor, and nothing but a regular file is opened.

use crate::error::{Context, Error, Kind, Result, display};
use crate::report::Report;
use berth_sys::file::{self, Meta};
use berth_sys::{path, xattr};
use berth_tar::writer::{END, header, padding};
use berth_tar::{Entry, Kind as Type, Time};
use rustix::fd::{AsFd as _, OwnedFd};
use rustix::fs::{FileType, OFlags};
use rustix::io::Errno;
use std::collections::HashMap;

/// How much is sent at once.
const BUFFER: usize = 256 * 1024;
/// The one extended attribute that travels, as with Docker.
const CAPABILITY: &[u8] = b"security.capability";
/// File systems of the kernel, by their magic numbers: what is mounted of them inside a tree is left out.
const KERNEL: [u64; 7] = [0x9fa0, 0x6265_6572, 0x0027_e0eb, 0x6367_7270, 0x1cd1, 0x1980_0202, 0x7363_6673];

/// Where the tar goes.
pub trait Sink {
    /// Take bytes; they wait for the reader.
    ///
    /// # Errors
    /// The reader is gone.
    fn send(&mut self, bytes: &[u8]) -> Result<()>;
}

/// How much was packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Packed {
    pub entries: u64,
    /// Bytes of content.
    pub bytes: u64,
}

/// Send `source`, a path inside `root`, as a tar whose names start with the last component of the path; `.` where the path ends in one, and for the
/// root itself. A link is sent as a link, unless `follow` is set or the path ends in a slash.
///
/// # Errors
/// `NotFound` where nothing is there; the error of a system call or of `sink`.
pub fn pack(root: &OwnedFd, source: &str, follow: bool, sink: &mut dyn Sink, report: &Report<'_>) -> Result<Packed> {
    let name = entry_name(source);
    let must_follow = follow || source.ends_with('/') || name == b".";
    let start = find(root, source, must_follow)?;
    let mut job = Job {
        sink,
        report,
        packed: Packed::default(),
        links: HashMap::new(),
        out: Vec::new(),
    };
    job.start(&start, name, source)?;
    job.sink.send(&END)?;
    Ok(job.packed)
}

/// `name` in `dir`, or `dir` itself where the name is empty.
struct Start {
    dir: OwnedFd,
    name: Vec<u8>,
}

/// The name that the source gets in the tar.
fn entry_name(source: &str) -> &[u8] {
    let trimmed = source.trim_end_matches('/');
    match trimmed.rsplit('/').next() {
        None | Some("" | "." | "..") => b".",
        Some(name) => name.as_bytes(),
    }
}

fn find(root: &OwnedFd, source: &str, follow: bool) -> Result<Start> {
    let subject = source.as_bytes();
    if follow {
        let found = path::open_in_root(root, subject, OFlags::PATH).map_err(|errno| missing(errno, subject))?;
        return as_directory(found, root, source);
    }
    let trimmed = subject.strip_suffix(b"/").unwrap_or(subject);
    let (parent, name) = split(trimmed);
    let dir = path::open_in_root(root, parent, OFlags::RDONLY | OFlags::DIRECTORY).map_err(|errno| missing(errno, subject))?;
    if file::try_stat(&dir, name).step("statx", subject)?.is_none() {
        return Err(missing(Errno::NOENT, subject));
    }
    Ok(Start { dir, name: name.to_vec() })
}

/// A followed path: of a directory the directory itself; of a file, the directory that holds it and its name there.
fn as_directory(found: OwnedFd, root: &OwnedFd, source: &str) -> Result<Start> {
    let meta = file::stat_fd(&found).step("statx", source.as_bytes())?;
    if meta.is_dir() {
        let dir = file::open_dir(&found, b".").step("openat", source.as_bytes())?;
        return Ok(Start { dir, name: Vec::new() });
    }
    if source.ends_with('/') {
        return Err(Error::system("openat2", Errno::NOTDIR).subject(source.as_bytes()));
    }
    // The file that was found is opened again by its last name; a link there leads on, so the way is walked link by link.
    let mut current = source.as_bytes().to_vec();
    for _ in 0..crate::stack::MAX_LINKS {
        let (parent, name) = split(&current);
        let dir = path::open_in_root(root, parent, OFlags::RDONLY | OFlags::DIRECTORY).map_err(|errno| missing(errno, &current))?;
        let here = file::stat(&dir, name).step("statx", &current)?;
        if !here.is_link() {
            return Ok(Start { dir, name: name.to_vec() });
        }
        let target = file::read_link(&dir, name).step("readlinkat", &current)?;
        current = if target.starts_with(b"/") {
            target
        } else {
            [parent, b"/", &target].concat()
        };
    }
    Err(Error::system("openat2", Errno::LOOP).subject(source.as_bytes()))
}

/// Parent and last component of a path.
pub(crate) fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(at) => (
            path.get(..at).filter(|parent| !parent.is_empty()).unwrap_or(b"/"),
            path.get(at.saturating_add(1)..).unwrap_or_default(),
        ),
        None => (b".", path),
    }
}

fn missing(errno: Errno, subject: &[u8]) -> Error {
    match errno {
        Errno::NOENT | Errno::NOTDIR => Error::new(Kind::NotFound, "find source", "there is no such file or directory").subject(subject),
        errno => Error::system("openat2", errno).subject(subject),
    }
}

/// A directory on the way down.
struct Level {
    dir: OwnedFd,
    path: Vec<u8>,
    names: Vec<Vec<u8>>,
    device: Device,
}

/// Major and minor number of a file system.
type Device = (u32, u32);

struct Job<'a> {
    sink: &'a mut dyn Sink,
    report: &'a Report<'a>,
    packed: Packed,
    /// Where the first name of a file with several names went.
    links: HashMap<(Device, u64), Vec<u8>>,
    out: Vec<u8>,
}

impl Job<'_> {
    fn start(&mut self, start: &Start, name: &[u8], source: &str) -> Result<()> {
        let first = if start.name.is_empty() {
            let dir = file::open_dir(&start.dir, b".").step("openat", source.as_bytes())?;
            self.directory(dir, name.to_vec(), None)?
        } else {
            self.entry(&start.dir, &start.name, name.to_vec(), None)?
        };
        let mut levels: Vec<Level> = first.into_iter().collect();
        while let Some(level) = levels.last_mut() {
            let Some(name) = level.names.pop() else {
                levels.pop();
                continue;
            };
            let path = [level.path.as_slice(), b"/", &name].concat();
            let device = level.device;
            let next = match self.entry(&level.dir, &name, path, Some(device)) {
                // It went away after its name was read.
                Err(error) if error.errno == Some(Errno::NOENT) => None,
                other => other?,
            };
            levels.extend(next);
        }
        Ok(())
    }

    /// Send one thing; a directory is given back to be gone through.
    fn entry(&mut self, dir: &OwnedFd, name: &[u8], path: Vec<u8>, device: Option<Device>) -> Result<Option<Level>> {
        let handle = file::open_handle(dir, name).step("openat", &path)?;
        let meta = file::stat_fd(&handle).step("statx", &path)?;
        match meta.kind {
            FileType::Directory => {
                let inner = match file::open_dir(dir, name) {
                    Err(Errno::NOTDIR | Errno::LOOP) => return Err(changed(&path)),
                    other => other.step("openat", &path)?,
                };
                return self.directory(inner, path, device);
            }
            FileType::RegularFile => self.regular(dir, name, path, &meta)?,
            FileType::Symlink => {
                let mut entry = entry(path, Type::Symlink, &meta);
                entry.link = file::read_link(&handle, b"").step("readlinkat", &entry.path)?;
                self.head(&entry)?;
            }
            FileType::CharacterDevice => self.head(&device_entry(path, Type::CharDevice, &meta))?,
            FileType::BlockDevice => self.head(&device_entry(path, Type::BlockDevice, &meta))?,
            FileType::Fifo => self.head(&entry(path, Type::Fifo, &meta))?,
            _ => self.report.warn(format!("Left out {}: a socket is not copied", display(&path))),
        }
        Ok(None)
    }

    /// Send a directory. What the kernel shows in one of its own file systems is left out: it is no content.
    fn directory(&mut self, dir: OwnedFd, path: Vec<u8>, above: Option<Device>) -> Result<Option<Level>> {
        let meta = file::stat_fd(&dir).step("statx", &path)?;
        if above != Some(meta.device) && is_kernel(&dir).step("fstatfs", &path)? {
            if above.is_none() {
                return Err(Error::new(
                    Kind::Request,
                    "copy",
                    "it is a file system of the kernel, which has no content to copy",
                )
                .subject(&path));
            }
            return self.head(&entry(path, Type::Directory, &meta)).map(|()| None);
        }
        self.head(&entry(path.clone(), Type::Directory, &meta))?;
        let mut names = file::names(&dir).step("getdents64", &path)?;
        names.reverse();
        Ok(Some(Level {
            dir,
            path,
            names,
            device: meta.device,
        }))
    }

    fn regular(&mut self, dir: &OwnedFd, name: &[u8], path: Vec<u8>, seen: &Meta) -> Result<()> {
        // Not followed and not waited for; what came in its place meanwhile is seen by its type.
        let source = match file::open_read(dir, name) {
            Err(Errno::LOOP | Errno::NXIO) => return Err(changed(&path)),
            other => other.step("openat", &path)?,
        };
        let meta = file::stat_fd(&source).step("statx", &path)?;
        if !meta.is_file() || (meta.device, meta.inode) != (seen.device, seen.inode) {
            return Err(changed(&path));
        }
        let mut entry = entry(path, Type::File, &meta);
        if meta.links > 1 {
            if let Some(first) = self.links.get(&(meta.device, meta.inode)) {
                entry.kind = Type::HardLink;
                entry.link = first.clone();
                return self.head(&entry);
            }
            self.links.insert((meta.device, meta.inode), entry.path.clone());
        }
        entry.size = meta.size;
        if let Ok(Some(value)) = xattr::get(&source, CAPABILITY) {
            entry.xattrs.push((CAPABILITY.to_vec(), value));
        }
        self.head(&entry)?;
        self.content(&source, &entry)
    }

    /// Exactly as many bytes as were announced: what a file grew by meanwhile is left out, what it lost is zeros.
    fn content(&mut self, source: &OwnedFd, entry: &Entry) -> Result<()> {
        let mut buffer = vec![0; BUFFER];
        let mut left = entry.size;
        while left > 0 {
            let want = usize::try_from(left).unwrap_or(usize::MAX).min(BUFFER);
            let room = buffer.get_mut(..want).unwrap_or_default();
            let length = file::read_some(source, room).step("read", &entry.path)?;
            if length == 0 {
                self.report
                    .warn(format!("{} shrank while it was copied: the rest is zeros", display(&entry.path)));
                self.zeros(left)?;
                break;
            }
            self.sink.send(buffer.get(..length).unwrap_or_default())?;
            left = left.saturating_sub(length as u64);
        }
        self.packed.bytes = self.packed.bytes.saturating_add(entry.size);
        self.report.advance(entry.size);
        self.sink.send(padding(entry.size))
    }

    fn zeros(&mut self, mut left: u64) -> Result<()> {
        let zeros = vec![0; BUFFER];
        while left > 0 {
            let want = usize::try_from(left).unwrap_or(usize::MAX).min(BUFFER);
            self.sink.send(zeros.get(..want).unwrap_or_default())?;
            left = left.saturating_sub(want as u64);
        }
        Ok(())
    }

    fn head(&mut self, entry: &Entry) -> Result<()> {
        self.out.clear();
        header(entry, &mut self.out);
        self.packed.entries = self.packed.entries.saturating_add(1);
        self.sink.send(&self.out)
    }
}

fn entry(path: Vec<u8>, kind: Type, meta: &Meta) -> Entry {
    let mut entry = Entry::new(path, kind);
    entry.mode = meta.mode;
    entry.uid = meta.uid;
    entry.gid = meta.gid;
    entry.modified = Time {
        seconds: meta.modified.seconds,
        nanoseconds: meta.modified.nanoseconds,
    };
    entry
}

fn device_entry(path: Vec<u8>, kind: Type, meta: &Meta) -> Entry {
    let mut entry = entry(path, kind, meta);
    entry.device = meta.special;
    entry
}

fn changed(path: &[u8]) -> Error {
    Error::invalid("copy", "it became something else while it was copied")
        .subject(path)
        .hint("stop the container, or copy again")
}

fn is_kernel(dir: &OwnedFd) -> std::result::Result<bool, Errno> {
    let magic = rustix::fs::fstatfs(dir.as_fd())?.f_type;
    Ok(u64::try_from(magic).is_ok_and(|magic| KERNEL.contains(&magic)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use berth_tar::{Event, Parser};
    use std::os::unix::fs::symlink;

    #[derive(Default)]
    pub(crate) struct Bytes(pub(crate) Vec<u8>);
    impl Sink for Bytes {
        fn send(&mut self, bytes: &[u8]) -> Result<()> {
            self.0.extend_from_slice(bytes);
            Ok(())
        }
    }

    fn fd(path: &std::path::Path) -> OwnedFd {
        std::fs::File::open(path).unwrap().into()
    }

    fn names(root: &std::path::Path, source: &str, follow: bool) -> Result<Vec<String>> {
        let mut bytes = Bytes::default();
        pack(&fd(root), source, follow, &mut bytes, &Report::new(&|_, _| {}, &|_| {}))?;
        let (mut parser, mut input, mut names) = (Parser::new(), bytes.0.as_slice(), Vec::new());
        while let Some(event) = parser.next(&mut input).unwrap() {
            if let Event::Entry(entry) = event {
                let kind = match entry.kind {
                    Type::Symlink => format!(" -> {}", String::from_utf8_lossy(&entry.link)),
                    Type::HardLink => format!(" = {}", String::from_utf8_lossy(&entry.link)),
                    _ => String::new(),
                };
                names.push(format!("{}{kind}", String::from_utf8_lossy(&entry.path)));
            }
        }
        parser.finish().unwrap();
        Ok(names)
    }

    fn world() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        std::fs::create_dir_all(root.join("srv/in")).unwrap();
        std::fs::write(root.join("srv/a"), "one").unwrap();
        std::fs::hard_link(root.join("srv/a"), root.join("srv/b")).unwrap();
        symlink("/srv", root.join("link")).unwrap();
        symlink("a", root.join("srv/to-a")).unwrap();
        symlink("../../../outside", root.join("srv/out")).unwrap();
        std::fs::write(dir.path().join("outside"), "secret").unwrap();
        dir
    }

    #[test]
    fn names_start_with_the_last_component() {
        let dir = world();
        let root = dir.path().join("root");
        let tree = [
            "srv/",
            "srv/a",
            "srv/b = srv/a",
            "srv/in/",
            "srv/out -> ../../../outside",
            "srv/to-a -> a",
        ];
        assert_eq!(names(&root, "/srv", false).unwrap(), tree);
        assert_eq!(names(&root, "/srv/a", false).unwrap(), ["a"]);
        assert_eq!(names(&root, "/srv/in/.", false).unwrap(), ["./"]);
        assert_eq!(names(&root, "/srv/in/", false).unwrap(), ["in/"]);
        assert_eq!(names(&root, "/../../srv/a", false).unwrap(), ["a"]);
    }

    #[test]
    fn a_link_is_sent_as_one_unless_it_is_followed_inside_the_root() {
        let dir = world();
        let root = dir.path().join("root");
        assert_eq!(names(&root, "/link", false).unwrap(), ["link -> /srv"]);
        assert_eq!(names(&root, "/link/in", false).unwrap(), ["in/"]);
        assert_eq!(names(&root, "/link", true).unwrap().first().unwrap(), "link/");
        assert_eq!(names(&root, "/srv/to-a", true).unwrap(), ["to-a"]);
        assert_eq!(names(&root, "/srv/out", true).unwrap_err().kind, Kind::NotFound);
        assert_eq!(names(&root, "/nowhere", false).unwrap_err().kind, Kind::NotFound);
        assert!(names(&root, "/srv/a/", false).is_err());
    }

    #[test]
    fn a_fifo_is_named_and_never_opened() {
        let dir = world();
        let root = dir.path().join("root");
        rustix::fs::mknodat(rustix::fs::CWD, root.join("srv/in/pipe"), FileType::Fifo, rustix::fs::Mode::RUSR, 0).unwrap();
        assert_eq!(names(&root, "/srv/in", false).unwrap(), ["in/", "in/pipe"]);
    }

    #[test]
    fn a_directory_that_is_swapped_for_a_link_all_the_time_leads_nowhere() {
        let dir = world();
        let root = dir.path().join("root");
        std::fs::write(root.join("srv/in/x"), "inside").unwrap();
        let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let (swapped, seen) = (root.clone(), std::sync::Arc::clone(&stop));
        let swapper = std::thread::spawn(move || {
            symlink("/", swapped.join("srv/evil")).unwrap();
            while !seen.load(std::sync::atomic::Ordering::Relaxed) {
                let exchange = rustix::fs::RenameFlags::EXCHANGE;
                rustix::fs::renameat_with(
                    rustix::fs::CWD,
                    swapped.join("srv/in"),
                    rustix::fs::CWD,
                    swapped.join("srv/evil"),
                    exchange,
                )
                .unwrap();
            }
        });
        for _ in 0..300 {
            if let Ok(names) = names(&root, "/srv", false) {
                assert!(
                    names.iter().all(|name| name.starts_with("srv/") && !name.contains("etc")),
                    "{names:?}"
                );
            }
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        swapper.join().unwrap();
    }
}
