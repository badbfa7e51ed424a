//! Any file as an archive that ADD unpacks, of every kind of packing that is told by content: no archive, or unpacked or refused below one folder,
//! and nothing outside it is touched. Run without a sanitizer, as `apply` is.
#![no_main]

use berth_layer::{Report, unpack};
use libfuzzer_sys::fuzz_target;
use rustix::fs::{MemfdFlags, SeekFrom};

const OWNER: (u32, u32) = (0, 0);

fuzz_target!(|data: &[u8]| {
    let place = tempfile::tempdir().expect("a folder");
    let outside = place.path().join("outside");
    std::fs::write(&outside, "untouched").expect("a file");
    let inside = place.path().join("inside");
    std::fs::create_dir(&inside).expect("a folder");
    let folder = std::fs::File::open(&inside).expect("a folder").into();
    let file = rustix::fs::memfd_create("archive", MemfdFlags::CLOEXEC).expect("memory");
    rustix::io::write(&file, data).expect("it takes bytes");
    rustix::fs::seek(&file, SeekFrom::Start(0)).expect("it can be read anew");
    let (progress, warning) = (|_, _| (), |_| ());
    let unpacked = unpack::into_folder(&folder, &file, OWNER, None, &Report::new(&progress, &warning));
    if let Ok(None) = unpacked {
        let names = std::fs::read_dir(&inside).expect("it can be read").count();
        assert_eq!(names, 0, "no archive, and something was unpacked");
    }
    assert_eq!(std::fs::read_to_string(&outside).expect("it is there"), "untouched");
    assert_eq!(std::fs::read_dir(place.path()).expect("it can be read").count(), 2, "something beside the folder");
});
