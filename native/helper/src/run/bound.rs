//! Small files that are bound into a container, `/etc/hosts` and its like: those of another container whose network it shares, and changes while it runs.

use crate::container::Folder;
use crate::container::folder::{BOUND, ORDER};
use crate::context::Context;
use crate::fail::failed;
use berth_jail::plan::{Lent, Origin};
use berth_sys::file;
use berth_wire::request::{BoundFile, Start};
use berth_wire::{Code, Failure};
use rustix::fd::OwnedFd;
use rustix::fs::SeekFrom;

/// Where lines of others are kept when ours change.
const HOSTS: &str = "/etc/hosts";
/// The largest file that is changed in a running container.
const MAX_FILE: usize = 1024 * 1024;
/// How many containers may share a network one behind the other.
const MAX_DEPTH: usize = 16;

/// The files of the container whose network is joined, or of the one whose network that one joins. They are the same files, not copies.
pub(crate) fn shared(context: &Context, args: &Start) -> Result<Vec<Lent>, Failure> {
    let Some(mut owner) = joined(args) else { return Ok(Vec::new()) };
    for _ in 0..MAX_DEPTH {
        let folder = Folder::open(context, &owner)?;
        let order: Start = folder.read(ORDER)?;
        match joined(&order) {
            Some(next) => owner = next,
            None => return Ok(lent(&owner, &folder.bound_files(&order.files)?)),
        }
    }
    Err(Failure::new(Code::Invalid, "join network", "too many containers share it one behind the other").subject(args.container.clone()))
}

fn joined(args: &Start) -> Option<String> {
    let mut joins = args.life.iter().flat_map(|life| &life.joins);
    joins.find(|join| join.namespace == "network").map(|join| join.container.clone())
}

fn lent(owner: &str, files: &[BoundFile]) -> Vec<Lent> {
    let one = |(number, file): (usize, &BoundFile)| Lent {
        destination: file.destination.clone(),
        readonly: false,
        origin: Origin::File {
            path: format!("containers/{owner}/files/{number}"),
        },
    };
    files.iter().enumerate().map(one).collect()
}

/// Gives a container other files: at its next start, and in place where `runs`.
pub(crate) fn change(folder: &Folder, ordered: &[BoundFile], files: &[BoundFile], runs: bool) -> Result<(), Failure> {
    let before = folder.bound_files(ordered)?;
    let same = before.len() == files.len() && before.iter().zip(files).all(|(old, new)| old.destination == new.destination);
    if !same {
        return Err(Failure::new(Code::Request, "change files", "they are not those of the container").subject(folder.id.clone()));
    }
    folder.write(BOUND, &files)?;
    let changed = before
        .iter()
        .zip(files)
        .enumerate()
        .filter(|(_, (old, new))| runs && old.content != new.content);
    for (number, (old, new)) in changed {
        let file = folder.open_bound(number)?;
        let now = read(&file)?;
        if let Some(text) = merge(&now, old, new) {
            overwrite(&file, &text)?;
        }
    }
    Ok(())
}

fn read(file: &OwnedFd) -> Result<String, Failure> {
    let mut text = vec![0; MAX_FILE];
    let length = file::read_full(file, &mut text).map_err(failed("read bound file"))?;
    text.truncate(length);
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn overwrite(file: &OwnedFd, text: &str) -> Result<(), Failure> {
    rustix::fs::ftruncate(file, 0)
        .and_then(|()| rustix::fs::seek(file, SeekFrom::Start(0)))
        .and_then(|_| file::write_all(file, text.as_bytes()))
        .map_err(failed("write bound file"))
}

/// The text that takes the place of `now`. What a process of the container has written stays: lines of other hosts beside ours, any other file
/// as it is.
fn merge(now: &str, old: &BoundFile, new: &BoundFile) -> Option<String> {
    if now == old.content {
        return Some(new.content.clone());
    }
    if new.destination != HOSTS {
        return None;
    }
    let has = |file: &BoundFile, line: &str| file.content.lines().any(|one| one == line);
    let kept = now.lines().filter(|line| !has(old, line) || has(new, line));
    let added = new.content.lines().filter(|line| !now.lines().any(|one| one == *line));
    Some(kept.chain(added).map(|line| format!("{line}\n")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(destination: &str, content: &str) -> BoundFile {
        BoundFile {
            destination: destination.to_owned(),
            content: content.to_owned(),
            mode: 0o644,
        }
    }

    #[test]
    fn what_nobody_wrote_into_is_replaced() {
        let [old, new] = ["nameserver 192.0.2.1\n", "nameserver 127.0.0.11\n"].map(|text| file("/etc/resolv.conf", text));
        assert_eq!(merge(&old.content, &old, &new), Some(new.content.clone()));
        assert_eq!(merge("nameserver 192.0.2.9\n", &old, &new), None);
    }

    #[test]
    fn lines_of_others_stay_in_the_hosts() {
        let old = file(HOSTS, "127.0.0.1\tlocalhost\n10.0.0.2\tbox\n");
        let new = file(HOSTS, "127.0.0.1\tlocalhost\n10.0.1.2\tbox\n");
        let now = format!("{}192.0.2.7\tmine\n", old.content);
        assert_eq!(
            merge(&now, &old, &new).unwrap(),
            "127.0.0.1\tlocalhost\n192.0.2.7\tmine\n10.0.1.2\tbox\n"
        );
    }
}
