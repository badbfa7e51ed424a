//! The one form that we write: ustar, with a PAX header before an entry only where ustar cannot say it.
//!
//! Deterministic: times are whole seconds, user and group names are empty, PAX records come in a fixed order, and the PAX header has a fixed
//! owner, mode and time of its own. A name over 100 bytes is split into prefix and name where a slash allows it.

use crate::{BLOCK, Entry, Kind};

/// The two blocks of zeros at the end.
pub const END: [u8; 2 * BLOCK] = [0; 2 * BLOCK];
/// The largest number in an eight-byte field.
const MAX_SHORT: u64 = 0o7_777_777;
/// The largest number in a twelve-byte field.
const MAX_LONG: u64 = 0o77_777_777_777;
/// Name of each PAX header; nobody extracts it.
const PAX_NAME: &[u8] = b"PaxHeaders.0/entry";

/// Append the header blocks of `entry` to `out`. A directory gets its trailing slash. `entry.size` bytes of content and [`padding`] follow.
pub fn header(entry: &Entry, out: &mut Vec<u8>) {
    let mut path = entry.path.clone();
    if entry.kind == Kind::Directory && !path.ends_with(b"/") {
        path.push(b'/');
    }
    let records = records(entry, &path);
    if !records.is_empty() {
        let fields = Fields {
            name: PAX_NAME,
            prefix: b"",
            mode: 0o644,
            flag: b'x',
            size: records.len() as u64,
            ..Fields::default()
        };
        out.extend_from_slice(&fields.block());
        out.extend_from_slice(&records);
        out.extend_from_slice(padding(records.len() as u64));
    }
    out.extend_from_slice(&fields(entry, &path).block());
}

/// The zeros that fill the last block of `size` bytes of content.
#[must_use]
pub fn padding(size: u64) -> &'static [u8] {
    let block = BLOCK as u64;
    let length = block
        .saturating_sub(size.checked_rem(block).unwrap_or_default())
        .checked_rem(block)
        .unwrap_or_default();
    usize::try_from(length)
        .ok()
        .and_then(|length| END.get(..length))
        .unwrap_or_default()
}

fn fields<'a>(entry: &'a Entry, path: &'a [u8]) -> Fields<'a> {
    let (prefix, name) = split(path).unwrap_or((b"", path.get(..100).unwrap_or(path)));
    let small = |value: u32| if u64::from(value) > MAX_SHORT { 0 } else { u64::from(value) };
    Fields {
        name,
        prefix,
        mode: u64::from(entry.mode & 0o7777),
        uid: small(entry.uid),
        gid: small(entry.gid),
        size: if entry.size > MAX_LONG { 0 } else { entry.size },
        modified: u64::try_from(entry.modified.seconds)
            .ok()
            .filter(|seconds| *seconds <= MAX_LONG)
            .unwrap_or_default(),
        flag: flag(entry.kind),
        link: entry.link.get(..100).unwrap_or(&entry.link),
        device: (small(entry.device.0), small(entry.device.1)),
    }
}

/// Prefix and name of a path that ustar can hold. The slash between them is written by nobody, so neither side may be empty.
fn split(path: &[u8]) -> Option<(&[u8], &[u8])> {
    if path.len() <= 100 {
        return Some((b"", path));
    }
    let slashes = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
    // The first slash that leaves a short enough name.
    slashes.into_iter().find_map(|at| {
        let (prefix, rest) = path.split_at_checked(at)?;
        let name = rest.get(1..)?;
        ((1..=155).contains(&prefix.len()) && (1..=100).contains(&name.len())).then_some((prefix, name))
    })
}

/// PAX records for what ustar cannot say.
fn records(entry: &Entry, path: &[u8]) -> Vec<u8> {
    let mut records = Vec::new();
    for (key, id) in [("gid", entry.gid), ("uid", entry.uid)] {
        if u64::from(id) > MAX_SHORT {
            record(&mut records, key.as_bytes(), id.to_string().as_bytes());
        }
    }
    if entry.link.len() > 100 {
        record(&mut records, b"linkpath", &entry.link);
    }
    if u64::try_from(entry.modified.seconds).map_or(true, |seconds| seconds > MAX_LONG) {
        record(&mut records, b"mtime", entry.modified.seconds.to_string().as_bytes());
    }
    if split(path).is_none() {
        record(&mut records, b"path", path);
    }
    if entry.size > MAX_LONG {
        record(&mut records, b"size", entry.size.to_string().as_bytes());
    }
    for (name, value) in &entry.xattrs {
        record(&mut records, &[b"SCHILY.xattr.", name.as_slice()].concat(), value);
    }
    records
}

/// `length key=value\n`; the length counts its own digits.
fn record(out: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let rest = key.len().saturating_add(value.len()).saturating_add(3);
    let mut length = rest.saturating_add(1);
    while length != rest.saturating_add(length.to_string().len()) {
        length = rest.saturating_add(length.to_string().len());
    }
    out.extend_from_slice(format!("{length} ").as_bytes());
    out.extend_from_slice(key);
    out.push(b'=');
    out.extend_from_slice(value);
    out.push(b'\n');
}

fn flag(kind: Kind) -> u8 {
    match kind {
        Kind::File => b'0',
        Kind::HardLink => b'1',
        Kind::Symlink => b'2',
        Kind::CharDevice => b'3',
        Kind::BlockDevice => b'4',
        Kind::Directory => b'5',
        Kind::Fifo => b'6',
    }
}

/// What goes into a header block; every number fits its field.
#[derive(Default)]
struct Fields<'a> {
    name: &'a [u8],
    prefix: &'a [u8],
    mode: u64,
    uid: u64,
    gid: u64,
    size: u64,
    modified: u64,
    flag: u8,
    link: &'a [u8],
    device: (u64, u64),
}

impl Fields<'_> {
    fn block(&self) -> [u8; BLOCK] {
        let mut block = [0; BLOCK];
        put(&mut block, 0, self.name);
        put(&mut block, 100, format!("{:07o}\0", self.mode).as_bytes());
        put(&mut block, 108, format!("{:07o}\0", self.uid).as_bytes());
        put(&mut block, 116, format!("{:07o}\0", self.gid).as_bytes());
        put(&mut block, 124, format!("{:011o}\0", self.size).as_bytes());
        put(&mut block, 136, format!("{:011o}\0", self.modified).as_bytes());
        put(&mut block, 148, b"        ");
        put(&mut block, 156, &[self.flag]);
        put(&mut block, 157, self.link);
        put(&mut block, 257, b"ustar\x0000");
        put(&mut block, 329, format!("{:07o}\0", self.device.0).as_bytes());
        put(&mut block, 337, format!("{:07o}\0", self.device.1).as_bytes());
        put(&mut block, 345, self.prefix);
        let sum = block.iter().fold(0u32, |sum, byte| sum.saturating_add(u32::from(*byte)));
        put(&mut block, 148, format!("{sum:06o}\0 ").as_bytes());
        block
    }
}

fn put(block: &mut [u8; BLOCK], at: usize, bytes: &[u8]) {
    if let Some(room) = block.get_mut(at..).and_then(|room| room.get_mut(..bytes.len())) {
        room.copy_from_slice(bytes);
    }
}
