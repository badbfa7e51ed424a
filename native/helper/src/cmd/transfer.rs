//! `copy-out` and `copy-in`: copies out of and into a container, or this machine.

use crate::cmd::layers::{progress, warning};
use crate::container::{Folder, tree};
use crate::context::Context;
use crate::fail::{cancelled, of_layer};
use crate::journal;
use berth_layer::Report;
use berth_layer::copy_in::{self, Ground, Rules};
use berth_layer::copy_out::{self, Sink};
use berth_wire::frame::Kind;
use berth_wire::request::{CopyIn, CopyOut, Tree};
use berth_wire::{Code, Failure, Operation, Reply, reply};

/// The tree that an operation copies from or into.
pub(crate) fn tree_of(operation: &Operation) -> Option<&Tree> {
    match operation {
        Operation::CopyOut(args) => Some(&args.tree),
        Operation::CopyIn(args) => Some(&args.tree),
        _ => None,
    }
}

pub(crate) fn copy_out(context: &Context, args: &CopyOut) -> Result<Reply, Failure> {
    berth_sys::file::raise_file_limit();
    check(&args.path)?;
    let view = tree::open(context, &args.tree)?;
    let (progress, warning) = (progress(context), warning(context));
    let packed = copy_out::pack(
        &view.root,
        &args.path,
        args.follow,
        &mut Engine(context),
        &Report::new(&progress, &warning),
    );
    view.close();
    let packed = packed.map_err(of_layer)?;
    tell(context, &args.tree, "archive-path");
    Ok(Reply::CopyOut(reply::Copy {
        entries: packed.entries,
        bytes: packed.bytes,
    }))
}

pub(crate) fn copy_in(context: &Context, args: &CopyIn) -> Result<Reply, Failure> {
    berth_sys::file::raise_file_limit();
    check(&args.path)?;
    let view = tree::open(context, &args.tree)?;
    let unpacked = receive(context, args, &view.root);
    view.close();
    let unpacked = unpacked?;
    tell(context, &args.tree, "extract-to-dir");
    Ok(Reply::CopyIn(reply::Copy {
        entries: unpacked.entries,
        bytes: unpacked.bytes,
    }))
}

/// Writes into the journal what was done to a container, in Docker's words.
fn tell(context: &Context, tree: &Tree, action: &str) {
    if let Tree::Container { container } = tree
        && let Ok(folder) = Folder::open(context, container)
    {
        journal::of_container(context, &folder, action, &[]);
    }
}

fn receive(context: &Context, args: &CopyIn, root: &rustix::fd::OwnedFd) -> Result<copy_in::Unpacked, Failure> {
    let (progress, warning) = (progress(context), warning(context));
    let report = Report::new(&progress, &warning);
    let rules = Rules {
        dest: &args.path,
        ground: match args.tree {
            Tree::Host => Ground::Host,
            Tree::Container { .. } => Ground::Container,
        },
        keep_owner: args.keep_owner,
        into: args.into,
    };
    let mut unpack = copy_in::CopyIn::new(root, rules, &report);
    let mut input = context.input.borrow_mut();
    loop {
        let frame = input.wait_frame()?;
        match frame.kind {
            Kind::Data => unpack.feed(&frame.payload).map_err(of_layer)?,
            Kind::End => return unpack.finish().map_err(of_layer),
            other => {
                return Err(Failure::new(
                    Code::Request,
                    "read frame",
                    format!("a copy takes no {other:?} frame"),
                ));
            }
        }
    }
}

fn check(path: &str) -> Result<(), Failure> {
    if path.starts_with('/') && !path.contains('\0') {
        return Ok(());
    }
    Err(Failure::new(Code::Request, "copy", "the path is not absolute").subject(crate::fail::escape(path)))
}

/// The tar goes to the engine.
struct Engine<'a>(&'a Context);

impl Sink for Engine<'_> {
    fn send(&mut self, bytes: &[u8]) -> berth_layer::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.0
            .output
            .data(bytes)
            .map_err(|_| berth_layer::Error::new(berth_layer::Kind::System, "write tar", cancelled().message))
    }
}
