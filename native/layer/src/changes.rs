//! What an upper snapshot changes in the tree below, as names: the list that `diff` of a container shows.

use crate::error::Result;
use crate::later::Later;
use crate::plan::{self, Item, Plan};
use crate::snapshot;
use rustix::fd::AsFd;
use std::collections::BTreeSet;

/// What happened to a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    Added,
    Changed,
    Deleted,
}

/// The changes of the snapshot against those below, sorted by path; paths begin with a slash. `untouched` are paths that do not count while
/// they are empty: targets of mounts.
///
/// # Errors
/// The error of a system call.
pub fn changes(snapshots: &impl AsFd, name: &str, lowers: &[String], untouched: &BTreeSet<Vec<u8>>) -> Result<Vec<(Vec<u8>, Change)>> {
    let root = snapshot::open(snapshots, name)?;
    let lowers = snapshot::stack(snapshots, lowers)?;
    let plan = plan::plan(&root, &lowers, untouched, &mut Later::default())?;
    let mut found: Vec<(Vec<u8>, Change)> = Vec::new();
    for (index, item) in plan.items.iter().enumerate().skip(1).filter(|(_, item)| item.keep) {
        let path = [b"/".as_slice(), &plan.path(index)].concat();
        found.extend(hidden(&plan, index, item).map(|name| ([path.as_slice(), b"/", name].concat(), Change::Deleted)));
        found.push((path, change(item)));
    }
    found.sort();
    Ok(found)
}

fn change(item: &Item) -> Change {
    if item.meta.is_whiteout() {
        Change::Deleted
    } else if item.existed {
        Change::Changed
    } else {
        Change::Added
    }
}

/// Names below a directory that hides what is below, and that it has not itself.
fn hidden<'a>(plan: &'a Plan, index: usize, item: &'a Item) -> impl Iterator<Item = &'a [u8]> {
    let own: BTreeSet<&[u8]> = if item.hides.is_empty() {
        BTreeSet::new()
    } else {
        let children = plan.items.iter().filter(|other| other.parent == index && !other.name.is_empty());
        children.map(|other| other.name.as_slice()).collect()
    };
    item.hides.iter().map(Vec::as_slice).filter(move |name| !own.contains(name))
}
