//! Who is on a network: a file `networks/<id>/endpoints/<container>` for each container that runs. Its lines are the address (with the word
//! `internal` behind it where the network leads nowhere), the name of the network and the names of the container. What is more has a tab in its line:
//! an address of IPv6, and names that this container alone has for others. A responder without any privilege reads them, so the folders let
//! themselves be entered; the store's root does not.

use rustix::fd::{AsFd as _, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::{self, Errno};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const FOLDER: &str = "endpoints";
/// Beside that folder, where the owner of the store can remove it: the address that the last step of a build got.
const LAST: &str = "last-step";
const MAX_FILE: usize = 64 * 1024;

/// A container on a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub address: Ipv4Addr,
    pub address6: Option<Ipv6Addr>,
    /// The network leads nowhere.
    pub internal: bool,
    pub network: String,
    pub names: Vec<String>,
    /// What it calls others: the name of its own, and theirs.
    pub links: Vec<(String, String)>,
}

/// The word behind the address.
const INTERNAL: &str = " internal";
/// What a line with a tab begins with.
const ADDRESS6: &str = "ip6";
const LINK: &str = "link";

impl Entry {
    fn text(&self) -> String {
        let lines = [
            format!("{}{}", self.address, if self.internal { INTERNAL } else { "" }),
            self.network.clone(),
        ];
        let address6 = self.address6.iter().map(|address| format!("{ADDRESS6}\t{address}"));
        let links = self.links.iter().map(|(alias, name)| format!("{LINK}\t{alias}\t{name}"));
        let more: Vec<String> = address6.chain(links).collect();
        lines
            .iter()
            .chain(&self.names)
            .chain(&more)
            .map(|line| format!("{line}\n"))
            .collect()
    }

    fn read(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let first = lines.next()?;
        let address = first.strip_suffix(INTERNAL);
        let mut entry = Self {
            address: address.unwrap_or(first).parse().ok()?,
            address6: None,
            internal: address.is_some(),
            network: lines.next()?.to_owned(),
            names: Vec::new(),
            links: Vec::new(),
        };
        for line in lines {
            match line.split('\t').collect::<Vec<_>>()[..] {
                [ADDRESS6, address] => entry.address6 = address.parse().ok(),
                [LINK, alias, name] => entry.links.push((alias.to_ascii_lowercase(), name.to_ascii_lowercase())),
                _ => entry.names.push(line.to_ascii_lowercase()),
            }
        }
        Some(entry)
    }

    fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        let six = self.address6.map(IpAddr::V6);
        [IpAddr::V4(self.address)].into_iter().chain(six)
    }

    /// Whether it is found by `name`, alone or with the network behind it.
    fn answers_to(&self, name: &str) -> bool {
        let bare = self.bare(name);
        self.names.iter().any(|own| own == name || Some(own.as_str()) == bare)
    }

    /// Whom the container means by `name`, where it is a name of its own for somebody.
    fn means(&self, name: &str) -> Option<&str> {
        let bare = self.bare(name);
        let link = self
            .links
            .iter()
            .rev()
            .find(|(alias, _)| alias == name || Some(alias.as_str()) == bare);
        link.map(|(_, name)| name.as_str())
    }

    fn bare<'n>(&self, name: &'n str) -> Option<&'n str> {
        name.strip_suffix(&format!(".{}", self.network.to_ascii_lowercase()))
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
    let links = entry.links.iter().flat_map(|(alias, name)| [alias, name]);
    if [&entry.network]
        .into_iter()
        .chain(&entry.names)
        .chain(links)
        .any(|line| line.chars().any(char::is_control))
    {
        return Err(Errno::INVAL);
    }
    let folder = entered(networks, network)?;
    leave_folder(&folder, container)?;
    put(&folder, container, &entry.text())
}

/// Chooses an address for a step of a build: one from `first` to `last` that nobody in the book has, the next after the one that was chosen before, as
/// one that has just been given back may be that of a namespace on its way out. `None` when all are taken. The caller holds the lock on the networks
/// until the step stands in the book.
///
/// # Errors
/// Those of the file system.
pub fn choose(networks: BorrowedFd<'_>, network: &str, (first, last): (Ipv4Addr, Ipv4Addr)) -> io::Result<Option<Ipv4Addr>> {
    let folder = entered(networks, network)?;
    let beside = open(networks, network)?;
    let before = text(&beside, LAST).and_then(|text| text.trim().parse::<Ipv4Addr>().ok());
    let taken: Vec<Ipv4Addr> = entries(&folder).into_iter().map(|entry| entry.address).collect();
    let (first, last) = (first.to_bits(), last.to_bits());
    let start = before.map_or(first, |address| address.to_bits().saturating_add(1));
    let start = if (first..=last).contains(&start) { start } else { first };
    let mut all = (start..=last).chain(first..start).map(Ipv4Addr::from_bits);
    let chosen = all.find(|address| !taken.contains(address));
    if let Some(address) = chosen {
        put(&beside, LAST, &format!("{address}\n"))?;
    }
    Ok(chosen)
}

/// The folder of those who are on a network, which the responder lists.
fn entered(networks: BorrowedFd<'_>, network: &str) -> io::Result<OwnedFd> {
    rustix::fs::fchmod(networks, Mode::from_raw_mode(0o755))?;
    let folder = open(networks, network)?;
    rustix::fs::fchmod(&folder, Mode::from_raw_mode(0o755))?;
    enterable(folder.as_fd(), FOLDER)
}

/// Writes a file under another name first: a reader sees all of it or nothing.
fn put(folder: &OwnedFd, name: &str, text: &str) -> io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let hidden = format!(".{name}");
    let _ = rustix::fs::unlinkat(folder, &hidden, AtFlags::empty());
    let file = rustix::fs::openat(folder, &hidden, flags, Mode::RUSR | Mode::WUSR)?;
    berth_sys::file::write_all(&file, text.as_bytes())?;
    rustix::fs::fchmod(&file, Mode::from_raw_mode(0o644))?;
    rustix::fs::renameat(folder, &hidden, folder, name)
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
pub(crate) fn look_up(networks: BorrowedFd<'_>, container: &str, name: &str) -> Option<Vec<IpAddr>> {
    let mut found = Vec::new();
    for folder in folders_of(networks, container) {
        let own = read(&folder, container);
        let meant = own.as_ref().and_then(|own| own.means(name)).unwrap_or(name);
        let entries = entries(&folder).into_iter().filter(|entry| entry.answers_to(meant));
        found.extend(entries.flat_map(|entry| entry.addresses().collect::<Vec<_>>()));
    }
    found.sort_unstable();
    found.dedup();
    (!found.is_empty()).then_some(found)
}

/// The name of the neighbour that has `address`, with its network.
pub(crate) fn look_back(networks: BorrowedFd<'_>, container: &str, address: IpAddr) -> Option<String> {
    let mut neighbours = folders_of(networks, container).into_iter().flat_map(|folder| entries(&folder));
    let found = neighbours.find(|entry| entry.addresses().any(|own| own == address))?;
    Some(format!("{}.{}", found.names.first()?, found.network))
}

/// Whether a network of the container leads to other machines.
pub(crate) fn leads_out(networks: BorrowedFd<'_>, container: &str) -> bool {
    let folders = folders_of(networks, container);
    folders
        .iter()
        .any(|folder| read(folder, container).is_some_and(|entry| !entry.internal))
}

/// All that are on a network.
fn entries(folder: &OwnedFd) -> Vec<Entry> {
    let names = names(folder).unwrap_or_default();
    names.iter().filter_map(|name| read(folder, name)).collect()
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
    Entry::read(&text(folder, name)?)
}

fn text(folder: &OwnedFd, name: &str) -> Option<String> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = rustix::fs::openat(folder, name, flags, Mode::empty()).ok()?;
    let mut text = vec![0; MAX_FILE];
    let length = berth_sys::file::read_full(&file, &mut text).ok()?;
    text.truncate(length);
    String::from_utf8(text).ok()
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
            address6: None,
            internal: false,
            network: network.to_owned(),
            names: names.iter().map(|&name| name.to_owned()).collect(),
            links: Vec::new(),
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
        let ip = |last| IpAddr::V4(Ipv4Addr::new(10, 0, 0, last));
        assert_eq!(find("api"), Some(vec![ip(3)]));
        assert_eq!(find("api.mine"), Some(vec![ip(3)]));
        assert_eq!(find("data").map(|all| all.len()), Some(2));
        assert_eq!(find("other"), None);
        assert_eq!(look_back(folder.as_fd(), "c1", ip(2)), Some("db.mine".to_owned()));
        assert_eq!(look_back(folder.as_fd(), "c1", ip(4)), None);
    }

    #[test]
    fn a_link_is_a_name_that_one_container_alone_has_for_another() {
        let asks = Entry {
            links: vec![("Store".to_owned(), "db".to_owned()), ("api".to_owned(), "db".to_owned())],
            ..entry(2, "mine", &["web"])
        };
        let asked = Entry {
            address6: Some("fd00::3".parse().unwrap()),
            ..entry(3, "mine", &["db"])
        };
        let (_place, folder) = book(&[('a', "c1", asks), ('a', "c2", asked), ('a', "c3", entry(4, "mine", &["api"]))]);
        let both: Vec<IpAddr> = vec!["10.0.0.3".parse().unwrap(), "fd00::3".parse().unwrap()];
        assert_eq!(look_up(folder.as_fd(), "c1", "store"), Some(both.clone()));
        assert_eq!(look_up(folder.as_fd(), "c1", "store.mine"), Some(both.clone()));
        // It comes before who has the name.
        assert_eq!(look_up(folder.as_fd(), "c1", "api"), Some(both.clone()));
        assert_eq!(look_up(folder.as_fd(), "c2", "store"), None);
        assert_eq!(look_back(folder.as_fd(), "c1", both[1]), Some("db.mine".to_owned()));
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
    fn an_address_for_a_step_is_the_next_one_that_nobody_has() {
        let (_place, folder) = book(&[('a', "c1", entry(4, "mine", &["db"]))]);
        let id = "a".repeat(64);
        let ip = |last| Ipv4Addr::new(10, 0, 0, last);
        let choose = || super::choose(folder.as_fd(), &id, (ip(3), ip(6))).unwrap();
        // Not the fourth, which is taken; then from the first again.
        assert_eq!(
            [choose(), choose(), choose(), choose()],
            [Some(ip(3)), Some(ip(5)), Some(ip(6)), Some(ip(3))]
        );
        assert_eq!(containers(folder.as_fd(), &id).unwrap(), ["c1"]);
        for (container, last) in [("c2", 3), ("c3", 5), ("c4", 6)] {
            enter(folder.as_fd(), &id, container, &entry(last, "mine", &[])).unwrap();
        }
        assert_eq!(choose(), None);
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
        let named = entry(3, "mine", &["a\nb"]);
        let linked = Entry {
            links: vec![("a\tb".to_owned(), "db".to_owned())],
            ..entry(3, "mine", &[])
        };
        for hostile in [named, linked] {
            assert_eq!(enter(folder.as_fd(), &"a".repeat(64), "c2", &hostile), Err(Errno::INVAL));
        }
    }
}
