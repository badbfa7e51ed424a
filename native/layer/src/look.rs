//! What stands at a path of a merged tree.

use crate::error::{Error, Kind, Result};
use crate::stack::{Dir, Leaf, Node, Resolved, Stack, join};
use rustix::fs::FileType;

/// Names of directories that one question may ask for, all its paths together.
pub const MAX_NAMES: usize = 100_000;

/// Something that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Absolute, with the links on the way resolved.
    pub path: Vec<u8>,
    pub kind: Type,
    /// Permission bits with set-id and sticky bits.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub size: u64,
    /// Of a link.
    pub target: Option<Vec<u8>>,
    /// Of a directory, where they were asked for; sorted.
    pub names: Option<Vec<Vec<u8>>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    File,
    Directory,
    Link,
    CharacterDevice,
    BlockDevice,
    Fifo,
    Socket,
}

/// What stands at `path`; `None` where it leads nowhere, also by links that go in a circle. A path that ends in a slash must lead to a directory.
/// `names` is how many names may still be given; without it none are.
///
/// # Errors
/// `Invalid` when there are more names; the error of a system call.
pub fn look(stack: &Stack, path: &[u8], follow: bool, names: Option<&mut usize>) -> Result<Option<Found>> {
    let wants_directory = path.ends_with(b"/");
    let resolved = match stack.resolve(path, follow || wants_directory) {
        Err(error) if error.kind == Kind::Invalid => return Ok(None),
        other => other?,
    };
    match resolved {
        Some(Resolved {
            node: Node::Dir(dir),
            path,
        }) => directory(&dir, absolute(&path), names).map(Some),
        Some(Resolved {
            node: Node::Leaf(leaf),
            path,
        }) if !wants_directory => thing(&leaf, absolute(&path)).map(Some),
        _ => Ok(None),
    }
}

fn absolute(path: &[Vec<u8>]) -> Vec<u8> {
    [b"/".as_slice(), &join(path)].concat()
}

fn directory(dir: &Dir, path: Vec<u8>, room: Option<&mut usize>) -> Result<Found> {
    let attributes = dir.attributes()?;
    let names = match room {
        None => None,
        Some(room) => {
            let names = dir.names()?;
            *room = room
                .checked_sub(names.len())
                .ok_or_else(|| Error::invalid("look", format!("more than {MAX_NAMES} names")).subject(&path))?;
            Some(names)
        }
    };
    Ok(Found {
        path,
        kind: Type::Directory,
        mode: attributes.mode,
        uid: attributes.uid,
        gid: attributes.gid,
        size: 0,
        target: None,
        names,
    })
}

fn thing(leaf: &Leaf, path: Vec<u8>) -> Result<Found> {
    let kind = match leaf.meta.kind {
        FileType::Symlink => Type::Link,
        FileType::CharacterDevice => Type::CharacterDevice,
        FileType::BlockDevice => Type::BlockDevice,
        FileType::Fifo => Type::Fifo,
        FileType::Socket => Type::Socket,
        _ => Type::File,
    };
    Ok(Found {
        path,
        kind,
        mode: leaf.meta.mode,
        uid: leaf.meta.uid,
        gid: leaf.meta.gid,
        size: leaf.meta.size,
        target: (kind == Type::Link).then(|| leaf.target()).transpose()?,
        names: None,
    })
}
