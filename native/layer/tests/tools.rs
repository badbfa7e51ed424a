//! Layers that GNU tar and bsdtar make, in each of their formats, and a race with whoever changes the tree.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

mod support;

use berth_layer::Kind;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use std::fs;
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
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

/// What the oldest formats can say, too: short names, no FIFO, whole seconds.
#[test]
fn tars_of_the_oldest_formats_become_the_tree_that_they_were_made_of() {
    let source = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let at = |name: &str| source.path().join(name);
    fs::create_dir_all(at("folder/inner")).unwrap();
    fs::write(at("folder/file"), vec![b'x'; 1500]).unwrap();
    fs::write(at("folder/empty"), "").unwrap();
    fs::hard_link(at("folder/file"), at("folder/same")).unwrap();
    fs::set_permissions(at("folder/file"), fs::Permissions::from_mode(0o4751)).unwrap();
    symlink("../folder/file", at("folder/link")).unwrap();
    let expected = tree_with(source.path(), true);
    let ways = [
        ("tar", "v7"),
        ("tar", "oldgnu"),
        ("tar", "ustar"),
        ("bsdtar", "v7"),
        ("bsdtar", "ustar"),
    ];
    for (program, format) in ways {
        let store = Store::new();
        let applied = store
            .apply(&made_by(program, &[&format!("--format={format}")], source.path()), &[])
            .unwrap_or_else(|error| panic!("{program} {format}: {error}"));
        assert_eq!(tree_with(&store.path(&applied.snapshot), true), expected, "{program} {format}");
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
    let swaps = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let snapshots = store.dir.path().join("snapshots");
            while !stop.load(Ordering::Relaxed) {
                for part in fs::read_dir(&snapshots).into_iter().flatten().flatten() {
                    swaps.fetch_add(swap(&part.path(), outside.path()), Ordering::Relaxed);
                }
            }
        });
        // Also when an assertion fails here, the other thread must end.
        let _end = Ending(&stop);
        for round in 0..200 {
            if swaps.load(Ordering::Relaxed) >= 10_000 {
                break;
            }
            let applied = store.apply(&bytes, &[]);
            assert!(
                applied.as_ref().map_or_else(|error| error.kind != Kind::Attack, |_| true),
                "{round}: {applied:?}"
            );
            for name in berth_layer::usage::names(&store.snapshots).unwrap() {
                berth_layer::remove_tree(&store.snapshots, name.as_bytes()).unwrap();
            }
        }
    });
    assert!(swaps.into_inner() >= 10_000);
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
}

/// Exchange the directory and a link to `outside`, many times; how often it worked.
fn swap(part: &Path, outside: &Path) -> usize {
    let (dir, aside) = (part.join("fs/dir"), part.join("aside"));
    if !dir.exists() || symlink(outside, &aside).is_err() {
        return 0;
    }
    let exchange = || renameat_with(CWD, &dir, CWD, &aside, RenameFlags::EXCHANGE).is_ok();
    // An even number, so that the directory is back in its place.
    let done = (0..200).take_while(|_| exchange()).count();
    let _ = fs::remove_file(&aside);
    done
}

struct Ending<'a>(&'a AtomicBool);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
