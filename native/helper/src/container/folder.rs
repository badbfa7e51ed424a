//! The folder of one container. Every file in it is written beside its name and renamed.

use crate::context::Context;
use crate::fail::{failed, failed_on};
use berth_wire::reply::ContainerState;
use berth_wire::{Code, Failure};
use rustix::fd::{AsFd as _, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, Gid, Mode, OFlags, Uid};
use rustix::io::Errno;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Folders inside that of a container: where the root is mounted (in the container's own namespace), what an image without layers stands on,
/// and files that are bound in.
const FOLDERS: [&str; 3] = ["rootfs", "empty", "files"];
/// The largest file that is read back.
const MAX_FILE: u64 = 16 * 1024 * 1024;
/// The longest name of a container.
const MAX_NAME: usize = 128;

/// The open folder `containers/<id>`.
#[derive(Debug)]
pub(crate) struct Folder {
    pub(crate) id: String,
    pub(crate) fd: OwnedFd,
    owner: (u32, u32),
}

impl Folder {
    /// Makes the folder, or opens the one of a container that has ended.
    pub(crate) fn create(context: &Context, id: &str) -> Result<Self, Failure> {
        check(id)?;
        let all = context.directory(context.store.as_fd(), "containers", Some(context.owner))?;
        let fd = context.directory(all.as_fd(), id, Some(context.owner))?;
        for name in FOLDERS {
            context.directory(fd.as_fd(), name, None)?;
        }
        Ok(Self {
            id: id.to_owned(),
            fd,
            owner: context.owner,
        })
    }

    /// Opens the folder of a container that exists.
    pub(crate) fn open(context: &Context, id: &str) -> Result<Self, Failure> {
        check(id)?;
        let path = format!("containers/{id}");
        let fd = open_directory(context.store.as_fd(), &path).map_err(|error| match error {
            Errno::NOENT => Failure::new(Code::NotFound, "open container", "there is no such container").subject(id),
            error => failed_on("open container", id)(error),
        })?;
        Ok(Self {
            id: id.to_owned(),
            fd,
            owner: context.owner,
        })
    }

    /// Names of all containers, sorted.
    pub(crate) fn all(context: &Context) -> Result<Vec<String>, Failure> {
        let folder = match open_directory(context.store.as_fd(), "containers") {
            Err(Errno::NOENT) => return Ok(Vec::new()),
            other => other.map_err(failed("open containers"))?,
        };
        let names = berth_sys::file::names(&folder).map_err(failed("list containers"))?;
        let mut names: Vec<String> = names
            .into_iter()
            .filter_map(|name| String::from_utf8(name).ok())
            .filter(|name| check(name).is_ok())
            .collect();
        names.sort();
        Ok(names)
    }

    /// Writes `value` as JSON, so that a reader sees the old file or the new one.
    pub(crate) fn write(&self, name: &str, value: &impl Serialize) -> Result<(), Failure> {
        let text = serde_json::to_vec(value).map_err(|error| Failure::new(Code::System, "write state", error.to_string()).subject(name))?;
        let temporary = format!(".{name}.{}", berth_sys::file::random_name().map_err(failed("getrandom"))?);
        let file = self.create_file(self.fd.as_fd(), &temporary, 0o600, self.owner)?;
        let written = crate::channel::write_all(file.as_fd(), &text)
            .and_then(|()| rustix::fs::fsync(&file))
            .and_then(|()| rustix::fs::renameat(&self.fd, &temporary, &self.fd, name))
            .and_then(|()| rustix::fs::fsync(&self.fd));
        written.map_err(|error| {
            let _ = rustix::fs::unlinkat(&self.fd, &temporary, AtFlags::empty());
            failed_on("write state", name)(error)
        })
    }

    /// Reads a file that [`Self::write`] wrote.
    pub(crate) fn read<T: DeserializeOwned>(&self, name: &str) -> Result<T, Failure> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.fd, name, flags, Mode::empty())
            .map_err(|error| failed_on("read state", name)(error).subject(self.id.clone()))?;
        let size = rustix::fs::fstat(&file).map_err(failed_on("stat", name))?.st_size;
        if u64::try_from(size).unwrap_or(u64::MAX) > MAX_FILE {
            return Err(
                Failure::new(Code::Invalid, "read state", format!("{name} is over the limit of {MAX_FILE} bytes")).subject(self.id.clone()),
            );
        }
        let mut text = vec![0; usize::try_from(size).unwrap_or_default()];
        let length = berth_sys::file::read_full(&file, &mut text).map_err(failed_on("read state", name))?;
        text.truncate(length);
        serde_json::from_slice(&text)
            .map_err(|error| Failure::new(Code::Invalid, "read state", format!("{name}: {error}")).subject(self.id.clone()))
    }

    pub(crate) fn state(&self) -> Result<ContainerState, Failure> {
        self.read("state.json")
    }

    pub(crate) fn set_state(&self, state: &ContainerState) -> Result<(), Failure> {
        self.write("state.json", state)
    }

    /// Writes a file to bind into the container, owned by the container's root; gives its name below `files`.
    pub(crate) fn bound_file(&self, number: usize, content: &str, mode: u32) -> Result<String, Failure> {
        let name = number.to_string();
        let files = open_directory(self.fd.as_fd(), "files").map_err(failed("open files"))?;
        match rustix::fs::unlinkat(&files, &name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(failed_on("unlink", &name)(error)),
        }
        let file = self.create_file(files.as_fd(), &name, mode & 0o777, (0, 0))?;
        crate::channel::write_all(file.as_fd(), content.as_bytes()).map_err(failed("write bound file"))?;
        Ok(name)
    }

    fn create_file(&self, folder: BorrowedFd<'_>, name: &str, mode: u32, (uid, gid): (u32, u32)) -> Result<OwnedFd, Failure> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(folder, name, flags, Mode::RUSR | Mode::WUSR).map_err(failed_on("create", name))?;
        rustix::fs::fchown(&file, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid))).map_err(failed_on("chown", name))?;
        rustix::fs::fchmod(&file, Mode::from_raw_mode(mode)).map_err(failed_on("chmod", name))?;
        Ok(file)
    }
}

/// `[A-Za-z0-9]+`: nothing that could be a path, an option or a hidden file.
fn check(id: &str) -> Result<(), Failure> {
    if !id.is_empty() && id.len() <= MAX_NAME && id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Ok(());
    }
    Err(Failure::new(Code::Request, "open container", "a container's id is made of letters and digits").subject(crate::fail::escape(id)))
}

fn open_directory(parent: BorrowedFd<'_>, path: &str) -> Result<OwnedFd, Errno> {
    berth_sys::path::open_beneath(parent, path.as_bytes(), OFlags::RDONLY | OFlags::DIRECTORY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_letters_and_digits() {
        assert!(check("a1B2").is_ok());
        for id in ["", "a/b", "..", "-x", "a b", "é", &"x".repeat(129)] {
            assert!(check(id).is_err(), "{id}");
        }
    }
}
