//! `read-file`: a regular file of the merged tree, or its beginning; `read-files`: several.

use crate::cmd::layers::failure;
use crate::context::Context;
use crate::fail::failed_on;
use berth_layer::{Stack, snapshot, stack};
use berth_wire::reply::ReadFiles;
use berth_wire::{Code, Failure, Reply, request};

/// How much is sent at once.
const BUFFER: usize = 256 * 1024;

pub(crate) fn run(context: &Context, args: &request::ReadFile) -> Result<Reply, Failure> {
    let stack = snapshot::stack(context.snapshots()?, &args.snapshots).map_err(failure)?;
    send(context, &stack, &args.path, args.max_bytes, args.prefix == Some(true))?;
    Ok(Reply::ReadFile)
}

pub(crate) fn all(context: &Context, args: &request::ReadFiles) -> Result<Reply, Failure> {
    let stack = snapshot::stack(context.snapshots()?, &args.snapshots).map_err(failure)?;
    let size = |path: &String| match send(context, &stack, path, args.max_bytes, false) {
        Ok(size) => Ok(Some(size)),
        Err(failure) if failure.code == Code::NotFound => Ok(None),
        Err(failure) => Err(failure.subject(crate::fail::escape(path))),
    };
    let sizes = args.paths.iter().map(size).collect::<Result<_, _>>()?;
    Ok(Reply::ReadFiles(ReadFiles { sizes }))
}

/// Sends the file's content, or with `prefix` the first `max_bytes` of it, and says how many bytes that were.
fn send(context: &Context, stack: &Stack, path: &str, max_bytes: u64, prefix: bool) -> Result<u64, Failure> {
    let limit = if prefix { u64::MAX } else { max_bytes };
    let (file, _) = stack::open_file(stack, path.as_bytes(), limit).map_err(failure)?;
    let mut buffer = vec![0; BUFFER];
    let mut sent: u64 = 0;
    loop {
        let length = berth_sys::file::read_some(&file, &mut buffer).map_err(failed_on("read", path))?;
        let Some(bytes) = buffer.get(..length).filter(|bytes| !bytes.is_empty()) else {
            return Ok(sent);
        };
        let before = sent;
        sent = sent.saturating_add(length as u64);
        if prefix && sent >= max_bytes {
            let left = usize::try_from(max_bytes.saturating_sub(before)).unwrap_or(usize::MAX);
            context.output.data(bytes.get(..left).unwrap_or(bytes))?;
            return Ok(max_bytes);
        }
        if sent > max_bytes {
            let message = format!("the file grew over the limit of {max_bytes} bytes while it was read");
            return Err(Failure::new(Code::Invalid, "read file", message).subject(crate::fail::escape(path)));
        }
        context.output.data(bytes)?;
    }
}
