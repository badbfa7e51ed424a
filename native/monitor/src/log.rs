//! The container's log in Docker's json-file form: one JSON object a line, `{"log","stream","time"}`.
//!
//! A line of output over 16 KiB becomes several entries, of which only the last ends in a line feed. The log is bounded: a full file becomes
//! `log.json.1`, the one before `log.json.2` and so on, as many as are asked for, and a new one is begun.

use crate::clock;
use crate::fail::failed;
use crate::streams::Source;
use berth_wire::Failure;
use berth_wire::request::LogLimits;
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;
use serde::Serialize;
use std::borrow::Cow;

/// The newest part of the log.
pub const NEWEST: &str = "log.json";
/// The most files of one log.
pub const MAX_FILES: u32 = 1000;
/// Bytes of output in one entry.
const MAX_ENTRY: usize = 16 * 1024;

/// The part that is `age` files older than the newest one.
#[must_use]
pub fn part(age: u32) -> String {
    if age == 0 { NEWEST.to_owned() } else { format!("{NEWEST}.{age}") }
}

#[derive(Serialize)]
struct Entry<'a> {
    log: Cow<'a, str>,
    stream: &'a str,
    time: String,
}

/// Writes the log of one container.
#[derive(Debug)]
pub struct Log {
    folder: OwnedFd,
    file: OwnedFd,
    size: u64,
    limits: LogLimits,
    /// What has no line feed yet, for each stream.
    partial: [Vec<u8>; 2],
    /// The disk is full or the file is gone: output goes on without its log.
    failed: bool,
}

impl Log {
    /// Opens the log in `folder`, going on where an earlier run of the container stopped.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn open(folder: OwnedFd, limits: LogLimits) -> Result<Self, Failure> {
        let file = open_file(&folder).map_err(failed("open log"))?;
        let size = rustix::fs::fstat(&file).map_err(failed("stat log"))?.st_size;
        Ok(Self {
            folder,
            file,
            size: u64::try_from(size).unwrap_or_default(),
            limits,
            partial: [Vec::new(), Vec::new()],
            failed: false,
        })
    }

    /// Takes output. False when it could not be written; said once.
    pub fn append(&mut self, source: Source, bytes: &[u8]) -> bool {
        let mut entries = Vec::new();
        let partial = &mut self.partial[usize::from(source == Source::Error)];
        partial.extend_from_slice(bytes);
        while let Some(length) = entry_length(partial) {
            entries.push(partial.drain(..length).collect::<Vec<u8>>());
        }
        self.write(source, &entries)
    }

    /// Writes what is left without a line feed; at the end of the output.
    pub fn finish(&mut self) {
        for source in [Source::Output, Source::Error] {
            let rest = std::mem::take(&mut self.partial[usize::from(source == Source::Error)]);
            if !rest.is_empty() {
                self.write(source, &[rest]);
            }
        }
    }

    fn write(&mut self, source: Source, entries: &[Vec<u8>]) -> bool {
        if self.failed {
            return true;
        }
        let time = clock::now();
        let mut text = Vec::new();
        for entry in entries {
            let entry = Entry {
                log: String::from_utf8_lossy(entry),
                stream: source.name(),
                time: time.clone(),
            };
            let Ok(mut line) = serde_json::to_vec(&entry) else { continue };
            line.push(b'\n');
            // What fits into the file goes there in one write; the next line begins another one.
            if self.would_be_full(text.len().saturating_add(line.len())) {
                self.failed |= self.store(&text).is_err();
                text.clear();
            }
            text.append(&mut line);
        }
        self.failed |= self.store(&text).is_err();
        !self.failed
    }

    fn would_be_full(&self, more: usize) -> bool {
        self.size.saturating_add(more.try_into().unwrap_or(u64::MAX)) > self.limits.max_size
    }

    /// Makes every part one older; the oldest goes.
    fn rotate(&self) -> Result<(), Errno> {
        let kept = self.limits.max_files.clamp(1, MAX_FILES) - 1;
        if kept == 0 {
            return unless_missing(rustix::fs::unlinkat(&self.folder, NEWEST, AtFlags::empty()));
        }
        (0..kept).rev().try_for_each(|age| {
            unless_missing(rustix::fs::renameat(
                &self.folder,
                part(age),
                &self.folder,
                part(age.saturating_add(1)),
            ))
        })
    }

    fn store(&mut self, text: &[u8]) -> Result<(), Errno> {
        if self.size > 0 && self.would_be_full(text.len()) {
            self.rotate()?;
            self.file = open_file(&self.folder)?;
            self.size = 0;
        }
        let mut rest = text;
        while !rest.is_empty() {
            let done = rustix::io::retry_on_intr(|| rustix::io::write(&self.file, rest))?;
            rest = rest.get(done..).unwrap_or_default();
            self.size = self.size.saturating_add(done.try_into().unwrap_or(u64::MAX));
        }
        Ok(())
    }
}

/// What is not there cannot be in the way.
fn unless_missing(result: Result<(), Errno>) -> Result<(), Errno> {
    match result {
        Err(Errno::NOENT) => Ok(()),
        other => other,
    }
}

fn open_file(folder: &OwnedFd) -> Result<OwnedFd, Errno> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::APPEND | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(folder, NEWEST, flags, Mode::from_raw_mode(0o600))
}

/// How much of `pending` makes the next entry; none when more must come first.
fn entry_length(pending: &[u8]) -> Option<usize> {
    let head = pending.get(..MAX_ENTRY).unwrap_or(pending);
    match head.iter().position(|byte| *byte == b'\n') {
        Some(at) => Some(at.saturating_add(1)),
        None if pending.len() >= MAX_ENTRY => Some(whole_characters(head)),
        None => None,
    }
}

/// The length of `bytes` without a character at its end that is cut in two.
fn whole_characters(bytes: &[u8]) -> usize {
    let start = bytes.iter().rposition(|byte| byte & 0xc0 != 0x80).unwrap_or_default();
    let cut = match std::str::from_utf8(bytes.get(start..).unwrap_or_default()) {
        Ok(_) => false,
        // No length means that it is not wrong but unfinished.
        Err(error) => error.error_len().is_none(),
    };
    if cut && start > 0 { start } else { bytes.len() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> (tempfile::TempDir, OwnedFd) {
        let place = tempfile::tempdir().unwrap();
        let fd = rustix::fs::open(place.path(), OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).unwrap();
        (place, fd)
    }

    fn logs(place: &tempfile::TempDir, file: &str) -> Vec<(String, String)> {
        let text = std::fs::read_to_string(place.path().join(file)).unwrap();
        let value = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap();
        text.lines()
            .map(value)
            .map(|line| {
                (
                    line["stream"].as_str().unwrap().to_owned(),
                    line["log"].as_str().unwrap().to_owned(),
                )
            })
            .collect()
    }

    #[test]
    fn an_entry_is_a_line_and_both_streams_keep_their_own() {
        let (place, fd) = folder();
        let mut log = Log::open(fd, LogLimits::default()).unwrap();
        log.append(Source::Output, b"one\ntw");
        log.append(Source::Error, b"bad \xff\x1b\n");
        log.append(Source::Output, b"o\nrest");
        log.finish();
        let expected = [
            ("stdout", "one\n"),
            ("stderr", "bad \u{fffd}\u{1b}\n"),
            ("stdout", "two\n"),
            ("stdout", "rest"),
        ];
        assert_eq!(
            logs(&place, "log.json"),
            expected.map(|(stream, text)| (stream.to_owned(), text.to_owned()))
        );
    }

    #[test]
    fn a_long_line_is_cut_between_characters() {
        let (place, fd) = folder();
        let mut log = Log::open(fd, LogLimits::default()).unwrap();
        let line = format!("x{}\n", "é".repeat(10_000));
        log.append(Source::Output, line.as_bytes());
        let entries = logs(&place, "log.json");
        assert_eq!(entries[0].1.len(), MAX_ENTRY - 1);
        assert_eq!(entries.iter().map(|(_, text)| text.as_str()).collect::<String>(), line);
    }

    #[test]
    fn a_full_file_is_kept_as_often_as_was_asked_for() {
        // Two lines of about 75 bytes, and no third.
        let limits = |max_files| LogLimits { max_size: 200, max_files };
        let (place, fd) = folder();
        let mut log = Log::open(fd, limits(3)).unwrap();
        for number in 1..=9 {
            assert!(log.append(Source::Output, format!("line {number}\n").as_bytes()));
        }
        let last = |file: &str| logs(&place, file).last().unwrap().1.clone();
        assert_eq!(
            [last("log.json"), last("log.json.1"), last("log.json.2")],
            ["line 9\n", "line 8\n", "line 6\n"]
        );
        assert!(!place.path().join("log.json.3").exists());
        let (place, fd) = folder();
        let mut log = Log::open(fd, limits(1)).unwrap();
        for text in ["first\n", "second\n", "third\n"] {
            assert!(log.append(Source::Output, text.as_bytes()));
        }
        assert_eq!(logs(&place, "log.json").len(), 1);
        assert!(!place.path().join("log.json.1").exists());
    }

    #[test]
    fn one_long_output_fills_several_files() {
        let (place, fd) = folder();
        let mut log = Log::open(
            fd,
            LogLimits {
                max_size: 150,
                max_files: 3,
            },
        )
        .unwrap();
        log.append(Source::Output, b"1\n2\n3\n4\n5\n6\n7\n8\n9\n");
        let count = |file: &str| logs(&place, file).len();
        assert_eq!([count("log.json"), count("log.json.1"), count("log.json.2")], [1, 2, 2]);
    }

    #[test]
    fn a_full_file_is_kept_once() {
        let (place, fd) = folder();
        let mut log = Log::open(
            fd,
            LogLimits {
                max_size: 150,
                max_files: 2,
            },
        )
        .unwrap();
        for text in ["first\n", "second\n", "third\n"] {
            assert!(log.append(Source::Output, text.as_bytes()));
        }
        assert_eq!(logs(&place, "log.json.1").last().unwrap().1, "second\n");
        assert_eq!(logs(&place, "log.json")[0].1, "third\n");
    }
}
