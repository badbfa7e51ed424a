//! Who is on a network: a file `networks/<id>/endpoints/<container>` for each container that runs. Its lines are the address (with the word
//! `internal` behind it where the network leads nowhere), the name of the network and the names of the container. A responder without any privilege reads them, so the folders let themselves be entered; the store's
//! root does not.

use rustix::fd::{AsFd as _, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::{self, Errno};
use std::net::Ipv4Addr;

const FOLDER: &str = "endpoints";
const MAX_FILE: usize = 64 * 1024;

/// A container on a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub address: Ipv4Addr,
    /// The network leads nowhere.
    pub internal: bool,
    pub network: String,
    pub names: Vec<String>,
}

/// The word behind the address.
const INTERNAL: &str = " internal";

impl Entry {
    fn text(&self) -> String {
        let lines = [
            format!("{}{}", self.address, if self.internal { INTERNAL } else { "" }),
            self.network.clone(),
        ];
        lines.iter().chain(&self.names).map(|line| format!("{line}\n")).collect()
    }

    fn read(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let first = lines.next()?;
        let address = first.strip_suffix(INTERNAL);
        Some(Self {
            address: address.unwrap_or(first).parse().ok()?,
            internal: address.is_some(),
            network: lines.next()?.to_owned(),
            names: lines.map(str::to_ascii_lowercase).collect(),
        })
    }

    /// Whether it is found by `name`, alone or with the network behind it.
    fn answers_to(&self, name: &str) -> bool {
        let bare = name.strip_suffix(&format!(".{}", self.network.to_ascii_lowercase()));
        self.names.iter().any(|own| own == name || Some(own.as_str()) == bare)
    }
}

fn open(parent: BorrowedFd<'_>, name: &str) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(parent, name, flags, Mode::empty())
}

fn enterable(parent: BorrowedFd<'_>, name: &str) -> io::Result<OwnedFd> {
    match rustix::fs::mkdirat(parent, name, Mode::RWXU) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(error) => return Err(error),
    }
    let folder = open(parent, name)?;
    rustix::fs::fchmod(&folder, Mode::from_raw_mode(0o755))?;
    Ok(folder)
}

/// Enters a container into the book of a network. `networks` is the store's folder of that name.
///
/// # Errors
/// Those of the file system, and `EINVAL` for a text that is no line.
pub fn enter(networks: BorrowedFd<'_>, network: &str, container: &str, entry: &Entry) -> io::Result<()> {
    if [&entry.network]
        .into_iter()
        .chain(&entry.names)
        .any(|line| line.chars().any(char::is_control))
    {
        return Err(Errno::INVAL);
    }
    // The responder lists it.
    rustix::fs::fchmod(networks, Mode::from_raw_mode(0o755))?;
    let folder = open(networks, network)?;
    rustix::fs::fchmod(&folder, Mode::from_raw_mode(0o755))?;
    let folder = enterable(folder.as_fd(), FOLDER)?;
    leave_folder(&folder, container)?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    // Written under another name first: a reader sees all of it or nothing.
    let hidden = format!(".{container}");
    let _ = rustix::fs::unlinkat(&folder, &hidden, AtFlags::empty());
    let file = rustix::fs::openat(&folder, &hidden, flags, Mode::RUSR | Mode::WUSR)?;
    let text = entry.text();
    let mut rest = text.as_bytes();
    while !rest.is_empty() {
        let done = rustix::io::retry_on_intr(|| rustix::io::write(&file, rest))?;
        rest = rest.get(done..).unwrap_or_default();
    }
    rustix::fs::fchmod(&file, Mode::from_raw_mode(0o644))?;
    rustix::fs::renameat(&folder, &hidden, &folder, container)
}

/// Strikes a container out; false when it is not there.
///
/// # Errors
/// Those of the file system.
pub fn strike(networks: BorrowedFd<'_>, network: &str, container: &str) -> io::Result<bool> {
    match open(networks, network).and_then(|folder| open(folder.as_fd(), FOLDER)) {
        Ok(folder) => leave_folder(&folder, container),
        Err(Errno::NOENT) => Ok(false),
        Err(error) => Err(error),
    }
}

fn leave_folder(folder: &OwnedFd, container: &str) -> io::Result<bool> {
    match rustix::fs::unlinkat(folder, container, AtFlags::empty()) {
        Ok(()) => Ok(true),
        Err(Errno::NOENT) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Containers in the book of a network.
///
/// # Errors
/// Those of the file system.
pub fn containers(networks: BorrowedFd<'_>, network: &str) -> io::Result<Vec<String>> {
    let folder = match open(networks, network).and_then(|folder| open(folder.as_fd(), FOLDER)) {
        Err(Errno::NOENT) => return Ok(Vec::new()),
        other => other?,
    };
    names(&folder)
}

/// Ids of all networks of the store.
///
/// # Errors
/// Those of the file system.
pub fn networks(networks: BorrowedFd<'_>) -> io::Result<Vec<String>> {
    Ok(names(networks)?.into_iter().filter(|name| name.len() == 64).collect())
}

fn names(folder: impl rustix::fd::AsFd) -> io::Result<Vec<String>> {
    let folder = rustix::fs::openat(
        folder.as_fd(),
        ".",
        OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    let names = berth_sys::file::names(&folder)?;
    let texts = names.into_iter().filter_map(|name| String::from_utf8(name).ok());
    Ok(texts.filter(|name| !name.starts_with('.')).collect())
}

/// Addresses of `name` on the networks that `container` is on; `None` when nobody there has it.
pub(crate) fn look_up(networks: BorrowedFd<'_>, container: &str, name: &str) -> Option<Vec<Ipv4Addr>> {
    let mut found: Vec<Ipv4Addr> = neighbours(networks, container)
        .into_iter()
        .filter(|entry| entry.answers_to(name))
        .map(|entry| entry.address)
        .collect();
    found.sort_unstable();
    found.dedup();
    (!found.is_empty()).then_some(found)
}

/// The name of the neighbour that has `address`, with its network.
pub(crate) fn look_back(networks: BorrowedFd<'_>, container: &str, address: Ipv4Addr) -> Option<String> {
    let found = neighbours(networks, container).into_iter().find(|entry| entry.address == address)?;
    Some(format!("{}.{}", found.names.first()?, found.network))
}

/// Whether a network of the container leads to other machines.
pub(crate) fn leads_out(networks: BorrowedFd<'_>, container: &str) -> bool {
    let folders = folders_of(networks, container);
    folders
        .iter()
        .any(|folder| read(folder, container).is_some_and(|entry| !entry.internal))
}

/// All that share a network with the container, itself among them.
fn neighbours(networks: BorrowedFd<'_>, container: &str) -> Vec<Entry> {
    let mut all = Vec::new();
    for folder in folders_of(networks, container) {
        let entries = names(&folder).unwrap_or_default();
        all.extend(entries.iter().filter_map(|name| read(&folder, name)));
    }
    all
}

/// The books that the container stands in.
fn folders_of(networks: BorrowedFd<'_>, container: &str) -> Vec<OwnedFd> {
    let all = self::networks(networks).unwrap_or_default().into_iter();
    let folders = all.filter_map(|network| open(networks, &network).and_then(|folder| open(folder.as_fd(), FOLDER)).ok());
    folders
        .filter(|folder| rustix::fs::accessat(folder, container, rustix::fs::Access::EXISTS, AtFlags::empty()).is_ok())
        .collect()
}

fn read(folder: &OwnedFd, name: &str) -> Option<Entry> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = rustix::fs::openat(folder, name, flags, Mode::empty()).ok()?;
    let mut text = vec![0; MAX_FILE];
    let length = berth_sys::file::read_full(&file, &mut text).ok()?;
    text.truncate(length);
    Entry::read(std::str::from_utf8(&text).ok()?)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The folder of networks with `entries` in the books of network and container.
    pub(crate) fn book(entries: &[(char, &str, Entry)]) -> (tempfile::TempDir, OwnedFd) {
        let place = tempfile::tempdir().unwrap();
        let folder = rustix::fs::open(place.path(), OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).unwrap();
        for (network, container, entry) in entries {
            let id = network.to_string().repeat(64);
            let _ = std::fs::create_dir(place.path().join(&id));
            enter(folder.as_fd(), &id, container, entry).unwrap();
        }
        (place, folder)
    }

    pub(crate) fn entry(last: u8, network: &str, names: &[&str]) -> Entry {
        Entry {
            address: Ipv4Addr::new(10, 0, 0, last),
            internal: false,
            network: network.to_owned(),
            names: names.iter().map(|&name| name.to_owned()).collect(),
        }
    }

    #[test]
    fn finds_neighbours_by_name_alias_and_with_the_network_and_nobody_else() {
        let (_place, folder) = book(&[
            ('a', "c1", entry(2, "mine", &["db", "data"])),
            ('a', "c2", entry(3, "mine", &["API", "data"])),
            ('b', "c3", entry(4, "theirs", &["other"])),
        ]);
        let find = |name: &str| look_up(folder.as_fd(), "c1", name);
        assert_eq!(find("api"), Some(vec![Ipv4Addr::new(10, 0, 0, 3)]));
        assert_eq!(find("api.mine"), Some(vec![Ipv4Addr::new(10, 0, 0, 3)]));
        assert_eq!(find("data").map(|all| all.len()), Some(2));
        assert_eq!(find("other"), None);
        assert_eq!(
            look_back(folder.as_fd(), "c1", Ipv4Addr::new(10, 0, 0, 2)),
            Some("db.mine".to_owned())
        );
        assert_eq!(look_back(folder.as_fd(), "c1", Ipv4Addr::new(10, 0, 0, 4)), None);
    }

    #[test]
    fn a_container_that_is_struck_out_is_found_no_more() {
        let (_place, folder) = book(&[('a', "c1", entry(2, "mine", &["db"])), ('a', "c2", entry(3, "mine", &["api"]))]);
        let id = "a".repeat(64);
        assert!(strike(folder.as_fd(), &id, "c2").unwrap());
        assert!(!strike(folder.as_fd(), &id, "c2").unwrap());
        assert_eq!(look_up(folder.as_fd(), "c1", "api"), None);
        assert_eq!(containers(folder.as_fd(), &id).unwrap(), ["c1"]);
        assert_eq!(networks(folder.as_fd()).unwrap(), [id]);
    }

    #[test]
    fn a_container_leads_out_as_soon_as_one_of_its_networks_does() {
        let dark = Entry {
            internal: true,
            ..entry(2, "dark", &["db"])
        };
        let (_place, folder) = book(&[('a', "c1", dark.clone()), ('a', "c2", dark), ('b', "c2", entry(3, "mine", &[]))]);
        assert!(!leads_out(folder.as_fd(), "c1"));
        assert!(leads_out(folder.as_fd(), "c2"));
        assert!(!leads_out(folder.as_fd(), "nobody"));
        assert!(look_up(folder.as_fd(), "c1", "db.dark").is_some());
    }

    #[test]
    fn refuses_a_name_that_would_be_two_lines() {
        let (_place, folder) = book(&[('a', "c1", entry(2, "mine", &["db"]))]);
        let hostile = entry(3, "mine", &["a\nb"]);
        assert_eq!(enter(folder.as_fd(), &"a".repeat(64), "c2", &hostile), Err(Errno::INVAL));
    }
}
