//! The way out of a container in a user namespace, where nobody may make bridges: passt's `pasta`, which carries what the container sends over sockets
//! of its own on the host. Ports stay with our proxy, names with our responder, as on a bridge.
//!
//! `pasta` runs in a pid namespace whose first process attends it: whatever becomes of the monitor, nothing of it stays.

use crate::cmd::start::Order;
use crate::container::Folder;
use crate::context::Context;
use crate::fail::{failed, failed_on};
use crate::idmap;
use crate::run::attendant::{self, Attendant};
use crate::run::network;
use berth_jail::Message;
use berth_jail::report::{self, Receiver, Reporter};
use berth_net::Responder;
use berth_sys::process::{self, Forked, Namespaces, Status};
use berth_wire::request::{self, Network};
use berth_wire::{Code, Failure};
use rustix::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::mount::MountPropagationFlags;
use std::ffi::CString;
use std::net::Ipv4Addr;

/// Where `pasta` finds the network namespace: a file in the container's folder, on which it is mounted for the attendant alone.
const PLACE: &str = "netns";
const TUN: &str = "/dev/net/tun";
/// Its configuration by the host's, no way to the host's loopback, and no ports: those are ours. It stays root of the user namespace, which it takes
/// for that of the machine, and leaves for nobody, where all ids are themselves. passt(1).
const OPTIONS: [&str; 14] = [
    "--quiet",
    "--runas",
    "0:0",
    "--config-net",
    "--no-map-gw",
    "-t",
    "none",
    "-u",
    "none",
    "-T",
    "none",
    "-U",
    "none",
    "--netns",
];

/// A network namespace with a way out, and who attends it.
pub(crate) struct WayOut {
    pub(crate) namespace: OwnedFd,
    pub(crate) attendant: Attendant,
}

/// Refuses what a request may not ask for.
pub(crate) fn check(asked: &request::WayOut, user_namespace: bool) -> Result<(), Failure> {
    let refused = |message: &str| Failure::new(Code::Request, "read network", message).subject("network.wayOut");
    if !user_namespace {
        return Err(refused("root has bridges"));
    }
    if !asked.pasta.starts_with('/') || asked.pasta.contains('\0') {
        return Err(refused("the program is no absolute path"));
    }
    network::upstreams(&asked.dns.upstreams).map(drop)
}

/// The network that an order asks for, where it leads out. A container whose way out cannot be made does without, and is told.
pub(crate) fn open(context: &Context, order: &Order<'_>, folder: &Folder, life: &OwnedFd) -> Option<WayOut> {
    let Network::Private { way_out: Some(asked), .. } = &order.args.network else {
        return None;
    };
    let made = make(context, (asked, order.address), folder, life);
    made.inspect_err(|failure| {
        context
            .status
            .warning(format!("the container has no way out of its network: {failure}"));
    })
    .ok()
}

fn make(
    context: &Context,
    (asked, address): (&request::WayOut, Option<Ipv4Addr>),
    folder: &Folder,
    life: &OwnedFd,
) -> Result<WayOut, Failure> {
    let upstreams = network::upstreams(&asked.dns.upstreams)?;
    let (namespace, responder) = namespace(address)?;
    let place = place(context, folder)?;
    let [udp, tcp] = responder.descriptors();
    let kept = [namespace.as_fd(), udp, tcp, life.as_fd()];
    let attendant = attendant::start_in(Namespaces::PID.and(Namespaces::MOUNT), "way out", &kept, |announce| {
        // Said again when it serves; what it starts before must not outlive the monitor either.
        process::die_with_parent().map_err(failed("prctl PR_SET_PDEATHSIG"))?;
        show(&namespace, &place)?;
        run(&asked.pasta, &place)?;
        announce.serve()?;
        responder.serve(None, &upstreams, life)
    })?;
    Ok(WayOut { namespace, attendant })
}

/// A namespace with loopback, the container's address and the sockets of the responder, made by a process that leaves it to us: this one could not
/// come back from it.
fn namespace(address: Option<Ipv4Addr>) -> Result<(OwnedFd, Responder), Failure> {
    let (receiver, reporter) = report::channel()?;
    match process::fork(Namespaces::NETWORK).map_err(failed("clone"))? {
        Forked::Child => {
            drop(receiver);
            if let Err(failure) = furnish(address, &reporter) {
                reporter.tell(&Message::Failure(failure));
            }
            process::exit_now(0)
        }
        Forked::Parent(child) => {
            drop(reporter);
            let received = receive(&receiver);
            process::wait(child.pid).map_err(failed("wait"))?;
            let broken = |_| {
                Failure::new(
                    Code::System,
                    "make network namespace",
                    "the process that makes it ended without a word",
                )
            };
            let [namespace, udp, tcp] = <[OwnedFd; 3]>::try_from(received?).map_err(broken)?;
            Ok((namespace, Responder::of([udp, tcp])))
        }
    }
}

fn furnish(address: Option<Ipv4Addr>, reporter: &Reporter) -> Result<(), Failure> {
    berth_net::bring_up(address)?;
    berth_net::forbid_cloud()?;
    let responder = Responder::open()?;
    let namespace = process::own_namespace("net").map_err(failed("open /proc/self/ns/net"))?;
    let [udp, tcp] = responder.descriptors();
    [namespace.as_fd(), udp, tcp]
        .into_iter()
        .try_for_each(|descriptor| reporter.hand_over(descriptor))
}

fn receive(receiver: &Receiver) -> Result<Vec<OwnedFd>, Failure> {
    let mut descriptors = Vec::new();
    while let Some(packet) = receiver.next()? {
        if let Message::Failure(failure) = packet.message {
            return Err(failure);
        }
        descriptors.extend(packet.descriptor);
    }
    Ok(descriptors)
}

/// Makes the file that the namespace is mounted on; gives its path.
fn place(context: &Context, folder: &Folder) -> Result<String, Failure> {
    let flags = OFlags::RDONLY | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(&folder.fd, PLACE, flags, Mode::RUSR).map_err(failed("make mount target"))?;
    Ok(format!("{}/containers/{}/{PLACE}", context.store_root, folder.id))
}

/// Mounts the namespace where `pasta` can open it by name: what it inherits it may close, and into other processes it cannot look.
fn show(namespace: &OwnedFd, place: &str) -> Result<(), Failure> {
    rustix::mount::mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC).map_err(failed("make mounts private"))?;
    let link = format!("/proc/self/fd/{}", namespace.as_raw_fd());
    rustix::mount::mount_bind(link, place).map_err(failed("mount network namespace"))
}

/// Without a reason of its own `pasta` says that it cannot open the device in the namespace.
fn check_tun() -> Result<(), Failure> {
    let opened = rustix::fs::open(TUN, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty());
    opened.map(drop).map_err(|error| {
        let failure = failed_on("start pasta", TUN)(error);
        let message = format!(
            "{}: pasta needs it; `modprobe tun` makes it, `chmod 666 {TUN}` lets users open it",
            failure.message
        );
        Failure { message, ..failure }
    })
}

/// Starts `pasta`, which goes to the background when the network is there.
fn run(pasta: &str, place: &str) -> Result<(), Failure> {
    check_tun()?;
    let words = [pasta].into_iter().chain(OPTIONS).chain([place]);
    let words: Vec<CString> = words.filter_map(|word| CString::new(word).ok()).collect();
    let (status, said) = idmap::capture(&words, true)?;
    if status == Status::Code(0) {
        return Ok(());
    }
    let message = if said.is_empty() {
        format!("it ended with code {}", status.shell_code())
    } else {
        // Its log is not ours to mend.
        let lines = said.lines().filter(|line| !line.contains("syslog"));
        lines.collect::<Vec<_>>().join("; ")
    };
    Err(Failure::new(Code::System, "start pasta", message).subject(pasta))
}
