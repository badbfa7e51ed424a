//! `extract`: a tar that comes as data becomes files in a directory of the host. It runs as the user, never elevated by the engine.

use crate::channel::{Fill, Input};
use crate::cmd::layers::{failure, progress, warning};
use crate::context::Context;
use crate::fail::{cancelled, failed, failed_on};
use berth_layer::Report;
use berth_layer::extract::Extract;
use berth_wire::frame::Kind;
use berth_wire::{Code, Failure, Reply, reply, request};
use rustix::event::{PollFd, PollFlags};

pub(crate) fn run(context: &Context, args: request::Extract) -> Result<Reply, Failure> {
    let root = berth_sys::file::open_trusted_dir(args.host_path.as_bytes()).map_err(failed_on("open output", &args.host_path))?;
    let (progress, warning) = (progress(context), warning(context));
    let report = Report::new(&progress, &warning);
    let mut extract = Extract::new(root, &report);
    let mut input = context.input.borrow_mut();
    loop {
        while let Some(frame) = input.next()? {
            match frame.kind {
                Kind::Data => extract.take(&frame.payload).map_err(failure)?,
                Kind::End => {
                    let entries = extract.finish().map_err(failure)?;
                    return Ok(Reply::Extract(reply::Extract { entries }));
                }
                other => {
                    return Err(Failure::new(
                        Code::Request,
                        "read frame",
                        format!("this operation takes no {other:?} frame"),
                    ));
                }
            }
        }
        fill(&mut input)?;
    }
}

/// Waits for more. The end of fd 0 before the end frame means that the engine is gone; what is there then is a part.
fn fill(input: &mut Input) -> Result<(), Failure> {
    {
        let mut polled = [PollFd::new(&*input, PollFlags::IN)];
        rustix::io::retry_on_intr(|| rustix::event::poll(&mut polled, None)).map_err(failed("poll fd 0"))?;
    }
    match input.fill()? {
        Fill::More => Ok(()),
        Fill::Closed => Err(cancelled()),
    }
}
