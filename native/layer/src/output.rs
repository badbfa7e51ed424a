//! Plain tar goes in; out come both digests and, when it is wanted, the blob: in one pass, on all cores, in a child with the identity of the
//! store's owner. Where nothing is compressed there is a thread instead, which hashes and writes: the bytes need not go through a pipe.
//!
//! In the child one thread reads and hashes the plain bytes, as many as there are processors compress, one hashes and writes the result in order. They pass
//! a fixed set of buffers round: nothing is allocated for a block, because musl's allocator is slow between threads.

use crate::codec::Codec;
use crate::compress::{BLOCK, Encoder};
use crate::digest::{Hasher, LENGTH};
use crate::error::{Error, Kind, Result};
use crate::stream::{self, Outcome};
use berth_sys::file;
use berth_sys::strict::{self, Child, End, Identity, Limits};
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;

/// The step of a failed write into the child or thread: its own reason is the better one.
pub(crate) const WRITE: &str = "write tar";
const WRITE_BLOB: &str = "write blob";
/// Pieces on their way to the thread that hashes and back.
const PIECES: usize = 2;

/// How the blob is made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Form {
    pub(crate) codec: Codec,
    pub(crate) level: u32,
    /// Compressing threads; `None` takes as many as there are processors.
    pub(crate) threads: Option<usize>,
}

/// Where plain tar goes: the child that compresses it, or the thread that hashes it and writes it as it is.
pub(crate) enum Output {
    Child(Packer),
    Thread(Summer),
}

/// The child at work.
pub(crate) struct Packer {
    plain: OwnedFd,
    result: OwnedFd,
    child: Child,
}

/// The thread at work; pieces go to it full and come back empty.
pub(crate) struct Summer {
    full: Sender<Vec<u8>>,
    empty: Receiver<Vec<u8>>,
    thread: JoinHandle<std::result::Result<Sum, Errno>>,
}

/// What came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Digests {
    pub(crate) plain: [u8; LENGTH],
    pub(crate) plain_size: u64,
    pub(crate) blob: [u8; LENGTH],
    pub(crate) blob_size: u64,
}

/// Begin; plain tar is to be given to [`Output::write`]. Without a target, which is the blob, its form and who compresses, only the digest of the
/// plain bytes is made.
pub(crate) fn start(target: Option<(&OwnedFd, Form, Option<Identity>)>) -> Result<Output> {
    match target {
        Some((blob, form, identity)) if form.codec != Codec::None => pack(blob, form, identity).map(Output::Child),
        target => sum(target.map(|(blob, ..)| blob)).map(Output::Thread),
    }
}

fn pack(blob: &OwnedFd, form: Form, identity: Option<Identity>) -> Result<Packer> {
    let (plain_end, plain) = stream::pipe(true)?;
    let (result, result_end) = stream::pipe(false)?;
    let limits = Limits { identity, filter: false };
    let child = strict::start(limits, &[plain_end.as_fd(), result_end.as_fd(), blob.as_fd()], |fds| match fds {
        [plain, result, blob] => u8::from(!stream::send(result, &compress(plain, blob, form))),
        _ => 1,
    })
    .map_err(|errno| Error::system("fork", errno))?;
    Ok(Packer { plain, result, child })
}

fn sum(blob: Option<&OwnedFd>) -> Result<Summer> {
    let blob = blob
        .map(OwnedFd::try_clone)
        .transpose()
        .map_err(|error| Error::new(Kind::System, "create blob", error.to_string()))?;
    let (full, filled) = channel::<Vec<u8>>();
    let (emptied, empty) = channel();
    for _ in 0..PIECES {
        // The receiver is held right here.
        let _ = emptied.send(Vec::new());
    }
    let hash = move || {
        let mut hasher = Hasher::default();
        while let Ok(mut piece) = filled.recv() {
            hasher.update(&piece);
            if let Some(blob) = &blob {
                file::write_all(blob, &piece)?;
            }
            piece.clear();
            // Whoever writes may be at its end.
            let _ = emptied.send(piece);
        }
        Ok(hasher.finish())
    };
    let thread = std::thread::Builder::new()
        .spawn(hash)
        .map_err(|error| Error::new(Kind::System, "start thread", error.to_string()))?;
    Ok(Summer { full, empty, thread })
}

impl Output {
    /// Take the bytes and leave the vector empty, with room for as many.
    pub(crate) fn write(&self, bytes: &mut Vec<u8>) -> Result<()> {
        match self {
            Self::Child(packer) => {
                file::write_all(&packer.plain, bytes).map_err(|errno| Error::system(WRITE, errno))?;
                bytes.clear();
                Ok(())
            }
            Self::Thread(summer) => {
                let mut next = summer.empty.recv().map_err(|_| Error::system(WRITE, Errno::PIPE))?;
                next.reserve(bytes.capacity());
                let full = std::mem::replace(bytes, next);
                summer.full.send(full).map_err(|_| Error::system(WRITE, Errno::PIPE))
            }
        }
    }

    /// Close the input and wait for the digests.
    pub(crate) fn finish(self) -> Result<Digests> {
        match self {
            Self::Child(packer) => packer.finish(),
            Self::Thread(summer) => {
                drop(summer.full);
                let failed = || Error::new(Kind::System, "hash layer", "the thread that hashes ended early");
                let (plain, plain_size) = summer
                    .thread
                    .join()
                    .map_err(|_| failed())?
                    .map_err(|errno| Error::system(WRITE_BLOB, errno))?;
                Ok(Digests {
                    plain,
                    plain_size,
                    blob: plain,
                    blob_size: plain_size,
                })
            }
        }
    }
}

impl Packer {
    fn finish(self) -> Result<Digests> {
        drop(self.plain);
        let outcome = stream::receive(&self.result)?;
        let end = self.child.wait().map_err(|errno| Error::system("waitpid", errno))?;
        match outcome {
            Some(Ok(bytes)) => parse(&bytes).ok_or_else(|| lost(end)),
            Some(Err(message)) => Err(failure(&message)),
            None => Err(lost(end)),
        }
    }
}

fn lost(end: End) -> Error {
    Error::new(
        Kind::System,
        "compress layer",
        format!("the process that compresses ended early: {end:?}"),
    )
}

/// The child tells the number of a failed write, so that "no space" stays that.
fn failure(message: &str) -> Error {
    match message.strip_prefix("errno ").and_then(|number| number.parse().ok()) {
        Some(number) => Error::system(WRITE_BLOB, Errno::from_raw_os_error(number)),
        None => Error::new(Kind::System, "compress layer", message),
    }
}

fn errno(errno: Errno) -> String {
    format!("errno {}", errno.raw_os_error())
}

fn parse(bytes: &[u8]) -> Option<Digests> {
    let (plain, rest) = bytes.split_at_checked(LENGTH)?;
    let (plain_size, rest) = rest.split_at_checked(8)?;
    let (blob, blob_size) = rest.split_at_checked(LENGTH)?;
    Some(Digests {
        plain: plain.try_into().ok()?,
        plain_size: u64::from_be_bytes(plain_size.try_into().ok()?),
        blob: blob.try_into().ok()?,
        blob_size: u64::from_be_bytes(blob_size.try_into().ok()?),
    })
}

fn compress(plain: &OwnedFd, blob: &OwnedFd, form: Form) -> Outcome {
    let (plain, blob) = compressed(plain, blob, form)?;
    Ok([plain.0.as_slice(), &plain.1.to_be_bytes(), &blob.0, &blob.1.to_be_bytes()].concat())
}

type Sum = ([u8; LENGTH], u64);

/// A block on its way round.
struct Slot {
    index: u64,
    input: Vec<u8>,
    length: usize,
    output: Vec<u8>,
}

fn compressed(plain: &OwnedFd, blob: &OwnedFd, form: Form) -> std::result::Result<(Sum, Sum), String> {
    let threads = form
        .threads
        .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from))
        .max(1);
    let mut encoders = Vec::new();
    for _ in 0..threads {
        encoders.push(Encoder::new(form.codec, form.level).ok_or("the codec cannot be started")?);
    }
    let bound = encoders.first_mut().map_or(0, Encoder::bound);
    let (free_in, free) = channel();
    for _ in 0..threads * 2 + 2 {
        let slot = Slot {
            index: 0,
            input: vec![0; BLOCK],
            length: 0,
            output: Vec::with_capacity(bound),
        };
        free_in.send(slot).map_err(|_| "a queue is closed")?;
    }
    let (todo_in, todo) = channel::<Slot>();
    let (done_in, done) = channel::<Option<Slot>>();
    let todo = Mutex::new(todo);
    std::thread::scope(|scope| {
        for encoder in encoders {
            let (todo, done_in) = (&todo, done_in.clone());
            scope.spawn(move || encode(encoder, todo, &done_in));
        }
        drop(done_in);
        let writer = scope.spawn(move || write(blob, &done, &free_in));
        let plain = read(plain, &free, todo_in);
        let blob = writer.join().map_err(|_| "the writing thread failed".to_owned())??;
        Ok((plain?, blob))
    })
}

/// Read and hash blocks. Ends early, and without a complaint of its own, when the writer has given up.
fn read(plain: &OwnedFd, free: &Receiver<Slot>, todo: Sender<Slot>) -> std::result::Result<Sum, String> {
    let mut hasher = Hasher::default();
    let mut index = 0;
    while let Ok(mut slot) = free.recv() {
        slot.length = file::read_full(plain, &mut slot.input).map_err(errno)?;
        let Some(bytes) = slot.input.get(..slot.length).filter(|bytes| !bytes.is_empty()) else {
            break;
        };
        hasher.update(bytes);
        slot.index = index;
        index += 1;
        if todo.send(slot).is_err() {
            break;
        }
    }
    drop(todo);
    Ok(hasher.finish())
}

fn encode(mut encoder: Encoder, todo: &Mutex<Receiver<Slot>>, done: &Sender<Option<Slot>>) {
    loop {
        let next = todo.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(mut slot) = next else { return };
        let input = slot.input.get(..slot.length).unwrap_or_default();
        let made = encoder.block(input, &mut slot.output);
        if done.send(made.map(|()| slot)).is_err() {
            return;
        }
    }
}

fn write(blob: &OwnedFd, done: &Receiver<Option<Slot>>, free: &Sender<Slot>) -> std::result::Result<Sum, String> {
    let mut hasher = Hasher::default();
    let mut waiting = BTreeMap::new();
    let mut next = 0;
    while let Ok(slot) = done.recv() {
        let slot = slot.ok_or("the codec failed")?;
        waiting.insert(slot.index, slot);
        while let Some(slot) = waiting.remove(&next) {
            hasher.update(&slot.output);
            file::write_all(blob, &slot.output).map_err(errno)?;
            next += 1;
            // The reader may be at its end.
            let _ = free.send(slot);
        }
    }
    Ok(hasher.finish())
}
