//! Where errors go: standard error, and the file of `--log`, as text or as the JSON lines that engines read.

use crate::channel::write_all;
use crate::fail::escape;
use crate::oci::arguments::bad;
use berth_monitor::clock;
use berth_wire::Failure;
use rustix::fd::AsFd as _;
use rustix::fs::{CWD, Mode, OFlags};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    Warning,
    Error,
}

/// Where to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Log {
    path: Option<String>,
    json: bool,
}

impl Log {
    pub(crate) fn new(path: Option<&str>, format: Option<&str>) -> Result<Self, Failure> {
        let json = match format {
            None | Some("text") => false,
            Some("json") => true,
            Some(other) => return Err(bad(&format!("--log-format {other}"), "a log is text or json")),
        };
        Ok(Self {
            path: path.filter(|path| !path.is_empty()).map(str::to_owned),
            json,
        })
    }

    /// The end of a command that failed.
    pub(crate) fn failure(&self, failure: &Failure) {
        let sentence = match &failure.hint {
            Some(hint) => format!("{failure}. {hint}"),
            None => failure.to_string(),
        };
        self.write(Level::Error, &sentence);
        if self.path.is_some() {
            print(&sentence);
        }
    }

    /// One line. Whoever calls has nowhere else to hear of a log that cannot be written.
    pub(crate) fn write(&self, level: Level, sentence: &str) {
        let Some(path) = &self.path else { return print(sentence) };
        let flags = OFlags::CREATE | OFlags::APPEND | OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NOCTTY;
        match rustix::fs::openat(CWD, path, flags, Mode::from_raw_mode(0o644)) {
            Ok(file) => {
                let _ = write_all(file.as_fd(), self.line(level, sentence).as_bytes());
            }
            Err(error) => print(&format!("open log: {} ({path})", berth_sys::errno::text(error))),
        }
    }

    fn line(&self, level: Level, sentence: &str) -> String {
        let word = if level == Level::Error { "error" } else { "warning" };
        if self.json {
            format!("{}\n", serde_json::json!({"level": word, "msg": sentence, "time": clock::now()}))
        } else {
            format!("time=\"{}\" level={word} msg={:?}\n", clock::now(), sentence)
        }
    }
}

fn print(sentence: &str) {
    let _ = write_all(
        rustix::stdio::stderr(),
        format!("berth-native oci: {}\n", escape(sentence)).as_bytes(),
    );
}
