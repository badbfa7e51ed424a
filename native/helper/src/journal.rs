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
