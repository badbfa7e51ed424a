//! From the limits of the specification to the files of each version.

use berth_wire::oci::{BlockIo, Cpu, Memory, Resources, ThrottleDevice};

/// What v1 bounds memory and swap together with.
pub(crate) const MEMORY_AND_SWAP: &str = "memory.memsw.limit_in_bytes";

/// A file to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Setting {
    pub(crate) controller: &'static str,
    pub(crate) file: &'static str,
    pub(crate) value: String,
    /// The file and value of kernels that have not got `file`.
    pub(crate) else_write: Option<(&'static str, String)>,
}

/// The files that carry the limits, in the order in which they must be written.
pub(crate) fn settings(resources: &Resources, v2: bool) -> Vec<Setting> {
    let mut settings = Vec::new();
    if let Some(memory) = &resources.memory {
        if v2 {
            memory_v2(memory, &mut settings)
        } else {
            memory_v1(memory, &mut settings)
        }
    }
    if let Some(pids) = &resources.pids {
        settings.push(setting("pids", "pids.max", maximum(pids.limit)));
    }
    if let Some(cpu) = &resources.cpu {
        if v2 {
            cpu_v2(cpu, &mut settings)
        } else {
            cpu_v1(cpu, &mut settings)
        }
        settings.extend(cpu.cpus.as_ref().map(|cpus| setting("cpuset", "cpuset.cpus", cpus)));
        settings.extend(cpu.mems.as_ref().map(|mems| setting("cpuset", "cpuset.mems", mems)));
    }
    if let Some(block_io) = &resources.block_io {
        settings.extend(if v2 { block_io_v2(block_io) } else { block_io_v1(block_io) });
    }
    settings
}

/// The part of the limits that this version cannot express, by the name of the flag or field.
pub(crate) fn impossible(resources: &Resources, v2: bool) -> Option<&'static str> {
    let memory = resources.memory.as_ref().filter(|_| v2)?;
    if memory.swappiness.is_some() {
        return Some("memory.swappiness");
    }
    (memory.disable_oom_killer == Some(true)).then_some("memory.disableOOMKiller")
}

/// The controllers that the limits need.
pub(crate) fn controllers(resources: &Resources) -> Vec<&'static str> {
    let memory = resources.memory.as_ref().is_some_and(|memory| {
        let numbers = memory.limit.or(memory.swap).or(memory.reservation).is_some();
        numbers || memory.swappiness.is_some() || memory.disable_oom_killer == Some(true)
    });
    let cpu = resources
        .cpu
        .as_ref()
        .is_some_and(|cpu| cpu.shares.is_some() || cpu.quota.is_some() || cpu.period.is_some());
    let cpuset = resources.cpu.as_ref().is_some_and(|cpu| cpu.cpus.is_some() || cpu.mems.is_some());
    [
        (memory, "memory"),
        (resources.pids.is_some(), "pids"),
        (cpu, "cpu"),
        (cpuset, "cpuset"),
        (resources.block_io.as_ref().is_some_and(|io| *io != BlockIo::default()), "io"),
    ]
    .into_iter()
    .filter(|(wanted, _)| *wanted)
    .map(|(_, name)| name)
    .collect()
}

fn setting(controller: &'static str, file: &'static str, value: impl Into<String>) -> Setting {
    Setting {
        controller,
        file,
        value: value.into(),
        else_write: None,
    }
}

/// Whether a controller of this name is the one that `wanted` means: v1 calls the one of block devices `blkio`.
pub(crate) fn is_controller(name: &str, wanted: &str) -> bool {
    name == wanted || wanted == "io" && name == "blkio"
}

/// Weights are those of BFQ, and before Linux 5.0 of CFQ, which has other names. Each device is a line that is written on its own.
fn block_io_v1(io: &BlockIo) -> Vec<Setting> {
    let weight = |file, older, value: String| Setting {
        else_write: Some((older, value.clone())),
        ..setting("io", file, value)
    };
    let all = io.weight.map(|value| weight("blkio.bfq.weight", "blkio.weight", value.to_string()));
    let each = io.weight_device.iter().map(|one| {
        let line = format!("{}:{} {}", one.major, one.minor, one.weight);
        weight("blkio.bfq.weight_device", "blkio.weight_device", line)
    });
    let rates = [
        ("blkio.throttle.read_bps_device", &io.throttle_read_bps_device),
        ("blkio.throttle.write_bps_device", &io.throttle_write_bps_device),
        ("blkio.throttle.read_iops_device", &io.throttle_read_iops_device),
        ("blkio.throttle.write_iops_device", &io.throttle_write_iops_device),
    ];
    let rates = rates.into_iter().flat_map(|(file, devices)| {
        devices
            .iter()
            .map(move |one| setting("io", file, format!("{}:{} {}", one.major, one.minor, one.rate)))
    });
    all.into_iter().chain(each).chain(rates).collect()
}

/// Weights are those of BFQ where it is there, else those of `io.cost`, which count from 1 to 10000.
fn block_io_v2(io: &BlockIo) -> Vec<Setting> {
    let weight = |device: &str, value: u16| Setting {
        else_write: Some(("io.weight", format!("{device}{}", io_weight(value)))),
        ..setting("io", "io.bfq.weight", format!("{device}{value}"))
    };
    let all = io.weight.map(|value| weight("", value));
    let each = io
        .weight_device
        .iter()
        .map(|one| weight(&format!("{}:{} ", one.major, one.minor), one.weight));
    let rates = [
        ("rbps", &io.throttle_read_bps_device),
        ("wbps", &io.throttle_write_bps_device),
        ("riops", &io.throttle_read_iops_device),
        ("wiops", &io.throttle_write_iops_device),
    ];
    let line = |key: &str, one: &ThrottleDevice| format!("{}:{} {key}={}", one.major, one.minor, bound(one.rate));
    let rates = rates
        .into_iter()
        .flat_map(|(key, devices)| devices.iter().map(move |one| setting("io", "io.max", line(key, one))));
    all.into_iter().chain(each).chain(rates).collect()
}

/// 10 to 1000 as 1 to 10000, by runc's rule.
fn io_weight(weight: u16) -> u32 {
    let weight = u32::from(weight.clamp(10, 1000));
    (weight - 10) * 9_999 / 990 + 1
}

/// 0 takes a limit away.
fn bound(rate: u64) -> String {
    if rate == 0 { "max".to_owned() } else { rate.to_string() }
}

fn memory_v1(memory: &Memory, settings: &mut Vec<Setting>) {
    if let Some(limit) = memory.limit {
        settings.push(setting("memory", "memory.limit_in_bytes", limit.to_string()));
    }
    // Memory and swap together; it cannot be below the limit of memory, so it comes second.
    if let Some(swap) = memory.swap {
        settings.push(setting("memory", MEMORY_AND_SWAP, swap.to_string()));
    }
    if let Some(reservation) = memory.reservation {
        settings.push(setting("memory", "memory.soft_limit_in_bytes", reservation.to_string()));
    }
    if let Some(swappiness) = memory.swappiness {
        settings.push(setting("memory", "memory.swappiness", swappiness.to_string()));
    }
    if memory.disable_oom_killer == Some(true) {
        settings.push(setting("memory", "memory.oom_control", "1"));
    }
}

fn memory_v2(memory: &Memory, settings: &mut Vec<Setting>) {
    if let Some(limit) = memory.limit {
        settings.push(setting("memory", "memory.max", maximum(limit)));
    }
    if let Some(swap) = memory.swap {
        let beyond = match (swap, memory.limit) {
            (..=-1, _) => "max".to_owned(),
            (swap, Some(limit)) if limit >= 0 => swap.saturating_sub(limit).max(0).to_string(),
            (swap, _) => swap.to_string(),
        };
        settings.push(setting("memory", "memory.swap.max", beyond));
    }
    if let Some(reservation) = memory.reservation {
        settings.push(setting("memory", "memory.low", reservation.max(0).to_string()));
    }
}

fn cpu_v1(cpu: &Cpu, settings: &mut Vec<Setting>) {
    if let Some(shares) = cpu.shares.filter(|shares| *shares != 0) {
        settings.push(setting("cpu", "cpu.shares", shares.to_string()));
    }
    if let Some(period) = cpu.period.filter(|period| *period != 0) {
        settings.push(setting("cpu", "cpu.cfs_period_us", period.to_string()));
    }
    if let Some(quota) = cpu.quota.filter(|quota| *quota != 0) {
        settings.push(setting("cpu", "cpu.cfs_quota_us", quota.to_string()));
    }
}

fn cpu_v2(cpu: &Cpu, settings: &mut Vec<Setting>) {
    if let Some(shares) = cpu.shares.filter(|shares| *shares != 0) {
        settings.push(setting("cpu", "cpu.weight", weight(shares).to_string()));
    }
    if cpu.quota.is_some() || cpu.period.is_some() {
        let quota = cpu
            .quota
            .filter(|quota| *quota > 0)
            .map_or_else(|| "max".to_owned(), |quota| quota.to_string());
        let period = cpu.period.filter(|period| *period != 0).unwrap_or(100_000);
        settings.push(setting("cpu", "cpu.max", format!("{quota} {period}")));
    }
}

/// v1 counts shares from 2 to 262144, v2 weights from 1 to 10000.
fn weight(shares: u64) -> u64 {
    let shares = shares.clamp(2, 262_144);
    (shares - 2) * 9_999 / 262_142 + 1
}

fn maximum(limit: i64) -> String {
    if limit < 0 { "max".to_owned() } else { limit.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use berth_wire::oci::Pids;

    fn texts(resources: &Resources, v2: bool) -> Vec<String> {
        settings(resources, v2)
            .into_iter()
            .map(|one| format!("{}={}", one.file, one.value))
            .collect()
    }

    #[test]
    fn writes_the_files_of_each_version() {
        let resources = Resources {
            pids: Some(Pids { limit: 2048 }),
            memory: Some(Memory {
                limit: Some(100),
                swap: Some(150),
                reservation: Some(50),
                ..Memory::default()
            }),
            cpu: Some(Cpu {
                shares: Some(1024),
                quota: Some(50_000),
                cpus: Some("0-1".into()),
                ..Cpu::default()
            }),
            ..Resources::default()
        };
        assert_eq!(
            texts(&resources, true),
            [
                "memory.max=100",
                "memory.swap.max=50",
                "memory.low=50",
                "pids.max=2048",
                "cpu.weight=39",
                "cpu.max=50000 100000",
                "cpuset.cpus=0-1"
            ]
        );
        assert_eq!(
            texts(&resources, false),
            [
                "memory.limit_in_bytes=100",
                "memory.memsw.limit_in_bytes=150",
                "memory.soft_limit_in_bytes=50",
                "pids.max=2048",
                "cpu.shares=1024",
                "cpu.cfs_quota_us=50000",
                "cpuset.cpus=0-1"
            ]
        );
        assert_eq!(controllers(&resources), ["memory", "pids", "cpu", "cpuset"]);
    }

    #[test]
    fn what_v2_has_not_is_named() {
        let resources = |memory| Resources {
            memory: Some(memory),
            ..Resources::default()
        };
        let swappiness = resources(Memory {
            swappiness: Some(0),
            ..Memory::default()
        });
        let killer = resources(Memory {
            disable_oom_killer: Some(true),
            ..Memory::default()
        });
        assert_eq!(impossible(&swappiness, true), Some("memory.swappiness"));
        assert_eq!(impossible(&killer, true), Some("memory.disableOOMKiller"));
        assert_eq!(impossible(&killer, false), None);
    }

    #[test]
    fn no_limit_is_written_as_the_kernel_says_it() {
        let resources = Resources {
            pids: Some(Pids { limit: -1 }),
            memory: Some(Memory {
                limit: Some(-1),
                swap: Some(-1),
                ..Memory::default()
            }),
            ..Resources::default()
        };
        assert_eq!(texts(&resources, true), ["memory.max=max", "memory.swap.max=max", "pids.max=max"]);
    }

    #[test]
    fn devices_are_limited_by_the_files_of_each_version() {
        let device = |rate| ThrottleDevice { major: 8, minor: 16, rate };
        let resources = Resources {
            block_io: Some(BlockIo {
                weight: Some(500),
                weight_device: vec![berth_wire::oci::WeightDevice {
                    major: 8,
                    minor: 0,
                    weight: 1000,
                }],
                throttle_read_bps_device: vec![device(1024)],
                throttle_write_iops_device: vec![device(0)],
                ..BlockIo::default()
            }),
            ..Resources::default()
        };
        assert_eq!(
            texts(&resources, true),
            [
                "io.bfq.weight=500",
                "io.bfq.weight=8:0 1000",
                "io.max=8:16 rbps=1024",
                "io.max=8:16 wiops=max"
            ]
        );
        let older: Vec<_> = settings(&resources, true).into_iter().filter_map(|one| one.else_write).collect();
        assert_eq!(older, [("io.weight", "4950".to_owned()), ("io.weight", "8:0 10000".to_owned())]);
        assert_eq!(
            texts(&resources, false),
            [
                "blkio.bfq.weight=500",
                "blkio.bfq.weight_device=8:0 1000",
                "blkio.throttle.read_bps_device=8:16 1024",
                "blkio.throttle.write_iops_device=8:16 0"
            ]
        );
        assert_eq!(controllers(&resources), ["io"]);
        assert!(is_controller("blkio", "io") && is_controller("io", "io") && !is_controller("blkio", "memory"));
        let nothing = Resources {
            block_io: Some(BlockIo::default()),
            ..Resources::default()
        };
        assert!(controllers(&nothing).is_empty());
    }

    #[test]
    fn shares_and_weights_meet_at_both_ends() {
        assert_eq!([0, 2, 262_144, u64::MAX].map(weight), [1, 1, 10_000, 10_000]);
        assert_eq!([0, 10, 1000, u16::MAX].map(io_weight), [1, 1, 10_000, 10_000]);
    }
}
