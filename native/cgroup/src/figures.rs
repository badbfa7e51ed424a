//! What a running container uses now.

use crate::group::{Group, Member};
use rustix::process::Pid;

/// Figures of this moment; what no hierarchy counts is `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures {
    pub cpu_microseconds: Option<u64>,
    /// Without the part of the page cache that the kernel could drop at once, as Docker counts.
    pub memory: Option<u64>,
    pub memory_limit: Option<u64>,
    pub processes: Option<u64>,
    /// Bytes read and written.
    pub block: Option<(u64, u64)>,
}

/// v1 writes "no limit" as the largest multiple of a page.
const NO_LIMIT: u64 = 1 << 60;

impl Group {
    /// What its processes use.
    #[must_use]
    pub fn figures(&self) -> Figures {
        let mut figures = Figures::default();
        for member in &self.members {
            let found = if member.v2 { v2(member) } else { v1(member) };
            figures = Figures {
                cpu_microseconds: figures.cpu_microseconds.or(found.cpu_microseconds),
                memory: figures.memory.or(found.memory),
                memory_limit: figures.memory_limit.or(found.memory_limit),
                processes: figures.processes.or(found.processes),
                block: figures.block.or(found.block),
            };
        }
        figures
    }

    /// Its processes, by number.
    #[must_use]
    pub fn processes(&self) -> Vec<Pid> {
        let mut pids: Vec<Pid> = self.members.iter().map(Member::processes).max_by_key(Vec::len).unwrap_or_default();
        pids.sort_unstable_by_key(|pid| pid.as_raw_nonzero());
        pids
    }
}

fn v2(member: &Member) -> Figures {
    let cache = member.field("memory.stat", "inactive_file").unwrap_or_default();
    Figures {
        cpu_microseconds: member.field("cpu.stat", "usage_usec"),
        memory: member.number("memory.current").map(|bytes| bytes.saturating_sub(cache)),
        memory_limit: member.number("memory.max"),
        processes: member.number("pids.current"),
        block: member.text("io.stat").map(|text| io_stat(&text)),
    }
}

fn v1(member: &Member) -> Figures {
    let cache = member.field("memory.stat", "total_inactive_file").unwrap_or_default();
    Figures {
        cpu_microseconds: member.number("cpuacct.usage").map(|nanoseconds| nanoseconds / 1000),
        memory: member.number("memory.usage_in_bytes").map(|bytes| bytes.saturating_sub(cache)),
        memory_limit: member.number("memory.limit_in_bytes").filter(|bytes| *bytes < NO_LIMIT),
        processes: member.number("pids.current"),
        block: member.text("blkio.throttle.io_service_bytes").map(|text| service_bytes(&text)),
    }
}

/// `8:0 rbytes=1 wbytes=2 …`, a line for each device.
fn io_stat(text: &str) -> (u64, u64) {
    let sum = |key: &str| {
        let values = text
            .split_whitespace()
            .filter_map(|word| word.strip_prefix(key)?.parse::<u64>().ok());
        values.fold(0, u64::saturating_add)
    };
    (sum("rbytes="), sum("wbytes="))
}

/// `8:0 Read 1`, `8:0 Write 2`, … and a total at the end.
fn service_bytes(text: &str) -> (u64, u64) {
    let sum = |wanted: &str| {
        let values = text.lines().filter_map(|line| {
            let mut words = line.split_whitespace().skip(1);
            (words.next()? == wanted).then(|| words.next()?.parse::<u64>().ok())?
        });
        values.fold(0, u64::saturating_add)
    };
    (sum("Read"), sum("Write"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adds_up_devices_of_both_versions() {
        let v2 = "8:0 rbytes=10 wbytes=1 rios=3 wios=0\n8:16 rbytes=5 wbytes=2 rios=1 wios=1\n";
        assert_eq!(io_stat(v2), (15, 3));
        let v1 = "8:0 Read 10\n8:0 Write 1\n8:0 Sync 11\n8:16 Read 5\n8:16 Write 2\nTotal 18\n";
        assert_eq!(service_bytes(v1), (15, 3));
        assert_eq!((io_stat(""), service_bytes("Total 0")), ((0, 0), (0, 0)));
    }
}
