//! The network of a container from its start to its end: interfaces on bridges, names, the responder; and what is left of it.

use crate::container::Folder;
use crate::context::Context;
use crate::fail::failed;
use crate::journal;
use crate::run::attendant::{self, Attendant};
use berth_net::bridge::{self, Port};
use berth_net::{Responder, Target, Upstreams, book};
use berth_sys::lock;
use berth_sys::process::{self, Child, Namespaces};
use berth_wire::request::{BridgeNetwork, Endpoint, IdMap, Network};
use berth_wire::{Code, Failure};
use rustix::fd::{AsFd as _, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

/// The network of a container, in its folder: `connect` and `disconnect` change it.
pub(crate) const FILE: &str = "network.json";
const LOCK: &str = ".lock";
const DNS: u16 = 53;

/// The store's folder of networks.
pub(crate) fn folder(context: &Context) -> Result<OwnedFd, Failure> {
    context.directory(context.store.as_fd(), "networks", Some(context.owner))
}

/// Held while bridges and rules are made or removed; freed when it is dropped.
pub(crate) fn hold(networks: BorrowedFd<'_>) -> Result<OwnedFd, Failure> {
    let file = lock_file(networks)?;
    crate::channel::lock(file.as_fd())?;
    Ok(file)
}

fn lock_file(networks: BorrowedFd<'_>) -> Result<OwnedFd, Failure> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match rustix::fs::openat(networks, LOCK, flags, Mode::RUSR | Mode::WUSR) {
        // It need not be written to.
        Err(Errno::ROFS) => rustix::fs::openat(networks, LOCK, OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty()),
        other => other,
    }
    .map_err(failed("open networks/.lock"))
}

/// Checks what a request says about endpoints and resolvers.
pub(crate) fn check(id_map: &IdMap, network: &Network) -> Result<(), Failure> {
    let dns = match network {
        Network::Bridge { endpoints, dns, .. } => {
            ports(endpoints)?;
            dns
        }
        Network::Step { network, dns } => {
            bridge::step_range(network)?;
            dns
        }
        _ => return Ok(()),
    };
    if !matches!(id_map, IdMap::Root) {
        let message = "only rung root has networks that containers share";
        return Err(Failure::new(Code::Unsupported, "make network", message).hint("Use --network none or host, or --isolation root"));
    }
    upstreams(&dns.upstreams).map(drop)
}

/// Keeps the network of a container that starts for the first time; later it is what `connect` and `disconnect` have made of it.
pub(crate) fn keep(folder: &Folder, network: &Network) -> Result<(), Failure> {
    match folder.read::<Network>(FILE) {
        Ok(_) => Ok(()),
        Err(_) => folder.write_before(FILE, network),
    }
}

/// Where published ports lead: the address that the container has for others.
pub(crate) fn target(folder: &Folder) -> Target {
    let (address, address6) = match folder.read(FILE) {
        Ok(Network::Bridge { endpoints, .. }) => {
            let first = endpoints.into_iter().next();
            first.map_or((None, None), |endpoint| {
                (Some(endpoint.address), endpoint.ipv6.map(|six| six.address))
            })
        }
        Ok(Network::Private { address, .. }) => (Some(address), None),
        _ => (None, None),
    };
    Target {
        address: address.and_then(|text| text.parse().ok()).unwrap_or(Ipv4Addr::LOCALHOST),
        address6: address6.and_then(|text| text.parse().ok()),
    }
}

fn ports(endpoints: &[Endpoint]) -> Result<Vec<Port>, Failure> {
    endpoints.iter().map(Port::read).collect()
}

pub(crate) fn upstreams(texts: &[String]) -> Result<Upstreams, Failure> {
    let read = |text: &String| {
        let address: IpAddr = text
            .parse()
            .map_err(|_| Failure::new(Code::Request, "read network", "a resolver is not an IP address").subject(text.clone()))?;
        Ok(SocketAddr::new(address, DNS))
    };
    texts.iter().map(read).collect()
}

/// Connects a container whose first process waits in its namespaces; gives the responder for names. Nothing to do unless it is on a bridge.
pub(crate) fn attach(context: &Context, folder: &Folder, child: &Child, life: &OwnedFd) -> Result<Option<Attendant>, Failure> {
    let (asked, dns) = match folder.read(FILE) {
        Ok(Network::Bridge { endpoints, dns, .. }) => (Asked::Places(endpoints), dns),
        Ok(Network::Step { network, dns }) => (Asked::Step(network), dns),
        _ => return Ok(None),
    };
    let networks = self::folder(context)?;
    let known = book::networks(networks.as_fd()).map_err(failed("list networks"))?;
    if let Some(lost) = asked.networks().find(|network| !known.contains(&network.id)) {
        let failure = Failure::new(Code::NotFound, "join network", "the network was removed").subject(lost.name.clone());
        return Err(failure.hint("Make the container again, on a network that there is"));
    }
    let process = child.pid.as_raw_nonzero().get().unsigned_abs();
    let warn = |sentence| context.status.warning(sentence);
    let held = hold(networks.as_fd())?;
    let is_step = matches!(asked, Asked::Step(_));
    let endpoints = asked.endpoints(networks.as_fd())?;
    let ports = ports(&endpoints)?;
    // The address of a step is its own from here on; names are found when the container can be reached.
    if is_step {
        enter_all(&networks, folder, &endpoints, &ports)?;
    }
    for port in &ports {
        bridge::attach(port, &folder.id, process, &warn)?;
    }
    drop(held);
    let responder = respond(&networks, &folder.id, &ports, &upstreams(&dns.upstreams)?, &child.pidfd, life)?;
    if !is_step {
        enter_all(&networks, folder, &endpoints, &ports)?;
        for endpoint in &endpoints {
            journal(context, "connect", &folder.id, (&endpoint.network.id, &endpoint.network.name));
        }
    }
    Ok(Some(responder))
}

fn enter_all(networks: &OwnedFd, folder: &Folder, endpoints: &[Endpoint], ports: &[Port]) -> Result<(), Failure> {
    let mut pairs = endpoints.iter().zip(ports);
    pairs.try_for_each(|(endpoint, port)| enter(networks.as_fd(), &folder.id, endpoint, port))
}

/// What a container has asked for as network.
enum Asked {
    Places(Vec<Endpoint>),
    /// Any place for a step.
    Step(BridgeNetwork),
}

impl Asked {
    fn networks(&self) -> impl Iterator<Item = &BridgeNetwork> {
        let (places, step) = match self {
            Self::Places(endpoints) => (endpoints.as_slice(), None),
            Self::Step(network) => ([].as_slice(), Some(network)),
        };
        places.iter().map(|endpoint| &endpoint.network).chain(step)
    }

    /// The places. The caller holds the lock until a step stands in the book.
    fn endpoints(self, networks: BorrowedFd<'_>) -> Result<Vec<Endpoint>, Failure> {
        let network = match self {
            Self::Places(endpoints) => return Ok(endpoints),
            Self::Step(network) => network,
        };
        let chosen = book::choose(networks, &network.id, bridge::step_range(&network)?).map_err(failed("choose address"))?;
        let address = chosen.ok_or_else(|| {
            let failure =
                Failure::new(Code::Conflict, "choose address", "too many steps of builds run at a time").subject(network.name.clone());
            failure.hint("Wait for other builds, or use --network host")
        })?;
        Ok(vec![Endpoint {
            network,
            address: address.to_string(),
            mac: bridge::step_mac(address),
            interface: "eth0".to_owned(),
            names: Vec::new(),
            default_route: true,
            ipv6: None,
            link_local: Vec::new(),
            links: Vec::new(),
            sysctls: BTreeMap::new(),
        }])
    }
}

/// Tells of the networks that are none of the store's, `host` and `none`, by their names.
pub(crate) fn journal_plain(context: &Context, folder: &Folder, action: &str) {
    let (name, kind) = match folder.read(FILE) {
        Ok(Network::Host) => ("host", "host"),
        Ok(Network::None) => ("none", "null"),
        _ => return,
    };
    // A step of a build is not told about.
    if folder.life().is_ok_and(|life| life.is_some()) {
        let attributes = [("container", folder.id.as_str()), ("name", name), ("type", kind)];
        let attributes = attributes.map(|(key, value)| (key.to_owned(), value.to_owned()));
        journal::write(context, "network", action, name, &attributes.into());
    }
}

/// Tells that a container has come to a network, or has left it.
pub(crate) fn journal(context: &Context, action: &str, container: &str, (id, name): (&str, &str)) {
    let attributes = [("container", container), ("name", name), ("type", "bridge")];
    let attributes = attributes.map(|(key, value)| (key.to_owned(), value.to_owned()));
    journal::write(context, "network", action, id, &attributes.into());
}

/// Writes an endpoint into the book of its network.
pub(crate) fn enter(networks: BorrowedFd<'_>, container: &str, endpoint: &Endpoint, port: &Port) -> Result<(), Failure> {
    let entry = book::Entry {
        address: port.address,
        address6: port.address6(),
        internal: endpoint.network.internal,
        network: endpoint.network.name.clone(),
        names: endpoint.names.clone(),
        links: endpoint.links.iter().map(|link| (link.alias.clone(), link.name.clone())).collect(),
    };
    book::enter(networks, &endpoint.network.id, container, &entry).map_err(failed("write names"))
}

/// Starts the process that brings the container's side up and answers for names: it listens inside and asks outside.
fn respond(
    networks: &OwnedFd,
    container: &str,
    ports: &[Port],
    upstreams: &Upstreams,
    pidfd: &OwnedFd,
    life: &OwnedFd,
) -> Result<Attendant, Failure> {
    let kept = [networks.as_fd(), pidfd.as_fd(), life.as_fd()];
    attendant::start("name responder", &kept, |announce| {
        let host = rustix::fs::open("/proc/self/ns/net", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
            .map_err(failed("open network namespace"))?;
        process::enter(pidfd, Namespaces::NETWORK).map_err(failed("enter network namespace"))?;
        bridge::configure(ports)?;
        let responder = Responder::open()?;
        process::enter(&host, Namespaces::NETWORK).map_err(failed("leave network namespace"))?;
        drop(host);
        announce.serve()?;
        responder.serve(Some((networks.as_fd(), container)), upstreams, life)
    })
}

/// Takes away what a container that has ended leaves of its network: its names at once, its devices soon after. What goes wrong is collected by
/// the next command.
pub(crate) fn release(context: &Context, folder: &Folder) {
    if let Err(failure) = try_release(context, folder) {
        context
            .status
            .warning(format!("the network of container {} is not quite gone: {failure}", folder.id));
    }
}

fn try_release(context: &Context, folder: &Folder) -> Result<(), Failure> {
    let endpoints = match folder.read(FILE) {
        Ok(Network::Bridge { endpoints, .. }) => endpoints,
        // Its device goes with its namespace, and the next step needs the bridge.
        Ok(Network::Step { network, .. }) => {
            let networks = self::folder(context)?;
            return book::strike(networks.as_fd(), &network.id, &folder.id)
                .map(drop)
                .map_err(failed("strike step"));
        }
        _ => return Ok(()),
    };
    let networks = self::folder(context)?;
    for network in endpoints.iter().map(|endpoint| &endpoint.network) {
        if book::strike(networks.as_fd(), &network.id, &folder.id).map_err(failed("strike names"))? {
            journal(context, "disconnect", &folder.id, (&network.id, &network.name));
        }
    }
    let ids: Vec<String> = endpoints.into_iter().map(|endpoint| endpoint.network.id).collect();
    // Opened before: the store may be gone by then.
    let file = lock_file(networks.as_fd())?;
    // The kernel takes some hundredths of a second for each device, for which nobody has to wait.
    attendant::behind(&[file.as_fd()], || drop(clear(&file, &folder.id, &ids)))
}

fn clear(file: &OwnedFd, container: &str, ids: &[String]) -> Result<(), Failure> {
    lock::lock(file, true).map_err(failed("lock networks"))?;
    for id in ids {
        bridge::detach(container, id)?;
    }
    bridge::sweep(ids)
}

/// How long steps that have ended may keep their devices, and how often is looked whether they have gone.
const RETIRE: (u32, Duration) = (40, Duration::from_millis(50));
/// How long bridges wait for whoever comes after a build.
const IDLE: Duration = Duration::from_millis(500);

/// Takes networks down on which nobody is, soon: who tests what was just built comes on them at once.
pub(crate) fn retire(context: &Context) -> Result<(), Failure> {
    let Some((_, ids)) = standing(context)? else {
        return Ok(());
    };
    let stat = rustix::fs::fstat(&context.store).map_err(failed("stat store"))?;
    // Nothing is kept open meanwhile, by which the store would stay in use: it may be unmounted or gone by then.
    attendant::behind(&[], || {
        std::thread::sleep(IDLE);
        for _ in 0..RETIRE.0 {
            let networks = reopen(&context.store_root, (stat.st_dev, stat.st_ino));
            let stands = networks.map_or_else(|_| sweep_idle(None, &ids), |networks| sweep_idle(Some(networks), &ids));
            if !stands.unwrap_or_default() {
                break;
            }
            std::thread::sleep(RETIRE.1);
        }
    })
}

/// The folder of networks of the store that was at `path`, where it is that one still.
fn reopen(path: &str, identity: (u64, u64)) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let store = rustix::fs::open(path, flags, Mode::empty())?;
    let stat = rustix::fs::fstat(&store)?;
    if (stat.st_dev, stat.st_ino) != identity {
        return Err(Errno::NOENT);
    }
    rustix::fs::openat(&store, "networks", flags, Mode::empty())
}

/// Sweeps; true when a bridge still stands that nobody is known to be on: the kernel takes its time with the devices of those who were. Of a store
/// that is gone nobody is on any, and nobody else sweeps.
fn sweep_idle(networks: Option<OwnedFd>, ids: &[String]) -> Result<bool, Failure> {
    // What is not there is not made: the folder may be on its way out.
    let held = networks.as_ref().map(|networks| {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(networks, LOCK, flags, Mode::empty())?;
        lock::lock(&file, true).map(|()| file)
    });
    let _held = match held {
        None | Some(Err(Errno::NOENT)) => None,
        Some(other) => Some(other.map_err(failed("lock networks"))?),
    };
    let is_idle = |id: &&String| {
        let listed = networks.as_ref().map(|networks| book::containers(networks.as_fd(), id));
        listed.is_none_or(|containers| containers.is_ok_and(|containers| containers.is_empty()))
    };
    let idle: Vec<String> = ids.iter().filter(is_idle).cloned().collect();
    bridge::sweep(&idle)?;
    bridge::any_stands(&idle)
}

/// The folder of networks, and their ids, where one of them may stand.
fn standing(context: &Context) -> Result<Option<(OwnedFd, Vec<String>)>, Failure> {
    if !matches!(context.id_map, IdMap::Root) || !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    let networks = folder(context)?;
    let ids = book::networks(networks.as_fd()).map_err(failed("list networks"))?;
    let stands = !ids.is_empty() && bridge::any_stands(&ids)?;
    Ok(stands.then_some((networks, ids)))
}

/// Collects what killed processes left of networks without a container. Somebody who makes or removes one right now is left alone.
pub(crate) fn collect(context: &Context) -> Result<(), Failure> {
    let Some((networks, ids)) = standing(context)? else {
        return Ok(());
    };
    let file = lock_file(networks.as_fd())?;
    if lock::try_lock(&file, true).map_err(failed("lock networks"))? {
        bridge::sweep(&ids)?;
    }
    Ok(())
}
