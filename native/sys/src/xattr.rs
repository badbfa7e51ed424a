//! Extended attributes, by descriptor where the file is open and by directory and name where it cannot be.

use crate::file::handle_path;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{self, XattrFlags};
use rustix::io::{Errno, Result};

/// The largest value that Linux stores, in bytes.
pub const VALUE_MAX: usize = 64 * 1024;
/// The largest list of names that Linux gives, in bytes.
const LIST_MAX: usize = 64 * 1024;
/// The longest name of an attribute, with its namespace, in bytes.
pub const NAME_MAX: usize = 255;

/// An attribute: name with namespace, and value.
pub type Attribute = (Vec<u8>, Vec<u8>);

/// All attributes of an open file that this process may see, sorted by name; none where the file system has none.
///
/// # Errors
/// The error of `flistxattr` or `fgetxattr`.
pub fn all(file: impl AsFd) -> Result<Vec<Attribute>> {
    collect(
        |buffer| fs::flistxattr(&file, buffer),
        |name, buffer| fs::fgetxattr(&file, name, buffer),
    )
}

/// All attributes of the node `name` itself, which may be a link, FIFO or device.
///
/// # Errors
/// The error of `llistxattr` or `lgetxattr`.
pub fn all_at(dir: &OwnedFd, name: &[u8]) -> Result<Vec<Attribute>> {
    let path = path_at(dir, name);
    collect(
        |buffer| fs::llistxattr(path.as_slice(), buffer),
        |name, buffer| fs::lgetxattr(path.as_slice(), name, buffer),
    )
}

fn collect(list: impl Fn(&mut [u8]) -> Result<usize>, get: impl Fn(&[u8], &mut [u8]) -> Result<usize>) -> Result<Vec<Attribute>> {
    let mut small = [0u8; 256];
    let mut large = Vec::new();
    let names = match list(&mut small) {
        Ok(0) | Err(Errno::OPNOTSUPP) => return Ok(Vec::new()),
        Ok(length) => small.get(..length).unwrap_or_default(),
        Err(Errno::RANGE) => {
            large.resize(LIST_MAX, 0);
            let length = list(&mut large)?;
            large.get(..length).unwrap_or_default()
        }
        Err(errno) => return Err(errno),
    };
    let mut attributes = Vec::new();
    for name in names.split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        match value(|buffer| get(name, buffer)) {
            Ok(value) => attributes.push((name.to_vec(), value)),
            // Listed and yet not there: removed meanwhile, or an attribute that the file system only pretends to have.
            Err(Errno::NODATA | Errno::OPNOTSUPP) => {}
            Err(errno) => return Err(errno),
        }
    }
    attributes.sort_unstable();
    Ok(attributes)
}

/// One attribute of an open file; `None` where it is not set or the file system has none.
///
/// # Errors
/// The error of `fgetxattr`.
pub fn get(file: impl AsFd, name: &[u8]) -> Result<Option<Vec<u8>>> {
    match value(|buffer| fs::fgetxattr(&file, name, buffer)) {
        Ok(value) => Ok(Some(value)),
        Err(Errno::NODATA | Errno::OPNOTSUPP) => Ok(None),
        Err(errno) => Err(errno),
    }
}

fn value(get: impl Fn(&mut [u8]) -> Result<usize>) -> Result<Vec<u8>> {
    let mut small = [0u8; 256];
    match get(&mut small) {
        Ok(length) => Ok(small.get(..length).unwrap_or_default().to_vec()),
        Err(Errno::RANGE) => {
            let mut large = vec![0; VALUE_MAX];
            let length = get(&mut large)?;
            large.truncate(length);
            Ok(large)
        }
        Err(errno) => Err(errno),
    }
}

/// Set an attribute of an open file.
///
/// # Errors
/// The error of `fsetxattr`.
pub fn set(file: impl AsFd, name: &[u8], value: &[u8]) -> Result<()> {
    fs::fsetxattr(file, name, value, XattrFlags::empty())
}

/// Set an attribute of the node `name` itself.
///
/// # Errors
/// The error of `lsetxattr`.
pub fn set_at(dir: &OwnedFd, name: &[u8], attribute: &[u8], value: &[u8]) -> Result<()> {
    fs::lsetxattr(path_at(dir, name).as_slice(), attribute, value, XattrFlags::empty())
}

/// Remove an attribute of an open file; one that is not set counts as removed.
///
/// # Errors
/// The error of `fremovexattr`.
pub fn remove(file: impl AsFd, name: &[u8]) -> Result<()> {
    match fs::fremovexattr(file, name) {
        Ok(()) | Err(Errno::NODATA | Errno::OPNOTSUPP) => Ok(()),
        Err(errno) => Err(errno),
    }
}

/// There is no `*xattrat` before Linux 6.13; the last component of this path is not followed by the `l…` calls.
fn path_at(dir: &OwnedFd, name: &[u8]) -> Vec<u8> {
    let mut path = handle_path(dir).into_bytes();
    path.push(b'/');
    path.extend_from_slice(name);
    path
}
