//! Device nodes and links of `/dev`.

use crate::fail::{attack, failed_on, refused};
use crate::mounts;
use crate::plan::Jail;
use crate::report::Reporter;
use crate::target;
use berth_sys::mount::{self, Attributes};
use berth_wire::Failure;
use berth_wire::oci::{Device, Mount};
use rustix::fd::{AsFd as _, OwnedFd};
use rustix::fs::{AtFlags, CWD, Dev, FileType, Gid, Mode, OFlags, Uid};
use rustix::io::Errno;

/// Character devices that every container has: name, major, minor.
const DEFAULT: [(&str, u32, u32); 6] = [
    ("null", 1, 3),
    ("zero", 1, 5),
    ("full", 1, 7),
    ("random", 1, 8),
    ("urandom", 1, 9),
    ("tty", 5, 0),
];
/// Links that every container has.
const LINKS: [(&str, &str); 6] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("core", "/proc/kcore"),
    ("ptmx", "pts/ptmx"),
];

/// What is mounted with nodes of the container's own, and as what: devices, and terminals. The console is no mount of the configuration.
const OPEN: [(&str, Option<&str>); 3] = [("/dev", Some("tmpfs")), ("/dev/pts", Some("devpts")), ("/dev/console", None)];

/// Fills `/dev`, when the configuration mounts one of its own there.
pub(crate) fn make(jail: &Jail<'_>, root: &OwnedFd, reporter: &Reporter) -> Result<(), Failure> {
    if !has_own(jail) && !has_none(jail) {
        return if jail.spec.linux.devices.is_empty() || jail.is_bundle() {
            Ok(())
        } else {
            Err(refused("linux.devices", "there is no tmpfs on /dev to make them in"))
        };
    }
    if has_none(jail) {
        target::ensure(root, "/dev", true, reporter)?;
    }
    let dev = berth_sys::path::open_in_root(root, b"/dev", OFlags::RDONLY | OFlags::DIRECTORY).map_err(failed_on("open", "/dev"))?;
    for (name, major, minor) in DEFAULT {
        let device = Device {
            path: format!("/dev/{name}"),
            kind: "c".into(),
            major,
            minor,
            file_mode: Some(0o666),
            uid: None,
            gid: None,
        };
        node(jail, root, &dev, &device, reporter)?;
    }
    for device in &jail.spec.linux.devices {
        node(jail, root, &dev, device, reporter)?;
    }
    for (name, target) in LINKS {
        match rustix::fs::symlinkat(target, &dev, name) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(failed_on("symlink", name)(error)),
        }
    }
    Ok(())
}

/// Whether `/dev` is a file system of the container.
fn has_own(jail: &Jail<'_>) -> bool {
    let mut mounts = jail.spec.mounts.iter();
    mounts.any(|mount| mount.destination.trim_end_matches('/') == "/dev" && mount.kind.as_deref() == Some("tmpfs"))
}

/// Whether a bundle leaves `/dev` as its root has it: the nodes are made there then.
fn has_none(jail: &Jail<'_>) -> bool {
    jail.is_bundle() && !jail.spec.mounts.iter().any(|mount| folded(&mount.destination) == "/dev")
}

fn node(jail: &Jail<'_>, root: &OwnedFd, dev: &OwnedFd, device: &Device, reporter: &Reporter) -> Result<(), Failure> {
    let Some(name) = device
        .path
        .strip_prefix("/dev/")
        .filter(|name| !name.is_empty() && name.split('/').all(|part| !matches!(part, "" | "." | "..")))
    else {
        return Err(refused("linux.devices.path", format!("{:?} is not below /dev", device.path)));
    };
    if jail.confinement.user_namespace {
        return bind(root, device, reporter);
    }
    let kind = match device.kind.as_str() {
        "c" | "u" => FileType::CharacterDevice,
        "b" => FileType::BlockDevice,
        "p" => FileType::Fifo,
        other => return Err(refused("linux.devices.type", format!("{other:?} is no kind of device"))),
    };
    // A link of the image would lead out to this machine, which is still around: its folders are looked for in the container's root.
    let (folder, name) = match device.path.rsplit_once('/') {
        Some((path, last)) if last != name => (Some(target::ensure(root, path, true, reporter)?.fd), last),
        _ => (None, name),
    };
    let dev = folder.as_ref().unwrap_or(dev);
    let mode = Mode::from_raw_mode(device.file_mode.unwrap_or(0o666) & 0o7777);
    match rustix::fs::mknodat(dev, name, kind, mode, rustix::fs::makedev(device.major, device.minor)) {
        // Asked for once more, or in place of one that every container has.
        Err(Errno::EXIST) => replace(dev, name, kind, mode, device)?,
        other => other.map_err(failed_on("mknod", &device.path))?,
    }
    let owner = (Uid::from_raw(device.uid.unwrap_or(0)), Gid::from_raw(device.gid.unwrap_or(0)));
    rustix::fs::chownat(dev, name, Some(owner.0), Some(owner.1), AtFlags::SYMLINK_NOFOLLOW).map_err(failed_on("chown", &device.path))
}

fn replace(dev: &OwnedFd, name: &str, kind: FileType, mode: Mode, device: &Device) -> Result<(), Failure> {
    rustix::fs::unlinkat(dev, name, AtFlags::empty())
        .and_then(|()| rustix::fs::mknodat(dev, name, kind, mode, rustix::fs::makedev(device.major, device.minor)))
        .map_err(failed_on("mknod", &device.path))
}

/// In a user namespace the kernel refuses mknod: the host's node is bound, when it is the device that its name says.
fn bind(root: &OwnedFd, device: &Device, reporter: &Reporter) -> Result<(), Failure> {
    let kind = if device.kind == "b" {
        FileType::BlockDevice
    } else {
        FileType::CharacterDevice
    };
    let source = verified(&device.path, kind, rustix::fs::makedev(device.major, device.minor))?;
    let tree = mounts::clone_tree(source.as_fd(), "", false).map_err(failed_on("open_tree", &device.path))?;
    mounts::place(root, &device.path, &tree, false, reporter)
}

/// Lets the kernel open devices in the container's own `/dev` alone: not by nodes of the image, nor by those of folders that are bound in.
pub(crate) fn keep_to_dev(jail: &Jail<'_>, root: &OwnedFd) -> Result<(), Failure> {
    let closed = Attributes {
        set: mount::NODEV,
        ..Attributes::default()
    };
    mount::set_attributes(root, closed, true).map_err(failed_on("mount_setattr", "/"))?;
    for (path, _) in OPEN
        .iter()
        .filter(|(path, kind)| has_own(jail) && is_own(&jail.spec.mounts, path, *kind))
    {
        let open = Attributes {
            clear: mount::NODEV,
            ..Attributes::default()
        };
        match berth_sys::path::open_in_root(root, path.as_bytes(), OFlags::PATH)
            .and_then(|place| mount::set_attributes(&place, open, false))
        {
            // It is not there, or nothing is mounted on it.
            Ok(()) | Err(Errno::NOENT | Errno::INVAL) => {}
            Err(error) => return Err(failed_on("mount_setattr", path)(error)),
        }
    }
    Ok(())
}

/// Whether what lies on `path` in the end is what this helper makes there: a folder of the host that is bound there brings nodes of its own.
fn is_own(mounts: &[Mount], path: &str, kind: Option<&str>) -> bool {
    let last = mounts.iter().rfind(|mount| folded(&mount.destination) == path);
    last.map(|mount| mount.kind.as_deref().unwrap_or_default()) == kind && last.is_none_or(|mount| !is_bind(mount))
}

fn is_bind(mount: &Mount) -> bool {
    mount.options.iter().any(|option| option == "bind" || option == "rbind")
}

/// A path by one spelling.
fn folded(path: &str) -> String {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// The host's `/dev/null`, checked to be that device.
pub(crate) fn host_null() -> Result<OwnedFd, Failure> {
    verified("/dev/null", FileType::CharacterDevice, rustix::fs::makedev(1, 3))
}

fn verified(path: &str, kind: FileType, device: Dev) -> Result<OwnedFd, Failure> {
    let fd = rustix::fs::openat(CWD, path, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
        .map_err(|error| failed_on("open", path)(error).hint("Containers get devices of this machine, whose /dev lacks this one"))?;
    let stat = rustix::fs::fstat(&fd).map_err(failed_on("stat", path))?;
    if FileType::from_raw_mode(stat.st_mode) != kind || stat.st_rdev != device {
        return Err(attack("open device", path, "it is not the device that its name says"));
    }
    Ok(fd)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mount(destination: &str, kind: Option<&str>, option: &str) -> Mount {
        Mount {
            destination: destination.to_owned(),
            kind: kind.map(str::to_owned),
            source: None,
            options: vec![option.to_owned()],
        }
    }

    #[test]
    fn what_the_host_has_bound_on_dev_is_not_the_containers_own() {
        let own = [mount("/dev", Some("tmpfs"), "nosuid"), mount("/dev/pts", Some("devpts"), "noexec")];
        assert!(OPEN.iter().all(|(path, kind)| is_own(&own, path, *kind)));
        for (path, kind, bound) in [
            ("/dev/pts", Some("devpts"), mount("/dev//pts/", Some("bind"), "rbind")),
            ("/dev/pts", Some("devpts"), mount("/dev/shm/../pts", Some("devpts"), "bind")),
            ("/dev/console", None, mount("/dev/console", Some("bind"), "rbind")),
            ("/dev/console", None, mount("/dev/console", None, "bind")),
            ("/dev", Some("tmpfs"), mount("/dev/.", None, "bind")),
        ] {
            let mounts = [own.to_vec(), vec![bound]].concat();
            assert!(!is_own(&mounts, path, kind), "{path}");
        }
    }
}
