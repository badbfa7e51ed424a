//! Any text as `/proc/self/mountinfo`, whose paths a container may have named: a layout, never a crash.
#![no_main]

use berth_cgroup::Layout;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let layout = Layout::parse(text);
    assert!(!layout.mode().name().is_empty());
});
