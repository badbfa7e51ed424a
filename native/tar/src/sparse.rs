//! Sparse files: the map of data segments in its four spellings.

use crate::number;
use crate::{BLOCK, MAX_SEGMENTS};

/// A piece of data: where it lies in the file, and how long it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) offset: u64,
    pub(crate) length: u64,
}

/// `GNU.sparse.*` records.
#[derive(Debug, Default)]
pub(crate) struct PaxSparse {
    major: Option<Vec<u8>>,
    minor: Option<Vec<u8>>,
    pub(crate) name: Option<Vec<u8>>,
    size: Option<u64>,
    real_size: Option<u64>,
    blocks: Option<u64>,
    map: Option<Vec<u64>>,
}

/// How the map of a PAX sparse file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// In the records.
    Records,
    /// At the head of the data.
    Data,
}

impl PaxSparse {
    pub(crate) fn take(&mut self, key: &[u8], value: &[u8]) -> Result<(), String> {
        let refusal = || format!("GNU.sparse.{} is malformed", key.escape_ascii());
        let decimal = |value: &[u8]| number::decimal(value).ok_or_else(refusal);
        match key {
            b"major" => self.major = Some(value.to_vec()),
            b"minor" => self.minor = Some(value.to_vec()),
            b"name" if value.contains(&0) => return Err(refusal()),
            b"name" => self.name = Some(value.to_vec()).filter(|name| !name.is_empty()),
            b"size" => self.size = Some(decimal(value)?),
            b"realsize" => self.real_size = Some(decimal(value)?),
            b"numblocks" => self.blocks = Some(decimal(value)?),
            b"map" => self.map = Some(value.split(|byte| *byte == b',').map(decimal).collect::<Result<_, _>>()?),
            // Version 0.0 repeats these two in turn.
            b"offset" | b"numbytes" => {
                let map = self.map.get_or_insert_default();
                if map.len().is_multiple_of(2) != (key == b"offset") {
                    return Err(refusal());
                }
                map.push(decimal(value)?);
            }
            _ => {}
        }
        let limit = MAX_SEGMENTS.saturating_mul(2);
        if self.map.as_ref().is_some_and(|map| map.len() > limit) {
            Err(too_many())
        } else {
            Ok(())
        }
    }

    /// Which form it is; `None` when the entry is no sparse file that anybody knows.
    pub(crate) fn form(&self) -> Option<Form> {
        match (self.major.as_deref(), self.minor.as_deref()) {
            (Some(b"0"), Some(b"0" | b"1")) => Some(Form::Records),
            (Some(b"1"), Some(b"0")) => Some(Form::Data),
            (None, None) => self.map.as_ref().map(|_| Form::Records),
            _ => None,
        }
    }

    /// Bytes of the file, holes included.
    pub(crate) fn size(&self) -> Option<u64> {
        self.size.or(self.real_size)
    }

    /// The map of form [`Form::Records`].
    pub(crate) fn segments(&self) -> Result<Vec<Segment>, String> {
        let map = self.map.as_deref().unwrap_or_default();
        let pairs = map.chunks_exact(2);
        let announced = self.blocks.and_then(|blocks| usize::try_from(blocks).ok());
        if !pairs.remainder().is_empty() || announced.is_some_and(|blocks| blocks != pairs.len()) {
            return Err("GNU.sparse.map does not fit GNU.sparse.numblocks".to_owned());
        }
        Ok(pairs
            .filter_map(|pair| {
                Some(Segment {
                    offset: *pair.first()?,
                    length: *pair.get(1)?,
                })
            })
            .collect())
    }
}

/// Segments of an old GNU header or continuation block: 24 bytes each, up to the first empty one.
pub(crate) fn old_segments(bytes: &[u8], into: &mut Vec<Segment>) -> Result<(), String> {
    for raw in bytes.chunks_exact(24).take_while(|raw| raw.first() != Some(&0)) {
        let (offset, length) = raw.split_at_checked(12).ok_or_else(malformed)?;
        let read = |field| {
            number::field(field)
                .and_then(|value| u64::try_from(value).ok())
                .ok_or_else(malformed)
        };
        into.push(Segment {
            offset: read(offset)?,
            length: read(length)?,
        });
        if into.len() > MAX_SEGMENTS {
            return Err(too_many());
        }
    }
    Ok(())
}

/// The map of form [`Form::Data`]: decimal lines, first the count; fed block by block.
#[derive(Debug, Default)]
pub(crate) struct DataMap {
    numbers: Vec<u64>,
    /// Digits of a line that goes on in the next block.
    digits: Vec<u8>,
}

impl DataMap {
    /// Take one block; true when the map is complete.
    pub(crate) fn take(&mut self, block: &[u8; BLOCK]) -> Result<bool, String> {
        for byte in block {
            if self.is_complete()? {
                return Ok(true);
            }
            match byte {
                b'\n' => {
                    self.numbers.push(number::decimal(&self.digits).ok_or_else(malformed)?);
                    self.digits.clear();
                }
                _ if self.digits.len() > 20 => return Err(malformed()),
                digit => self.digits.push(*digit),
            }
        }
        self.is_complete()
    }

    fn is_complete(&self) -> Result<bool, String> {
        let Some(count) = self.numbers.first() else { return Ok(false) };
        let count = usize::try_from(*count)
            .ok()
            .filter(|count| *count <= MAX_SEGMENTS)
            .ok_or_else(too_many)?;
        Ok(self.numbers.len() > count.saturating_mul(2))
    }

    pub(crate) fn segments(&self) -> Vec<Segment> {
        let pairs = self.numbers.get(1..).unwrap_or_default().chunks_exact(2);
        pairs
            .filter_map(|pair| {
                Some(Segment {
                    offset: *pair.first()?,
                    length: *pair.get(1)?,
                })
            })
            .collect()
    }
}

/// Refuse a map that is not in order, overlaps, leaves the file or does not fit the `stored` bytes.
pub(crate) fn check(segments: &[Segment], size: u64, stored: u64) -> Result<(), String> {
    let mut end: u64 = 0;
    let mut total: u64 = 0;
    for segment in segments {
        let next = segment.offset.checked_add(segment.length).filter(|next| *next <= size);
        if segment.offset < end || next.is_none() {
            return Err("sparse map is out of order, overlaps or leaves the file".to_owned());
        }
        end = next.unwrap_or(end);
        total = total.saturating_add(segment.length);
    }
    if total == stored {
        Ok(())
    } else {
        Err(format!("sparse map covers {total} bytes, the entry holds {stored}"))
    }
}

fn malformed() -> String {
    "sparse map is malformed".to_owned()
}

fn too_many() -> String {
    format!("sparse map has more than {MAX_SEGMENTS} segments")
}
