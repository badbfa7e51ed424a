//! Would compressing make a layer smaller? A few pieces of its files tell before the first byte is written. They depend on the content of the
//! layer alone, so that equal layers are stored equally.

use crate::compress::Encoder;
use crate::error::{Context, Result};
use crate::later::Later;
use crate::output::Form;
use crate::plan::{Directories, FileId, Item, Plan};
use berth_sys::file;
use rustix::fd::OwnedFd;
use std::collections::HashSet;

/// Below this many bytes a layer is compressed without a question: little is to be gained.
const WORTH: u64 = 16 << 20;
/// How many pieces are looked at, evenly spread over the bytes of all files.
const PIECES: u64 = 32;
const PIECE: usize = 64 << 10;
/// A layer that keeps this much of its size, in percent, is not worth compressing and inflating.
const KEEPS: usize = 97;

/// False when samples of the files of the layer do not shrink. Of files of `later`, whose content is still to come, the source is looked at.
pub(crate) fn shrinks(root: &OwnedFd, plan: &Plan, form: &Form, later: &Later) -> Result<bool> {
    let files = files(plan);
    let total: u64 = files.iter().map(|(_, item)| item.meta.size).sum();
    let Some(mut encoder) = Encoder::new(form.codec, form.level).filter(|_| total >= WORTH) else {
        return Ok(true);
    };
    let mut output = Vec::with_capacity(encoder.bound());
    let (mut plain, mut packed) = (0, 0);
    let mut directories = Directories::new(root)?;
    let mut wanted = (0..PIECES).map(|piece| total / PIECES * piece).peekable();
    let mut before = 0;
    let mut buffer = vec![0; PIECE];
    for (index, item) in files {
        let end = before + item.meta.size;
        let mut opened: Option<OwnedFd> = None;
        while let Some(at) = wanted.next_if(|at| *at < end) {
            let source = later.source((item.meta.device, item.meta.inode));
            if source.is_none() && opened.is_none() {
                opened = Some(file::open_read(&*directories.parent(plan, index)?, &item.name).step("openat", &item.name)?);
            }
            let Some(file) = source.or(opened.as_ref()) else { continue };
            let length = file::read_full_at(file, &mut buffer, at - before).step("pread", &item.name)?;
            if encoder.block(buffer.get(..length).unwrap_or_default(), &mut output).is_none() {
                return Ok(true);
            }
            plain += length;
            packed += output.len();
        }
        before = end;
    }
    Ok(packed * 100 < plain * KEEPS)
}

/// Files of the layer with content, each once, with their index in the plan.
fn files(plan: &Plan) -> Vec<(usize, &Item)> {
    let mut seen: HashSet<FileId> = HashSet::new();
    let is_first = |item: &Item, seen: &mut HashSet<FileId>| item.meta.links < 2 || seen.insert((item.meta.device, item.meta.inode));
    plan.items
        .iter()
        .enumerate()
        .filter(|(_, item)| item.keep && item.meta.is_file() && is_first(item, &mut seen))
        .collect()
}
