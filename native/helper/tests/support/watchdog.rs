//! No test waits for ever: a program that has not ended after a minute is killed with all below it, after it was said where each of them stood.
//! The test that started it fails by that.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};
use std::fs;
use std::io::{BufRead as _, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

/// How long a program may take before a test fails rather than hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Ends a child that takes longer than [`PATIENCE`]. The thread that watches ends with the child.
fn watch(child: &Child) {
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    // It has not been waited for, so the number is its own. Where a test takes the call away, the helper refuses at once.
    let Ok(pidfd) = pidfd_open(pid, PidfdFlags::empty()) else { return };
    std::thread::spawn(move || {
        let patience = Timespec {
            tv_sec: i64::try_from(PATIENCE.as_secs()).unwrap(),
            tv_nsec: 0,
        };
        let mut polled = [PollFd::new(&pidfd, PollFlags::IN)];
        if matches!(rustix::io::retry_on_intr(|| poll(&mut polled, Some(&patience))), Ok(0)) {
            let all = family(pid.as_raw_nonzero().get());
            eprintln!("after {} s this had not ended, and is killed:", PATIENCE.as_secs());
            for pid in &all {
                eprintln!("{}", describe(*pid));
            }
            for pid in all {
                let _ = kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL);
            }
        }
    });
}

/// Starts a program, and ends it when it hangs. A test beside this one that forks while the binary is copied keeps it open for writing for a moment.
pub(crate) fn spawn(command: &mut Command) -> Child {
    loop {
        match command.spawn() {
            Err(error) if error.kind() == std::io::ErrorKind::ExecutableFileBusy => std::thread::yield_now(),
            other => {
                let child = other.unwrap();
                watch(&child);
                return child;
            }
        }
    }
}

/// Runs a program to its end; gives what it printed.
pub(crate) fn output(command: &mut Command) -> Output {
    let child = spawn(command.stdout(Stdio::piped()).stderr(Stdio::piped()));
    child.wait_with_output().unwrap()
}

/// Waits for the end of a child that is watched.
pub(crate) fn end_of(child: &mut Child) -> ExitStatus {
    let status = child.wait().unwrap();
    let killed = std::os::unix::process::ExitStatusExt::signal(&status) == Some(Signal::KILL.as_raw());
    assert!(!killed, "the program was killed: it hung, as is said above");
    status
}

/// Lines as they come, each within [`PATIENCE`].
pub(crate) struct Lines(Receiver<String>);

impl Lines {
    pub(crate) fn of(source: impl Read + Send + 'static) -> Self {
        let (send, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(source).lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    break;
                }
            }
        });
        Self(lines)
    }
}

impl Iterator for Lines {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        let line = self.0.recv_timeout(PATIENCE);
        assert_ne!(line, Err(RecvTimeoutError::Timeout), "no line came, and no end");
        line.ok()
    }
}

/// A process and all below it.
fn family(first: i32) -> Vec<i32> {
    let mut all = vec![first];
    let mut at = 0;
    while let Some(pid) = all.get(at).copied() {
        let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
        for task in tasks {
            let children = fs::read_to_string(task.path().join("children")).unwrap_or_default();
            all.extend(children.split_whitespace().filter_map(|pid| pid.parse::<i32>().ok()));
        }
        at += 1;
    }
    all
}

/// Where a process stands.
fn describe(pid: i32) -> String {
    let text = |file: &str| fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_else(|error| error.to_string());
    let words = text("cmdline").replace('\0', " ");
    let state = text("status").lines().find(|line| line.starts_with("State:")).map(str::to_owned);
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let descriptors: Vec<String> = descriptors
        .filter_map(|entry| {
            let target = fs::read_link(entry.path()).ok()?;
            Some(format!("{} -> {}", entry.file_name().to_string_lossy(), target.display()))
        })
        .collect();
    format!(
        "process {pid}: {words}\n{}; waits in {}; system call {}{}descriptors {}",
        state.unwrap_or_default(),
        text("wchan"),
        text("syscall"),
        text("stack"),
        descriptors.join(", ")
    )
}
