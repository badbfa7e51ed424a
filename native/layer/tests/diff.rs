//! Diff gives back what apply got, the same bytes every time, and nothing that did not change.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

mod support;

use berth_layer::{Codec, Kind};
use berth_tar::{Entry, Kind as Type, Parser};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;
use support::{Member, Store, d, f, h, is_root, l, node, sha256, tar, tree, tree_with, with};

fn entries(tar: &[u8]) -> Vec<Entry> {
    let mut parser = Parser::new();
    let mut input = tar;
    let mut entries = Vec::new();
    while let Some(event) = parser.next(&mut input).unwrap() {
        if let berth_tar::Event::Entry(entry) = event {
            entries.push(*entry);
        }
    }
    entries
}

fn names(tar: &[u8]) -> Vec<String> {
    entries(tar).iter().map(|entry| entry.path.escape_ascii().to_string()).collect()
}

#[test]
fn an_empty_upper_is_an_empty_layer() {
    let store = Store::new();
    let base = vec![store.layer(&[d("a")], &[])];
    store.upper("up", &base);
    let (layer, bytes) = store.finish("up", &base, true);
    assert_eq!((layer.entries, bytes.as_slice()), (0, [0; 1024].as_slice()));
    assert_eq!(
        layer.diff_id,
        "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"
    );
    assert_eq!(format!("sha256:{}", layer.snapshot), layer.diff_id);
}

#[test]
fn what_did_not_change_is_left_out_and_removed() {
    let store = Store::new();
    let base = vec![store.layer(
        &[
            d("same"),
            f("same/file", "x"),
            d("part"),
            f("part/old", "x"),
            f("part/new", "x"),
            d("touched"),
            l("link", "x"),
        ],
        &[],
    )];
    let up = store.upper("up", &base);
    let copy = |path: &str| {
        Command::new("cp")
            .args(["-a", "--parents", path, up.to_str().unwrap()])
            .current_dir(store.path(&base[0]))
            .status()
            .unwrap()
    };
    for path in ["same/file", "part/old", "part/new", "touched", "link"] {
        assert!(copy(path).success());
    }
    std::fs::write(up.join("part/new"), "changed").unwrap();
    let touched = std::fs::File::open(up.join("touched")).unwrap();
    touched
        .set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(77))
        .unwrap();
    let (layer, bytes) = store.finish("up", &base, true);
    assert_eq!(names(&bytes), ["part/", "part/new", "touched/"]);
    assert_eq!(entries(&bytes)[2].modified.seconds, 77);
    assert_eq!(
        tree(&store.path(&layer.snapshot)).into_keys().collect::<Vec<_>>(),
        ["part", "part/new", "touched"]
    );
}

#[test]
fn every_attribute_alone_makes_a_change() {
    let store = Store::new();
    let base = vec![store.layer(
        &["mode", "content", "time", "xattr", "type", "none"].map(|name| f(name, "same")),
        &[],
    )];
    let up = store.upper("up", &base);
    assert!(
        Command::new("cp")
            .arg("-a")
            .arg(format!("{}/.", store.path(&base[0]).display()))
            .arg(&up)
            .status()
            .unwrap()
            .success()
    );
    let touch = |name: &str, time: &str| {
        assert!(
            Command::new("touch")
                .args(["-d", time])
                .arg(up.join(name))
                .status()
                .unwrap()
                .success()
        )
    };
    std::fs::set_permissions(up.join("mode"), std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::write(up.join("content"), "diff").unwrap();
    touch("content", "@1600000000");
    touch("time", "@1600000001");
    let file = std::fs::File::open(up.join("xattr")).unwrap();
    berth_sys::xattr::set(&file, b"user.a", b"b").unwrap();
    std::fs::remove_file(up.join("type")).unwrap();
    symlink("same", up.join("type")).unwrap();
    assert_eq!(names(&store.tar("up", &base)), ["content", "mode", "time", "type", "xattr"]);
}

#[test]
fn deletions_are_whiteouts_only_where_something_was() {
    let store = Store::new();
    let base = vec![store.layer(&[d("d"), f("d/x", ""), f("y", ""), d("o"), f("o/z", "")], &[])];
    let members = [
        f("d/.wh.x", ""),
        f("d/.wh.nothing", ""),
        f(".wh.y", ""),
        d("o"),
        f("o/.wh..wh..opq", ""),
        d("new"),
        f("new/.wh..wh..opq", ""),
    ];
    let top = store.layer(&members, &base);
    let (layer, bytes) = store.finish(&top, &base, true);
    assert_eq!(names(&bytes), ["d/", "d/.wh.x", "new/", "o/", "o/.wh..wh..opq", ".wh.y"]);
    assert!(!tree(&store.path(&layer.snapshot))["new"].contains("opaque"));
    assert_eq!(store.tar(&layer.snapshot, &base), bytes);
}

#[test]
fn all_names_of_a_file_stay_together() {
    let store = Store::new();
    let base = vec![store.layer(&[f("a", "x"), f("b", "y")], &[])];
    let up = store.upper("up", &base);
    assert!(
        Command::new("cp")
            .arg("-a")
            .arg(format!("{}/.", store.path(&base[0]).display()))
            .arg(&up)
            .status()
            .unwrap()
            .success()
    );
    std::fs::hard_link(up.join("a"), up.join("z")).unwrap();
    let bytes = store.tar("up", &base);
    assert_eq!(names(&bytes), ["a", "z"]);
    assert_eq!(
        (entries(&bytes)[1].kind, entries(&bytes)[1].link.as_slice()),
        (Type::HardLink, b"a".as_slice())
    );
}

#[test]
fn sockets_are_left_out_and_removed() {
    let store = Store::new();
    let up = store.upper("up", &[]);
    // A socket's path must be short, so it is moved to its place.
    let short = tempfile::tempdir().unwrap();
    let _listener = std::os::unix::net::UnixListener::bind(short.path().join("s")).unwrap();
    assert!(
        Command::new("cp")
            .arg("-a")
            .arg(short.path().join("s"))
            .arg(&up)
            .status()
            .unwrap()
            .success()
    );
    std::fs::write(up.join("f"), "").unwrap();
    let (layer, bytes) = store.finish("up", &[], true);
    assert_eq!(names(&bytes), ["f"]);
    assert_eq!(tree(&store.path(&layer.snapshot)).len(), 1);
}

#[test]
fn a_name_that_would_delete_something_is_refused() {
    let store = Store::new();
    let up = store.upper("up", &[]);
    std::fs::write(up.join(".wh.x"), "").unwrap();
    let error = store.diff(&store.what("up", &[])).unwrap_err();
    assert_eq!((error.kind, error.subject.as_deref()), (Kind::Invalid, Some(".wh.x")));
}

#[test]
fn the_root_is_an_entry_only_when_it_was_changed() {
    let store = Store::new();
    let base = vec![store.layer(&[with(d("./"), |entry| entry.mode = 0o711), f("a", "")], &[])];
    let up = store.upper("up", &base);
    assert_eq!(names(&store.tar("up", &base)), [""; 0]);
    std::fs::set_permissions(&up, std::fs::Permissions::from_mode(0o750)).unwrap();
    let (layer, bytes) = store.finish("up", &base, true);
    assert_eq!(names(&bytes), ["./"]);
    let merged = berth_layer::snapshot::stack(&store.snapshots, &[vec![layer.snapshot], base].concat()).unwrap();
    assert_eq!(merged.root_attributes().unwrap().mode, 0o750);
}

#[test]
fn the_finished_snapshot_is_what_apply_makes_of_the_layer() {
    let store = Store::new();
    let base = vec![store.layer(&[d("usr"), f("usr/old", "x")], &[])];
    let up = store.upper("up", &base);
    std::fs::create_dir_all(up.join("usr/lib")).unwrap();
    std::fs::write(up.join("usr/lib/new"), "now").unwrap();
    let mut what = store.what("up", &base);
    (what.finish, what.clamp) = (true, Some(1_700_000_000));
    let layer = store.diff(&what).unwrap();
    let bytes = store.tar(&layer.snapshot, &base);
    assert_eq!(layer.diff_id, sha256(&bytes));
    let other = Store::new();
    let base = vec![other.layer(&[d("usr"), f("usr/old", "x")], &[])];
    let applied = other.apply(&bytes, &base).unwrap();
    assert_eq!(
        tree_with(&other.path(&applied.snapshot), true),
        tree_with(&store.path(&layer.snapshot), true)
    );
    assert!(entries(&bytes).iter().all(|entry| entry.modified.seconds <= 1_700_000_000));
}

#[test]
fn a_file_that_is_written_again_as_it_was_is_no_change_now_nor_later() {
    let store = Store::new();
    let base = vec![store.layer(&[d("w"), f("w/f", "x"), f("w/later", "x")], &[])];
    let up = store.upper("up", &base);
    std::fs::create_dir(up.join("w")).unwrap();
    // What a layer holds has whole seconds; what has just been written has not.
    for (name, seconds) in [("f", 1_600_000_000), ("later", 1_600_000_001)] {
        std::fs::write(up.join("w").join(name), "x").unwrap();
        let time = std::time::UNIX_EPOCH + std::time::Duration::new(seconds, 500_000_000);
        let file = std::fs::File::open(up.join("w").join(name)).unwrap();
        file.set_permissions(std::fs::Permissions::from_mode(0o644)).unwrap();
        file.set_modified(time).unwrap();
    }
    let (layer, bytes) = store.finish("up", &base, true);
    assert_eq!(names(&bytes), ["w/", "w/later"]);
    assert_eq!(sha256(&store.tar(&layer.snapshot, &base)), layer.diff_id);
}

#[test]
fn a_directory_in_which_something_came_and_went_within_the_second_is_no_change_now_nor_later() {
    let store = Store::new();
    let base = vec![store.layer(&[d("w"), f("w/f", "x")], &[])];
    let up = store.upper("up", &base);
    std::fs::create_dir(up.join("w")).unwrap();
    let folder = std::fs::File::open(up.join("w")).unwrap();
    folder.set_permissions(std::fs::Permissions::from_mode(0o755)).unwrap();
    let time = std::time::UNIX_EPOCH + std::time::Duration::new(1_600_000_000, 500_000_000);
    folder.set_modified(time).unwrap();
    let (layer, bytes) = store.finish("up", &base, true);
    assert_eq!(names(&bytes), [""; 0]);
    assert_eq!(sha256(&store.tar(&layer.snapshot, &base)), layer.diff_id);
}

#[test]
fn two_steps_with_the_same_result_share_one_snapshot() {
    let store = Store::new();
    for name in ["one", "two"] {
        let up = store.upper(name, &[]);
        std::fs::write(up.join("f"), "same").unwrap();
        let mut what = store.what(name, &[]);
        (what.finish, what.clamp) = (true, Some(1_000_000_000));
        store.diff(&what).unwrap();
    }
    assert_eq!(std::fs::read_dir(store.dir.path().join("snapshots")).unwrap().count(), 1);
}

#[test]
fn an_output_that_exists_is_a_conflict_and_stays() {
    let store = Store::new();
    store.upper("up", &[]);
    std::fs::write(store.dir.path().join("blob"), "mine").unwrap();
    for (output, kind) in [
        ("blob", Kind::Conflict),
        ("../blob", Kind::System),
        ("a/..", Kind::Request),
        ("missing/blob", Kind::NotFound),
    ] {
        let mut what = store.what("up", &[]);
        what.output = Some(output);
        let error = store.diff(&what).unwrap_err();
        assert_eq!(error.kind, kind, "{output}: {error}");
    }
    assert_eq!(support::read(store.dir.path().join("blob")), "mine");
}

/// Bytes that look like nothing in particular and compress a little.
fn noise(length: usize) -> Vec<u8> {
    let mut state: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut bytes = Vec::with_capacity(length);
    while bytes.len() < length {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let [byte, ..] = state.rotate_left(17).to_le_bytes();
        bytes.push(b'a' + byte % 23);
    }
    bytes
}

/// A fixed input of several blocks.
fn fixed(store: &Store) {
    let up = store.upper("fixed", &[]);
    std::fs::create_dir(up.join("dir")).unwrap();
    std::fs::write(up.join("dir/noise"), noise(3_500_000)).unwrap();
    std::fs::write(up.join("zeros"), vec![0; 2_000_000]).unwrap();
    for name in ["dir/noise", "zeros", "dir", "."] {
        std::fs::set_permissions(up.join(name), std::fs::Permissions::from_mode(0o755)).unwrap();
        let chown = Command::new("chown").arg("0:0").arg(up.join(name)).status().unwrap();
        let touch = Command::new("touch")
            .args(["-d", "@1500000000"])
            .arg(up.join(name))
            .status()
            .unwrap();
        assert!(touch.success() && (chown.success() || !is_root()));
    }
}

fn blob(store: &Store, codec: Codec, level: u32, threads: Option<usize>) -> Vec<u8> {
    let name = format!("{codec:?}-{level}-{threads:?}");
    let mut what = store.what("fixed", &[]);
    (what.codec, what.level, what.threads, what.output) = (codec, level, threads, Some(name.as_str()));
    let layer = store.diff(&what).unwrap();
    let bytes = std::fs::read(store.dir.path().join(&name)).unwrap();
    assert_eq!(layer.blob, Some((sha256(&bytes), bytes.len() as u64, codec)));
    let mode = std::fs::metadata(store.dir.path().join(&name)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    bytes
}

#[test]
fn what_does_not_shrink_may_stay_plain() {
    let random = |seed: u64, length: usize| {
        let mut state = seed;
        let mut bytes = Vec::with_capacity(length);
        while bytes.len() < length {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            bytes.extend(state.to_le_bytes());
        }
        bytes
    };
    let large = 9 << 20;
    for (first, second, allowed, codec) in [
        (random(1, large), random(2, large), true, Codec::None),
        (random(1, large), random(2, large), false, Codec::Gzip),
        // Half of it shrinks.
        (random(1, large), vec![0; large], true, Codec::Gzip),
        // So little is not looked at.
        (random(1, 1 << 20), random(2, 1 << 20), true, Codec::Gzip),
    ] {
        let store = Store::new();
        let up = store.upper("up", &[]);
        std::fs::write(up.join("first"), first).unwrap();
        std::fs::create_dir(up.join("second")).unwrap();
        std::fs::write(up.join("second/file"), second).unwrap();
        std::fs::hard_link(up.join("first"), up.join("second/again")).unwrap();
        let mut what = store.what("up", &[]);
        (what.codec, what.output, what.may_be_plain) = (Codec::Gzip, Some("blob"), allowed);
        let layer = store.diff(&what).unwrap();
        let (digest, size, found) = layer.blob.unwrap();
        assert_eq!(found, codec);
        assert_eq!(size, std::fs::metadata(store.dir.path().join("blob")).unwrap().len());
        assert_eq!(digest == layer.diff_id, codec == Codec::None);
    }
}

#[test]
fn bytes_do_not_depend_on_the_number_of_threads() {
    let store = Store::new();
    fixed(&store);
    for codec in [Codec::Gzip, Codec::Zstd] {
        let one = blob(&store, codec, 1, Some(1));
        for threads in [Some(2), Some(7), None] {
            assert_eq!(sha256(&blob(&store, codec, 1, threads)), sha256(&one), "{codec:?} {threads:?}");
        }
    }
}

#[test]
fn the_bytes_of_each_codec_and_level_are_pinned() {
    if !is_root() {
        return;
    }
    let store = Store::new();
    fixed(&store);
    let golden = [
        (
            Codec::None,
            0,
            "sha256:90703faba9bd93c801e0f36ccda7a9177630d192a06301c1b80c36fcbb79ae32",
        ),
        (
            Codec::Gzip,
            1,
            "sha256:1a2d35506081a38be18e52cde917ca46ea0ad2a526ddf81cf77a13745839ebb1",
        ),
        (
            Codec::Gzip,
            6,
            "sha256:9df547a053120d6f44e5a70eb3519c14c4296749daec494b8107e4c97047bf55",
        ),
        (
            Codec::Zstd,
            1,
            "sha256:fa9e815f1841f2fbef1bad6368f543da4456266106c61326d9cf8ef02a7c7310",
        ),
        (
            Codec::Zstd,
            3,
            "sha256:7424777a1f83d7d4b6493f69fc4e32cb862cbeedf2558ab1329c1c6fee60b36b",
        ),
    ];
    let found: Vec<String> = golden
        .iter()
        .map(|(codec, level, _)| sha256(&blob(&store, *codec, *level, None)))
        .collect();
    let expected: Vec<&str> = golden.iter().map(|(_, _, digest)| *digest).collect();
    assert_eq!(found, expected);
}

#[test]
fn every_reader_takes_our_blobs_and_a_gzip_member_tells_its_length() {
    let store = Store::new();
    fixed(&store);
    let plain = store.tar("fixed", &[]);
    let gzip = blob(&store, Codec::Gzip, 6, None);
    let zstd = blob(&store, Codec::Zstd, 3, None);
    for (program, bytes) in [("gzip", &gzip), ("zstd", &zstd)] {
        let path = store.dir.path().join(program);
        std::fs::write(&path, bytes).unwrap();
        let output = Command::new(program)
            .arg("-dc")
            .stdin(std::fs::File::open(&path).unwrap())
            .output()
            .unwrap();
        assert_eq!(sha256(&output.stdout), sha256(&plain), "{program}");
    }
    let mut rest = gzip.as_slice();
    let mut members = 0;
    while !rest.is_empty() {
        assert_eq!(&rest[..16], [0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 0xff, 8, 0, b'B', b'T', 4, 0]);
        let length = u32::from_le_bytes(rest[16..20].try_into().unwrap());
        rest = &rest[length as usize..];
        members += 1;
    }
    assert_eq!(members, plain.len().div_ceil(1 << 20));
    for (codec, bytes) in [(Codec::Gzip, &gzip), (Codec::Zstd, &zstd)] {
        let other = Store::new();
        other.apply_blob(bytes, codec, &sha256(&plain), &[], (1 << 30, 100)).unwrap();
    }
}

#[test]
fn a_level_that_the_codec_does_not_have_is_refused() {
    let store = Store::new();
    store.upper("up", &[]);
    for (codec, level) in [(Codec::Gzip, 0), (Codec::Gzip, 13), (Codec::Zstd, 23)] {
        let mut what = store.what("up", &[]);
        (what.codec, what.level) = (codec, level);
        assert_eq!(store.diff(&what).unwrap_err().kind, Kind::Request);
    }
}

/// A path in a small tree, so that names collide.
fn path() -> impl Strategy<Value = String> {
    let name = prop_oneof![
        4 => prop::sample::select(vec!["a", "b", "c"]).prop_map(str::to_owned),
        1 => Just("ü\n".to_owned()),
        1 => Just("n".repeat(120)),
    ];
    prop::collection::vec(name, 1..5).prop_map(|names| names.join("/"))
}

/// A tree as its paths and what is there: 0 directory, 1 file, 2 link, 3 FIFO.
type Shape = BTreeMap<String, (u8, u32, String)>;

fn shape() -> impl Strategy<Value = Shape> {
    prop::collection::btree_map(path(), (0..4u8, 0..0o10000u32, "[a-z]{0,20}"), 0..14)
}

/// Members of the tree: parents are directories, whatever they were drawn as.
fn members(shape: &Shape) -> Vec<Member> {
    let parents: Vec<String> = shape
        .keys()
        .flat_map(|path| path.match_indices('/').map(|(at, _)| path[..at].to_owned()).collect::<Vec<_>>())
        .collect();
    let mut all = shape.clone();
    for parent in &parents {
        all.entry(parent.clone()).or_insert((0, 0o755, String::new())).0 = 0;
    }
    // In the order of components, as the walk goes.
    let mut paths: Vec<&String> = all.keys().collect();
    paths.sort_by_key(|path| path.split('/').map(str::to_owned).collect::<Vec<_>>());
    let mut files: Vec<&String> = Vec::new();
    let mut out = Vec::new();
    for path in paths {
        let (kind, mode, text) = &all[path];
        out.push(match kind {
            0 => with(d(path), |entry| {
                entry.mode = *mode | 0o700;
                entry.path.push(b'/');
            }),
            1 if text.len() == 7 && !files.is_empty() => {
                let first = &all[files[files.len() - 1]];
                with(h(path, files[files.len() - 1]), |entry| entry.mode = first.1)
            }
            1 => {
                files.push(path);
                with(f(path, text), |entry| {
                    entry.mode = *mode;
                    if text.len() % 3 == 0 {
                        entry.xattrs = vec![(b"user.x".to_vec(), text.clone().into_bytes())];
                    }
                })
            }
            2 => l(path, if text.is_empty() { "/" } else { text }),
            _ => with(node(path, Type::Fifo, (0, 0)), |entry| entry.mode = *mode),
        });
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(48) })]

    #[test]
    fn diff_gives_back_the_tar_that_apply_got(shape in shape()) {
        let store = Store::new();
        let bytes = tar(&members(&shape));
        let name = store.apply(&bytes, &[]).unwrap().snapshot;
        prop_assert_eq!(names(&store.tar(&name, &[])), names(&bytes));
        prop_assert_eq!(store.tar(&name, &[]), bytes);
    }

    /// Overlayfs itself is the oracle: the difference of two trees is worked out by changing a mounted one, made a layer, applied and mounted again.
    #[test]
    fn a_step_on_a_mounted_overlay_survives_diff_and_apply(before in shape(), after in shape()) {
        if !is_root() {
            return Ok(());
        }
        let store = Store::new();
        let base = vec![store.layer(&members(&before), &[])];
        store.upper("up", &base);
        let wanted = {
            let mount = Mount::new(&store, Some("up"), &base);
            change(mount.path(), &before, &after);
            tree_with(mount.path(), true)
        };
        let (layer, bytes) = store.finish("up", &base, true);
        let other = Store::new();
        other.layer(&members(&before), &[]);
        let top = other.apply(&bytes, &base).unwrap();
        prop_assert!(top.self_contained);
        for (store, name) in [(&store, layer.snapshot.clone()), (&other, top.snapshot)] {
            let layers = [vec![name.clone()], base.clone()].concat();
            let mount = Mount::new(store, None, &layers);
            prop_assert_eq!(without_times_of_directories(tree_with(mount.path(), true)), without_times_of_directories(wanted.clone()));
            prop_assert_eq!(merged(store, &layers), tree(mount.path()));
        }
        prop_assert_eq!(store.tar(&layer.snapshot, &base), bytes);
    }
}

/// What comes and goes gives a directory fractions of a second, which a layer does not hold.
fn without_times_of_directories(tree: BTreeMap<String, String>) -> BTreeMap<String, String> {
    let cut = |line: String| {
        if line.starts_with("Directory") {
            line.rsplit_once(' ').unwrap().0.to_owned()
        } else {
            line
        }
    };
    tree.into_iter().map(|(path, line)| (path, cut(line))).collect()
}

/// What the merged view shows, in the form of `tree`, by copying it into an empty snapshot.
fn merged(store: &Store, layers: &[String]) -> BTreeMap<String, String> {
    use berth_layer::copy::{Action, Copy, Selection, Source, copy};
    let stack = berth_layer::snapshot::stack(&store.snapshots, layers).unwrap();
    let name = format!("copy-{}", layers[0]);
    let patterns = ["/".to_owned()];
    let source = Source::Snapshots {
        stack,
        selection: Selection {
            patterns: &patterns,
            ..Selection::default()
        },
    };
    let action = Action::Copy(Copy {
        source,
        dest: "/",
        dest_is_directory: true,
        owner: None,
        mode: None,
        changes: Vec::new(),
        created: None,
    });
    let warn = store.warn();
    copy(
        &store.snapshots,
        &name,
        &[],
        vec![action],
        None,
        &berth_layer::Report::new(&|_, _| {}, &warn),
    )
    .unwrap();
    tree(&store.path(&name))
}

/// Turn the tree `before` into `after` with ordinary calls on the mounted file system.
fn change(root: &Path, before: &Shape, after: &Shape) {
    let keep: Vec<Member> = members(after);
    let kept: Vec<String> = keep
        .iter()
        .map(|(entry, _)| String::from_utf8_lossy(&entry.path).trim_end_matches('/').to_owned())
        .collect();
    for path in before.keys() {
        let full = root.join(path);
        if !kept.contains(path) && std::fs::symlink_metadata(&full).is_ok() {
            remove(&full);
        }
    }
    for (entry, content) in keep {
        let path = String::from_utf8(entry.path.clone()).unwrap();
        make(&root.join(path.trim_end_matches('/')), root, &entry, &content);
    }
}

fn remove(path: &Path) {
    let is_dir = std::fs::symlink_metadata(path).unwrap().is_dir();
    if is_dir {
        std::fs::remove_dir_all(path)
    } else {
        std::fs::remove_file(path)
    }
    .unwrap();
}

fn make(path: &Path, root: &Path, entry: &Entry, content: &[u8]) {
    let existing = std::fs::symlink_metadata(path);
    if existing
        .as_ref()
        .is_ok_and(|meta| !(meta.is_dir() && entry.kind == Type::Directory))
    {
        remove(path);
    }
    match entry.kind {
        Type::Directory if existing.is_ok_and(|meta| meta.is_dir()) => {}
        Type::Directory => std::fs::create_dir(path).unwrap(),
        Type::File => std::fs::write(path, content).unwrap(),
        Type::Symlink => symlink(String::from_utf8_lossy(&entry.link).as_ref(), path).unwrap(),
        Type::HardLink => std::fs::hard_link(root.join(String::from_utf8_lossy(&entry.link).as_ref()), path).unwrap(),
        _ => assert!(Command::new("mkfifo").arg(path).status().unwrap().success()),
    }
    if !matches!(entry.kind, Type::Symlink | Type::HardLink) {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(entry.mode)).unwrap();
    }
}

/// A mounted overlay, unmounted at the end.
struct Mount {
    path: std::path::PathBuf,
}

impl Mount {
    /// With `upper` it can be written to.
    fn new(store: &Store, upper: Option<&str>, lowers: &[String]) -> Self {
        let path = store.dir.path().join(format!("mount-{}", upper.unwrap_or("ro")));
        let empty = store.dir.path().join("empty");
        std::fs::create_dir_all(&path).unwrap();
        std::fs::create_dir_all(&empty).unwrap();
        // The path of the store holds no colon or comma.
        let distinct = berth_layer::snapshot::distinct(lowers);
        let mut dirs: Vec<String> = distinct.iter().map(|name| store.path(name).display().to_string()).collect();
        dirs.push(empty.display().to_string());
        let mut options = format!("userxattr,index=off,metacopy=off,xino=off,lowerdir={}", dirs.join(":"));
        if let Some(upper) = upper {
            let fs = store.path(upper);
            options += &format!(",upperdir={},workdir={}", fs.display(), fs.with_file_name("work").display());
        }
        let mounted = Command::new("mount")
            .args(["-t", "overlay", "overlay", "-o", &options])
            .arg(&path)
            .status()
            .unwrap();
        assert!(mounted.success(), "{options}");
        Self { path }
    }

    fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // Lazily, because a child that another test has just forked may hold a descriptor for a moment.
        let unmounted = Command::new("umount").arg("--lazy").arg(&self.path).status();
        assert!(unmounted.is_ok_and(|status| status.success()) || std::thread::panicking());
    }
}
