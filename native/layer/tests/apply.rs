//! What a layer becomes on disk, and what hostile layers do not become.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use berth_layer::{Codec, Kind, Stack, snapshot, stack};
use berth_tar::Kind as Type;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use support::{Member, Store, d, f, h, is_root, l, node, read, sha256, tar, tree, with};

fn fails(store: &Store, members: &[Member], lowers: &[String]) -> (Kind, String, String) {
    let error = store.apply(&tar(members), lowers).unwrap_err();
    assert_eq!(store.parts(), 0, "nothing is left behind");
    (error.kind, error.subject.unwrap_or_default(), error.message)
}

#[test]
fn keeps_attributes_and_names_the_snapshot_by_its_diff_id() {
    let store = Store::new();
    let members = [
        with(d("etc"), |entry| entry.mode = 0o1777),
        with(f("etc/tool", "x"), |entry| {
            entry.mode = 0o4755;
            entry.xattrs = vec![(b"user.note".to_vec(), b"v".to_vec())];
            if is_root() {
                (entry.uid, entry.gid) = (12, 34);
            }
        }),
        h("etc/again", "etc/tool"),
        l("etc/link", "/etc/tool"),
    ];
    let bytes = tar(&members);
    let applied = store.apply(&bytes, &[]).unwrap();
    assert!(applied.self_contained);
    assert_eq!((applied.size, applied.entries), (bytes.len() as u64, 4));
    assert_eq!(format!("sha256:{}", applied.snapshot), sha256(&bytes));
    let meta = std::fs::metadata(store.path(&applied.snapshot).join("etc")).unwrap();
    assert_eq!((meta.mode() & 0o7777, meta.mtime()), (0o1777, 1_600_000_000));
    let found = tree(&store.path(&applied.snapshot));
    let owner = if is_root() { "0:0" } else { "" };
    assert!(
        found["etc/again"].contains(owner) && found["etc/again"].ends_with("=etc/again \"x\""),
        "{found:?}"
    );
    assert!(found["etc/tool"].contains("user.note=v"), "{found:?}");
}

#[test]
fn a_layer_that_needs_its_lowers_is_named_by_the_chain() {
    let store = Store::new();
    let base = store.layer(
        &[with(d("usr"), |entry| entry.mode = 0o711), d("usr/lib"), l("lib", "usr/lib")],
        &[],
    );
    let applied = store
        .apply(&tar(&[f("usr/new", "n"), f("lib/through", "t")]), std::slice::from_ref(&base))
        .unwrap();
    assert!(!applied.self_contained);
    let upper = store.path(&applied.snapshot);
    assert_eq!(read(upper.join("usr/lib/through")), "t");
    assert_eq!(std::fs::metadata(upper.join("usr")).unwrap().mode() & 0o777, 0o711);
    assert_eq!(std::fs::metadata(upper.join("usr")).unwrap().mtime(), 1_600_000_000);
}

#[test]
fn a_missing_parent_that_exists_nowhere_is_0755_root() {
    let store = Store::new();
    let name = store.layer(&[f("a/b/c", "x")], &[]);
    let found = tree(&store.path(&name));
    if is_root() {
        assert!(found["a/b"].starts_with("Directory 755 0:0"), "{found:?}");
    }
    assert!(found["a"].starts_with("Directory 755"), "{found:?}");
}

#[test]
fn links_resolve_inside_the_root_however_they_point() {
    let canary = tempfile::tempdir().unwrap();
    let outside = canary.path().to_str().unwrap();
    let up = format!("../../../../../../../../../..{outside}");
    for target in [outside, up.as_str(), &format!("/dummy/..{outside}")] {
        let store = Store::new();
        let name = store.layer(
            &[
                l("out", target),
                f("out/file", "inside"),
                l("twice", "out"),
                f("twice/second", "inside"),
            ],
            &[],
        );
        assert_eq!(read(store.path(&name).join(outside.trim_start_matches('/')).join("file")), "inside");
        assert_eq!(std::fs::read_dir(canary.path()).unwrap().count(), 0, "{target}");
    }
}

#[test]
fn a_file_replaces_a_link_and_is_not_written_through_it() {
    let store = Store::new();
    let name = store.layer(&[f("real", "old"), l("link", "real"), f("link", "new")], &[]);
    assert_eq!(
        (read(store.path(&name).join("real")), read(store.path(&name).join("link"))),
        ("old".into(), "new".into())
    );
}

#[test]
fn a_loop_of_links_is_refused() {
    let store = Store::new();
    let (kind, subject, message) = fails(&store, &[l("a", "b"), l("b", "a"), f("a/x", "")], &[]);
    assert_eq!((kind, subject.as_str()), (Kind::Invalid, "a/x"));
    assert!(message.contains("40 symbolic links"), "{message}");
}

#[test]
fn names_that_leave_the_root_are_an_attack() {
    let store = Store::new();
    for name in ["../x", "a/../../x", ".."] {
        let (kind, subject, _) = fails(&store, &[f(name, "x")], &[]);
        assert_eq!((kind, subject.as_str()), (Kind::Attack, name));
    }
    let (kind, subject, _) = fails(&store, &[h("x", "../../etc/passwd")], &[]);
    assert_eq!((kind, subject.as_str()), (Kind::Attack, "x"));
}

#[test]
fn names_are_cleaned_as_containerd_does() {
    let store = Store::new();
    let name = store.layer(
        &[
            d("./"),
            f("/abs", "1"),
            f("./a//b", "2"),
            f("/../up", "3"),
            f("c/../d", "4"),
            d("e/"),
        ],
        &[],
    );
    let found: Vec<_> = tree(&store.path(&name)).into_keys().collect();
    assert_eq!(found, ["a", "a/b", "abs", "d", "e", "up"]);
}

#[test]
fn only_a_directory_can_be_the_root() {
    let store = Store::new();
    for member in [l("..", "x"), l("./", "x"), l("a/..", "x"), f("/", "x")] {
        let kind = fails(&store, &[member], &[]).0;
        assert!(matches!(kind, Kind::Invalid | Kind::Attack));
    }
}

#[test]
fn hard_links_need_a_target_in_the_image() {
    let store = Store::new();
    std::fs::write(store.dir.path().join("passwd"), "host").unwrap();
    for target in ["etc/passwd", "/etc/passwd", "passwd", "missing"] {
        let (kind, subject, message) = fails(&store, &[d("etc"), h("x", target)], &[]);
        assert_eq!((kind, subject.as_str()), (Kind::Invalid, "x"));
        assert!(message.contains("does not exist"), "{message}");
    }
    assert_eq!(fails(&store, &[d("etc"), h("x", "etc")], &[]).0, Kind::Invalid);
}

#[test]
fn a_hard_link_to_a_link_leaves_the_target_of_that_link_alone() {
    let store = Store::new();
    let name = store.layer(
        &[
            f("real", "old"),
            l("link", "real"),
            with(h("hard", "link"), |entry| entry.mode = 0o777),
        ],
        &[],
    );
    let found = tree(&store.path(&name));
    assert!(found["real"].starts_with("RegularFile 644"), "{found:?}");
    assert!(found["hard"].starts_with("Symlink"), "{found:?}");
    let name = store.layer(&[f("real", "old"), l("link", "real"), h("hard", "link"), f("hard", "new")], &[]);
    assert_eq!(read(store.path(&name).join("real")), "old");
}

#[test]
fn a_hard_link_copies_its_target_up() {
    let store = Store::new();
    let base = store.layer(&[d("a"), with(f("a/x", "content"), |entry| entry.mode = 0o600)], &[]);
    let applied = store
        .apply(&tar(&[with(h("y", "a/x"), |entry| entry.mode = 0o600)]), &[base])
        .unwrap();
    assert!(!applied.self_contained);
    let found = tree(&store.path(&applied.snapshot));
    assert!(
        found["y"].ends_with("=a/x \"content\"") && found["a/x"].ends_with("=a/x \"content\""),
        "{found:?}"
    );
}

#[test]
fn an_entry_below_a_file_is_refused() {
    let store = Store::new();
    let (kind, subject, message) = fails(&store, &[f("a", "x"), f("a/b", "y")], &[]);
    assert_eq!((kind, subject.as_str()), (Kind::Invalid, "a/b"));
    assert!(message.contains("a file is in the way"), "{message}");
    let base = store.layer(&[f("a", "x")], &[]);
    assert_eq!(fails(&store, &[f("a/b", "y")], &[base]).0, Kind::Invalid);
}

#[test]
fn the_last_entry_of_a_name_wins_and_directories_merge() {
    let store = Store::new();
    let members = [
        f("a", "1"),
        f("a", "2"),
        d("dir"),
        f("dir/kept", "k"),
        with(d("dir"), |entry| entry.mode = 0o700),
        d("gone"),
        f("gone/x", "x"),
        f("gone", "file"),
        f("was", "file"),
        d("was"),
    ];
    let found = tree(&store.path(&store.layer(&members, &[])));
    assert!(found["a"].ends_with("\"2\"") && found["gone"].ends_with("\"file\""), "{found:?}");
    assert!(
        found["dir"].starts_with("Directory 700") && found.contains_key("dir/kept"),
        "{found:?}"
    );
    assert!(found["was"].starts_with("Directory") && !found.contains_key("gone/x"), "{found:?}");
}

/// The names that the merged tree shows below `path`.
fn shown(store: &Store, layers: &[String], path: &str) -> Vec<String> {
    let merged: Stack = snapshot::stack(&store.snapshots, layers).unwrap();
    match merged.resolve(path.as_bytes(), true).unwrap().unwrap().node {
        stack::Node::Dir(dir) => dir
            .names()
            .unwrap()
            .into_iter()
            .map(|name| String::from_utf8(name).unwrap())
            .collect(),
        stack::Node::Leaf(_) => panic!("{path} is a directory"),
    }
}

#[test]
fn whiteouts_hide_lower_content_only_wherever_they_stand() {
    let store = Store::new();
    let base = store.layer(
        &[
            d("d"),
            f("d/low", ""),
            f("d/both", "low"),
            d("d/sub"),
            f("d/sub/low", ""),
            f("x", "low"),
        ],
        &[],
    );
    let orders: [&[Member]; 2] = [
        &[
            f("d/.wh..wh..opq", ""),
            f("d/own", ""),
            f("d/both", "own"),
            f(".wh.x", ""),
            f("x", "own"),
        ],
        &[
            f("d/own", ""),
            f("d/both", "own"),
            f("d/.wh..wh..opq", ""),
            f("x", "own"),
            f(".wh.x", ""),
        ],
    ];
    for members in orders {
        let top = store.layer(members, std::slice::from_ref(&base));
        assert_eq!(shown(&store, &[top.clone(), base.clone()], "d"), ["both", "own"]);
        assert_eq!(read(store.path(&top).join("x")), "own");
    }
    let orders: [&[Member]; 3] = [
        &[f(".wh.d", ""), d("d"), f("d/own", "")],
        &[d("d"), f("d/own", ""), f(".wh.d", "")],
        &[f(".wh.d", ""), f("d/own", "")],
    ];
    for members in orders {
        let top = store.layer(members, std::slice::from_ref(&base));
        assert_eq!(shown(&store, &[top, base.clone()], "d"), ["own"]);
    }
}

#[test]
fn an_opaque_root_hides_every_lower_name() {
    let store = Store::new();
    let base = store.layer(&[d("a"), f("a/x", ""), f("b", "")], &[]);
    let top = store.layer(
        &[d("a"), f("a/own", ""), f(".wh..wh..opq", ""), f("c", "")],
        std::slice::from_ref(&base),
    );
    assert_eq!(shown(&store, &[top.clone(), base.clone()], "/"), ["a", "c"]);
    assert_eq!(shown(&store, &[top, base], "/a"), ["own"]);
}

#[test]
fn an_opaque_mark_goes_through_a_link_in_the_image() {
    let store = Store::new();
    let base = store.layer(&[d("real"), f("real/low", ""), l("link", "real")], &[]);
    let top = store.layer(&[f("link/.wh..wh..opq", ""), f("link/own", "")], std::slice::from_ref(&base));
    assert_eq!(shown(&store, &[top, base], "real"), ["own"]);
}

#[test]
fn a_whiteout_hides_what_came_only_for_a_hard_link() {
    let store = Store::new();
    let base = store.layer(&[f("x", "low"), d("d"), f("d/x", "low")], &[]);
    let members = [h("y", "x"), f(".wh.x", ""), h("z", "d/x"), f("d/.wh..wh..opq", "")];
    let top = store.layer(&members, std::slice::from_ref(&base));
    assert_eq!(shown(&store, &[top.clone(), base.clone()], "/"), ["d", "y", "z"]);
    assert_eq!(shown(&store, &[top, base], "/d"), [""; 0]);
}

#[test]
fn odd_whiteout_names_are_refused_and_data_of_aufs_is_skipped() {
    let store = Store::new();
    for name in [".wh.", ".wh..", ".wh...", "a/.wh."] {
        let (kind, _, message) = fails(&store, &[f(name, "")], &[]);
        assert_eq!(kind, Kind::Invalid);
        assert!(message.contains("hides no name"), "{message}");
    }
    assert_eq!(fails(&store, &[f(".wh.dir/file", "")], &[]).0, Kind::Invalid);
    let name = store.layer(
        &[f(".wh..wh.aufs", ""), d(".wh..wh.plnk"), f(".wh..wh.plnk/1", ""), f("a", "")],
        &[],
    );
    assert_eq!(tree(&store.path(&name)).into_keys().collect::<Vec<_>>(), ["a"]);
}

#[test]
fn a_raw_device_0_0_never_acts_as_a_whiteout() {
    let store = Store::new();
    let base = store.layer(&[f("x", "low")], &[]);
    let top = store.layer(&[node("x", Type::CharDevice, (0, 0))], std::slice::from_ref(&base));
    assert_eq!(shown(&store, &[top, base], "/"), ["x"]);
    assert!(store.warnings.borrow()[0].contains("0:0"), "{:?}", store.warnings);
}

#[test]
fn attributes_that_speak_to_overlayfs_or_the_host_are_left_out() {
    let store = Store::new();
    let hostile = |entry: &mut berth_tar::Entry| {
        let names = [
            "user.overlay.opaque",
            "trusted.overlay.opaque",
            "security.selinux",
            "system.posix_acl_access",
            "user.kept",
        ];
        entry.xattrs = names.iter().map(|name| (name.as_bytes().to_vec(), b"y".to_vec())).collect();
    };
    let name = store.layer(&[with(d("d"), hostile)], &[]);
    assert!(tree(&store.path(&name))["d"].contains("[\"user.kept=y\"]"));
    assert_eq!(store.warnings.borrow().len(), 2);
    let large = with(f("x", ""), |entry| entry.xattrs = vec![(b"user.a".to_vec(), vec![b'x'; 70_000])]);
    assert_eq!(fails(&store, &[large], &[]).0, Kind::Invalid);
}

#[test]
fn a_file_capability_survives() {
    if !is_root() {
        return;
    }
    let store = Store::new();
    // Revision 2, effective, CAP_NET_BIND_SERVICE.
    let capability = [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0].to_vec();
    let member = with(f("tool", "x"), |entry| {
        entry.xattrs = vec![(b"security.capability".to_vec(), capability)]
    });
    let bytes = tar(&[member]);
    let name = store.apply(&bytes, &[]).unwrap().snapshot;
    assert_eq!(store.tar(&name, &[]), bytes);
    let bad = with(f("tool", "x"), |entry| {
        entry.xattrs = vec![(b"security.capability".to_vec(), vec![9; 5])]
    });
    assert_eq!(fails(&store, &[bad], &[]).0, Kind::Invalid);
}

#[test]
fn devices_and_fifos_are_made_by_root() {
    if !is_root() {
        return;
    }
    let store = Store::new();
    let name = store.layer(
        &[
            node("c", Type::CharDevice, (1, 3)),
            node("b", Type::BlockDevice, (7, 0)),
            node("p", Type::Fifo, (0, 0)),
        ],
        &[],
    );
    let kind = |name_in: &str| std::fs::symlink_metadata(store.path(&name).join(name_in)).unwrap().file_type();
    assert!(kind("c").is_char_device() && kind("b").is_block_device() && kind("p").is_fifo());
}

#[test]
fn limits_are_named_with_their_numbers() {
    let store = Store::new();
    let bytes = tar(&[f("a", "1"), f("b", "2")]);
    let apply = |limits| store.apply_blob(&bytes, Codec::None, &sha256(&bytes), &[], limits).unwrap_err();
    assert!(apply((1 << 20, 1)).message.contains("more than 1 entries"));
    assert!(apply((1000, 10)).message.contains("1000 bytes"));
    let huge = with(f("hole", ""), |entry| entry.size = 1 << 40);
    assert_eq!(fails(&store, &[huge], &[]).0, Kind::Invalid);
    let long = format!("{}x", "directory/".repeat(420));
    let (kind, subject, message) = fails(&store, &[f(&long, "")], &[]);
    assert_eq!(kind, Kind::Invalid);
    assert!(subject.contains('…') && message.contains("more than 4095"), "{subject} {message}");
    let deep = format!("{}x", "d/".repeat(2000));
    store.layer(&[f(&deep, "deep")], &[]);
}

#[test]
fn a_wrong_digest_leaves_no_snapshot() {
    let store = Store::new();
    let bytes = tar(&[f("a", "1")]);
    let error = store
        .apply_blob(&bytes, Codec::None, &sha256(b"other"), &[], (1 << 20, 10))
        .unwrap_err();
    assert_eq!(error.kind, Kind::Invalid);
    assert!(error.message.contains(&sha256(&bytes)));
    assert_eq!(std::fs::read_dir(store.dir.path().join("snapshots")).unwrap().count(), 0);
}

#[test]
fn compressed_blobs_of_several_members_are_read_and_damaged_ones_refused() {
    let store = Store::new();
    let plain = tar(&[f("a", &"text ".repeat(100_000))]);
    let (head, tail) = plain.split_at(70_000);
    let gzip = |bytes: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
        std::io::Write::write_all(&mut encoder, bytes).unwrap();
        encoder.finish().unwrap()
    };
    let members = [gzip(head), gzip(tail)].concat();
    let frames = [zstd::bulk::compress(head, 3).unwrap(), zstd::bulk::compress(tail, 3).unwrap()].concat();
    for (codec, blob) in [(Codec::Gzip, members), (Codec::Zstd, frames)] {
        let apply = |blob: &[u8]| store.apply_blob(blob, codec, &sha256(&plain), &[], (1 << 30, 10));
        apply(&blob).unwrap();
        for cut in [blob.len() - 1, blob.len() - 9, blob.len() / 2, 5] {
            let error = apply(&blob[..cut]).unwrap_err();
            assert!(
                error.step == "inflate blob" || error.step == "verify layer",
                "{codec:?} {cut}: {error}"
            );
        }
        let error = apply(&[blob.as_slice(), b"junk behind the end"].concat()).unwrap_err();
        assert_eq!((error.kind, error.step), (Kind::Invalid, "inflate blob"), "{codec:?}");
        let mut flipped = blob.clone();
        let middle = flipped.len() / 2;
        flipped[middle] ^= 0x10;
        assert_eq!(apply(&flipped).unwrap_err().kind, Kind::Invalid);
        assert_eq!(
            store.apply_blob(&blob, codec, &sha256(&plain), &[], (1000, 10)).unwrap_err().kind,
            Kind::Invalid
        );
    }
}

#[test]
fn junk_behind_the_end_counts_in_the_digest_and_is_not_extracted() {
    let store = Store::new();
    let bytes = [tar(&[f("a", "1")]), tar(&[f("hidden", "2")])].concat();
    let name = store.apply(&bytes, &[]).unwrap().snapshot;
    assert_eq!(tree(&store.path(&name)).into_keys().collect::<Vec<_>>(), ["a"]);
}

#[test]
fn truncation_is_refused_at_every_block() {
    let store = Store::new();
    let bytes = tar(&[f("a", &"x".repeat(1500)), d("b")]);
    for cut in (512..2560).step_by(512).filter(|cut| *cut != 2048) {
        let error = store.apply(&bytes[..cut], &[]).unwrap_err();
        assert!(error.message.contains("truncated"), "{cut}: {error}");
    }
    assert_eq!(store.parts(), 0);
}

#[test]
fn the_root_keeps_the_attributes_of_the_layer_that_names_it() {
    let store = Store::new();
    let base = store.layer(&[with(d("./"), |entry| entry.mode = 0o555), f("a", "")], &[]);
    let top = store.layer(&[f("b", "")], std::slice::from_ref(&base));
    let merged = snapshot::stack(&store.snapshots, &[top, base]).unwrap();
    assert_eq!(merged.root_attributes().unwrap().mode, 0o555);
}

#[test]
fn a_second_apply_of_the_same_layer_answers_the_first_snapshot() {
    let store = Store::new();
    let bytes = tar(&[f("a", "1")]);
    let first = store.apply(&bytes, &[]).unwrap();
    assert_eq!(store.apply(&bytes, &[]).unwrap(), first);
    assert_eq!(store.parts(), 0);
}
