//! `read-file`: a regular file of the merged tree, or its beginning.

use crate::cmd::layers::failure;
use crate::context::Context;
use crate::fail::failed_on;
use berth_layer::{snapshot, stack};
use berth_wire::{Code, Failure, Reply, request};

/// How much is sent at once.
const BUFFER: usize = 256 * 1024;

pub(crate) fn run(context: &Context, args: request::ReadFile) -> Result<Reply, Failure> {
    let stack = snapshot::stack(context.snapshots()?, &args.snapshots).map_err(failure)?;
    let prefix = args.prefix == Some(true);
    let limit = if prefix { u64::MAX } else { args.max_bytes };
    let (file, _) = stack::open_file(&stack, args.path.as_bytes(), limit).map_err(failure)?;
    let mut buffer = vec![0; BUFFER];
    let mut sent: u64 = 0;
    loop {
        let length = berth_sys::file::read_some(&file, &mut buffer).map_err(failed_on("read", &args.path))?;
        let Some(bytes) = buffer.get(..length).filter(|bytes| !bytes.is_empty()) else {
            break;
        };
        let before = sent;
        sent = sent.saturating_add(length as u64);
        if prefix && sent >= args.max_bytes {
            let left = usize::try_from(args.max_bytes.saturating_sub(before)).unwrap_or(usize::MAX);
            context.output.data(bytes.get(..left).unwrap_or(bytes))?;
            break;
        }
        if sent > args.max_bytes {
            let message = format!("the file grew over the limit of {} bytes while it was read", args.max_bytes);
            return Err(Failure::new(Code::Invalid, "read file", message).subject(crate::fail::escape(&args.path)));
        }
        context.output.data(bytes)?;
    }
    Ok(Reply::ReadFile)
}
