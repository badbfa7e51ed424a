//! `network`: containers join and leave networks, and what is left of networks is collected.

use crate::container::folder::Locked;
use crate::container::{Folder, life};
use crate::context::Context;
use crate::fail::{failed, failed_on};
use crate::run::network::{self, FILE};
use berth_monitor::process_id;
use berth_net::book;
use berth_net::bridge::{self, Port};
use berth_sys::process::{self, Forked, Namespaces};
use berth_wire::request::{ChangeNetwork, Endpoint, Network, WaysOut};
use berth_wire::{Code, Failure, Reply};
use rustix::fd::{AsFd as _, OwnedFd};

pub(crate) fn run(context: &Context, args: &ChangeNetwork) -> Result<Reply, Failure> {
    match args {
        ChangeNetwork::Connect { container, endpoint } => connect(context, container, endpoint)?,
        ChangeNetwork::Disconnect {
            container,
            network,
            ways_out,
        } => disconnect(context, container, network, ways_out.as_ref())?,
        ChangeNetwork::Names { container, network, names } => rename(context, container, network, names)?,
        ChangeNetwork::Sweep => network::collect(context)?,
        ChangeNetwork::Retire => network::retire(context)?,
    }
    Ok(Reply::Network)
}

/// A container on bridges, and its process while it runs. Nobody starts, changes or removes it meanwhile.
struct Member {
    folder: Folder,
    _locked: Locked,
    process: Option<OwnedFd>,
    pid: u32,
    network: Network,
}

impl Member {
    fn find(context: &Context, id: &str) -> Result<Self, Failure> {
        let folder = Folder::open(context, id)?;
        // A start reads the networks and joins them under this lock: it comes before, and the process is found, or after, and sees what is kept.
        let locked = folder.lock(context)?;
        let state = life::settle(context, &folder)?;
        state.iter().try_for_each(|state| life::check_reach(&folder, state))?;
        let process = state.filter(life::runs).and_then(|state| state.process);
        let network: Network = folder.read(FILE)?;
        network::check(&context.id_map, &network)?;
        if !matches!(network, Network::Bridge { .. }) {
            return Err(Failure::new(Code::Conflict, "change network", "the container is on no bridge").subject(id));
        }
        Ok(Self {
            folder,
            _locked: locked,
            pid: process.map(|process| process.pid.unsigned_abs()).unwrap_or_default(),
            process: process.and_then(process_id::open),
            network,
        })
    }

    fn endpoints(&mut self) -> Option<&mut Vec<Endpoint>> {
        match &mut self.network {
            Network::Bridge { endpoints, .. } => Some(endpoints),
            _ => None,
        }
    }

    fn keep(&self) -> Result<(), Failure> {
        self.folder.write(FILE, &self.network)
    }
}

fn connect(context: &Context, id: &str, endpoint: &Endpoint) -> Result<(), Failure> {
    let port = Port::read(endpoint)?;
    let mut member = Member::find(context, id)?;
    let networks = network::folder(context)?;
    let joined = join(context, &networks, &member, (endpoint, &port)).and_then(|()| {
        let before = member.network.clone();
        if let Some(endpoints) = member.endpoints() {
            endpoints.retain(|other| other.network.id != endpoint.network.id);
            yield_ways_out(endpoints, endpoint);
            endpoints.push(endpoint.clone());
        }
        member.keep().inspect_err(|_| member.network = before)
    });
    if member.process.is_none() {
        return joined;
    }
    match joined {
        Ok(()) => network::journal(context, "connect", id, (&endpoint.network.id, &endpoint.network.name)),
        // What went wrong first is what is told; what stays all the same is swept by a later command.
        Err(failure) => {
            let _ = book::strike(networks.as_fd(), &endpoint.network.id, id);
            let _ = leave(&networks, id, &endpoint.network.id);
            let _ = lead_out(&mut member, |_| true);
            return Err(failure);
        }
    }
    Ok(())
}

/// Gives a container that runs its end of a network, and its names there.
fn join(context: &Context, networks: &OwnedFd, member: &Member, (endpoint, port): (&Endpoint, &Port)) -> Result<(), Failure> {
    let Some(process) = &member.process else { return Ok(()) };
    let id = &member.folder.id;
    let held = network::hold(networks.as_fd())?;
    bridge::attach(port, id, member.pid, &|sentence| context.status.warning(sentence))?;
    drop(held);
    inside(process, || bridge::configure_port(port))?;
    network::enter(networks.as_fd(), id, endpoint, port)
}

/// What leads out over a new network leads over no other.
fn yield_ways_out(endpoints: &mut [Endpoint], new: &Endpoint) {
    for other in endpoints {
        other.default_route = other.default_route && !new.default_route;
        if let (Some(other), Some(new)) = (&mut other.ipv6, &new.ipv6) {
            other.default_route = other.default_route && !new.default_route;
        }
    }
}

/// Makes the ways out of a container that runs again, over those of its networks that `which` names.
fn lead_out(member: &mut Member, which: impl Fn(&Endpoint) -> bool) -> Result<(), Failure> {
    let leads = |endpoint: &Endpoint| endpoint.default_route || endpoint.ipv6.as_ref().is_some_and(|six| six.default_route);
    let endpoints = member.endpoints().into_iter().flatten();
    let chosen = endpoints.filter(|endpoint| leads(endpoint) && which(endpoint));
    let ports = chosen.map(|endpoint| Port::read(endpoint)).collect::<Result<Vec<_>, _>>()?;
    let Some(process) = member.process.as_ref().filter(|_| !ports.is_empty()) else {
        return Ok(());
    };
    inside(process, || ports.iter().try_for_each(bridge::configure_port))
}

/// Takes away what joining a network has made.
fn leave(networks: &OwnedFd, id: &str, network: &str) -> Result<(), Failure> {
    let _held = network::hold(networks.as_fd())?;
    bridge::detach(id, network)?;
    bridge::sweep(&[network.to_owned()])
}

/// Writes other names of a container into the book of a network, and into what it is started with again.
fn rename(context: &Context, id: &str, network: &str, names: &[String]) -> Result<(), Failure> {
    let mut member = Member::find(context, id)?;
    let runs = member.process.is_some();
    let found = member
        .endpoints()
        .and_then(|endpoints| endpoints.iter_mut().find(|endpoint| endpoint.network.id == network));
    let Some(endpoint) = found else { return Ok(()) };
    names.clone_into(&mut endpoint.names);
    if runs {
        let port = Port::read(endpoint)?;
        network::enter(network::folder(context)?.as_fd(), id, endpoint, &port)?;
    }
    member.keep()
}

fn disconnect(context: &Context, id: &str, network: &str, ways_out: Option<&WaysOut>) -> Result<(), Failure> {
    let mut member = Member::find(context, id)?;
    let Some(endpoints) = member.endpoints() else { return Ok(()) };
    let name = endpoints.iter().find(|endpoint| endpoint.network.id == network);
    let name = name.map(|endpoint| endpoint.network.name.clone()).unwrap_or_default();
    let before = endpoints.clone();
    endpoints.retain(|endpoint| endpoint.network.id != network);
    choose_ways_out(endpoints, ways_out, before.iter().find(|endpoint| endpoint.network.id == network));
    let networks = network::folder(context)?;
    let there = book::strike(networks.as_fd(), network, id).map_err(failed_on("strike names", network))?;
    if member.process.is_some() {
        leave(&networks, id, network)?;
        if there {
            network::journal(context, "disconnect", id, (network, &name));
        }
        // Those that lead out already stay as they are.
        lead_out(&mut member, |endpoint| !before.contains(endpoint))?;
    }
    member.keep()
}

/// Says which networks lead out when one has been left: those that the engine names, else the first that does.
fn choose_ways_out(endpoints: &mut [Endpoint], named: Option<&WaysOut>, left: Option<&Endpoint>) {
    if let Some(named) = named {
        for endpoint in endpoints {
            let is = |id: &Option<String>| id.as_ref() == Some(&endpoint.network.id);
            endpoint.default_route = is(&named.ipv4);
            if let Some(six) = &mut endpoint.ipv6 {
                six.default_route = is(&named.ipv6);
            }
        }
        return;
    }
    let led = left.is_some_and(|left| left.default_route);
    let next = endpoints.iter_mut().find(|endpoint| led && !endpoint.network.internal);
    next.into_iter().for_each(|endpoint| endpoint.default_route = true);
}

/// Does `act` in the network namespace of `process`, in a child, since this process has more to do in its own.
fn inside(process: &OwnedFd, act: impl FnOnce() -> Result<(), Failure>) -> Result<(), Failure> {
    let (told, tell) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).map_err(failed("pipe"))?;
    match process::fork(Namespaces::NONE).map_err(failed("fork"))? {
        Forked::Child => {
            let entered = process::enter(process, Namespaces::NETWORK).map_err(failed("enter network namespace"));
            if let Err(failure) = entered.and_then(|()| act()) {
                let _ = rustix::io::write(&tell, &serde_json::to_vec(&failure).unwrap_or_default());
            }
            process::exit_now(0)
        }
        Forked::Parent(child) => {
            drop(tell);
            let mut text = vec![0; 16 * 1024];
            let length = berth_sys::file::read_full(&told, &mut text).map_err(failed("read pipe"))?;
            process::wait(child.pid).map_err(failed("wait"))?;
            text.truncate(length);
            if text.is_empty() {
                return Ok(());
            }
            Err(serde_json::from_slice(&text).unwrap_or_else(|_| Failure::new(Code::System, "change network", "it failed without a word")))
        }
    }
}
