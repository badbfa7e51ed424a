//! Any bytes as a seccomp profile: a program that the kernel takes, or an error. Compiling it twice gives the same program.
#![no_main]

use berth_seccomp::{Architecture, compile};
use berth_wire::oci::Seccomp;
use libfuzzer_sys::fuzz_target;

/// `BPF_MAXINSNS`.
const MAX_INSTRUCTIONS: usize = 4096;

fuzz_target!(|data: &[u8]| {
    let Ok(profile) = serde_json::from_slice::<Seccomp>(data) else {
        return;
    };
    for architecture in [Architecture::X86_64, Architecture::Aarch64] {
        let Ok(compiled) = compile(&profile, architecture) else { continue };
        assert!(!compiled.instructions.is_empty() && compiled.instructions.len() <= MAX_INSTRUCTIONS);
        let again = compile(&profile, architecture).expect("it compiled before");
        assert_eq!(format!("{:?}", compiled.instructions), format!("{:?}", again.instructions));
    }
});
