//! Any blob as a layer on a small base: unpacked whole or refused, and nothing outside the snapshot is touched. Run without a sanitizer
//! (`-s none`): the child that inflates has a filter which kills AddressSanitizer.
#![no_main]

use berth_layer::{Codec, Report, apply};
use libfuzzer_sys::fuzz_target;
use rustix::fs::{MemfdFlags, SeekFrom};
use std::path::Path;

const DIGEST: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

fuzz_target!(|data: &[u8]| {
    let [which, blob @ ..] = data else { return };
    let place = tempfile::tempdir().expect("a folder");
    let outside = place.path().join("outside");
    std::fs::write(&outside, "untouched").expect("a file");
    let snapshots = place.path().join("snapshots");
    std::fs::create_dir(&snapshots).expect("a folder");
    let codec = [Codec::None, Codec::Gzip, Codec::Zstd][usize::from(which % 3)];
    unpack(&snapshots, blob, codec);
    assert_eq!(std::fs::read_to_string(&outside).expect("it is there"), "untouched");
});

fn unpack(snapshots: &Path, blob: &[u8], codec: Codec) {
    let folder = std::fs::File::open(snapshots).expect("a folder");
    let file = rustix::fs::memfd_create("blob", MemfdFlags::CLOEXEC).expect("memory");
    rustix::io::write(&file, blob).expect("it takes bytes");
    rustix::fs::seek(&file, SeekFrom::Start(0)).expect("it can be read anew");
    let (progress, warning) = (|_, _| (), |_| ());
    let what = apply::Apply {
        blob: file,
        codec,
        diff_id: DIGEST,
        chain_id: DIGEST,
        lowers: &[],
        max_bytes: 1 << 24,
        max_entries: 1000,
        identity: None,
        name: None,
    };
    // The digest is never right, so the entries are unpacked and then refused.
    assert!(apply::apply(&folder, &what, &Report::new(&progress, &warning)).is_err());
}
