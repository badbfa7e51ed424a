//! How a process ended, in the words of the protocol.

use berth_cgroup::Usage;
use berth_sys::process::{Exit, Status};
use berth_wire::reply::Ended;
use berth_wire::{Code, Failure};

/// The end of a process, with the figures of its cgroup where there is one, else its own.
pub(crate) fn describe(exit: &Exit, usage: Option<Usage>) -> Ended {
    let usage = usage.unwrap_or_default();
    let source = if usage.memory_peak.is_some() { "cgroup" } else { "rusage" };
    Ended {
        exit_code: Some(exit.status.shell_code()),
        signal: match exit.status {
            Status::Signal(number) => Some(berth_sys::signal::name(number)),
            Status::Code(_) => None,
        },
        oom_killed: usage.oom_kills > 0,
        memory_peak: usage.memory_peak.or(Some(exit.peak_bytes)),
        memory_source: Some(source.to_owned()),
        cpu_microseconds: usage.cpu_microseconds.or(Some(exit.cpu_microseconds)),
    }
}

/// A process that runs.
pub(crate) fn running() -> Ended {
    Ended {
        exit_code: None,
        signal: None,
        oom_killed: false,
        memory_peak: None,
        memory_source: None,
        cpu_microseconds: None,
    }
}

/// A process that could not be started, by Docker's exit codes: a kernel parameter that is not there is a command that is not.
pub(crate) fn not_started(failure: &Failure) -> Ended {
    Ended {
        exit_code: Some(match failure.code {
            Code::CommandNotFound => 127,
            Code::NotFound if failure.step == "open sysctl" => 127,
            Code::CommandNotExecutable => 126,
            _ => 128,
        }),
        ..running()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_ends_as_it_does_with_docker() {
        let codes = [
            (Failure::new(Code::CommandNotFound, "exec", "no such file"), 127),
            (Failure::new(Code::CommandNotExecutable, "exec", "is a directory"), 126),
            (Failure::system("open sysctl", "ENOENT", "no such file"), 127),
            (Failure::system("write sysctl", "EINVAL", "invalid argument"), 128),
            (Failure::system("mount overlay", "ENOENT", "no such file"), 128),
        ];
        for (failure, code) in codes {
            assert_eq!(not_started(&failure).exit_code, Some(code), "{failure}");
        }
    }
}
