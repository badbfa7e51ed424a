//! Layers that GNU tar and bsdtar make, in each of their formats, and a race with whoever changes the tree.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

mod support;

use std::fs;
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use support::{Store, d, f, tree_with};

/// A tree with everything that a tar can say.
fn source() -> tempfile::TempDir {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let at = |name: &str| dir.path().join(name);
    let long = format!("{}/{}", "long-directory-name".repeat(6), "long-file-name".repeat(12));
    fs::create_dir_all(at(&long).parent().unwrap()).unwrap();
    fs::write(at(&long), "long").unwrap();
    fs::write(at("ünïcode \n name"), "u").unwrap();
    fs::write(at("file"), "content").unwrap();
    fs::hard_link(at("file"), at("further-name")).unwrap();
    fs::set_permissions(at("file"), fs::Permissions::from_mode(0o4711)).unwrap();
    symlink("x".repeat(150), at("long-link")).unwrap();
    let sparse = fs::File::create(at("sparse")).unwrap();
    for index in 0..40 {
        sparse.write_all_at(b"data", index * 500_000 + 7).unwrap();
    }
    sparse.set_len(30_000_000).unwrap();
    assert!(Command::new("mkfifo").arg(at("pipe")).status().unwrap().success());
    for path in [dir.path().join("file"), dir.path().to_owned()] {
        assert!(
            Command::new("touch")
                .args(["-d", "@1400000000"])
                .arg(path)
                .status()
                .unwrap()
                .success()
        );
    }
    dir
}

fn made_by(program: &str, arguments: &[&str], source: &Path) -> Vec<u8> {
    let output = Command::new(program)
        .args(arguments)
        .args(["-cf", "-", "-C"])
        .arg(source)
        .arg(".")
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

#[test]
fn tars_of_gnu_tar_and_bsdtar_become_the_tree_that_they_were_made_of() {
    let source = source();
    let expected = tree_with(source.path(), true);
    let ways: [(&str, &[&str]); 8] = [
        ("tar", &["--format=gnu"]),
        ("tar", &["--format=pax"]),
        ("tar", &["--format=gnu", "--sparse"]),
        ("tar", &["--format=pax", "--sparse", "--sparse-version=0.0"]),
        ("tar", &["--format=pax", "--sparse", "--sparse-version=0.1"]),
        ("tar", &["--format=pax", "--sparse", "--sparse-version=1.0"]),
        ("bsdtar", &["--format=pax"]),
        ("bsdtar", &["--format=gnutar"]),
    ];
    for (program, arguments) in ways {
        let store = Store::new();
        let applied = store
            .apply(&made_by(program, arguments, source.path()), &[])
            .unwrap_or_else(|error| panic!("{program} {arguments:?}: {error}"));
        assert_eq!(tree_with(&store.path(&applied.snapshot), true), expected, "{program} {arguments:?}");
        assert!(applied.self_contained);
    }
}

#[test]
fn gnu_tar_and_bsdtar_read_the_layers_that_we_make() {
    let source = source();
    let store = Store::new();
    let name = store
        .apply(&made_by("tar", &["--format=pax"], source.path()), &[])
        .unwrap()
        .snapshot;
    let layer = store.dir.path().join("layer.tar");
    fs::write(&layer, store.tar(&name, &[])).unwrap();
    for program in ["tar", "bsdtar"] {
        let target = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let output = Command::new(program)
            .arg("-xpf")
            .arg(&layer)
            .arg("-C")
            .arg(target.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(tree_with(target.path(), true), tree_with(source.path(), true), "{program}");
    }
}

/// While a layer is applied, somebody swaps a directory of it for a link to the outside, again and again.
#[test]
fn a_directory_that_is_swapped_for_a_link_leads_nowhere_else() {
    let store = Store::new();
    let outside = tempfile::tempdir().unwrap();
    let mut members = vec![d("dir")];
    for index in 0..3000 {
        members.push(f(&format!("dir/{index}"), "x"));
        members.push(f(&format!("other/{index}"), "x"));
    }
    let bytes = support::tar(&members);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let snapshots = store.dir.path().join("snapshots");
            while !stop.load(Ordering::Relaxed) {
                for part in fs::read_dir(&snapshots).into_iter().flatten().flatten() {
                    let dir = part.path().join("fs/dir");
                    let aside = part.path().join("aside");
                    // Each may fail when the other side was faster; that is the race.
                    let _ = fs::rename(&dir, &aside);
                    let _ = symlink(outside.path(), &dir);
                    let _ = fs::remove_file(&dir);
                    let _ = fs::rename(&aside, &dir);
                }
            }
        });
        for _ in 0..5 {
            if let Ok(applied) = store.apply(&bytes, &[]) {
                berth_layer::remove_tree(&store.snapshots, applied.snapshot.as_bytes()).unwrap();
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
}
