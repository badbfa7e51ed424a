//! The members of a tar that a child inflates: the reading that layers and archives have in common. What a member becomes is decided by who reads.

use crate::error::{Context as _, Error, Result};
use crate::inflate::Inflating;
use crate::report::Report;
use crate::writer::{Attributes, Sink, Writer};
use berth_sys::file;
use berth_tar::{Entry, Event, Parser};

/// How much plain tar is taken from the pipe at once.
const BUFFER: usize = 1 << 20;

/// A regular file whose content follows in the tar.
pub(crate) struct Begun {
    pub(crate) entry: Entry,
    pub(crate) name: Vec<u8>,
    pub(crate) sink: Sink,
}

/// Makes something of the members.
pub(crate) trait Members<'w> {
    /// Do a member; a regular file is begun.
    fn member(&mut self, entry: Entry) -> Result<Option<Begun>>;

    /// The attributes that a member gets.
    fn attributes<'e>(&self, entry: &'e Entry) -> Attributes<'e>;

    fn writer(&mut self) -> &mut Writer<'w>;

    /// A regular file is complete.
    fn ended(&mut self, size: u64);
}

/// Read all members. True when the archive said that it ends; with `to_end` what follows is read too, so that it can be hashed.
pub(crate) fn read<'w>(members: &mut impl Members<'w>, inflating: &Inflating, to_end: bool, report: &Report<'_>) -> Result<bool> {
    let mut parser = Parser::new();
    let mut buffer = vec![0; BUFFER];
    let mut current = None;
    while to_end || !parser.is_done() {
        let length = file::read_some(&inflating.plain, &mut buffer).step("read", b"")?;
        let Some(mut bytes) = buffer.get(..length).filter(|bytes| !bytes.is_empty()) else {
            break;
        };
        report.advance(bytes.len() as u64);
        while let Some(event) = parser.next(&mut bytes).map_err(Error::from)? {
            take(members, event, &mut current)?;
        }
    }
    parser.finish().map_err(Error::from)?;
    Ok(parser.is_done())
}

fn take<'w>(members: &mut impl Members<'w>, event: Event<'_>, current: &mut Option<Begun>) -> Result<()> {
    match event {
        Event::Entry(entry) => {
            let shown = entry.path.clone();
            *current = members.member(*entry).map_err(|error| error.of_entry(&shown))?;
            Ok(())
        }
        Event::Data { position, bytes } => match current {
            Some(Begun { entry, sink, .. }) => sink.write(position, bytes, &entry.path),
            None => Ok(()),
        },
        Event::EntryEnd => match current.take() {
            Some(Begun { entry, name, sink }) => {
                members.ended(entry.size);
                let attributes = members.attributes(&entry);
                let finished = members.writer().finish_file(&sink, entry.size, &attributes, &name);
                finished.map_err(|error| error.of_entry(&entry.path))
            }
            None => Ok(()),
        },
    }
}
