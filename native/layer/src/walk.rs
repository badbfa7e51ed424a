//! A walk through a directory of the merged tree: each directory before what it holds, names in the order of their bytes.

use crate::error::Result;
use crate::stack::{Dir, Node};

/// Visits everything below a directory. It keeps its own stack, so that depth costs no recursion.
pub(crate) struct Walk {
    frames: Vec<(Dir, Vec<Vec<u8>>)>,
    path: Vec<Vec<u8>>,
}

impl Walk {
    pub(crate) fn new(dir: Dir) -> Result<Self> {
        let mut walk = Self {
            frames: Vec::new(),
            path: Vec::new(),
        };
        walk.enter(dir)?;
        Ok(walk)
    }

    fn enter(&mut self, dir: Dir) -> Result<()> {
        let mut names = dir.names()?;
        names.reverse();
        self.frames.push((dir, names));
        Ok(())
    }

    /// The next node with its path below the directory where the walk began.
    pub(crate) fn next(&mut self) -> Result<Option<(Vec<Vec<u8>>, Node)>> {
        while let Some((dir, names)) = self.frames.last_mut() {
            let Some(name) = names.pop() else {
                self.frames.pop();
                self.path.pop();
                continue;
            };
            let Some(node) = dir.child(&name)? else { continue };
            let mut path = self.path.clone();
            path.push(name.clone());
            if let Node::Dir(inner) = &node {
                self.path.push(name);
                self.enter(inner.clone())?;
            }
            return Ok(Some((path, node)));
        }
        Ok(None)
    }
}
