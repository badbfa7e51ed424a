//! `look`: what stands at some paths of the merged tree.

use crate::cmd::layers::failure;
use crate::context::Context;
use berth_layer::{look, snapshot};
use berth_wire::{Failure, Reply, reply, request};

pub(crate) fn run(context: &Context, args: request::Look) -> Result<Reply, Failure> {
    let stack = snapshot::stack(context.snapshots()?, &args.snapshots).map_err(failure)?;
    let mut room = look::MAX_NAMES;
    let found = args
        .paths
        .iter()
        .map(|path| look::look(&stack, path.as_bytes(), args.follow, args.list.then_some(&mut room)).map(|found| found.map(looked)))
        .collect::<Result<_, _>>()
        .map_err(failure)?;
    Ok(Reply::Look(reply::Look { found }))
}

fn looked(found: look::Found) -> reply::Looked {
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    reply::Looked {
        path: text(found.path),
        kind: match found.kind {
            look::Type::File => reply::LookedKind::File,
            look::Type::Directory => reply::LookedKind::Directory,
            look::Type::Link => reply::LookedKind::Link,
            look::Type::CharacterDevice => reply::LookedKind::CharacterDevice,
            look::Type::BlockDevice => reply::LookedKind::BlockDevice,
            look::Type::Fifo => reply::LookedKind::Fifo,
            look::Type::Socket => reply::LookedKind::Socket,
        },
        mode: found.mode,
        uid: found.uid,
        gid: found.gid,
        size: found.size,
        target: found.target.map(text),
        names: found.names.map(|names| names.into_iter().map(text).collect()),
    }
}
