//! The store's journal of acts: a JSON object a line in `events.json`, bounded. A line that cannot be written is no failure of the act.

use crate::container::Folder;
use crate::context::Context;
use berth_monitor::clock;
use rustix::fd::OwnedFd;
use rustix::fs::{Gid, Mode, OFlags, Uid};
use rustix::io::Errno;
use serde::Serialize;
use std::collections::BTreeMap;

/// The newest part, and the one before.
pub(crate) const FILES: [&str; 2] = ["events.json", "events.json.1"];
/// Bytes after which a part is full.
const MAX_FILE: u64 = 4 * 1024 * 1024;
/// The longest line; longer attributes are left out.
const MAX_LINE: usize = 64 * 1024;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    time: String,
    kind: &'a str,
    action: &'a str,
    id: &'a str,
    attributes: &'a BTreeMap<String, String>,
}

/// Writes an act on a container, with what its order says of it. A step of a build is not told about.
pub(crate) fn of_container(context: &Context, folder: &Folder, action: &str, more: &[(&str, &str)]) {
    let Ok(Some(life)) = folder.life() else { return };
    let mut attributes = life.attributes;
    attributes.extend(more.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
    write(context, "container", action, &folder.id, &attributes);
}

/// The longest command that an event repeats.
const MAX_COMMAND: usize = 32 * 1024;

/// A process that joins a container, as events tell of it: Docker's `exec_create`, `exec_start`, `exec_die`.
#[derive(Debug)]
pub(crate) struct Joined {
    container: String,
    attributes: BTreeMap<String, String>,
    command: String,
}

impl Joined {
    /// `None` in a step of a build, which is not told about.
    pub(crate) fn new(folder: &Folder, args: &[String]) -> Option<Self> {
        let mut attributes = folder.life().ok()??.attributes;
        let halves = [berth_sys::file::random_name().ok()?, berth_sys::file::random_name().ok()?];
        attributes.insert("execID".to_owned(), halves.concat());
        let mut command = args.join(" ");
        // Docker puts a blank between the program and its arguments, also where there are none.
        if args.len() == 1 {
            command.push(' ');
        }
        if let Some((cut, _)) = command.char_indices().find(|(at, _)| *at >= MAX_COMMAND) {
            command.truncate(cut);
        }
        Some(Self {
            container: folder.id.clone(),
            attributes,
            command,
        })
    }

    /// It was asked for, and is on its way.
    pub(crate) fn begins(&self, context: &Context) {
        for word in ["exec_create", "exec_start"] {
            let action = format!("{word}: {}", self.command);
            write(context, "container", &action, &self.container, &self.attributes);
        }
    }

    /// Its caller has left it.
    pub(crate) fn is_left(&self, context: &Context) {
        write(context, "container", "exec_detach", &self.container, &self.attributes);
    }

    /// Its end.
    pub(crate) fn ends(&self, context: &Context, code: i32) {
        let mut attributes = self.attributes.clone();
        attributes.insert("exitCode".to_owned(), code.to_string());
        write(context, "container", "exec_die", &self.container, &attributes);
    }
}

/// Writes an act.
pub(crate) fn write(context: &Context, kind: &str, action: &str, id: &str, attributes: &BTreeMap<String, String>) {
    let nothing = BTreeMap::new();
    let line = |attributes| Line {
        time: clock::now(),
        kind,
        action,
        id,
        attributes,
    };
    let text = serde_json::to_vec(&line(attributes)).ok().filter(|text| text.len() < MAX_LINE);
    let Some(mut text) = text.or_else(|| serde_json::to_vec(&line(&nothing)).ok()) else {
        return;
    };
    text.push(b'\n');
    // Told nobody: an act is not undone because it could not be noted.
    let _ = append(context, &text);
}

fn append(context: &Context, text: &[u8]) -> Result<(), Errno> {
    let [newest, older] = FILES;
    let file = open(context)?;
    let size = u64::try_from(rustix::fs::fstat(&file)?.st_size).unwrap_or_default();
    let file = if size > MAX_FILE {
        // Two at once rename the same file, or the second one finds it gone.
        match rustix::fs::renameat(&context.store, newest, &context.store, older) {
            Ok(()) | Err(Errno::NOENT) => open(context)?,
            Err(error) => return Err(error),
        }
    } else {
        file
    };
    // One write: lines of several processes do not mix.
    rustix::io::retry_on_intr(|| rustix::io::write(&file, text)).map(drop)
}

fn open(context: &Context) -> Result<OwnedFd, Errno> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::APPEND | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::openat(&context.store, FILES[0], flags, Mode::RUSR | Mode::WUSR)?;
    let (uid, gid) = context.owner;
    rustix::fs::fchown(&file, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))?;
    Ok(file)
}
