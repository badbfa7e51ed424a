//! Volumes: folders of their own outside every snapshot, `<name>/_data` the tree that containers bind.

use crate::copy;
use crate::error::{Context, Error, Kind, Result};
use crate::remove::remove_tree;
use crate::report::Report;
use crate::snapshot::PART;
use crate::stack::{Node, Stack};
use berth_sys::file;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{OFlags, RenameFlags, renameat_with};
use rustix::io::Errno;

/// The folder that containers bind.
pub const DATA: &[u8] = b"_data";
/// The longest name of a volume, as of any file.
const MAX_NAME: usize = 255;

/// Refuse a name that Docker refuses too: a letter or digit, then letters, digits, `_`, `.` and `-`.
///
/// # Errors
/// `Request` with the name.
pub fn check_name(name: &str) -> Result<()> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let starts = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    if starts && name.len() <= MAX_NAME && name.bytes().all(plain) {
        return Ok(());
    }
    Err(Error::new(
        Kind::Request,
        "open volume",
        "the name of a volume is letters, digits, '-', '_' and '.', and starts with a letter or digit",
    )
    .subject(name.as_bytes()))
}

/// Give an empty volume what the merged tree has at `path`: content, owner and permissions. False where nothing was to be done.
///
/// The copy is made beside the volume and moved in entry by entry, so that a copy that was cut short leaves an empty volume, and a container
/// that has bound the folder already keeps it.
///
/// # Errors
/// The error of a system call.
pub fn fill(folder: &OwnedFd, stack: &Stack, path: &str, report: &Report<'_>) -> Result<bool> {
    let data = file::open_dir(folder, DATA).step("open volume", DATA)?;
    sweep(folder)?;
    if !file::names(&data).step("getdents64", DATA)?.is_empty() {
        return Ok(false);
    }
    let Some(Node::Dir(dir)) = stack.resolve(path.as_bytes(), true)?.map(|found| found.node) else {
        return Ok(false);
    };
    file::clear_umask();
    let part = format!("{PART}{}", file::random_name().step("getrandom", b"")?).into_bytes();
    file::make_dir(folder, &part, 0o700).step("mkdirat", &part)?;
    let copied = file::open_dir(folder, &part)
        .step("openat", &part)
        .and_then(|made| copy::copy_tree(&made, dir, report).map(|_| made))
        .and_then(|made| move_in(&made, &data));
    let removed = remove_tree(folder, &part);
    copied?;
    removed?;
    Ok(true)
}

/// What a copy that was cut short left.
fn sweep(folder: &OwnedFd) -> Result<()> {
    for name in file::names(folder).step("getdents64", b"volume")? {
        if name.starts_with(PART.as_bytes()) {
            remove_tree(folder, &name)?;
        }
    }
    Ok(())
}

fn move_in(made: &OwnedFd, data: &OwnedFd) -> Result<()> {
    let root = file::stat_fd(made).step("statx", DATA)?;
    for name in file::names(made).step("getdents64", DATA)? {
        match renameat_with(made, name.as_slice(), data, name.as_slice(), RenameFlags::NOREPLACE) {
            // A container wrote this name meanwhile: its own counts.
            Ok(()) | Err(Errno::EXIST) => {}
            Err(Errno::INVAL | Errno::NOSYS) => {
                rustix::fs::renameat(made, name.as_slice(), data, name.as_slice()).step("renameat", &name)?;
            }
            Err(errno) => return Err(Error::system("renameat2", errno).subject(&name)),
        }
    }
    file::chown_fd(data, root.uid, root.gid).step("fchown", DATA)?;
    file::chmod_fd(data, root.mode).step("fchmod", DATA)?;
    file::set_time_fd(data, root.modified).step("futimens", DATA)
}

/// Open the folder of a volume that exists.
///
/// # Errors
/// `NotFound` where there is none.
pub fn open(volumes: impl AsFd, name: &str) -> Result<OwnedFd> {
    check_name(name)?;
    berth_sys::path::open_beneath(volumes, name.as_bytes(), OFlags::RDONLY | OFlags::DIRECTORY).map_err(|errno| match errno {
        Errno::NOENT => Error::new(Kind::NotFound, "open volume", "no such volume").subject(name.as_bytes()),
        errno => Error::system("open volume", errno).subject(name.as_bytes()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

    fn fd(path: &std::path::Path) -> OwnedFd {
        std::fs::File::open(path).unwrap().into()
    }

    fn world() -> (tempfile::TempDir, OwnedFd, Stack) {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("volume/_data");
        std::fs::create_dir_all(&data).unwrap();
        let image = dir.path().join("image");
        std::fs::create_dir_all(image.join("srv/models/deep")).unwrap();
        std::fs::write(image.join("srv/models/deep/a"), "one").unwrap();
        std::fs::hard_link(image.join("srv/models/deep/a"), image.join("srv/models/b")).unwrap();
        std::fs::set_permissions(image.join("srv/models"), std::fs::Permissions::from_mode(0o1750)).unwrap();
        symlink("/srv/models", image.join("link")).unwrap();
        symlink("../../outside", image.join("out")).unwrap();
        let stack = Stack::new(vec![fd(&image)]);
        (dir, fd(data.parent().unwrap()), stack)
    }

    fn report(act: impl FnOnce(&Report<'_>)) {
        act(&Report::new(&|_, _| {}, &|_| {}));
    }

    #[test]
    fn an_empty_volume_gets_what_the_image_has_there() {
        for path in ["/srv/models", "/link", "srv/../../srv/models/"] {
            let (dir, folder, stack) = world();
            report(|report| assert!(fill(&folder, &stack, path, report).unwrap(), "{path}"));
            let data = dir.path().join("volume/_data");
            assert_eq!(std::fs::read(data.join("deep/a")).unwrap(), b"one");
            assert_eq!(std::fs::metadata(data.join("b")).unwrap().nlink(), 2);
            assert_eq!(std::fs::metadata(&data).unwrap().permissions().mode() & 0o7777, 0o1750);
            assert_eq!(std::fs::read_dir(data.parent().unwrap()).unwrap().count(), 1);
        }
    }

    #[test]
    fn a_volume_that_holds_something_and_a_place_without_a_directory_change_nothing() {
        let (dir, folder, stack) = world();
        report(|report| {
            assert!(!fill(&folder, &stack, "/srv/models/b", report).unwrap());
            assert!(!fill(&folder, &stack, "/nowhere", report).unwrap());
            assert!(!fill(&folder, &stack, "/out", report).unwrap());
        });
        let data = dir.path().join("volume/_data");
        std::fs::write(data.join("mine"), "").unwrap();
        report(|report| assert!(!fill(&folder, &stack, "/srv/models", report).unwrap()));
        assert_eq!(std::fs::read_dir(&data).unwrap().count(), 1);
    }

    #[test]
    fn what_a_copy_that_was_cut_short_left_goes() {
        let (dir, folder, stack) = world();
        std::fs::create_dir_all(dir.path().join("volume/.part-1/x")).unwrap();
        report(|report| assert!(fill(&folder, &stack, "/srv/models", report).unwrap()));
        assert!(!dir.path().join("volume/.part-1").exists());
    }

    #[test]
    fn a_name_that_leads_elsewhere_is_refused() {
        for name in ["", ".", "..", "a/b", "-x", "_x", "a b", "a\0", &"x".repeat(256)] {
            assert!(check_name(name).is_err(), "{name}");
        }
        assert!(check_name("a.b-c_D").is_ok());
    }
}
