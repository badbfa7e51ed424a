//! `copy`: files of the host or of other snapshots go into a new snapshot; `copy-layer`: which becomes a layer at once.

use crate::cmd::diff;
use crate::cmd::layers::{codec, failure, identity, owner, progress, seconds, warning};
use crate::context::Context;
use crate::fail::failed_on;
use berth_layer::copy::{self, Action, Selection, Source};
use berth_layer::diff::Blob;
use berth_layer::{Report, snapshot};
use berth_wire::request::{self, CopyAction, CopySource, ModeChange, ModeClass};
use berth_wire::{Code, Failure, Reply, reply};
use rustix::fd::AsFd;

pub(crate) fn run(context: &Context, args: request::Copy) -> Result<Reply, Failure> {
    berth_sys::file::raise_file_limit();
    let actions = actions(context, &args.actions)?;
    let (progress, warning) = (progress(context), warning(context));
    let report = Report::new(&progress, &warning);
    let copied = copy::copy(&context.snapshots()?, &args.name, &args.lowers, actions, identity(context), &report).map_err(failure)?;
    Ok(Reply::Copy(reply::Copy {
        entries: copied.entries,
        bytes: copied.bytes,
    }))
}

/// `copy-layer`: the layer is made in the same pass.
pub(crate) fn layer(context: &Context, args: request::CopyLayer) -> Result<Reply, Failure> {
    berth_sys::file::raise_file_limit();
    let actions = actions(context, &args.actions)?;
    let secrets = context.secrets.borrow();
    let forbidden = diff::forbidden(&secrets, args.forbidden.as_deref())?;
    let (progress, warning) = (progress(context), warning(context));
    let report = Report::new(&progress, &warning);
    let identity = identity(context);
    let blob = args.blob.as_ref().map(|wanted| Blob {
        output: &wanted.output,
        store: context.store.as_fd(),
        codec: codec(wanted.codec),
        level: wanted.level,
        may_be_plain: wanted.may_be_plain,
        identity,
        owner: identity,
        threads: None,
    });
    let snapshots = context.snapshots()?;
    let made = copy::layer(&snapshots, &args.lowers, actions, &forbidden, blob.as_ref(), identity, &report).map_err(failure)?;
    context.output.data(&made.contents)?;
    Ok(Reply::CopyLayer(diff::reply(made.layer)))
}

fn actions<'a>(context: &'a Context, wanted: &'a [CopyAction]) -> Result<Vec<Action<'a>>, Failure> {
    let mut list = context.input_list.as_slice();
    wanted.iter().map(|wanted| action(context, wanted, &mut list)).collect()
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
            owner: to.map(owner),
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
            mode_changes,
            created,
        } => Action::Copy(copy::Copy {
            source: source(context, from, list)?,
            dest,
            dest_is_directory: *dest_is_directory,
            owner: to.map(owner),
            mode: mode.map(permissions).transpose()?,
            changes: mode_changes.iter().map(change).collect::<Result<_, _>>()?,
            created: seconds(*created),
        }),
    })
}

fn source<'a>(context: &Context, wanted: &'a CopySource, list: &mut &'a [u8]) -> Result<Source<'a>, Failure> {
    match wanted {
        CopySource::Context { host_path, list_bytes } => {
            let root = berth_sys::file::open_trusted_dir(host_path.as_bytes()).map_err(failed_on("open context", host_path))?;
            Ok(Source::Context {
                root,
                list: cut(list, *list_bytes)?,
            })
        }
        CopySource::Snapshots {
            snapshots,
            patterns,
            filter,
        } => {
            let stack = snapshot::stack(context.snapshots()?, snapshots).map_err(failure)?;
            let selection = Selection {
                patterns,
                include: &filter.include,
                exclude: &filter.exclude,
            };
            Ok(Source::Snapshots { stack, selection })
        }
        CopySource::Inline { name, mode, content_bytes } => Ok(Source::Inline {
            name,
            mode: permissions(*mode)?,
            content: cut(list, *content_bytes)?,
        }),
    }
}

/// Takes the announced number of bytes from what was sent.
fn cut<'a>(list: &mut &'a [u8], bytes: u64) -> Result<&'a [u8], Failure> {
    let parts = usize::try_from(bytes).ok().and_then(|length| list.split_at_checked(length));
    let (own, rest) = parts.ok_or_else(|| Failure::new(Code::Request, "read list", "the list is shorter than announced"))?;
    *list = rest;
    Ok(own)
}

fn change(wanted: &ModeChange) -> Result<copy::ModeChange, Failure> {
    let copied = wanted.copy.map(|copied| {
        Ok(copy::ModeCopy {
            shift: match copied.from {
                ModeClass::User => 6,
                ModeClass::Group => 3,
                ModeClass::Other => 0,
            },
            to: permissions(copied.to)?,
            remove: copied.remove,
        })
    });
    Ok(copy::ModeChange {
        clear: permissions(wanted.clear)?,
        set: permissions(wanted.set)?,
        set_if_executable: permissions(wanted.set_if_executable)?,
        copy: copied.transpose()?,
    })
}

fn permissions(mode: u32) -> Result<u32, Failure> {
    if mode <= 0o7777 {
        return Ok(mode);
    }
    Err(Failure::new(Code::Request, "copy", format!("{mode:o} is no permission mode")))
}
