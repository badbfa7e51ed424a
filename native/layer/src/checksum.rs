//! Content digests of what patterns select, for cache keys: names, types, modes, owners, attributes, link targets and content, but no times.
//!
//! Everything is framed with its length, so that no two trees give the same bytes.

use crate::copy::{Selected, Selection};
use crate::error::{Context, Result};
use crate::filter::Chosen;
use crate::glob::Match;
use crate::report::Report;
use crate::stack::{Dir, Leaf, Node, Stack, join};
use berth_sys::file;
use berth_sys::xattr::Attribute;
use rustix::fs::FileType;

/// Changes with the format below.
const VERSION: &[u8] = b"berth content 1";
const BUFFER: usize = 1 << 20;

/// `blake3:…` for each pattern; `None` where it selects nothing.
///
/// # Errors
/// `Request` for a malformed pattern; the error of a system call.
pub fn checksum(stack: &Stack, selection: &Selection<'_>, report: &Report<'_>) -> Result<Vec<Option<String>>> {
    let selected = selection.resolve(stack)?;
    selected.into_iter().map(|selected| one(selected, report)).collect()
}

fn one(selected: Selected, report: &Report<'_>) -> Result<Option<String>> {
    let Selected { matches, filter, required } = selected;
    let mut found = required.is_none() && !matches.is_empty();
    let mut sum = Sum {
        hasher: blake3::Hasher::new(),
        buffer: vec![0; BUFFER],
        report,
    };
    sum.frame(VERSION);
    for Match { name, node } in matches {
        match node {
            // A path below a file leads nowhere.
            Node::Leaf(_) if required.is_some() => {}
            Node::Leaf(_) if filter.hides(&name) => found = true,
            Node::Leaf(_) => {
                found = true;
                sum.node(&name, &node)?;
            }
            Node::Dir(ref dir) => {
                sum.node(&name, &node)?;
                let mut walk = Chosen::new(dir.clone(), &filter)?;
                while let Some((path, node)) = walk.next()? {
                    sum.node(&join(&path), &node)?;
                }
                found |= walk.found();
            }
        }
    }
    Ok(found.then(|| format!("blake3:{}", sum.hasher.finalize().to_hex())))
}

struct Sum<'a> {
    hasher: blake3::Hasher,
    buffer: Vec<u8>,
    report: &'a Report<'a>,
}

impl Sum<'_> {
    fn frame(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.hasher.update(bytes);
    }

    fn number(&mut self, number: u64) {
        self.hasher.update(&number.to_le_bytes());
    }

    fn node(&mut self, path: &[u8], node: &Node) -> Result<()> {
        match node {
            Node::Dir(dir) => self.directory(path, dir),
            Node::Leaf(leaf) if leaf.meta.kind == FileType::Socket => Ok(()),
            Node::Leaf(leaf) => self.leaf(path, leaf),
        }
    }

    fn head(&mut self, path: &[u8], kind: &[u8], numbers: [u32; 3], xattrs: &[Attribute]) {
        self.frame(path);
        self.frame(kind);
        for number in numbers {
            self.number(number.into());
        }
        self.number(xattrs.len() as u64);
        for (name, value) in xattrs {
            self.frame(name);
            self.frame(value);
        }
    }

    fn directory(&mut self, path: &[u8], dir: &Dir) -> Result<()> {
        let attributes = dir.attributes()?;
        self.head(
            path,
            b"directory",
            [attributes.mode, attributes.uid, attributes.gid],
            &attributes.xattrs,
        );
        Ok(())
    }

    fn leaf(&mut self, path: &[u8], leaf: &Leaf) -> Result<()> {
        let kind = crate::stack::describe(leaf.meta.kind).as_bytes();
        let xattrs = if leaf.meta.is_file() { leaf.xattrs()? } else { Vec::new() };
        self.head(path, kind, [leaf.meta.mode, leaf.meta.uid, leaf.meta.gid], &xattrs);
        match leaf.meta.kind {
            FileType::RegularFile => self.content(leaf),
            FileType::Symlink => {
                self.frame(&leaf.target()?);
                Ok(())
            }
            _ => {
                self.number(leaf.meta.special.0.into());
                self.number(leaf.meta.special.1.into());
                Ok(())
            }
        }
    }

    /// The digest of the content stands for it, so that its length need not be known before.
    fn content(&mut self, leaf: &Leaf) -> Result<()> {
        let opened = leaf.open()?;
        let mut hasher = blake3::Hasher::new();
        loop {
            let length = file::read_full(&opened, &mut self.buffer).step("read", &leaf.name)?;
            let Some(bytes) = self.buffer.get(..length).filter(|bytes| !bytes.is_empty()) else {
                break;
            };
            hasher.update(bytes);
            self.report.advance(length as u64);
        }
        self.hasher.update(hasher.finalize().as_bytes());
        Ok(())
    }
}
