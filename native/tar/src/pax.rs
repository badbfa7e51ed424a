//! PAX records: `length key=value\n`, the length counting itself.

use crate::number;
use crate::sparse::PaxSparse;
use crate::{MAX_XATTRS, Time};

/// What the extension headers before an entry say about it.
#[derive(Debug, Default)]
pub(crate) struct Overrides {
    pub(crate) path: Option<Vec<u8>>,
    pub(crate) link: Option<Vec<u8>>,
    pub(crate) size: Option<u64>,
    pub(crate) uid: Option<u64>,
    pub(crate) gid: Option<u64>,
    pub(crate) modified: Option<Time>,
    /// Sorted by name; of two with the same name the last one holds.
    pub(crate) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    pub(crate) sparse: PaxSparse,
}

const XATTR: &[u8] = b"SCHILY.xattr.";

/// Read the records of one extension header.
pub(crate) fn parse(mut payload: &[u8]) -> Result<Overrides, String> {
    let mut overrides = Overrides::default();
    while !payload.is_empty() {
        let (key, value, rest) = record(payload).ok_or("PAX record is malformed")?;
        overrides.take(key, value)?;
        payload = rest;
    }
    // Stable, so that the last of equal names stays last.
    overrides.xattrs.sort_by(|a, b| a.0.cmp(&b.0));
    overrides.xattrs.reverse();
    overrides.xattrs.dedup_by(|a, b| a.0 == b.0);
    overrides.xattrs.reverse();
    Ok(overrides)
}

fn record(payload: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let blank = payload.iter().position(|byte| *byte == b' ')?;
    let (digits, _) = payload.split_at_checked(blank)?;
    let length = usize::try_from(number::decimal(digits)?).ok()?;
    let (whole, rest) = payload.split_at_checked(length)?;
    let body = whole.get(blank.checked_add(1)?..)?.strip_suffix(b"\n")?;
    let equals = body.iter().position(|byte| *byte == b'=')?;
    let (key, value) = body.split_at_checked(equals)?;
    if key.is_empty() || key.contains(&0) {
        return None;
    }
    Some((key, value.get(1..)?, rest))
}

impl Overrides {
    /// An empty value takes the record back, as POSIX says; an unknown key is ignored, as Go does.
    fn take(&mut self, key: &[u8], value: &[u8]) -> Result<(), String> {
        match key {
            b"path" => self.path = text(key, value)?,
            b"linkpath" => self.link = text(key, value)?,
            b"size" => self.size = count(key, value)?,
            b"uid" => self.uid = count(key, value)?,
            b"gid" => self.gid = count(key, value)?,
            b"uname" | b"gname" => drop(text(key, value)?),
            // A time that is no number leaves the header's: nothing depends on it.
            b"mtime" => self.modified = number::time(value),
            _ => return self.take_prefixed(key, value),
        }
        Ok(())
    }

    fn take_prefixed(&mut self, key: &[u8], value: &[u8]) -> Result<(), String> {
        if let Some(name) = key.strip_prefix(b"GNU.sparse.") {
            return self.sparse.take(name, value);
        }
        let Some(name) = key.strip_prefix(XATTR) else { return Ok(()) };
        if name.is_empty() {
            return Err("extended attribute has no name".to_owned());
        }
        if self.xattrs.len() >= MAX_XATTRS {
            return Err(format!("entry has more than {MAX_XATTRS} extended attributes"));
        }
        self.xattrs.push((name.to_vec(), value.to_vec()));
        Ok(())
    }
}

fn text(key: &[u8], value: &[u8]) -> Result<Option<Vec<u8>>, String> {
    if value.contains(&0) {
        return Err(format!("PAX {} holds a NUL byte", key.escape_ascii()));
    }
    Ok(Some(value.to_vec()).filter(|value| !value.is_empty()))
}

fn count(key: &[u8], value: &[u8]) -> Result<Option<u64>, String> {
    if value.is_empty() {
        return Ok(None);
    }
    let refusal = || format!("PAX {} is not a number from 0 to 2^63-1", key.escape_ascii());
    number::decimal(value).map(Some).ok_or_else(refusal)
}
