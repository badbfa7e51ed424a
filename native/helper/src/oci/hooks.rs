//! Programs that the configuration wants run at points of a container's life, with its state on their standard input.

use crate::fail::{escape, failed};
use crate::oci::config::refused;
use berth_sys::process::{self, Child, Forked, Namespaces, Status};
use berth_wire::{Code, Failure};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fd::OwnedFd;
use rustix::fs::{MemfdFlags, SeekFrom};
use rustix::process::Signal;
use serde::Deserialize;
use std::ffi::CString;

/// How much of what a hook printed is shown when it failed.
const MAX_SHOWN: usize = 2048;

/// One program.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Hook {
    path: String,
    #[serde(default)]
    args: Vec<String>,
    #[serde(default)]
    env: Vec<String>,
    /// In seconds.
    timeout: Option<i64>,
}

/// All of a configuration, by the point at which they run.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Hooks {
    pub(crate) prestart: Vec<Hook>,
    pub(crate) create_runtime: Vec<Hook>,
    pub(crate) create_container: Vec<Hook>,
    pub(crate) start_container: Vec<Hook>,
    pub(crate) poststart: Vec<Hook>,
    pub(crate) poststop: Vec<Hook>,
}

impl Hooks {
    /// Whether somebody waits for the container's namespaces before its root is entered.
    pub(crate) fn pause(&self) -> bool {
        !(self.prestart.is_empty() && self.create_runtime.is_empty() && self.create_container.is_empty())
    }

    /// Refuses a hook that cannot be run.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        let lists = [
            ("hooks.prestart", &self.prestart),
            ("hooks.createRuntime", &self.create_runtime),
            ("hooks.createContainer", &self.create_container),
            ("hooks.startContainer", &self.start_container),
            ("hooks.poststart", &self.poststart),
            ("hooks.poststop", &self.poststop),
        ];
        lists
            .into_iter()
            .try_for_each(|(field, hooks)| hooks.iter().try_for_each(|hook| check(field, hook)))
    }
}

fn check(field: &str, hook: &Hook) -> Result<(), Failure> {
    if !hook.path.starts_with('/') {
        return Err(refused(field, format!("the path {:?} of a hook is not absolute", hook.path)));
    }
    if hook.timeout.is_some_and(|seconds| seconds <= 0) {
        return Err(refused(field, "the timeout of a hook is not above 0"));
    }
    let nul = |text: &String| text.contains('\0');
    if nul(&hook.path) || hook.args.iter().any(nul) || hook.env.iter().any(nul) {
        return Err(refused(field, "a hook holds a NUL"));
    }
    Ok(())
}

/// Runs hooks one after the other; the first that fails ends it.
pub(crate) fn run(hooks: &[Hook], state: &[u8]) -> Result<(), Failure> {
    run_for(hooks, state, None)
}

/// The same for a container that may be removed meanwhile: hooks are of no use without it, and end with it.
pub(crate) fn run_for(hooks: &[Hook], state: &[u8], container: Option<&OwnedFd>) -> Result<(), Failure> {
    hooks.iter().try_for_each(|hook| one(hook, state, container))
}

fn one(hook: &Hook, state: &[u8], container: Option<&OwnedFd>) -> Result<(), Failure> {
    let input = memory().and_then(|file| fill(file, state)).map_err(failed("memfd_create"))?;
    let output = memory().map_err(failed("memfd_create"))?;
    match process::fork(Namespaces::NONE).map_err(failed("fork"))? {
        Forked::Child => become_hook(hook, &input, &output),
        Forked::Parent(child) => {
            let end = wait(&child, hook.timeout, container)?;
            if end != End::Own {
                let _ = rustix::process::pidfd_send_signal(&child.pidfd, Signal::KILL);
            }
            let exit = process::wait(child.pid).map_err(failed("wait for hook"))?;
            judge(hook, exit.status, end, &output)
        }
    }
}

fn memory() -> rustix::io::Result<OwnedFd> {
    rustix::fs::memfd_create("hook", MemfdFlags::CLOEXEC)
}

fn fill(file: OwnedFd, bytes: &[u8]) -> rustix::io::Result<OwnedFd> {
    berth_sys::file::write_all(&file, bytes)?;
    rustix::fs::seek(&file, SeekFrom::Start(0))?;
    Ok(file)
}

/// Why a hook is no longer waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Own,
    Timeout,
    Container,
}

fn wait(child: &Child, timeout: Option<i64>, container: Option<&OwnedFd>) -> Result<End, Failure> {
    let timeout = timeout.map(|seconds| Timespec {
        tv_sec: seconds,
        tv_nsec: 0,
    });
    let mut polled: Vec<_> = [Some(&child.pidfd), container]
        .into_iter()
        .flatten()
        .map(|fd| PollFd::new(fd, PollFlags::IN))
        .collect();
    rustix::io::retry_on_intr(|| rustix::event::poll(&mut polled, timeout.as_ref())).map_err(failed("poll"))?;
    let ended: Vec<bool> = polled.iter().map(|one| !one.revents().is_empty()).collect();
    Ok(match ended.as_slice() {
        [true, ..] => End::Own,
        [_, true] => End::Container,
        _ => End::Timeout,
    })
}

fn judge(hook: &Hook, status: Status, end: End, output: &OwnedFd) -> Result<(), Failure> {
    let end = match (end, status) {
        (End::Own, Status::Code(0)) => return Ok(()),
        (End::Timeout, _) => format!("it took more than its {} s", hook.timeout.unwrap_or_default()),
        (End::Container, _) => "the container ended meanwhile".to_owned(),
        (End::Own, Status::Code(code)) => format!("it ended with code {code}"),
        (End::Own, Status::Signal(number)) => format!("it was killed by {}", berth_sys::signal::name(number)),
    };
    let mut text = vec![0; MAX_SHOWN];
    let length = berth_sys::file::read_full_at(output, &mut text, 0).unwrap_or_default();
    text.truncate(length);
    let said = String::from_utf8_lossy(&text).trim().to_owned();
    let message = if said.is_empty() {
        end
    } else {
        format!("{end}: {}", escape(&said))
    };
    Err(Failure::new(Code::System, "run hook", message).subject(escape(&hook.path)))
}

fn become_hook(hook: &Hook, input: &OwnedFd, output: &OwnedFd) -> ! {
    let texts = |texts: &[String]| -> Vec<CString> { texts.iter().filter_map(|text| CString::new(text.as_str()).ok()).collect() };
    let ready = rustix::stdio::dup2_stdin(input)
        .and_then(|()| rustix::stdio::dup2_stdout(output))
        .and_then(|()| rustix::stdio::dup2_stderr(output))
        .and_then(|()| process::close_on_exec_from(3))
        .and_then(|()| berth_sys::signal::reset());
    if let (Ok(()), Ok(path)) = (ready, CString::new(hook.path.as_str())) {
        let arguments = if hook.args.is_empty() {
            vec![path.clone()]
        } else {
            texts(&hook.args)
        };
        let error = process::execve(&path, &arguments, &texts(&hook.env));
        let _ = rustix::io::write(output, berth_sys::errno::text(error).as_bytes());
    }
    process::exit_now(127)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn hook(value: serde_json::Value) -> Hook {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn what_cannot_be_run_is_refused() {
        for (value, word) in [
            (json!({"path": "bin/true"}), "absolute"),
            (json!({"path": "/bin/true", "timeout": 0}), "timeout"),
            (json!({"path": "/bin/true", "args": ["a\0b"]}), "NUL"),
        ] {
            let hooks = Hooks {
                poststop: vec![hook(value)],
                ..Hooks::default()
            };
            let failure = hooks.check().unwrap_err();
            assert_eq!(failure.subject.as_deref(), Some("hooks.poststop"));
            assert!(failure.message.contains(word), "{failure}");
        }
    }
}
