//! What a RUN gets beside its root file system: cache folders, parts of other snapshots, secrets, sockets. The parent's part.

use crate::cmd::layers::owner;
use crate::container::Folder;
use crate::context::{self, Context};
use crate::fail::{escape, failed_on, of_layer};
use berth_jail::plan::{Lent, Origin};
use berth_layer::snapshot::{self, Part};
use berth_sys::file;
use berth_wire::request::{BuildMount, BuildSource, Owner, Start};
use berth_wire::{Code, Failure};
use rustix::fd::{AsFd as _, BorrowedFd};
use rustix::fs::{OFlags, RenameFlags};
use rustix::io::Errno;
use std::ffi::CString;

/// Folders of a container in which something is mounted on its way to its place.
const SPOTS: &str = "mounts";
/// The second of two empty lower folders.
const EMPTY: &str = "empty-too";

/// Refuses what only a RUN may have.
pub(crate) fn check(args: &Start) -> Result<(), Failure> {
    let lent = args.mounts.as_ref().is_some_and(|mounts| !mounts.is_empty()) || args.secret_env.as_ref().is_some_and(|env| !env.is_empty());
    if lent && (args.detach || args.keep) {
        return Err(refused("mounts", "only a process that is attached and not kept is lent anything"));
    }
    for BuildMount { destination, source, .. } in args.mounts.iter().flatten() {
        if !destination.starts_with('/') || destination.contains('\0') {
            return Err(refused("mounts.destination", "it is not an absolute path"));
        }
        let mode = match source {
            BuildSource::Secret { mode, .. } | BuildSource::Socket { mode, .. } | BuildSource::File { mode, .. } => Some(*mode),
            BuildSource::Cache { mode, .. } => *mode,
            BuildSource::Snapshots { .. } | BuildSource::Tmpfs { .. } => None,
        };
        if mode.is_some_and(|mode| mode > 0o7777) {
            return Err(refused("mounts.mode", "it is no permission mode"));
        }
    }
    Ok(())
}

/// Ids of the secrets that a request will be followed by.
pub(crate) fn secrets(args: &Start) -> Vec<String> {
    let of_mounts = args.mounts.iter().flatten().filter_map(|mount| match &mount.source {
        BuildSource::Secret { id, .. } => Some(id.clone()),
        _ => None,
    });
    let of_env = args.secret_env.iter().flatten().map(|variable| variable.secret.clone());
    let mut ids: Vec<String> = of_mounts.chain(of_env).collect();
    ids.sort();
    ids.dedup();
    ids
}

/// Makes what is missing, and says what the child is to mount.
pub(crate) fn mounts(context: &Context, args: &Start, folder: &Folder, first_file: usize) -> Result<Vec<Lent>, Failure> {
    let Some(mounts) = args.mounts.as_ref().filter(|mounts| !mounts.is_empty()) else {
        return Ok(Vec::new());
    };
    let spots = context.directory(folder.fd.as_fd(), SPOTS, None)?;
    context.directory(folder.fd.as_fd(), EMPTY, None)?;
    let mut lent = Vec::new();
    for (number, mount) in mounts.iter().enumerate() {
        context.directory(spots.as_fd(), &number.to_string(), None)?;
        lent.push(Lent {
            destination: mount.destination.clone(),
            readonly: mount.readonly,
            origin: origin(context, &mount.source, folder, first_file.saturating_add(number))?,
        });
    }
    Ok(lent)
}

fn origin(context: &Context, source: &BuildSource, folder: &Folder, number: usize) -> Result<Origin, Failure> {
    Ok(match source {
        BuildSource::Snapshots { snapshots, upper, path } => {
            for name in snapshots.iter().chain(upper) {
                snapshot::check_name(name).map_err(of_layer)?;
            }
            Origin::Tree {
                lowers: snapshot::distinct(snapshots),
                upper: upper.clone(),
                path: path.clone(),
            }
        }
        BuildSource::Cache {
            name,
            path,
            initial,
            mode,
            owner,
        } => {
            cache(context, name, initial.as_deref(), (*mode, *owner))?;
            Origin::Folder {
                folder: format!("{}/{}/{name}/fs", context::CACHE_MOUNTS, context::folder(&context.id_map)),
                path: path.clone(),
            }
        }
        BuildSource::Tmpfs { size } => Origin::Tmpfs { size: *size },
        BuildSource::Secret { id, mode, owner: to } => Origin::Secret {
            value: context.secrets.borrow().get(id)?.to_vec(),
            mode: *mode,
            owner: owner(*to),
        },
        BuildSource::Socket { name, mode, owner: to } => {
            socket(context, name, *mode, owner(*to))?;
            Origin::File {
                path: format!("run/{name}"),
            }
        }
        BuildSource::File { content, mode } => {
            let name = folder.bound_file(number, content, *mode)?;
            Origin::File {
                path: format!("containers/{}/files/{name}", folder.id),
            }
        }
    })
}

/// A folder of a cache mount, made where it is missing: it gets its name when it is whole.
fn cache(context: &Context, name: &str, initial: Option<&str>, (mode, owner): (Option<u32>, Option<Owner>)) -> Result<(), Failure> {
    let all = context.cache_mounts()?;
    snapshot::check_name(name).map_err(of_layer)?;
    if snapshot::exists(all, name).map_err(of_layer)? {
        return Ok(());
    }
    let Some(initial) = initial else {
        let part = Part::create(&all).map_err(of_layer)?;
        own(part.fs().as_fd(), mode, owner).map_err(failed_on("make cache mount", name))?;
        // Another process may have made it meanwhile: then that one is used.
        return part.commit(name, false).map(drop).map_err(of_layer);
    };
    let snapshots = context.snapshots()?;
    let tree = snapshot::open(snapshots, initial).map_err(of_layer)?;
    own(tree.as_fd(), mode, owner).map_err(failed_on("make cache mount", name))?;
    match rustix::fs::renameat_with(snapshots, initial, all, name, RenameFlags::NOREPLACE) {
        Ok(()) | Err(Errno::EXIST | Errno::NOTEMPTY) => Ok(()),
        Err(error) => Err(failed_on("make cache mount", name)(error)),
    }
}

fn own(tree: BorrowedFd<'_>, mode: Option<u32>, owner: Option<Owner>) -> Result<(), Errno> {
    if let Some(Owner { uid, gid }) = owner {
        file::chown_fd(tree, uid, gid)?;
    }
    mode.map_or(Ok(()), |mode| file::chmod_fd(tree, mode))
}

/// Gives the socket to the user of the process. Only its owner can reach it on this machine, whatever its mode: `run/` is closed to others.
fn socket(context: &Context, name: &str, mode: u32, (uid, gid): (u32, u32)) -> Result<(), Failure> {
    if !file::is_component(name.as_bytes()) {
        return Err(refused("mounts.source", "the name of a socket is no path"));
    }
    let run =
        berth_sys::path::open_beneath(&context.store, b"run", OFlags::RDONLY | OFlags::DIRECTORY).map_err(failed_on("open", "run"))?;
    let meta = file::stat(&run, name.as_bytes()).map_err(failed_on("stat socket", name))?;
    if meta.kind != rustix::fs::FileType::Socket {
        return Err(refused("mounts.source", "it is no socket"));
    }
    file::chown(&run, name.as_bytes(), uid, gid)
        .and_then(|()| file::chmod(&run, name.as_bytes(), mode))
        .map_err(failed_on("give socket", name))
}

/// The variables of the process that are secrets.
pub(crate) fn variables(context: &Context, args: &Start) -> Result<Vec<CString>, Failure> {
    let secrets = context.secrets.borrow();
    let one = |name: &str, value: &[u8]| CString::new([name.as_bytes(), b"=", value].concat()).ok();
    let variables = args.secret_env.iter().flatten().map(|variable| {
        let value = secrets.get(&variable.secret)?;
        let named = !variable.name.is_empty() && !variable.name.contains('=');
        one(&variable.name, value).filter(|_| named).ok_or_else(|| {
            refused("secretEnv", "a variable has a name without '=', and a value without NUL").subject(escape(&variable.name))
        })
    });
    variables.collect()
}

fn refused(field: &str, message: &str) -> Failure {
    Failure::new(Code::Request, "read request", message).subject(field)
}
