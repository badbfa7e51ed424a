//! `copy`: files of the host or of other snapshots go into a new snapshot.

use crate::cmd::layers::{failure, owner, progress, seconds, warning};
use crate::context::Context;
use crate::fail::failed_on;
use berth_layer::copy::{self, Action, Source};
use berth_layer::{Report, snapshot};
use berth_wire::request::{self, CopyAction, CopySource};
use berth_wire::{Code, Failure, Reply, reply};

pub(crate) fn run(context: &Context, args: request::Copy) -> Result<Reply, Failure> {
    berth_sys::file::raise_file_limit();
    let mut list = context.input_list.as_slice();
    let mut actions = Vec::new();
    for wanted in &args.actions {
        actions.push(action(context, wanted, &mut list)?);
    }
    let (progress, warning) = (progress(context), warning(context));
    let report = Report::new(&progress, &warning);
    let copied = copy::copy(&context.snapshots()?, &args.name, &args.lowers, actions, &report).map_err(failure)?;
    Ok(Reply::Copy(reply::Copy {
        entries: copied.entries,
        bytes: copied.bytes,
    }))
}

fn action<'a>(context: &Context, wanted: &'a CopyAction, list: &mut &'a [u8]) -> Result<Action<'a>, Failure> {
    Ok(match wanted {
        CopyAction::Mkdir {
            path,
            mode,
            owner: to,
            created,
        } => Action::Mkdir {
            path,
            mode: permissions(*mode)?,
            owner: owner(*to),
            created: seconds(*created),
        },
        CopyAction::Write {
            path,
            content,
            mode,
            owner: to,
            created,
        } => Action::Write {
            path,
            content: content.as_bytes(),
            mode: permissions(*mode)?,
            owner: owner(*to),
            created: seconds(*created),
        },
        CopyAction::Copy {
            source: from,
            dest,
            dest_is_directory,
            owner: to,
            mode,
            created,
        } => Action::Copy(copy::Copy {
            source: source(context, from, list)?,
            dest,
            dest_is_directory: *dest_is_directory,
            owner: to.map(owner),
            mode: mode.map(permissions).transpose()?,
            created: seconds(*created),
        }),
    })
}

fn source<'a>(context: &Context, wanted: &'a CopySource, list: &mut &'a [u8]) -> Result<Source<'a>, Failure> {
    match wanted {
        CopySource::Context { host_path, list_bytes } => {
            let root = berth_sys::file::open_trusted_dir(host_path.as_bytes()).map_err(failed_on("open context", host_path))?;
            let cut = usize::try_from(*list_bytes).ok().and_then(|length| list.split_at_checked(length));
            let (own, rest) = cut.ok_or_else(|| Failure::new(Code::Request, "read list", "the list is shorter than announced"))?;
            *list = rest;
            Ok(Source::Context { root, list: own })
        }
        CopySource::Snapshots { snapshots, patterns } => {
            let stack = snapshot::stack(context.snapshots()?, snapshots).map_err(failure)?;
            Ok(Source::Snapshots { stack, patterns })
        }
    }
}

fn permissions(mode: u32) -> Result<u32, Failure> {
    if mode <= 0o7777 {
        return Ok(mode);
    }
    Err(Failure::new(Code::Request, "copy", format!("{mode:o} is no permission mode")))
}
