//! Files by directory descriptor and single name: no wrapper here follows a symbolic link or leaves a descriptor to an executed program.
//!
//! Names are bytes. Whoever passes a name promises that it is one path component; [`is_component`] checks foreign ones.

use rustix::fd::{AsFd, AsRawFd as _, OwnedFd};
use rustix::fs::{self, AtFlags, FileType, Mode, OFlags, RawDir, Stat, Statx, StatxFlags, Timespec, Timestamps};
use rustix::io::{Errno, Result};
use std::mem::MaybeUninit;

/// The longest name of one component that Linux takes, in bytes.
pub const NAME_MAX: usize = 255;
/// The longest path that a system call takes, with its final NUL, in bytes.
pub const PATH_MAX: usize = 4096;
/// How much one `getdents64` call may return.
const DIRECTORY_BUFFER: usize = 32 * 1024;

/// What `statx` knows about a file, in types that are the same on every architecture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meta {
    pub kind: FileType,
    /// Permission bits with set-id and sticky bits, without the type.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub size: u64,
    /// 512-byte blocks on disk.
    pub blocks: u64,
    pub links: u32,
    /// Number of the file in its file system.
    pub inode: u64,
    /// Device of the file system, major and minor number.
    pub device: (u32, u32),
    /// What a device node stands for.
    pub special: (u32, u32),
    pub modified: Time,
    /// When content or attributes changed last; nobody can set it.
    pub changed: Time,
    /// Number of the mount that holds it, where the kernel tells (5.8).
    pub mount: Option<u64>,
}

/// A point in time: seconds since 1970 and nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Time {
    pub seconds: i64,
    pub nanoseconds: u32,
}

impl Meta {
    #[must_use]
    pub fn is_dir(&self) -> bool {
        self.kind == FileType::Directory
    }

    #[must_use]
    pub fn is_file(&self) -> bool {
        self.kind == FileType::RegularFile
    }

    #[must_use]
    pub fn is_link(&self) -> bool {
        self.kind == FileType::Symlink
    }

    /// A character device 0:0, which overlayfs takes as "not there".
    #[must_use]
    pub fn is_whiteout(&self) -> bool {
        self.kind == FileType::CharacterDevice && self.special == (0, 0)
    }

    /// What the older call knows, which is all but the mount. The types of its numbers differ between architectures.
    #[allow(clippy::useless_conversion, reason = "on the other architecture they convert")]
    fn from_stat(raw: &Stat) -> Self {
        let (mode, device, special) = (u32::from(raw.st_mode), u64::from(raw.st_dev), u64::from(raw.st_rdev));
        Self {
            kind: FileType::from_raw_mode(mode),
            mode: mode & 0o7777,
            uid: raw.st_uid,
            gid: raw.st_gid,
            size: u64::try_from(raw.st_size).unwrap_or_default(),
            blocks: u64::try_from(raw.st_blocks).unwrap_or_default(),
            links: u32::try_from(raw.st_nlink).unwrap_or(u32::MAX),
            inode: raw.st_ino,
            device: (fs::major(device), fs::minor(device)),
            special: (fs::major(special), fs::minor(special)),
            modified: Time {
                seconds: raw.st_mtime,
                nanoseconds: u32::try_from(raw.st_mtime_nsec).unwrap_or_default(),
            },
            changed: Time {
                seconds: raw.st_ctime,
                nanoseconds: u32::try_from(raw.st_ctime_nsec).unwrap_or_default(),
            },
            mount: None,
        }
    }

    fn from_statx(raw: &Statx) -> Self {
        let mode = u32::from(raw.stx_mode);
        let has_mount = raw.stx_mask & StatxFlags::MNT_ID.bits() != 0;
        Self {
            kind: FileType::from_raw_mode(mode),
            mode: mode & 0o7777,
            uid: raw.stx_uid,
            gid: raw.stx_gid,
            size: raw.stx_size,
            blocks: raw.stx_blocks,
            links: raw.stx_nlink,
            inode: raw.stx_ino,
            device: (raw.stx_dev_major, raw.stx_dev_minor),
            special: (raw.stx_rdev_major, raw.stx_rdev_minor),
            modified: Time {
                seconds: raw.stx_mtime.tv_sec,
                nanoseconds: raw.stx_mtime.tv_nsec,
            },
            changed: Time {
                seconds: raw.stx_ctime.tv_sec,
                nanoseconds: raw.stx_ctime.tv_nsec,
            },
            mount: has_mount.then_some(raw.stx_mnt_id),
        }
    }
}

/// Whether `name` is one component that can exist in a directory: not empty, not `.` or `..`, without `/` and NUL, short enough.
#[must_use]
pub fn is_component(name: &[u8]) -> bool {
    !matches!(name, b"" | b"." | b"..") && name.len() <= NAME_MAX && !name.iter().any(|byte| matches!(byte, b'/' | 0))
}

/// Attributes of `name` itself.
///
/// # Errors
/// The error of `statx`.
pub fn stat(dir: impl AsFd, name: &[u8]) -> Result<Meta> {
    statx(dir, name, AtFlags::SYMLINK_NOFOLLOW)
}

/// Attributes of `name` itself, or `None` where it does not exist.
///
/// # Errors
/// The error of `statx`, but for `ENOENT`.
pub fn try_stat(dir: impl AsFd, name: &[u8]) -> Result<Option<Meta>> {
    match stat(dir, name) {
        Ok(meta) => Ok(Some(meta)),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Attributes of an open file.
///
/// # Errors
/// The error of `statx`.
pub fn stat_fd(file: impl AsFd) -> Result<Meta> {
    statx(file, b"", AtFlags::EMPTY_PATH)
}

/// Lets the kernel begin to bring the bytes of a file to the disk, for which `fsync` waits. Where it cannot, they go with that.
pub fn begin_sync(file: impl AsFd) {
    let fd = file.as_fd().as_raw_fd();
    // SAFETY: takes no pointer, and the descriptor is borrowed for the call.
    unsafe { libc::sync_file_range(fd, 0, 0, libc::SYNC_FILE_RANGE_WRITE) };
}

fn statx(dir: impl AsFd, name: &[u8], flags: AtFlags) -> Result<Meta> {
    let wanted = StatxFlags::BASIC_STATS | StatxFlags::MNT_ID;
    match fs::statx(&dir, name, flags | AtFlags::NO_AUTOMOUNT, wanted) {
        // A filter around this process that is older than the call.
        Err(Errno::NOSYS) => Ok(Meta::from_stat(&fs::statat(dir, name, flags | AtFlags::NO_AUTOMOUNT)?)),
        other => other.map(|raw| Meta::from_statx(&raw)),
    }
}

/// Open a directory by an absolute host path, links followed: for roots that the caller trusts.
///
/// # Errors
/// The error of `openat`.
pub fn open_trusted_dir(path: &[u8]) -> Result<OwnedFd> {
    fs::openat(fs::CWD, path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

/// Open the directory `name`; a link in its place is `ENOTDIR` or `ELOOP`.
///
/// # Errors
/// The error of `openat`.
pub fn open_dir(dir: impl AsFd, name: &[u8]) -> Result<OwnedFd> {
    fs::openat(
        dir,
        name,
        OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC,
        Mode::empty(),
    )
}

/// Open the file `name` for reading, without waiting for the other end of a FIFO.
///
/// # Errors
/// The error of `openat`.
pub fn open_read(dir: impl AsFd, name: &[u8]) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    fs::openat(dir, name, flags, Mode::empty())
}

/// Open a handle on `name` itself that can only be looked at.
///
/// # Errors
/// The error of `openat`.
pub fn open_handle(dir: impl AsFd, name: &[u8]) -> Result<OwnedFd> {
    fs::openat(dir, name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
}

/// Create the regular file `name`, which must not exist, and open it for writing.
///
/// # Errors
/// The error of `openat`; `EEXIST` when anything has that name.
pub fn create_file(dir: impl AsFd, name: &[u8], mode: u32) -> Result<OwnedFd> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    fs::openat(dir, name, flags, Mode::from_raw_mode(mode))
}

/// Open the file `name` for reading and writing, creating it with `mode` where it is missing.
///
/// # Errors
/// The error of `openat`.
pub fn open_or_create(dir: impl AsFd, name: &[u8], mode: u32) -> Result<OwnedFd> {
    fs::openat(
        dir,
        name,
        OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC,
        Mode::from_raw_mode(mode),
    )
}

/// Names in an open directory, sorted by their bytes, without `.` and `..`.
///
/// # Errors
/// The error of `getdents64`.
pub fn names(dir: impl AsFd) -> Result<Vec<Vec<u8>>> {
    Ok(entries(dir)?.into_iter().map(|(name, _)| name).collect())
}

/// Names in an open directory with the types that it tells, sorted by name; a file system may answer `Unknown`.
///
/// # Errors
/// The error of `getdents64`.
pub fn entries(dir: impl AsFd) -> Result<Vec<(Vec<u8>, FileType)>> {
    fs::seek(&dir, fs::SeekFrom::Start(0))?;
    let mut buffer = [const { MaybeUninit::<u8>::uninit() }; DIRECTORY_BUFFER];
    let mut listing = RawDir::new(dir, &mut buffer);
    let mut entries = Vec::new();
    while let Some(entry) = listing.next() {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if !matches!(name, b"." | b"..") {
            entries.push((name.to_vec(), entry.file_type()));
        }
    }
    entries.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    Ok(entries)
}

/// Target of the link `name`.
///
/// # Errors
/// The error of `readlinkat`; `EINVAL` when it is no link.
pub fn read_link(dir: impl AsFd, name: &[u8]) -> Result<Vec<u8>> {
    Ok(fs::readlinkat(dir, name, Vec::new())?.into_bytes())
}

/// Give the node `name` itself to `uid`:`gid`.
///
/// # Errors
/// The error of `fchownat`; `EINVAL` when the user namespace does not map the number.
pub fn chown(dir: impl AsFd, name: &[u8], uid: u32, gid: u32) -> Result<()> {
    let (owner, group) = (fs::Uid::from_raw(uid), fs::Gid::from_raw(gid));
    fs::chownat(dir, name, Some(owner), Some(group), AtFlags::SYMLINK_NOFOLLOW)
}

/// Give an open file to `uid`:`gid`.
///
/// # Errors
/// The error of `fchown`; `EINVAL` when the user namespace does not map the number.
pub fn chown_fd(file: impl AsFd, uid: u32, gid: u32) -> Result<()> {
    fs::fchown(file, Some(fs::Uid::from_raw(uid)), Some(fs::Gid::from_raw(gid)))
}

/// Set the permission bits of a node that cannot be opened (a device, a FIFO), through a handle, so that no link is followed.
///
/// # Errors
/// The error of `openat` or `fchmodat`; `EOPNOTSUPP` when it is a link.
pub fn chmod(dir: impl AsFd, name: &[u8], mode: u32) -> Result<()> {
    let handle = open_handle(dir, name)?;
    if stat_fd(&handle)?.is_link() {
        return Err(Errno::OPNOTSUPP);
    }
    fs::chmodat(
        fs::CWD,
        handle_path(&handle).as_bytes(),
        Mode::from_raw_mode(mode),
        AtFlags::empty(),
    )
}

/// Set the permission bits of an open file.
///
/// # Errors
/// The error of `fchmod`.
pub fn chmod_fd(file: impl AsFd, mode: u32) -> Result<()> {
    fs::fchmod(file, Mode::from_raw_mode(mode))
}

/// The path under which `/proc` shows an open descriptor.
pub(crate) fn handle_path(handle: &OwnedFd) -> String {
    use rustix::fd::AsRawFd;
    format!("/proc/self/fd/{}", handle.as_raw_fd())
}

/// Set access and modification time of `name` itself.
///
/// # Errors
/// The error of `utimensat`.
pub fn set_time(dir: impl AsFd, name: &[u8], time: Time) -> Result<()> {
    fs::utimensat(dir, name, &timestamps(time), AtFlags::SYMLINK_NOFOLLOW)
}

/// Set access and modification time of an open file.
///
/// # Errors
/// The error of `futimens`.
pub fn set_time_fd(file: impl AsFd, time: Time) -> Result<()> {
    fs::futimens(file, &timestamps(time))
}

fn timestamps(time: Time) -> Timestamps {
    let value = Timespec {
        tv_sec: time.seconds,
        tv_nsec: time.nanoseconds.into(),
    };
    Timestamps {
        last_access: value,
        last_modification: value,
    }
}

/// Make a device node, FIFO or socket; `special` is the device number.
///
/// # Errors
/// The error of `mknodat`.
pub fn make_node(dir: impl AsFd, name: &[u8], kind: FileType, mode: u32, special: (u32, u32)) -> Result<()> {
    fs::mknodat(dir, name, kind, Mode::from_raw_mode(mode), fs::makedev(special.0, special.1))
}

/// Make the character device 0:0 by which overlayfs hides what is below.
///
/// # Errors
/// The error of `mknodat`.
pub fn make_whiteout(dir: impl AsFd, name: &[u8]) -> Result<()> {
    make_node(dir, name, FileType::CharacterDevice, 0, (0, 0))
}

/// Make the directory `name`.
///
/// # Errors
/// The error of `mkdirat`.
pub fn make_dir(dir: impl AsFd, name: &[u8], mode: u32) -> Result<()> {
    fs::mkdirat(dir, name, Mode::from_raw_mode(mode))
}

/// Let the modes given to the calls of this module hold as they are.
pub fn clear_umask() {
    rustix::process::umask(Mode::empty());
}

/// Allow as many open files as the hard limit does: a walk holds one descriptor for each level of each layer.
pub fn raise_file_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    // A failure leaves the lower limit in place, and a walk that needs more says EMFILE.
    let _ = setrlimit(
        Resource::Nofile,
        Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        },
    );
}

/// Write all of `bytes` at the file's position.
///
/// # Errors
/// The error of `write`.
pub fn write_all(file: impl AsFd, mut bytes: &[u8]) -> Result<()> {
    while !bytes.is_empty() {
        match rustix::io::write(&file, bytes) {
            Ok(0) => return Err(Errno::IO),
            Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Write all of `bytes` at `position`, which does not move the file's own.
///
/// # Errors
/// The error of `pwrite`.
pub fn write_all_at(file: impl AsFd, mut bytes: &[u8], mut position: u64) -> Result<()> {
    while !bytes.is_empty() {
        match rustix::io::pwrite(&file, bytes, position) {
            Ok(0) => return Err(Errno::IO),
            Ok(count) => {
                bytes = bytes.get(count..).unwrap_or_default();
                position += count as u64;
            }
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Fill `buffer` as far as the file goes, and say how many bytes that were.
///
/// # Errors
/// The error of `read`.
pub fn read_full(file: impl AsFd, buffer: &mut [u8]) -> Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match rustix::io::read(&file, rest) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Fill `buffer` from `position` on as far as the file goes, which does not move the file's own position.
///
/// # Errors
/// The error of `pread`.
pub fn read_full_at(file: impl AsFd, buffer: &mut [u8], position: u64) -> Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match rustix::io::pread(&file, rest, position + filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Read what is there, at most `buffer`, once.
///
/// # Errors
/// The error of `read`.
pub fn read_some(file: impl AsFd, buffer: &mut [u8]) -> Result<usize> {
    rustix::io::retry_on_intr(|| rustix::io::read(&file, &mut *buffer))
}

/// A name that nobody else has: sixteen random bytes in hexadecimal.
///
/// # Errors
/// The error of `getrandom`.
pub fn random_name() -> Result<String> {
    let mut bytes = [0u8; 16];
    let count = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())?;
    if count != bytes.len() {
        return Err(Errno::IO);
    }
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_older_call_says_the_same_but_for_the_mount() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("file"), vec![1; 5000]).unwrap();
        std::fs::hard_link(dir.path().join("file"), dir.path().join("other")).unwrap();
        std::os::unix::fs::symlink("nowhere", dir.path().join("link")).unwrap();
        let root: OwnedFd = std::fs::File::open(dir.path()).unwrap().into();
        let null: OwnedFd = std::fs::File::open("/dev").unwrap().into();
        for (place, name) in [(&root, "file"), (&root, "link"), (&root, "."), (&null, "null")] {
            let older = Meta::from_stat(&fs::statat(place, name, AtFlags::SYMLINK_NOFOLLOW).unwrap());
            let newer = stat(place, name.as_bytes()).unwrap();
            assert_eq!(older, Meta { mount: None, ..newer }, "{name}");
        }
    }
}
