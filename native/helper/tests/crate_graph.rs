//! Who may know whom in the workspace (`spec/native.md` 7). A new arrow fails here, with its name.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test, which asks cargo")]

use serde_json::Value;
use std::collections::BTreeMap;
use std::process::Command;

/// Each crate and the crates of ours that it may name.
const ARROWS: [(&str, &[&str]); 10] = [
    ("berth-sys", &[]),
    ("berth-wire", &[]),
    ("berth-tar", &[]),
    ("berth-layer", &["berth-sys", "berth-tar"]),
    ("berth-jail", &["berth-sys", "berth-wire"]),
    ("berth-seccomp", &["berth-sys", "berth-wire"]),
    ("berth-cgroup", &["berth-sys", "berth-wire"]),
    ("berth-net", &["berth-sys", "berth-wire"]),
    ("berth-monitor", &["berth-net", "berth-sys", "berth-wire"]),
    (
        "berth-helper",
        &[
            "berth-cgroup",
            "berth-jail",
            "berth-layer",
            "berth-monitor",
            "berth-net",
            "berth-seccomp",
            "berth-sys",
            "berth-tar",
            "berth-wire",
        ],
    ),
];

fn metadata() -> Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--no-deps", "--offline"])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Names of packages with those of their dependencies that programs are made of.
fn graph(metadata: &Value) -> BTreeMap<String, Vec<String>> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let packages = metadata["packages"].as_array().unwrap();
    packages
        .iter()
        .map(|package| {
            let dependencies = package["dependencies"].as_array().unwrap();
            let shipped = dependencies.iter().filter(|dependency| dependency["kind"].is_null());
            (
                text(&package["name"]),
                shipped.map(|dependency| text(&dependency["name"])).collect(),
            )
        })
        .collect()
}

#[test]
fn crates_name_only_whom_they_may() {
    let graph = graph(&metadata());
    let ours: Vec<&str> = ARROWS.iter().map(|(name, _)| *name).collect();
    let unknown: Vec<_> = graph.keys().filter(|name| !ours.contains(&name.as_str())).collect();
    assert!(unknown.is_empty(), "crates without a place in the graph: {unknown:?}");
    for (name, allowed) in ARROWS {
        for dependency in graph[name].iter().filter(|dependency| ours.contains(&dependency.as_str())) {
            assert!(allowed.contains(&dependency.as_str()), "{name} must not name {dependency}");
        }
    }
}

#[test]
fn only_sys_links_the_c_library() {
    for (name, dependencies) in graph(&metadata()) {
        assert!(
            name == "berth-sys" || !dependencies.iter().any(|dependency| dependency == "libc"),
            "{name} names libc"
        );
    }
}

#[test]
fn only_sys_may_be_unsafe() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    for (name, _) in ARROWS.iter().filter(|(name, _)| *name != "berth-sys") {
        let crate_name = name.strip_prefix("berth-").unwrap();
        let file = if crate_name == "helper" { "main.rs" } else { "lib.rs" };
        let head = std::fs::read_to_string(format!("{root}/{crate_name}/src/{file}")).unwrap();
        assert!(head.contains("#![forbid(unsafe_code)]"), "{name} does not forbid unsafe code");
    }
}
