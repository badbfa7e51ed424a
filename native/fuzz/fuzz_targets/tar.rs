//! Any bytes are a list of events or an error, and where the input is cut makes no difference.
#![no_main]

use berth_tar::{Event, MAX_XATTRS, Parser};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let whole = read(data, data.len().max(1));
    for size in [1, 511, 513] {
        assert_eq!(whole, read(data, size), "pieces of {size} bytes");
    }
});

/// What a reader sees, with neighbouring data joined: paths, sizes, bytes, and whether it ended in an error.
fn read(data: &[u8], size: usize) -> (Vec<(Vec<u8>, u64, Vec<u8>)>, bool) {
    let mut parser = Parser::new();
    let mut entries: Vec<(Vec<u8>, u64, Vec<u8>)> = Vec::new();
    for mut piece in data.chunks(size) {
        loop {
            match parser.next(&mut piece) {
                Ok(Some(Event::Entry(entry))) => {
                    assert!(!entry.path.is_empty(), "an entry without a name");
                    assert!(entry.xattrs.len() <= MAX_XATTRS);
                    entries.push((entry.path.clone(), entry.size, Vec::new()));
                }
                Ok(Some(Event::Data { position, bytes })) => {
                    let (_, length, seen) = entries.last_mut().expect("data belongs to an entry");
                    assert!(
                        position.checked_add(bytes.len() as u64).is_some_and(|end| end <= *length),
                        "data behind the end"
                    );
                    seen.extend_from_slice(bytes);
                }
                Ok(Some(Event::EntryEnd)) => {}
                Ok(None) => break,
                Err(_) => return (entries, true),
            }
        }
    }
    (entries, parser.finish().is_err())
}
