//! `stats` and `processes`: what running containers use, from their cgroups, else from /proc.

use crate::container::{self, Folder, life};
use crate::context::Context;
use crate::fail::failed;
use crate::journal;
use berth_cgroup::Group;
use berth_wire::reply::{self, ContainerState, ContainerStats};
use berth_wire::request::{Network, Processes, Start, Stats};
use berth_wire::{Code, Failure, Reply};
use rustix::process::Pid;

/// Ticks of /proc in a second: fixed by the kernel's interface.
const TICKS: u64 = 100;

pub(crate) fn stats(context: &Context, args: &Stats) -> Result<Reply, Failure> {
    let mut containers = Vec::new();
    for id in &args.containers {
        let Ok(folder) = Folder::open(context, id) else { continue };
        if let Some(state) = life::look(context, &folder)?.filter(life::runs) {
            // Its numbers would be those of other processes here.
            if let Err(failure) = life::check_reach(&folder, &state) {
                context.status.warning(failure.to_string());
                continue;
            }
            containers.push(of_container(context, &folder, &state)?);
        }
    }
    Ok(Reply::Stats(reply::Stats {
        system_microseconds: system_microseconds().unwrap_or_default(),
        processors: processors(),
        memory_total: memory_total().unwrap_or_default(),
        containers,
    }))
}

/// The processes of a container.
pub(crate) fn processes(context: &Context, args: &Processes) -> Result<Reply, Failure> {
    let folder = Folder::open(context, &args.container)?;
    let Some(state) = life::look(context, &folder)?.filter(life::runs) else {
        return Err(Failure::new(Code::Conflict, "list processes", "the container is not running").subject(args.container.clone()));
    };
    life::check_reach(&folder, &state)?;
    let pids = pids(&container::group(context, &folder)?, &state);
    journal::of_container(context, &folder, "top", &[]);
    Ok(Reply::Processes(reply::Processes {
        pids: pids.into_iter().map(|pid| pid.as_raw_nonzero().get()).collect(),
    }))
}

fn of_container(context: &Context, folder: &Folder, state: &ContainerState) -> Result<ContainerStats, Failure> {
    let group = container::group(context, folder)?;
    let figures = group.figures();
    let own = if figures.memory.is_none() || figures.cpu_microseconds.is_none() || figures.processes.is_none() {
        summed(&pids(&group, state))
    } else {
        Summed::default()
    };
    let on_host = folder
        .read::<Start>(container::folder::ORDER)
        .is_ok_and(|order| matches!(order.network, Network::Host));
    Ok(ContainerStats {
        id: state.id.clone(),
        cpu_microseconds: figures.cpu_microseconds.unwrap_or(own.cpu_microseconds),
        memory: figures.memory.unwrap_or(own.memory),
        memory_limit: figures.memory_limit,
        processes: figures.processes.unwrap_or(own.processes),
        network: state.process.filter(|_| !on_host).and_then(|process| network(process.pid)),
        block: figures.block,
    })
}

/// Of the cgroup; where there is none, all in the pid namespace of the first process.
fn pids(group: &Group, state: &ContainerState) -> Vec<Pid> {
    let listed = group.processes();
    if !listed.is_empty() {
        return listed;
    }
    let namespace = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
    let Some(wanted) = state.process.and_then(|process| namespace(&process.pid.to_string())) else {
        return Vec::new();
    };
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    let mut pids: Vec<Pid> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()) && namespace(name).as_ref() == Some(&wanted))
        .filter_map(|name| name.parse().ok().and_then(Pid::from_raw))
        .collect();
    pids.sort_unstable_by_key(|pid| pid.as_raw_nonzero());
    pids
}

#[derive(Default)]
struct Summed {
    cpu_microseconds: u64,
    memory: u64,
    processes: u64,
}

fn summed(pids: &[Pid]) -> Summed {
    let page = u64::try_from(rustix::param::page_size()).unwrap_or(4096);
    let mut sum = Summed::default();
    for pid in pids {
        let Ok(stat) = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())) else {
            continue;
        };
        // Behind the name, which may itself hold brackets and blanks: field 3 is the first.
        let Some((_, fields)) = stat.rsplit_once(')') else { continue };
        let field = |number: usize| {
            let text = fields.split_whitespace().nth(number.saturating_sub(3));
            text.and_then(|text| text.parse::<u64>().ok()).unwrap_or_default()
        };
        let ticks = field(14).saturating_add(field(15));
        sum.cpu_microseconds = sum.cpu_microseconds.saturating_add(ticks.saturating_mul(1_000_000 / TICKS));
        sum.memory = sum.memory.saturating_add(field(24).saturating_mul(page));
        sum.processes = sum.processes.saturating_add(1);
    }
    sum
}

/// Bytes received and sent by all devices but loopback.
fn network(pid: i32) -> Option<(u64, u64)> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/net/dev")).ok()?;
    let mut sum = (0_u64, 0_u64);
    for line in text.lines().skip(2) {
        let (name, figures) = line.split_once(':')?;
        if name.trim() == "lo" {
            continue;
        }
        let figures: Vec<u64> = figures.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        let at = |index: usize| figures.get(index).copied().unwrap_or_default();
        sum = (sum.0.saturating_add(at(0)), sum.1.saturating_add(at(8)));
    }
    Some(sum)
}

/// All that the machine's processors did so far: user, nice, system, idle, iowait, irq, softirq and steal.
fn system_microseconds() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/stat").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let ticks = line.split_whitespace().take(8).filter_map(|word| word.parse::<u64>().ok());
    Some(ticks.fold(0, u64::saturating_add).saturating_mul(1_000_000 / TICKS))
}

fn processors() -> u32 {
    std::thread::available_parallelism().map_or(1, |count| u32::try_from(count.get()).unwrap_or(u32::MAX))
}

fn memory_total() -> Result<u64, Failure> {
    let text = std::fs::read_to_string("/proc/meminfo").map_err(|_| failed("read /proc/meminfo")(rustix::io::Errno::NOENT))?;
    let kilobytes = text
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:")?.split_whitespace().next()?.parse::<u64>().ok());
    Ok(kilobytes.unwrap_or_default().saturating_mul(1024))
}
