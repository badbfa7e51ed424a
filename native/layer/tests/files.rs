//! A merged tree as a tar, files of the host from a tar, and the names of what changed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by a panic")]

mod support;

use berth_layer::changes::{Change, changes};
use berth_layer::export::export;
use berth_layer::extract::Extract;
use berth_layer::{Kind, Report, snapshot};
use berth_tar::Kind as Type;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use support::{Store, d, f, h, is_root, l, node, tar, tree, with};

fn exported(store: &Store, snapshots: &[String], clamp: Option<i64>) -> Vec<u8> {
    let stack = snapshot::stack(&store.snapshots, snapshots).unwrap();
    let mut bytes = Vec::new();
    let mut sink = |piece: &[u8]| {
        bytes.extend_from_slice(piece);
        true
    };
    let warn = store.warn();
    export(&stack, clamp, &mut sink, &Report::new(&|_, _| {}, &warn)).unwrap();
    bytes
}

fn extract(store: &Store, into: &Path, tar: &[u8]) -> Result<u64, berth_layer::Error> {
    let warn = store.warn();
    let report = Report::new(&|_, _| {}, &warn);
    let mut extract = Extract::new(File::open(into).unwrap().into(), &report);
    for piece in tar.chunks(777) {
        extract.take(piece)?;
    }
    extract.finish()
}

#[test]
fn a_merged_tree_is_exported_as_applying_its_tar_makes_it_again() {
    if !is_root() {
        return;
    }
    let store = Store::new();
    let lower = store.layer(
        &[
            d("etc"),
            f("etc/gone", "x"),
            f("etc/kept", "k"),
            d("opaque"),
            f("opaque/old", "o"),
            d("lib"),
        ],
        &[],
    );
    let upper = store.layer(
        &[
            d("etc"),
            f("etc/.wh.gone", ""),
            d("opaque"),
            f("opaque/.wh..wh..opq", ""),
            f("opaque/new", "n"),
            l("etc/link", "/kept"),
            f("lib/a", "same"),
            h("lib/b", "lib/a"),
            node("lib/pipe", Type::Fifo, (0, 0)),
            with(f("lib/set", "s"), |entry| (entry.mode, entry.uid) = (0o4755, 1000)),
        ],
        std::slice::from_ref(&lower),
    );
    let bytes = exported(&store, &[upper, lower], None);
    let again = store.layer_of(&bytes);
    let found = tree(&store.path(&again));
    assert_eq!(
        found.keys().map(String::as_str).collect::<Vec<_>>(),
        [
            "etc",
            "etc/kept",
            "etc/link",
            "lib",
            "lib/a",
            "lib/b",
            "lib/pipe",
            "lib/set",
            "opaque",
            "opaque/new"
        ]
    );
    assert!(found["lib/b"].contains("=lib/a"), "{}", found["lib/b"]);
    assert!(found["lib/set"].contains("4755 1000:0"), "{}", found["lib/set"]);
    // The same tree, the same bytes.
    assert_eq!(exported(&store, &[again], None), bytes);
}

#[test]
fn later_times_are_set_to_the_clamp() {
    let store = Store::new();
    let layer = store.layer(
        &[
            with(f("late", "x"), |entry| entry.modified.seconds = 2_000_000_000),
            f("early", "x"),
        ],
        &[],
    );
    let again = store.layer_of(&exported(&store, &[layer], Some(1_700_000_000)));
    let time = |name: &str| fs::metadata(store.path(&again).join(name)).unwrap().mtime();
    assert_eq!((time("late"), time("early")), (1_700_000_000, 1_600_000_000));
}

#[test]
fn files_on_the_host_belong_to_the_user_and_have_no_power() {
    let store = Store::new();
    let out = tempfile::tempdir().unwrap();
    let members = [
        d("app"),
        with(d("app/closed"), |entry| entry.mode = 0o555),
        f("app/closed/x", "inside"),
        with(f("app/set", "s"), |entry| (entry.mode, entry.uid, entry.gid) = (0o4755, 4242, 4242)),
        h("app/hard", "app/set"),
        l("app/link", "/etc/passwd"),
        node("app/null", Type::CharDevice, (1, 3)),
        with(f("app/cap", "c"), |entry| {
            entry.xattrs = vec![(b"security.capability".to_vec(), vec![1; 20])]
        }),
    ];
    assert_eq!(extract(&store, out.path(), &tar(&members)).unwrap(), 8);
    let meta = |name: &str| fs::symlink_metadata(out.path().join(name)).unwrap();
    let own = rustix::process::geteuid().as_raw();
    assert_eq!((meta("app/set").mode() & 0o7777, meta("app/set").uid()), (0o755, own));
    assert_eq!(meta("app/set").ino(), meta("app/hard").ino());
    assert_eq!(meta("app/closed").mode() & 0o777, 0o555);
    assert_eq!(meta("app/closed").mtime(), 1_600_000_000);
    assert_eq!(fs::read_link(out.path().join("app/link")).unwrap(), Path::new("/etc/passwd"));
    assert!(fs::symlink_metadata(out.path().join("app/null")).is_err());
    assert_eq!(store.warnings.borrow().len(), 3, "{:?}", store.warnings.borrow());
    fs::set_permissions(out.path().join("app/closed"), fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn links_that_lie_in_the_output_are_replaced_and_never_followed() {
    let store = Store::new();
    let (out, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::write(elsewhere.path().join("file"), "theirs").unwrap();
    symlink(elsewhere.path(), out.path().join("dir")).unwrap();
    symlink(elsewhere.path().join("file"), out.path().join("file")).unwrap();
    fs::create_dir_all(out.path().join("was-dir/full")).unwrap();
    fs::write(out.path().join("stays"), "ours").unwrap();
    let members = [d("dir"), f("dir/file", "mine"), f("file", "mine"), f("was-dir", "a file now")];
    extract(&store, out.path(), &tar(&members)).unwrap();
    assert_eq!(fs::read_to_string(elsewhere.path().join("file")).unwrap(), "theirs");
    assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 1);
    for (name, content) in [("dir/file", "mine"), ("file", "mine"), ("was-dir", "a file now"), ("stays", "ours")] {
        assert_eq!(fs::read_to_string(out.path().join(name)).unwrap(), content);
    }
}

#[test]
fn an_archive_that_leaves_its_directory_is_an_attack() {
    let store = Store::new();
    let outer = tempfile::tempdir().unwrap();
    let out = outer.path().join("out");
    fs::create_dir(&out).unwrap();
    let cases = [
        (vec![f("../x", "out")], Kind::Attack),
        (vec![l("up", ".."), f("up/x", "out")], Kind::Attack),
        (vec![f("a", "x"), h("b", "../../etc/passwd")], Kind::Attack),
        (vec![h("b", "nothing")], Kind::Invalid),
    ];
    for (members, kind) in cases {
        assert_eq!(extract(&store, &out, &tar(&members)).unwrap_err().kind, kind, "{members:?}");
    }
    assert_eq!(fs::read_dir(outer.path()).unwrap().count(), 1);
    let whole = tar(&[f("cut", "0123456789")]);
    assert_eq!(extract(&store, &out, &whole[..700]).unwrap_err().kind, Kind::Invalid);
}

#[test]
fn changes_name_what_was_added_changed_deleted_and_hidden() {
    let store = Store::new();
    let lower = store.layer(
        &[
            d("etc"),
            f("etc/a", "a"),
            f("etc/b", "b"),
            d("opt"),
            f("opt/x", "x"),
            f("opt/y", "y"),
            d("same"),
            f("same/file", "s"),
        ],
        &[],
    );
    let lowers = vec![lower];
    let upper = store.upper("upper", &lowers);
    fs::create_dir(upper.join("etc")).unwrap();
    fs::write(upper.join("etc/a"), "changed").unwrap();
    fs::write(upper.join("etc/new"), "n").unwrap();
    fs::write(upper.join("etc/hosts"), "").unwrap();
    fs::create_dir(upper.join("mnt")).unwrap();
    fs::create_dir(upper.join("opt")).unwrap();
    fs::write(upper.join("opt/y"), "again").unwrap();
    berth_sys::xattr::set(File::open(upper.join("opt")).unwrap(), b"user.overlay.opaque", b"y").unwrap();
    let untouched: BTreeSet<Vec<u8>> = [b"etc/hosts".to_vec(), b"mnt".to_vec()].into();
    let nothing = BTreeSet::new();
    let named = |untouched: &BTreeSet<Vec<u8>>| -> Vec<String> {
        let found = changes(&store.snapshots, "upper", &lowers, untouched).unwrap();
        let letter = |change| match change {
            Change::Added => 'A',
            Change::Changed => 'C',
            Change::Deleted => 'D',
        };
        found
            .iter()
            .map(|(path, change)| format!("{} {}", letter(*change), path.escape_ascii()))
            .collect()
    };
    let expected = ["C /etc", "C /etc/a", "A /etc/new", "C /opt", "D /opt/x", "A /opt/y"];
    assert_eq!(named(&untouched), expected);
    assert_eq!(named(&nothing).len(), expected.len() + 2);
    fs::write(upper.join("mnt/put"), "p").unwrap();
    assert!(named(&untouched).contains(&"A /mnt/put".to_owned()));
}
