//! The parser: bytes in, events out, never more memory than [`MAX_EXTENSION`] and a sparse map.

use crate::header::{Dialect, Header};
use crate::pax::{self, Overrides};
use crate::sparse::{self, DataMap, Form, Segment};
use crate::{BLOCK, Entry, Error, Kind, MAX_EXTENSION, Time};

/// What the parser found.
#[derive(Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A member begins.
    Entry(Box<Entry>),
    /// Content of the current member. What lies between two pieces, and behind the last one up to the size, is a hole.
    Data { position: u64, bytes: &'a [u8] },
    /// The current member is complete.
    EntryEnd,
}

/// Reads one tar. Feed it with [`Parser::next`] and tell it the end of the stream with [`Parser::finish`].
#[derive(Debug)]
pub struct Parser {
    state: State,
    block: [u8; BLOCK],
    /// How much of `block` is filled.
    filled: usize,
    /// Bytes taken so far.
    offset: u64,
    /// Where the header that is worked on began.
    start: u64,
    payload: Vec<u8>,
    pending: Pending,
    current: Option<Box<Entry>>,
}

/// Extension headers that wait for their entry.
#[derive(Debug, Default)]
struct Pending {
    any: bool,
    pax: Option<Overrides>,
    long_name: Option<Vec<u8>>,
    long_link: Option<Vec<u8>>,
}

#[derive(Debug)]
enum State {
    /// A header block is next.
    Header,
    /// One block of zeros has been seen.
    ZeroBlock,
    /// Payload of an extension header of this type.
    Extension {
        flag: u8,
        left: u64,
    },
    /// Continuation blocks of an old GNU sparse map.
    OldMap {
        segments: Vec<Segment>,
        stored: u64,
    },
    /// A sparse map at the head of the data.
    DataMap {
        map: DataMap,
        stored: u64,
        left: u64,
    },
    /// Data: segments to come, in reverse, and the padding behind them.
    Data {
        segments: Vec<Segment>,
        padding: u64,
    },
    /// The entry's end is to be told.
    End {
        padding: u64,
    },
    Padding {
        left: u64,
    },
    /// Two blocks of zeros: whatever follows is no part of the archive.
    Done,
}

impl Default for Parser {
    fn default() -> Self {
        Self::new()
    }
}

impl Parser {
    #[must_use]
    pub fn new() -> Self {
        Self {
            state: State::Header,
            block: [0; BLOCK],
            filled: 0,
            offset: 0,
            start: 0,
            payload: Vec::new(),
            pending: Pending::default(),
            current: None,
        }
    }

    /// The next event of `input`, from which it takes what it uses; `None` when `input` is used up.
    ///
    /// # Errors
    /// The stream is no tar that we accept; the parser must not be used any further.
    pub fn next<'a>(&mut self, input: &mut &'a [u8]) -> Result<Option<Event<'a>>, Error> {
        loop {
            match self.step(input) {
                Ok(Step::Event(event)) => return Ok(Some(event)),
                Ok(Step::Again) => {}
                Ok(Step::Starved) => return Ok(None),
                Err(message) => return Err(self.error(self.start, message)),
            }
        }
    }

    /// Say that the stream has ended.
    ///
    /// # Errors
    /// It ended inside an entry. Missing end blocks are accepted.
    pub fn finish(&self) -> Result<(), Error> {
        match self.state {
            State::Header if self.filled == 0 && !self.pending.any => Ok(()),
            State::ZeroBlock if self.filled == 0 => Ok(()),
            State::Done => Ok(()),
            _ => Err(self.error(self.offset, "archive is truncated".to_owned())),
        }
    }

    /// Whether the end blocks have been seen.
    #[must_use]
    pub fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    fn error(&self, offset: u64, message: String) -> Error {
        Error {
            offset,
            entry: self.current.as_ref().map(|entry| entry.path.clone()),
            message,
        }
    }

    fn step<'a>(&mut self, input: &mut &'a [u8]) -> Result<Step<'a>, String> {
        match &mut self.state {
            State::Done => {
                self.offset = self.offset.saturating_add(input.len() as u64);
                *input = &[];
                Ok(Step::Starved)
            }
            State::End { padding } => {
                self.state = State::Padding { left: *padding };
                self.current = None;
                Ok(Step::Event(Event::EntryEnd))
            }
            State::Padding { left: 0 } => {
                self.state = State::Header;
                Ok(Step::Again)
            }
            State::Padding { .. } => Ok(self.skip_padding(input)),
            State::Data { .. } => Ok(self.data(input)),
            State::Extension { .. } => self.extension(input),
            State::Header | State::ZeroBlock | State::OldMap { .. } | State::DataMap { .. } => {
                if self.fill_block(input) {
                    self.block()
                } else {
                    Ok(Step::Starved)
                }
            }
        }
    }

    /// Take at most `limit` bytes of the input.
    fn take<'a>(&mut self, input: &mut &'a [u8], limit: u64) -> &'a [u8] {
        let length = usize::try_from(limit).unwrap_or(usize::MAX).min(input.len());
        let (taken, rest) = input.split_at_checked(length).unwrap_or((input, &[]));
        *input = rest;
        self.offset = self.offset.saturating_add(taken.len() as u64);
        taken
    }

    /// Whether the block is complete.
    fn fill_block(&mut self, input: &mut &[u8]) -> bool {
        if self.filled == BLOCK {
            self.filled = 0;
        }
        if self.filled == 0 && !input.is_empty() && matches!(self.state, State::Header | State::ZeroBlock) {
            self.start = self.offset;
        }
        let wanted = BLOCK.saturating_sub(self.filled);
        let taken = self.take(input, wanted as u64);
        if let Some(room) = self.block.get_mut(self.filled..).and_then(|room| room.get_mut(..taken.len())) {
            room.copy_from_slice(taken);
        }
        self.filled = self.filled.saturating_add(taken.len());
        self.filled == BLOCK
    }

    /// A whole block is there: what it is depends on the state.
    fn block<'a>(&mut self) -> Result<Step<'a>, String> {
        let step = match std::mem::replace(&mut self.state, State::Header) {
            State::OldMap { segments, stored } => self.old_map_block(segments, stored),
            State::DataMap { map, stored, left } => self.data_map_block(map, stored, left),
            state => self.header_block(matches!(state, State::ZeroBlock)),
        }?;
        self.filled = 0;
        Ok(step)
    }

    fn header_block<'a>(&mut self, after_zero: bool) -> Result<Step<'a>, String> {
        if self.block.iter().all(|byte| *byte == 0) {
            if self.pending.any {
                return Err("extension header is followed by no entry".to_owned());
            }
            self.state = if after_zero { State::Done } else { State::ZeroBlock };
            return Ok(Step::Again);
        }
        if after_zero {
            return Err("a single block of zeros is followed by data".to_owned());
        }
        let block = self.block;
        let header = Header::new(&block)?;
        match header.type_flag() {
            flag @ (b'x' | b'g' | b'L' | b'K') => self.extension_header(&header, flag),
            _ => self.entry_header(&header),
        }
    }

    fn extension_header<'a>(&mut self, header: &Header<'_>, flag: u8) -> Result<Step<'a>, String> {
        let size = unsigned("size", header.size())?;
        if size > MAX_EXTENSION {
            return Err(format!("extension header of {size} bytes is over the limit of {MAX_EXTENSION}"));
        }
        self.payload.clear();
        self.state = State::Extension { flag, left: size };
        Ok(Step::Again)
    }

    fn extension<'a>(&mut self, input: &mut &'a [u8]) -> Result<Step<'a>, String> {
        let State::Extension { flag, left } = self.state else {
            return Ok(Step::Again);
        };
        let taken = self.take(input, left);
        self.payload.extend_from_slice(taken);
        let left = left.saturating_sub(taken.len() as u64);
        if left > 0 {
            self.state = State::Extension { flag, left };
            return Ok(Step::Starved);
        }
        self.state = State::Padding {
            left: padding(self.payload.len() as u64),
        };
        let payload = std::mem::take(&mut self.payload);
        self.take_extension(flag, &payload)?;
        self.payload = payload;
        Ok(Step::Again)
    }

    fn take_extension(&mut self, flag: u8, payload: &[u8]) -> Result<(), String> {
        let text = || payload.split(|byte| *byte == 0).next().unwrap_or_default().to_vec();
        match flag {
            // Global records change nothing, as in Go: an entry must not depend on what stands far before it. They must be well-formed.
            b'g' => return pax::parse(payload).map(drop),
            b'x' => self.pending.pax = Some(pax::parse(payload)?),
            b'L' => self.pending.long_name = Some(text()),
            _ => self.pending.long_link = Some(text()),
        }
        self.pending.any = true;
        Ok(())
    }

    fn entry_header<'a>(&mut self, header: &Header<'_>) -> Result<Step<'a>, String> {
        let pending = std::mem::take(&mut self.pending);
        let overrides = pending.pax.unwrap_or_default();
        let sparse_form = overrides.sparse.form();
        let mut path = overrides.path.clone().unwrap_or_else(|| header.path());
        if let Some(name) = overrides.sparse.name.clone().filter(|_| sparse_form.is_some()) {
            path = name;
        }
        if let Some(name) = pending.long_name {
            path = name;
        }
        // From here on an error names the entry.
        self.current = Some(Box::new(Entry::new(path.clone(), Kind::File)));
        let entry = entry(header, &overrides, path, pending.long_link)?;
        let stored = match entry.kind {
            Kind::File => overrides.size.map_or_else(|| unsigned("size", header.size()), Ok)?,
            // Go reads no data behind the others, whatever their size says.
            _ => {
                unsigned("size", header.size())?;
                0
            }
        };
        self.current = Some(Box::new(entry));
        self.start_data(header, &overrides, stored)
    }

    /// Choose how the data that follows is read.
    fn start_data<'a>(&mut self, header: &Header<'_>, overrides: &Overrides, stored: u64) -> Result<Step<'a>, String> {
        let is_file = self.current.as_ref().is_some_and(|entry| entry.kind == Kind::File);
        if header.type_flag() == b'S' {
            return self.start_old_sparse(header, stored);
        }
        match overrides.sparse.form().filter(|_| is_file) {
            Some(form) => {
                self.set_size(overrides.sparse.size().unwrap_or(stored));
                match form {
                    Form::Records => self.start_segments(overrides.sparse.segments()?, stored, padding(stored)),
                    Form::Data => {
                        self.state = State::DataMap {
                            map: DataMap::default(),
                            stored,
                            left: stored,
                        };
                        Ok(Step::Again)
                    }
                }
            }
            None => {
                self.set_size(stored);
                let whole = Segment { offset: 0, length: stored };
                self.start_segments(Vec::from_iter((stored > 0).then_some(whole)), stored, padding(stored))
            }
        }
    }

    fn start_old_sparse<'a>(&mut self, header: &Header<'_>, stored: u64) -> Result<Step<'a>, String> {
        if header.dialect() != Dialect::Gnu {
            return Err("sparse entry has no GNU header".to_owned());
        }
        let (raw, extended, real_size) = header.old_sparse();
        self.set_size(unsigned("real size", real_size)?);
        let mut segments = Vec::new();
        sparse::old_segments(raw, &mut segments)?;
        if extended {
            self.state = State::OldMap { segments, stored };
            return Ok(Step::Again);
        }
        self.start_segments(segments, stored, padding(stored))
    }

    fn old_map_block<'a>(&mut self, mut segments: Vec<Segment>, stored: u64) -> Result<Step<'a>, String> {
        sparse::old_segments(self.block.get(..504).unwrap_or_default(), &mut segments)?;
        if self.block.get(504).is_some_and(|byte| *byte != 0) {
            self.state = State::OldMap { segments, stored };
            return Ok(Step::Again);
        }
        self.start_segments(segments, stored, padding(stored))
    }

    fn data_map_block<'a>(&mut self, mut map: DataMap, stored: u64, left: u64) -> Result<Step<'a>, String> {
        let left = left.checked_sub(BLOCK as u64).ok_or("sparse map is longer than the entry")?;
        if map.take(&self.block)? {
            return self.start_segments(map.segments(), left, padding(stored));
        }
        self.state = State::DataMap { map, stored, left };
        Ok(Step::Again)
    }

    fn start_segments<'a>(&mut self, mut segments: Vec<Segment>, stored: u64, padding: u64) -> Result<Step<'a>, String> {
        let size = self.current.as_ref().map_or(0, |entry| entry.size);
        sparse::check(&segments, size, stored)?;
        segments.retain(|segment| segment.length > 0);
        segments.reverse();
        self.state = if segments.is_empty() {
            State::End { padding }
        } else {
            State::Data { segments, padding }
        };
        // The entry is given away; its name stays for errors.
        let given = self.current.take().unwrap_or_else(|| Box::new(Entry::new("", Kind::File)));
        self.current = Some(Box::new(Entry::new(given.path.clone(), given.kind)));
        Ok(Step::Event(Event::Entry(given)))
    }

    fn set_size(&mut self, size: u64) {
        if let Some(entry) = &mut self.current {
            entry.size = size;
        }
    }

    fn data<'a>(&mut self, input: &mut &'a [u8]) -> Step<'a> {
        let State::Data { segments, .. } = &self.state else {
            return Step::Again;
        };
        let Some(segment) = segments.last().copied() else {
            return Step::Again;
        };
        let bytes = self.take(input, segment.length);
        if bytes.is_empty() {
            return Step::Starved;
        }
        self.advance(bytes.len() as u64);
        Step::Event(Event::Data {
            position: segment.offset,
            bytes,
        })
    }

    fn advance(&mut self, count: u64) {
        let State::Data { segments, padding } = &mut self.state else {
            return;
        };
        if let Some(segment) = segments.last_mut() {
            segment.offset = segment.offset.saturating_add(count);
            segment.length = segment.length.saturating_sub(count);
            if segment.length == 0 {
                segments.pop();
            }
        }
        if segments.is_empty() {
            self.state = State::End { padding: *padding };
        }
    }

    fn skip_padding<'a>(&mut self, input: &mut &'a [u8]) -> Step<'a> {
        let State::Padding { left } = self.state else { return Step::Again };
        let taken = self.take(input, left).len() as u64;
        self.state = State::Padding {
            left: left.saturating_sub(taken),
        };
        if taken == 0 { Step::Starved } else { Step::Again }
    }
}

enum Step<'a> {
    Event(Event<'a>),
    Again,
    /// The input is used up.
    Starved,
}

/// How many bytes fill the last block of `length` bytes.
fn padding(length: u64) -> u64 {
    let block = BLOCK as u64;
    block
        .saturating_sub(length.checked_rem(block).unwrap_or_default())
        .checked_rem(block)
        .unwrap_or_default()
}

fn unsigned(field: &str, value: Option<i64>) -> Result<u64, String> {
    let value = value.ok_or_else(|| format!("{field} is not a number"))?;
    u64::try_from(value).map_err(|_| format!("{field} {value} is negative"))
}

fn kind(flag: u8, path: &[u8]) -> Result<Kind, String> {
    Ok(match flag {
        // Before POSIX a directory was a file whose name ends in a slash.
        0 if path.ends_with(b"/") => Kind::Directory,
        b'0' | 0 | b'S' => Kind::File,
        b'1' => Kind::HardLink,
        b'2' => Kind::Symlink,
        b'3' => Kind::CharDevice,
        b'4' => Kind::BlockDevice,
        b'5' => Kind::Directory,
        b'6' => Kind::Fifo,
        other => return Err(format!("entry has the unknown type '{}'", other.escape_ascii())),
    })
}

fn entry(header: &Header<'_>, overrides: &Overrides, path: Vec<u8>, long_link: Option<Vec<u8>>) -> Result<Entry, String> {
    let kind = kind(header.type_flag(), &path)?;
    if path.is_empty() {
        return Err("entry has no name".to_owned());
    }
    let mut entry = Entry::new(path, kind);
    let mode = header.mode().ok_or("mode is not a number")?;
    entry.mode = u32::try_from(mode & 0o7777).unwrap_or_default();
    entry.uid = owner("uid", overrides.uid, header.uid())?;
    entry.gid = owner("gid", overrides.gid, header.gid())?;
    entry.modified = modified(header, overrides)?;
    let link = long_link
        .or_else(|| overrides.link.clone())
        .unwrap_or_else(|| header.link().to_vec());
    if matches!(kind, Kind::HardLink | Kind::Symlink) {
        if link.is_empty() {
            return Err("link has no target".to_owned());
        }
        entry.link = link;
    }
    if matches!(kind, Kind::CharDevice | Kind::BlockDevice) {
        entry.device = device(header)?;
    }
    entry.xattrs.clone_from(&overrides.xattrs);
    Ok(entry)
}

/// The number that means "leave it as it is" to `chown` is no owner.
fn owner(field: &str, pax: Option<u64>, header: Option<i64>) -> Result<u32, String> {
    let value = match pax {
        Some(value) => value,
        None => unsigned(field, header)?,
    };
    u32::try_from(value)
        .ok()
        .filter(|id| *id != u32::MAX)
        .ok_or_else(|| format!("{field} {value} is too large"))
}

fn modified(header: &Header<'_>, overrides: &Overrides) -> Result<Time, String> {
    match overrides.modified {
        Some(time) => Ok(time),
        None => Ok(Time {
            seconds: header.modified().ok_or("mtime is not a number")?,
            nanoseconds: 0,
        }),
    }
}

fn device(header: &Header<'_>) -> Result<(u32, u32), String> {
    let (major, minor) = header.device().ok_or("device number is not a number")?;
    let number = |value: i64| u32::try_from(value).map_err(|_| format!("device number {value} is out of range"));
    Ok((number(major)?, number(minor)?))
}
