//! Any bytes as an OCI `config.json`: checked as a container's and as a further process's before the first privileged call.
#![no_main]

use berth_jail::plan;
use berth_wire::oci::Spec;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(spec) = serde_json::from_slice::<Spec>(data) else { return };
    for user_namespace in [false, true] {
        let accepted = plan::check(&spec, user_namespace, false).is_ok();
        if accepted {
            assert!(plan::kinds(&spec, user_namespace).is_ok(), "accepted, and its namespaces are not");
            assert_eq!(spec.linux.refused(), None, "accepted with a field that is not done");
        }
    }
});
