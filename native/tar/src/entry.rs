//! What one member of a tar says about a file.

/// Seconds since 1970 and nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Time {
    pub seconds: i64,
    pub nanoseconds: u32,
}

/// Type of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    File,
    /// A further name of the entry that [`Entry::link`] names.
    HardLink,
    Symlink,
    CharDevice,
    BlockDevice,
    Directory,
    Fifo,
}

/// A member of a tar, all its extension headers merged in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// As it is written, with a trailing slash where there is one: nothing is resolved or cleaned.
    pub path: Vec<u8>,
    pub kind: Kind,
    /// Permission, set-id and sticky bits.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    /// Bytes of the file, holes included; 0 for everything but [`Kind::File`].
    pub size: u64,
    pub modified: Time,
    /// Target of a link.
    pub link: Vec<u8>,
    /// Major and minor number of a device.
    pub device: (u32, u32),
    /// Extended attributes in the order of their names.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Entry {
    /// An entry with nothing but a name and a type.
    #[must_use]
    pub fn new(path: impl Into<Vec<u8>>, kind: Kind) -> Self {
        Self {
            path: path.into(),
            kind,
            mode: 0,
            uid: 0,
            gid: 0,
            size: 0,
            modified: Time::default(),
            link: Vec::new(),
            device: (0, 0),
            xattrs: Vec::new(),
        }
    }
}
