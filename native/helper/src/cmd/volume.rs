//! `volume`: volumes of this id map, below `volumes/<id map>`.

use crate::cmd::layers::{progress, warning};
use crate::cmd::remove::abandoned;
use crate::container::Folder;
use crate::context::{self, Context};
use crate::fail::{failed, failed_on, of_layer};
use crate::journal;
use berth_layer::volume::{self, DATA};
use berth_layer::{Report, remove_tree, snapshot, usage};
use berth_sys::{file, lock};
use berth_wire::oci::{Mount, Spec};
use berth_wire::reply::{VolumeState, Volumes};
use berth_wire::request::{Volume, VolumeAction};
use berth_wire::{Code, Failure, Reply};
use rustix::fd::{AsFd as _, OwnedFd};
use rustix::fs::{Mode, OFlags, RenameFlags};
use rustix::io::Errno;
use std::collections::HashSet;

/// What the engine wants to know of a volume.
const RECORD: &str = "volume.json";
/// The most text that it may give for keeping.
const MAX_RECORD: usize = 64 * 1024;
/// Start of the names of folders that are being made, by who holds the engine's lock of containers, or removed, by who holds a lock on the folder.
const PART: &str = ".part-";

pub(crate) fn run(context: &Context, args: &Volume) -> Result<Reply, Failure> {
    file::raise_file_limit();
    let volumes = folder(context)?;
    let mut done = Volumes {
        volumes: Vec::new(),
        warnings: Vec::new(),
    };
    match &args.action {
        VolumeAction::Create { name, record } => {
            collect(&volumes)?;
            done.volumes.push(create(context, &volumes, name, record)?);
        }
        VolumeAction::Fill { name, snapshots, path } => {
            fill(context, &volumes, (name, snapshots, path))?;
            done.volumes.push(look(context, &volumes, name, false)?);
        }
        VolumeAction::Remove { names } => {
            collect(&volumes)?;
            for name in names {
                volume::check_name(name).map_err(of_layer)?;
                match remove(&volumes, name) {
                    Ok(true) => journal(context, "destroy", name, &[]),
                    Ok(false) => {}
                    Err(failure) => done.warnings.push(format!("{name}: {failure}")),
                }
            }
        }
        VolumeAction::List { measure } => done.volumes = list(context, &volumes, *measure)?,
    }
    Ok(Reply::Volume(done))
}

/// Removes volumes that go with a container that is gone, but those that another one has mounted; what cannot be removed is a warning.
pub(crate) fn discard(context: &Context, names: &[&str]) {
    let Ok(volumes) = folder(context) else { return };
    let used = match in_use(context) {
        Ok(used) => used,
        Err(failure) => return context.status.warning(format!("volumes stay: {failure}")),
    };
    for name in names.iter().filter(|name| !used.contains(**name)) {
        let removed = volume::check_name(name).map_err(of_layer).and_then(|()| remove(&volumes, name));
        match removed {
            Ok(true) => journal(context, "destroy", name, &[]),
            Ok(false) => {}
            Err(failure) => context.status.warning(format!("volume {name} stays: {failure}")),
        }
    }
}

/// Names of the volumes that a container has mounted, whether it runs or not.
fn in_use(context: &Context) -> Result<HashSet<String>, Failure> {
    let mut used = HashSet::new();
    for id in Folder::all(context)? {
        let Ok(folder) = Folder::open(context, &id) else { continue };
        match folder.read::<Spec>("config.json") {
            Ok(spec) => used.extend(mounted(context, &spec).map(|(name, _)| name.to_owned())),
            // It went away, or was never whole.
            Err(failure) if failure.code == Code::NotFound || folder.is_torn("config.json") => {}
            Err(failure) => return Err(failure),
        }
    }
    Ok(used)
}

/// Volumes among the mounts of a container, by name.
fn mounted<'a>(context: &Context, spec: &'a Spec) -> impl Iterator<Item = (&'a str, &'a Mount)> {
    let place = format!("{}/", place(context));
    spec.mounts.iter().filter_map(move |mount| {
        let name = mount.source.as_deref()?.strip_prefix(&place)?.strip_suffix("/_data")?;
        (!name.contains('/')).then_some((name, mount))
    })
}

/// Where the volumes of this id map lie on the host.
fn place(context: &Context) -> String {
    format!("{}/volumes/{}", context.store_root, context::folder(&context.id_map))
}

/// Tells that a container has its volumes, or has let go of them.
pub(crate) fn journal_mounts(context: &Context, container: &str, spec: &Spec, action: &str) {
    for (name, mount) in mounted(context, spec) {
        let writable = !mount.options.iter().any(|option| option == "ro" || option == "rro");
        let more = [
            ("container", container),
            ("destination", mount.destination.as_str()),
            ("propagation", ""),
            ("read/write", if writable { "true" } else { "false" }),
        ];
        // The end of a mount is told without its place, as Docker does.
        journal(
            context,
            action,
            name,
            if action == "mount" {
                &more
            } else {
                more.get(..1).unwrap_or_default()
            },
        );
    }
}

fn journal(context: &Context, action: &str, name: &str, more: &[(&str, &str)]) {
    let attributes = [("driver", "local")].into_iter().chain(more.iter().copied());
    let attributes = attributes.map(|(key, value)| (key.to_owned(), value.to_owned()));
    journal::write(context, "volume", action, name, &attributes.collect());
}

/// The folder of this id map's volumes. Only its owner can enter it: volumes hold whatever a container left there.
fn folder(context: &Context) -> Result<OwnedFd, Failure> {
    let all = context.directory(context.store.as_fd(), "volumes", Some(context.owner))?;
    context.directory(all.as_fd(), &context::folder(&context.id_map), None)
}

fn create(context: &Context, volumes: &OwnedFd, name: &str, record: &str) -> Result<VolumeState, Failure> {
    volume::check_name(name).map_err(of_layer)?;
    if record.len() > MAX_RECORD {
        let message = format!("{} bytes are over the limit of {MAX_RECORD}", record.len());
        return Err(Failure::new(Code::Request, "make volume", message).subject(name));
    }
    file::clear_umask();
    match volume::open(volumes, name).map_err(of_layer) {
        Ok(folder) => {
            mend(&folder, record)?;
            return look(context, volumes, name, false);
        }
        Err(failure) if failure.code == Code::NotFound => {}
        Err(failure) => return Err(failure),
    }
    let part = format!("{PART}{}", file::random_name().map_err(failed("getrandom"))?);
    file::make_dir(volumes, part.as_bytes(), 0o701).map_err(failed_on("mkdir", name))?;
    let made = fill_folder(volumes, &part, record).and_then(|()| name_it(volumes, &part, name));
    if !matches!(made, Ok(true)) {
        remove_tree(volumes, part.as_bytes()).map_err(of_layer)?;
    }
    if made? {
        journal(context, "create", name, &[]);
    }
    look(context, volumes, name, false)
}

fn fill_folder(volumes: &OwnedFd, part: &str, record: &str) -> Result<(), Failure> {
    let folder = file::open_dir(volumes, part.as_bytes()).map_err(failed_on("open volume", part))?;
    file::make_dir(&folder, DATA, 0o755).map_err(failed("mkdir"))?;
    write_record(&folder, RECORD, record)
}

fn write_record(folder: &OwnedFd, name: &str, record: &str) -> Result<(), Failure> {
    let file = file::create_file(folder, name.as_bytes(), 0o600).map_err(failed_on("create", RECORD))?;
    file::write_all(&file, record.as_bytes()).map_err(failed_on("write", RECORD))?;
    rustix::fs::fsync(&file).map_err(failed_on("fsync", RECORD))
}

/// Makes a folder whole again that lost its record or its tree; what it has stays.
fn mend(folder: &OwnedFd, record: &str) -> Result<(), Failure> {
    match file::make_dir(folder, DATA, 0o755) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(error) => return Err(failed("mkdir")(error)),
    }
    if file::try_stat(folder, RECORD.as_bytes())
        .map_err(failed_on("stat", RECORD))?
        .is_some()
    {
        return Ok(());
    }
    let part = format!("{PART}{}", file::random_name().map_err(failed("getrandom"))?);
    write_record(folder, &part, record)?;
    rustix::fs::renameat(folder, part.as_str(), folder, RECORD).map_err(failed_on("rename", RECORD))
}

/// Takes away what was left by one that was killed. The caller holds the engine's lock of containers, as whoever makes a volume does.
fn collect(volumes: &OwnedFd) -> Result<(), Failure> {
    for name in file::names(volumes).map_err(failed_on("list", "volumes"))? {
        let Ok(name) = String::from_utf8(name) else { continue };
        if name.starts_with(PART) && abandoned(volumes.as_fd(), &name) {
            remove_tree(volumes, name.as_bytes()).map_err(of_layer)?;
        }
    }
    Ok(())
}

/// False when another command has made it first.
fn name_it(volumes: &OwnedFd, part: &str, name: &str) -> Result<bool, Failure> {
    let renamed = match rustix::fs::renameat_with(volumes, part, volumes, name, RenameFlags::NOREPLACE) {
        // A file system without RENAME_NOREPLACE: the folder in the way is never empty, and stops a plain rename.
        Err(Errno::INVAL | Errno::NOSYS) => rustix::fs::renameat(volumes, part, volumes, name),
        other => other,
    };
    match renamed {
        Ok(()) => rustix::fs::fsync(volumes).map_err(failed("fsync")).map(|()| true),
        Err(Errno::EXIST | Errno::NOTEMPTY) => Ok(false),
        Err(error) => Err(failed_on("rename", name)(error)),
    }
}

fn fill(context: &Context, volumes: &OwnedFd, (name, snapshots, path): (&str, &[String], &str)) -> Result<(), Failure> {
    let folder = volume::open(volumes, name).map_err(of_layer)?;
    let stack = snapshot::stack(context.snapshots()?, snapshots).map_err(of_layer)?;
    let (progress, warning) = (progress(context), warning(context));
    volume::fill(&folder, &stack, path, &Report::new(&progress, &warning)).map_err(of_layer)?;
    Ok(())
}

fn list(context: &Context, volumes: &OwnedFd, measure: bool) -> Result<Vec<VolumeState>, Failure> {
    let mut found = Vec::new();
    for name in file::names(volumes).map_err(failed_on("list", "volumes"))? {
        let Ok(name) = String::from_utf8(name) else { continue };
        // Those that are being made or removed have no such name.
        if volume::check_name(&name).is_ok() {
            match look(context, volumes, &name, measure) {
                Err(failure) if failure.code == Code::NotFound => {}
                other => found.push(other?),
            }
        }
    }
    Ok(found)
}

fn look(context: &Context, volumes: &OwnedFd, name: &str, measure: bool) -> Result<VolumeState, Failure> {
    let folder = volume::open(volumes, name).map_err(of_layer)?;
    let bytes = if measure {
        let data = file::open_dir(&folder, DATA).map_err(failed_on("open volume", name))?;
        Some(usage::measure_tree(data, name).map_err(of_layer)?.content)
    } else {
        None
    };
    Ok(VolumeState {
        name: name.to_owned(),
        record: record(&folder, name)?,
        data: format!("{}/{name}/_data", place(context)),
        bytes,
    })
}

fn record(folder: &OwnedFd, name: &str) -> Result<String, Failure> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = rustix::fs::openat(folder, RECORD, flags, Mode::empty()).map_err(failed_on("open volume", name))?;
    let mut text = vec![0; MAX_RECORD];
    let length = file::read_full(&file, &mut text).map_err(failed_on("read volume", name))?;
    text.truncate(length);
    String::from_utf8(text).map_err(|_| Failure::new(Code::Invalid, "read volume", "its record is no text").subject(name))
}

/// Takes the name away first, so that a volume is never seen half removed. False when there is none, or another command is removing it.
fn remove(volumes: &OwnedFd, name: &str) -> Result<bool, Failure> {
    // Held until it is gone: the end of a container removes without the engine's lock.
    let held = match file::open_dir(volumes, name.as_bytes()) {
        Err(Errno::NOENT) => return Ok(false),
        other => other.map_err(failed_on("open volume", name))?,
    };
    if !lock::try_lock(&held, true).map_err(failed_on("flock", name))? {
        return Ok(false);
    }
    let part = format!("{PART}{}", file::random_name().map_err(failed("getrandom"))?);
    match rustix::fs::renameat(volumes, name, volumes, &part) {
        Ok(()) => remove_tree(volumes, part.as_bytes()).map_err(of_layer).map(|_| true),
        Err(Errno::NOENT) => Ok(false),
        Err(error) => Err(failed_on("rename", name)(error)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by a panic")]
    use super::*;

    /// An empty folder for volumes.
    fn volumes(test: &str) -> (std::path::PathBuf, OwnedFd) {
        let path = std::env::temp_dir().join(format!("berth-volumes-{test}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir(&path).unwrap();
        let opened = std::fs::File::open(&path).unwrap().into();
        (path, opened)
    }

    #[test]
    fn what_lost_its_record_or_its_tree_is_a_volume_again_and_keeps_its_files() {
        let (path, volumes) = volumes("mend");
        std::fs::create_dir_all(path.join("v/_data")).unwrap();
        std::fs::write(path.join("v/_data/file"), "kept").unwrap();
        let folder = volume::open(&volumes, "v").unwrap();
        mend(&folder, "first").unwrap();
        std::fs::rename(path.join("v/_data"), path.join("elsewhere")).unwrap();
        mend(&folder, "second").unwrap();
        assert_eq!(record(&folder, "v").unwrap(), "first");
        assert!(path.join("v/_data").is_dir());
        assert_eq!(std::fs::read_to_string(path.join("elsewhere/file")).unwrap(), "kept");
        std::fs::remove_dir_all(&path).unwrap();
    }

    #[test]
    fn what_is_left_over_is_collected_and_what_another_removes_is_left_to_it() {
        let (path, volumes) = volumes("collect");
        for name in [".part-left", ".part-held", "v"] {
            std::fs::create_dir(path.join(name)).unwrap();
        }
        let held = file::open_dir(&volumes, b".part-held").unwrap();
        let busy = file::open_dir(&volumes, b"v").unwrap();
        assert!(lock::try_lock(&held, true).unwrap() && lock::try_lock(&busy, true).unwrap());
        collect(&volumes).unwrap();
        assert!(!remove(&volumes, "v").unwrap() && path.join("v").exists());
        assert!(!path.join(".part-left").exists() && path.join(".part-held").exists());
        drop(busy);
        assert!(remove(&volumes, "v").unwrap() && !remove(&volumes, "v").unwrap());
        std::fs::remove_dir_all(&path).unwrap();
    }
}
