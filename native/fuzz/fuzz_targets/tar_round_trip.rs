//! What the writer writes, the parser reads.
#![no_main]

use berth_tar::{Entry, Event, Kind, Parser, Time, writer};
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use std::collections::BTreeMap;

#[derive(Debug, Arbitrary)]
struct Member {
    path: Vec<u8>,
    link: Vec<u8>,
    kind: u8,
    mode: u16,
    uid: u32,
    gid: u32,
    seconds: i32,
    xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    data: Vec<u8>,
}

fuzz_target!(|members: Vec<Member>| {
    let entries: Vec<(Entry, Vec<u8>)> = members.into_iter().filter_map(entry).collect();
    let mut bytes = Vec::new();
    for (entry, data) in &entries {
        writer::header(entry, &mut bytes);
        bytes.extend_from_slice(data);
        bytes.extend_from_slice(writer::padding(entry.size));
    }
    bytes.resize(bytes.len() + 1024, 0);
    assert_eq!(read(&bytes), entries);
});

/// An entry that a file system could give: no NUL in names, no empty name.
fn entry(member: Member) -> Option<(Entry, Vec<u8>)> {
    let is_name = |name: &[u8]| !name.is_empty() && name.len() < 4096 && !name.contains(&0);
    let kind = [Kind::File, Kind::Directory, Kind::Symlink, Kind::Fifo][usize::from(member.kind % 4)];
    if !is_name(&member.path) || member.path.ends_with(b"/") || (kind == Kind::Symlink && !is_name(&member.link)) {
        return None;
    }
    let mut entry = Entry::new(member.path, kind);
    if kind == Kind::Symlink {
        entry.link = member.link;
    }
    entry.mode = u32::from(member.mode & 0o7777);
    // The last number is nobody's: it stands for "unchanged".
    (entry.uid, entry.gid) = (member.uid.min(u32::MAX - 1), member.gid.min(u32::MAX - 1));
    entry.modified = Time {
        seconds: i64::from(member.seconds),
        // The writer keeps whole seconds.
        nanoseconds: 0,
    };
    let xattrs = member
        .xattrs
        .into_iter()
        .filter(|(name, _)| is_name(name) && name.len() < 256 && !name.contains(&b'='));
    entry.xattrs = xattrs.take(8).collect::<BTreeMap<_, _>>().into_iter().collect();
    let data = if kind == Kind::File { member.data } else { Vec::new() };
    entry.size = data.len() as u64;
    Some((entry, data))
}

fn read(bytes: &[u8]) -> Vec<(Entry, Vec<u8>)> {
    let (mut parser, mut input, mut found) = (Parser::new(), bytes, Vec::new());
    while let Some(event) = parser.next(&mut input).expect("our own bytes are a tar") {
        match event {
            Event::Entry(mut entry) => {
                // The writer marks a directory by a slash, as tars do.
                if entry.kind == Kind::Directory {
                    assert_eq!(entry.path.pop(), Some(b'/'));
                }
                found.push((*entry, Vec::new()));
            }
            Event::Data { bytes, .. } => found.last_mut().expect("data belongs to an entry").1.extend_from_slice(bytes),
            Event::EntryEnd => {}
        }
    }
    found
}
