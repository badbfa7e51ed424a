//! COPY puts files where Docker puts them, and nothing anywhere else.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

mod support;

use berth_layer::checksum::checksum;
use berth_layer::contents;
use berth_layer::copy::{Action, Copied, Copy, Finished, ModeChange, ModeCopy, Owner, Selection, Source, changed_mode, copy, layer};
use berth_layer::diff::Blob;
use berth_layer::look::{Type, look};
use berth_layer::search::Forbidden;
use berth_layer::stack::open_file;
use berth_layer::{Codec, Error, Kind, Report, snapshot, usage};
use rustix::fd::AsFd as _;
use sha2::{Digest as _, Sha256};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use support::{Store, d, f, h, is_root, l, node, read, tree, with};

fn run(store: &Store, lowers: &[String], actions: Vec<Action<'_>>) -> Result<Copied, Error> {
    let warn = store.warn();
    copy(&store.snapshots, "new", lowers, actions, None, &Report::new(&|_, _| {}, &warn))
}

fn list(records: &[(&str, &str, &str)]) -> Vec<u8> {
    records
        .iter()
        .flat_map(|(path, dest, mode)| format!("{path}\0{dest}\0{mode}\0\0").into_bytes())
        .collect()
}

fn context<'a>(root: &Path, list: &'a [u8], dest: &'a str, dest_is_directory: bool) -> Copy<'a> {
    let root = std::fs::File::open(root).unwrap().into();
    Copy {
        source: Source::Context { root, list },
        dest,
        dest_is_directory,
        owner: None,
        mode: None,
        changes: Vec::new(),
        created: Some(1_000_000_000),
    }
}

fn stage<'a>(store: &Store, layers: &[String], patterns: &'a [String], dest: &'a str, dest_is_directory: bool) -> Copy<'a> {
    let selection = Selection {
        patterns,
        ..Selection::default()
    };
    selected(store, layers, selection, dest, dest_is_directory)
}

fn selected<'a>(store: &Store, layers: &[String], selection: Selection<'a>, dest: &'a str, dest_is_directory: bool) -> Copy<'a> {
    let stack = snapshot::stack(&store.snapshots, layers).unwrap();
    Copy {
        source: Source::Snapshots { stack, selection },
        dest,
        dest_is_directory,
        owner: None,
        mode: None,
        changes: Vec::new(),
        created: None,
    }
}

fn names(store: &Store) -> Vec<String> {
    tree(&store.path("new")).into_keys().collect()
}

fn host() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("src/sub")).unwrap();
    std::fs::write(dir.path().join("src/main.py"), "print()").unwrap();
    std::fs::write(dir.path().join("src/sub/data"), "data").unwrap();
    std::fs::set_permissions(dir.path().join("src/main.py"), std::fs::Permissions::from_mode(0o754)).unwrap();
    std::fs::set_permissions(dir.path().join("src/sub"), std::fs::Permissions::from_mode(0o750)).unwrap();
    symlink("/etc/shadow", dir.path().join("src/link")).unwrap();
    dir
}

#[test]
fn a_directory_of_the_context_merges_into_its_destination() {
    let (store, host) = (Store::new(), host());
    let base = vec![store.layer(&[with(d("app"), |entry| entry.mode = 0o711), f("app/old", "")], &[])];
    let list = list(&[
        ("src", "", ""),
        ("src/link", "link", ""),
        ("src/main.py", "main.py", "644"),
        ("src/sub", "sub", ""),
        ("src/sub/data", "sub/data", ""),
    ]);
    let copied = run(&store, &base, vec![Action::Copy(context(host.path(), &list, "/app", false))]).unwrap();
    assert_eq!((copied.entries, copied.bytes), (4, 11));
    let found = tree(&store.path("new"));
    assert_eq!(
        found.keys().collect::<Vec<_>>(),
        ["app", "app/link", "app/main.py", "app/sub", "app/sub/data"]
    );
    assert!(
        found["app"].starts_with("Directory 711"),
        "an existing destination keeps its mode: {found:?}"
    );
    assert!(found["app/main.py"].starts_with("RegularFile 644"), "{found:?}");
    assert!(found["app/sub"].starts_with("Directory 750"), "{found:?}");
    assert!(found["app/link"].ends_with("-> /etc/shadow"), "a link stays a link: {found:?}");
    let (from, to) = (host.path().join("src/sub/data"), store.path("new").join("app/sub/data"));
    assert_eq!(std::fs::metadata(from).unwrap().mtime(), std::fs::metadata(to).unwrap().mtime());
}

#[test]
fn a_file_goes_to_its_destination_or_into_it() {
    let host = host();
    let one = list(&[("src/main.py", "", "")]);
    let base_members = [
        d("dir"),
        l("to-dir", "/dir"),
        f("file", "old"),
        l("to-file", "file"),
        l("dangling", "/made/here"),
    ];
    let cases = [
        ("/new/name", false, "new/name"),
        ("/new/dir/", true, "new/dir/main.py"),
        ("/dir", false, "dir/main.py"),
        ("/to-dir", false, "dir/main.py"),
        ("/file", false, "file"),
        ("/to-file", false, "file"),
        ("/dangling", false, "made/here"),
        ("/../../top", false, "top"),
        ("/dir/../other", false, "other"),
        ("/", true, "main.py"),
    ];
    for (dest, is_directory, expected) in cases {
        let store = Store::new();
        let base = vec![store.layer(&base_members, &[])];
        run(&store, &base, vec![Action::Copy(context(host.path(), &one, dest, is_directory))]).unwrap();
        assert_eq!(read(store.path("new").join(expected)), "print()", "{dest}");
    }
}

#[test]
fn missing_parents_get_the_owner_and_time_that_were_asked_for() {
    if !is_root() {
        return;
    }
    let (store, host) = (Store::new(), host());
    let one = list(&[("src/main.py", "", "")]);
    let copy = Copy {
        owner: Some((7, 8)),
        mode: Some(0o600),
        ..context(host.path(), &one, "/a/b/", true)
    };
    run(&store, &[], vec![Action::Copy(copy)]).unwrap();
    let found = tree(&store.path("new"));
    assert!(
        found["a/b"].starts_with("Directory 755 7:8") && found["a/b/main.py"].starts_with("RegularFile 600 7:8"),
        "{found:?}"
    );
    assert_eq!(std::fs::metadata(store.path("new").join("a/b")).unwrap().mtime(), 1_000_000_000);
}

#[test]
fn a_directory_does_not_land_behind_a_link_unless_that_is_the_destination() {
    let host = host();
    let base_members = [d("run"), d("var"), l("var/run", "/run")];
    std::fs::create_dir_all(host.path().join("root/var/run")).unwrap();
    std::fs::write(host.path().join("root/var/run/pid"), "1").unwrap();
    let whole = list(&[
        ("root", "", ""),
        ("root/var", "var", ""),
        ("root/var/run", "var/run", ""),
        ("root/var/run/pid", "var/run/pid", ""),
    ]);
    let store = Store::new();
    let base = vec![store.layer(&base_members, &[])];
    let error = run(&store, &base, vec![Action::Copy(context(host.path(), &whole, "/", true))]).unwrap_err();
    assert_eq!((error.kind, error.subject.as_deref()), (Kind::Invalid, Some("/var/run")));
    assert!(error.message.contains("a symbolic link is in the way"), "{error}");
    let content = list(&[("root/var/run", "", ""), ("root/var/run/pid", "pid", "")]);
    run(&store, &base, vec![Action::Copy(context(host.path(), &content, "/var/run", true))]).unwrap();
    assert_eq!(read(store.path("new").join("run/pid")), "1");
    assert!(!names(&store).contains(&"var/run".to_owned()));
}

#[test]
fn what_is_in_the_way_behind_a_link_is_named_as_it_was_asked_for() {
    let host = host();
    let members = [
        d("x"),
        d("x/main.py"),
        l("to-x", "x"),
        f("file", ""),
        l("to-file", "/file"),
        l("twice", "to-file"),
    ];
    let file = list(&[("src/main.py", "", "")]);
    let dir = list(&[("src", "", ""), ("src/sub", "sub", "")]);
    for (list, dest, shown) in [
        (&file, "/to-x/", "/to-x/main.py (/x/main.py)"),
        (&file, "/x/", "/x/main.py"),
        (&file, "/to-file/a", "/to-file (/file)"),
        (&dir, "/twice/a/b", "/twice/a/b (/file)"),
        (&dir, "/to-file", "/to-file (/file)"),
        (&dir, "/file", "file"),
    ] {
        let store = Store::new();
        let base = vec![store.layer(&members, &[])];
        let actions = vec![Action::Copy(context(host.path(), list, dest, dest.ends_with('/')))];
        assert_eq!(run(&store, &base, actions).unwrap_err().subject.as_deref(), Some(shown), "{dest}");
    }
}

#[test]
fn a_directory_that_nobody_dated_has_the_time_of_the_newest_file_in_the_copy() {
    let host = host();
    let at = |path: &str, seconds: u64| {
        let file = std::fs::File::open(host.path().join(path)).unwrap();
        file.set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds))
            .unwrap();
    };
    at("src/main.py", 5_000);
    at("src/sub/data", 4_000);
    at("src/sub", 9_000);
    let records = list(&[
        ("src/main.py", "main.py", ""),
        ("src/sub", "sub", ""),
        ("src/sub/data", "sub/data", ""),
    ]);
    let records_of_none = list(&[("src/sub", "deep/sub", "")]);
    let undated = |list, dest| Copy {
        created: None,
        ..context(host.path(), list, dest, true)
    };
    let mut layers = Vec::new();
    for _ in 0..2 {
        let store = Store::new();
        let actions = vec![
            Action::Copy(undated(&records, "/made/here")),
            Action::Copy(undated(&records_of_none, "/other")),
        ];
        let made = layered(&store, &[], actions).unwrap();
        let time = |path: &str| std::fs::metadata(store.path(&made.layer.snapshot).join(path)).unwrap().mtime();
        assert_eq!((time("made"), time("made/here"), time("made/here/sub")), (5_000, 5_000, 9_000));
        assert_eq!((time("other"), time("other/deep")), (9_000, 9_000));
        layers.push(made.layer.diff_id);
    }
    assert_eq!(layers[0], layers[1]);
}

#[test]
fn files_and_directories_do_not_replace_each_other() {
    let host = host();
    let base_members = [d("x"), d("x/main.py"), f("y", ""), d("z"), f("z/sub", "")];
    let file = list(&[("src/main.py", "", "")]);
    let dir = list(&[("src", "", ""), ("src/sub", "sub", "")]);
    for (list, dest, message) in [
        (&file, "/x/", "replaced by a file"),
        (&dir, "/y", "in the way"),
        (&dir, "/z", "in the way"),
    ] {
        let store = Store::new();
        let base = vec![store.layer(&base_members, &[])];
        let error = run(
            &store,
            &base,
            vec![Action::Copy(context(host.path(), list, dest, dest.ends_with('/')))],
        )
        .unwrap_err();
        assert_eq!(error.kind, Kind::Invalid);
        assert!(error.message.contains(message), "{dest}: {error}");
        assert_eq!(store.parts(), 0);
    }
}

#[test]
fn the_context_is_never_left_and_special_files_are_left_out() {
    let (store, host) = (Store::new(), host());
    symlink("src", host.path().join("dir-link")).unwrap();
    for (path, kind) in [
        ("../x", Kind::Attack),
        ("dir-link/main.py", Kind::Invalid),
        ("/etc/passwd", Kind::Attack),
        ("src/none", Kind::NotFound),
        ("src/..", Kind::Request),
    ] {
        let list = list(&[(path, "", "")]);
        let error = run(&store, &[], vec![Action::Copy(context(host.path(), &list, "/x", false))]).unwrap_err();
        assert_eq!((error.kind, error.subject.as_deref()), (kind, Some(path)), "{error}");
    }
    assert!(
        std::process::Command::new("mkfifo")
            .arg(host.path().join("pipe"))
            .status()
            .unwrap()
            .success()
    );
    let list = list(&[("pipe", "pipe", ""), ("src/main.py", "main.py", "")]);
    run(&store, &[], vec![Action::Copy(context(host.path(), &list, "/x/", true))]).unwrap();
    assert_eq!(names(&store), ["x", "x/main.py"]);
    assert!(store.warnings.borrow()[0].contains("pipe: a FIFO"), "{:?}", store.warnings);
}

#[test]
fn names_that_are_no_text_stay_as_they_are() {
    use std::os::unix::ffi::OsStrExt;
    let (store, host) = (Store::new(), tempfile::tempdir().unwrap());
    let mut list = Vec::new();
    for name in [b"\xff".as_slice(), b"\xfe", b"-rf", b"a\nb"] {
        std::fs::write(host.path().join(std::ffi::OsStr::from_bytes(name)), name).unwrap();
        list.extend([name, b"\0", name, b"\0\0\0"].concat());
    }
    run(&store, &[], vec![Action::Copy(context(host.path(), &list, "/", true))]).unwrap();
    assert_eq!(names(&store), ["-rf", "\\xfe", "\\xff", "a\\nb"]);
}

#[test]
fn patterns_select_from_the_merged_tree_of_a_stage() {
    let store = Store::new();
    let base = store.layer(
        &[
            d("out"),
            f("out/a.so", "a"),
            f("out/b.so", "b"),
            f("out/gone.so", ""),
            f("out/c.txt", ""),
            l("link", "out"),
            l("final", "/out/a.so"),
        ],
        &[],
    );
    let top = store.layer(&[f("out/.wh.gone.so", ""), f("out/b.so", "new")], std::slice::from_ref(&base));
    let layers = [top, base];
    let copied = |patterns: &[&str], dest: &str, is_directory: bool| {
        let patterns: Vec<String> = patterns.iter().map(|pattern| (*pattern).to_owned()).collect();
        let result = run(
            &store,
            &[],
            vec![Action::Copy(stage(&store, &layers, &patterns, dest, is_directory))],
        );
        let found = result.map(|_| tree(&store.path("new")));
        berth_layer::remove_tree(&store.snapshots, b"new").unwrap();
        found
    };
    let found = copied(&["/link/*.so"], "/lib/", true).unwrap();
    assert_eq!(found.keys().collect::<Vec<_>>(), ["lib", "lib/a.so", "lib/b.so"]);
    assert!(found["lib/b.so"].ends_with("\"new\""));
    assert_eq!(
        copied(&["/out"], "/lib", false).unwrap().into_keys().collect::<Vec<_>>(),
        ["lib", "lib/a.so", "lib/b.so", "lib/c.txt"]
    );
    assert!(copied(&["/final"], "/copy", false).unwrap()["copy"].starts_with("RegularFile"));
    assert_eq!(
        copied(&["/final"], "/dir/", true).unwrap().into_keys().collect::<Vec<_>>(),
        ["dir", "dir/final"]
    );
    assert_eq!(copied(&["/"], "/all", false).unwrap().len(), 1 + 6);
    let missing = copied(&["/out/a.so", "/none*"], "/lib/", true).unwrap_err();
    assert_eq!((missing.kind, missing.subject.as_deref()), (Kind::NotFound, Some("/none*")));
    assert_eq!(copied(&["/out/gone.so"], "/x", false).unwrap_err().kind, Kind::NotFound);
    assert_eq!(copied(&["/out/[a"], "/x", false).unwrap_err().kind, Kind::Request);
    // As with BuildKit, the last one stays.
    assert!(copied(&["/out/*.so"], "/x", false).unwrap()["x"].ends_with("\"new\""));
    assert!(
        store.warnings.borrow()[0].contains("only the last one stays"),
        "{:?}",
        store.warnings
    );
}

#[test]
fn a_stage_keeps_owners_attributes_and_hard_links() {
    let store = Store::new();
    let owned = |entry: &mut berth_tar::Entry| {
        if is_root() {
            (entry.uid, entry.gid) = (5, 6);
        }
        entry.mode = 0o4750;
        entry.xattrs = vec![(b"user.a".to_vec(), b"b".to_vec())];
    };
    let base = vec![store.layer(
        &[
            d("d"),
            with(f("d/x", "1"), owned),
            with(h("d/y", "d/x"), owned),
            l("d/l", "x"),
            node("d/p", berth_tar::Kind::Fifo, (0, 0)),
        ],
        &[],
    )];
    let patterns = ["/d".to_owned()];
    run(&store, &[], vec![Action::Copy(stage(&store, &base, &patterns, "/d", false))]).unwrap();
    let mut expected = tree(&store.path(&base[0]));
    let mut found = tree(&store.path("new"));
    expected.remove("d");
    found.remove("d");
    assert_eq!(found, expected);
}

#[test]
fn directories_are_made_and_files_written() {
    let store = Store::new();
    let base = vec![store.layer(&[with(d("app"), |entry| entry.mode = 0o700), l("work", "app/deep")], &[])];
    let owner: Owner = if is_root() { (3, 4) } else { Owner::default() };
    let mkdir = |path| Action::Mkdir {
        path,
        mode: 0o751,
        owner: Some(owner),
        created: Some(5),
    };
    let write = Action::Write {
        path: "/work/file",
        content: b"text",
        mode: 0o640,
        owner,
        created: Some(5),
    };
    run(&store, &base, vec![mkdir("/work/a"), mkdir("/app"), write]).unwrap();
    let found = tree(&store.path("new"));
    assert!(found["app"].starts_with("Directory 700"), "{found:?}");
    assert!(
        found["app/deep"].starts_with("Directory 751") && found["app/deep/a"].starts_with("Directory 751"),
        "{found:?}"
    );
    assert!(found["app/deep/file"].starts_with("RegularFile 640"), "{found:?}");
    let error = run(&store, &base, vec![]).unwrap_err();
    assert_eq!(error.kind, Kind::Conflict);
}

#[test]
fn a_copy_becomes_a_layer_that_needs_nothing_below() {
    let (store, host) = (Store::new(), host());
    let base = vec![store.layer(&[d("usr"), with(d("usr/app"), |entry| entry.mode = 0o711)], &[])];
    let one = list(&[("src/main.py", "", "")]);
    run(&store, &base, vec![Action::Copy(context(host.path(), &one, "/usr/app/", true))]).unwrap();
    let (_, bytes) = store.finish("new", &base, true);
    assert!(store.apply(&bytes, &base).unwrap().self_contained);
}

#[test]
fn checksums_follow_content_and_ignore_times_and_layers() {
    let store = Store::new();
    let sum = |layers: &[String], pattern: &str| {
        let stack = snapshot::stack(&store.snapshots, layers).unwrap();
        let patterns = [pattern.to_owned()];
        let selection = Selection {
            patterns: &patterns,
            ..Selection::default()
        };
        checksum(&stack, &selection, &Report::new(&|_, _| {}, &|_| {})).unwrap().remove(0)
    };
    let whole = store.layer(&[d("d"), f("d/a", "1"), f("d/b", "2")], &[]);
    let base = store.layer(&[d("d"), f("d/a", "old"), f("d/b", "2"), f("d/gone", "")], &[]);
    let top = store.layer(
        &[with(f("d/a", "1"), |entry| entry.modified.seconds = 7), f("d/.wh.gone", "")],
        std::slice::from_ref(&base),
    );
    assert_eq!(sum(std::slice::from_ref(&whole), "/d"), sum(&[top, base], "/d"));
    assert_eq!(sum(std::slice::from_ref(&whole), "/none"), None);
    let variants = [
        vec![d("d"), f("d/a", "1"), f("d/b", "3")],
        vec![d("d"), f("d/a", "12"), f("d/b", "")],
        vec![d("d"), f("d/a", "1"), f("d/c", "2")],
        vec![d("d"), with(f("d/a", "1"), |entry| entry.mode = 0o600), f("d/b", "2")],
        vec![d("d"), l("d/a", "1"), f("d/b", "2")],
        vec![
            d("d"),
            f("d/a", "1"),
            with(f("d/b", "2"), |entry| entry.xattrs = vec![(b"user.a".to_vec(), vec![])]),
        ],
    ];
    let mut seen = std::collections::BTreeSet::from([sum(&[whole], "/d")]);
    for members in variants {
        assert!(seen.insert(sum(&[store.layer(&members, &[])], "/d")), "{members:?}");
    }
}

#[test]
fn files_are_read_inside_the_root_and_only_regular_ones() {
    let store = Store::new();
    let base = store.layer(
        &[
            d("etc"),
            f("etc/passwd", "low"),
            l("out", "../../../etc/passwd"),
            node("pipe", berth_tar::Kind::Fifo, (0, 0)),
            f("big", "0123456789"),
        ],
        &[],
    );
    let top = store.layer(&[f("etc/passwd", "top")], std::slice::from_ref(&base));
    let stack = snapshot::stack(&store.snapshots, &[top, base]).unwrap();
    let (file, size) = open_file(&stack, b"/out", 100).unwrap();
    let mut content = [0; 3];
    assert_eq!(
        (berth_sys::file::read_full(&file, &mut content).unwrap(), size, &content),
        (3, 3, b"top")
    );
    for (path, kind) in [
        ("/pipe", Kind::Invalid),
        ("/etc", Kind::Invalid),
        ("/none", Kind::NotFound),
        ("/big", Kind::Invalid),
        ("/big/x", Kind::NotFound),
    ] {
        assert_eq!(open_file(&stack, path.as_bytes(), 5).unwrap_err().kind, kind, "{path}");
    }
}

#[test]
fn a_look_tells_what_stands_at_a_path_and_opens_nothing() {
    let store = Store::new();
    let base = store.layer(
        &[
            d("usr"),
            d("usr/bin"),
            f("usr/bin/a", "12345"),
            f("usr/bin/gone", ""),
            l("bin", "usr/bin"),
            l("usr/bin/b", "a"),
            l("loop", "loop"),
            node("pipe", berth_tar::Kind::Fifo, (0, 0)),
        ],
        &[],
    );
    let top = store.layer(&[d("usr"), d("usr/bin"), f("usr/bin/.wh.gone", "")], std::slice::from_ref(&base));
    let stack = snapshot::stack(&store.snapshots, &[top, base]).unwrap();
    let at = |path: &str, follow| look(&stack, path.as_bytes(), follow, None).unwrap();
    let kind = |path: &str, follow| at(path, follow).map(|found| (found.kind, String::from_utf8(found.path).unwrap()));
    assert_eq!(kind("/bin/a", false), Some((Type::File, "/usr/bin/a".to_owned())));
    assert_eq!(kind("/bin/b", true), Some((Type::File, "/usr/bin/a".to_owned())));
    assert_eq!(kind("/bin", false), Some((Type::Link, "/bin".to_owned())));
    assert_eq!(kind("/bin/", false), Some((Type::Directory, "/usr/bin".to_owned())));
    assert_eq!(kind("/", true), Some((Type::Directory, "/".to_owned())));
    assert_eq!(kind("/pipe", true), Some((Type::Fifo, "/pipe".to_owned())));
    for nowhere in ["/bin/gone", "/none", "/loop", "/bin/a/", "/bin/a/x"] {
        assert_eq!(kind(nowhere, true), None, "{nowhere}");
    }
    assert_eq!(at("/bin", false).unwrap().target.as_deref(), Some(b"usr/bin".as_slice()));
    assert_eq!(at("/usr/bin/a", false).unwrap().size, 5);
    let mut room = 2;
    let listed = look(&stack, b"/bin", true, Some(&mut room)).unwrap().unwrap();
    assert_eq!((listed.names.unwrap(), room), (vec![b"a".to_vec(), b"b".to_vec()], 0));
    assert_eq!(look(&stack, b"/bin", true, Some(&mut room)).unwrap_err().kind, Kind::Invalid);
}

#[test]
fn usage_counts_a_file_with_two_names_once() {
    let store = Store::new();
    let name = store.layer(&[d("d"), f("d/a", &"x".repeat(8192)), h("d/b", "d/a")], &[]);
    assert_eq!(usage::names(&store.snapshots).unwrap(), std::slice::from_ref(&name));
    let measured = usage::measure(&store.snapshots, &name).unwrap();
    assert_eq!(measured.inodes, 3);
    assert!((8192..64_000).contains(&measured.bytes), "{measured:?}");
}

fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn parents_and_exclusions_choose_what_a_directory_gives() {
    let store = Store::new();
    let base = vec![store.layer(
        &[
            with(d("x"), |entry| entry.mode = 0o710),
            with(d("x/y"), |entry| entry.mode = 0o701),
            f("x/y/a.txt", "a"),
            f("x/y/b.md", "b"),
            d("x/z"),
            f("x/z/c.txt", "c"),
            f("top.txt", "t"),
        ],
        &[],
    )];
    let taken = |patterns: &[&str], include: &[&str], exclude: &[&str]| {
        let (patterns, include, exclude) = (strings(patterns), strings(include), strings(exclude));
        let selection = Selection {
            patterns: &patterns,
            include: &include,
            exclude: &exclude,
        };
        let stack = snapshot::stack(&store.snapshots, &base).unwrap();
        let sum = checksum(&stack, &selection, &Report::new(&|_, _| {}, &|_| {})).unwrap().remove(0);
        let result = run(&store, &[], vec![Action::Copy(selected(&store, &base, selection, "/d/", true))]);
        let found = result.map(|_| tree(&store.path("new")));
        berth_layer::remove_tree(&store.snapshots, b"new").unwrap();
        assert_eq!(found.is_ok(), sum.is_some());
        found
    };
    let names = |found: Result<std::collections::BTreeMap<String, String>, Error>| -> Vec<String> { found.unwrap().into_keys().collect() };
    let parents = taken(&["/"], &["x/*/*.txt"], &[]).unwrap();
    assert_eq!(
        parents.keys().collect::<Vec<_>>(),
        ["d", "d/x", "d/x/y", "d/x/y/a.txt", "d/x/z", "d/x/z/c.txt"]
    );
    assert!(parents["d/x"].starts_with("Directory 710") && parents["d/x/y"].starts_with("Directory 701"));
    assert_eq!(names(taken(&["/x"], &["y/a.txt"], &[])), ["d", "d/y", "d/y/a.txt"]);
    assert_eq!(names(taken(&["/x"], &["**/*.txt"], &["z"])), ["d", "d/y", "d/y/a.txt"]);
    assert_eq!(
        names(taken(&["/x"], &[], &["y", "!y/a.txt", "z/**"])),
        ["d", "d/y", "d/y/a.txt", "d/z"]
    );
    assert_eq!(names(taken(&["/top.txt", "/x/y/b.md"], &[], &["*.txt"])), ["d", "d/b.md"]);
    let missing = taken(&["/x"], &["y/none"], &[]).unwrap_err();
    assert_eq!((missing.kind, missing.subject.as_deref()), (Kind::NotFound, Some("/x/y/none")));
    assert_eq!(names(taken(&["/x"], &["no*"], &[])), ["d"]);
    let below_a_file = taken(&["/top.txt"], &["a"], &[]).unwrap_err();
    assert_eq!(
        (below_a_file.kind, below_a_file.subject.as_deref()),
        (Kind::NotFound, Some("/top.txt/a"))
    );
}

#[test]
fn symbolic_modes_change_the_bits_that_a_file_has() {
    let (user, group, other) = (0o700, 0o070, 0o007);
    let set = |who: u32, bits: u32| ModeChange {
        clear: who,
        set: bits & who,
        ..ModeChange::default()
    };
    let conditional = |who: u32| ModeChange {
        set_if_executable: 0o111 & who,
        ..ModeChange::default()
    };
    // u=rwX,go=rX
    let changes = [
        ModeChange {
            set_if_executable: 0o100,
            ..set(user | 0o4000, 0o600)
        },
        ModeChange {
            set_if_executable: 0o011,
            ..set(group | other | 0o2000, 0o444)
        },
    ];
    assert_eq!(changed_mode(0o600, false, &changes), 0o644);
    assert_eq!(changed_mode(0o4701, false, &changes), 0o755);
    assert_eq!(changed_mode(0o1700, true, &changes), 0o1755);
    let from_user = ModeChange {
        clear: group | other,
        copy: Some(ModeCopy {
            shift: 6,
            to: group | other,
            remove: false,
        }),
        ..ModeChange::default()
    };
    assert_eq!(changed_mode(0o640, false, &[from_user]), 0o666);
    // What was executable before the first change counts.
    assert_eq!(changed_mode(0o755, false, &[set(0o777, 0o444), conditional(user)]), 0o544);
}

#[test]
fn inline_files_go_where_a_file_of_that_name_would() {
    let store = Store::new();
    let base = vec![store.layer(&[d("dir")], &[])];
    let inline = |dest, dest_is_directory, changes| {
        Action::Copy(Copy {
            source: Source::Inline {
                name: "EOF",
                mode: 0o644,
                content: b"text",
            },
            dest,
            dest_is_directory,
            owner: None,
            mode: None,
            changes,
            created: None,
        })
    };
    let executable = ModeChange {
        set: 0o111,
        ..ModeChange::default()
    };
    run(
        &store,
        &base,
        vec![
            inline("/file", false, vec![executable]),
            inline("/dir", false, vec![]),
            inline("/new/", true, vec![]),
        ],
    )
    .unwrap();
    let found = tree(&store.path("new"));
    assert_eq!(found.keys().collect::<Vec<_>>(), ["dir", "dir/EOF", "file", "new", "new/EOF"]);
    assert!(found["file"].starts_with("RegularFile 755") && found["dir/EOF"].starts_with("RegularFile 644"));
}

/// The same bytes in every form that an archive has.
fn packed(tar: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    use std::io::{Read, Write};
    let (mut gzip, mut bzip2) = (Vec::new(), Vec::new());
    flate2::read::GzEncoder::new(tar, flate2::Compression::fast())
        .read_to_end(&mut gzip)
        .unwrap();
    bzip2::read::BzEncoder::new(tar, bzip2::Compression::fast())
        .read_to_end(&mut bzip2)
        .unwrap();
    let mut xz = lzma_rust2::XzWriter::new(Vec::new(), lzma_rust2::XzOptions::with_preset(1)).unwrap();
    xz.write_all(tar).unwrap();
    vec![
        ("plain", tar.to_vec()),
        ("gzip", gzip),
        ("bzip2", bzip2),
        ("xz", xz.finish().unwrap()),
        ("zstd", zstd::bulk::compress(tar, 1).unwrap()),
    ]
}

#[test]
fn archives_are_unpacked_by_their_content() {
    let owner = is_root().then_some((5, 6));
    let tar = support::tar(&[
        with(d("./"), |entry| entry.mode = 0o700),
        with(d("run"), |entry| entry.mode = 0o700),
        f("run/pid", "1"),
        f("sub/new", "2"),
        f(".wh.name", "no whiteout"),
        f("file", "file"),
        h("sub/again", "file"),
        l("link", "/etc/passwd"),
        d("was-file"),
    ]);
    for (name, bytes) in packed(&tar) {
        let (store, host) = (Store::new(), tempfile::tempdir().unwrap());
        std::fs::write(host.path().join("data.bin"), bytes).unwrap();
        let base = vec![store.layer(
            &[
                d("in"),
                d("in/real"),
                l("in/run", "real"),
                d("in/file"),
                f("in/file/old", ""),
                f("in/was-file", ""),
            ],
            &[],
        )];
        let list = list(&[("data.bin", "data.bin", "a")]);
        let copy = Copy {
            owner,
            ..context(host.path(), &list, "/in", false)
        };
        run(&store, &base, vec![Action::Copy(copy)]).unwrap();
        let found = tree(&store.path("new"));
        assert_eq!(
            found.keys().collect::<Vec<_>>(),
            [
                "in",
                "in/.wh.name",
                "in/file",
                "in/link",
                "in/real",
                "in/real/pid",
                "in/sub",
                "in/sub/again",
                "in/sub/new",
                "in/was-file"
            ],
            "{name}"
        );
        assert!(found["in"].starts_with("Directory 755 0:0") || !is_root(), "{found:?}");
        assert!(found["in/sub/again"].contains("=in/file"), "{found:?}");
        if is_root() {
            assert!(
                found["in/file"].contains(" 5:6 ") && found["in/link"].contains(" 5:6 "),
                "{found:?}"
            );
        }
    }
}

#[test]
fn what_is_no_archive_is_copied_and_a_broken_one_is_named() {
    let (store, host) = (Store::new(), tempfile::tempdir().unwrap());
    for (name, bytes) in packed(b"no tar in here") {
        std::fs::write(host.path().join(name), bytes).unwrap();
    }
    std::fs::write(host.path().join("empty"), "").unwrap();
    std::fs::write(host.path().join("zeros"), [0; 2048]).unwrap();
    let files = ["plain", "gzip", "bzip2", "xz", "zstd", "empty", "zeros"];
    let records: Vec<_> = files.iter().map(|name| (*name, *name, "a")).collect();
    let all = list(&records);
    run(&store, &[], vec![Action::Copy(context(host.path(), &all, "/", true))]).unwrap();
    for name in files {
        let expected = std::fs::read(host.path().join(name)).unwrap();
        assert_eq!(std::fs::read(store.path("new").join(name)).unwrap(), expected, "{name}");
    }
    let tar = support::tar(&[f("a", &"x".repeat(5000)), f("../../b", "")]);
    std::fs::write(host.path().join("cut"), &tar[..1000]).unwrap();
    std::fs::write(host.path().join("escape"), &tar).unwrap();
    for (name, kind, subject) in [("cut", Kind::Invalid, "a"), ("escape", Kind::Attack, "../../b")] {
        let store = Store::new();
        let one = list(&[(name, name, "a")]);
        let error = run(&store, &[], vec![Action::Copy(context(host.path(), &one, "/", true))]).unwrap_err();
        assert_eq!((error.kind, error.subject.as_deref()), (kind, Some(subject)), "{error}");
        assert_eq!(store.parts(), 0);
    }
}

#[test]
fn an_archive_that_is_cut_short_is_no_plain_file() {
    // Less than what is inflated before it is written.
    let mut noise = 1_u32;
    let body: String = std::iter::repeat_with(|| {
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        char::from(b' ' + (noise >> 24) as u8 % 90)
    })
    .take(600_000)
    .collect();
    let tar = support::tar(&[f("a", &body)]);
    for (name, bytes) in packed(&tar) {
        // bzip2 and xz give nothing of a block that is not whole.
        if !["plain", "gzip", "zstd"].contains(&name) {
            continue;
        }
        let (store, host) = (Store::new(), tempfile::tempdir().unwrap());
        std::fs::write(host.path().join("cut"), &bytes[..bytes.len() / 2]).unwrap();
        let one = list(&[("cut", "cut", "a")]);
        let error = run(&store, &[], vec![Action::Copy(context(host.path(), &one, "/", true))]).unwrap_err();
        assert_eq!(error.kind, Kind::Invalid, "{name}: {error}");
        assert_eq!(store.parts(), 0);
    }
}

#[test]
fn a_source_has_its_own_name_in_a_directory_only() {
    let (store, host) = (Store::new(), host());
    let base = vec![store.layer(&[d("dir")], &[])];
    let one = list(&[("src/main.py", "/link.py", "")]);
    let copy = |dest| Action::Copy(context(host.path(), &one, dest, false));
    run(&store, &base, vec![copy("/dir"), copy("/file")]).unwrap();
    assert_eq!(names(&store), ["dir", "dir/link.py", "file"]);
}

#[test]
fn an_archive_becomes_a_folder_of_the_host() {
    use berth_layer::unpack::into_folder;
    let (store, host) = (Store::new(), tempfile::tempdir().unwrap());
    let tar = support::tar(&[
        with(f("src/tool", "1"), |entry| entry.mode = 0o4755),
        node("pipe", berth_tar::Kind::Fifo, (0, 0)),
        l("out", "/etc"),
        f("out/inside", "2"),
    ]);
    std::fs::write(host.path().join("tar"), &tar).unwrap();
    std::fs::create_dir(host.path().join("out")).unwrap();
    let open = |name: &str| std::fs::File::open(host.path().join(name)).unwrap().into();
    let owner = if is_root() {
        (5, 6)
    } else {
        (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw())
    };
    let warn = store.warn();
    let report = Report::new(&|_, _| {}, &warn);
    assert_eq!(into_folder(&open("out"), &open("tar"), owner, None, &report).unwrap(), Some(4));
    let found = tree(&host.path().join("out"));
    assert_eq!(found.keys().collect::<Vec<_>>(), ["etc", "etc/inside", "out", "src", "src/tool"]);
    assert!(found["src/tool"].starts_with("RegularFile 755") && found["src/tool"].contains(&format!(" {}:{} ", owner.0, owner.1)));
}

/// The layer of a copy, its plain tar as the finished snapshot gives it, and the digests of what came from contexts.
fn layered(store: &Store, lowers: &[String], actions: Vec<Action<'_>>) -> Result<Finished, Error> {
    with_blob(store, lowers, actions, None)
}

/// The same with a blob.
fn with_blob(store: &Store, lowers: &[String], actions: Vec<Action<'_>>, blob: Option<&Blob<'_>>) -> Result<Finished, Error> {
    let warn = store.warn();
    layer(&store.snapshots, lowers, actions, &[], blob, None, &Report::new(&|_, _| {}, &warn))
}

fn blob<'a>(store: &'a Store, output: &'a str, codec: Codec) -> Blob<'a> {
    Blob {
        output,
        store: store.root.as_fd(),
        codec,
        level: 1,
        may_be_plain: true,
        identity: None,
        owner: None,
        threads: None,
    }
}

/// Bytes that no two positions share.
fn big(seed: u8, size: usize) -> Vec<u8> {
    (0..size)
        .map(|at| u8::try_from((at * 31 + at / 977) % 251).unwrap().wrapping_add(seed))
        .collect()
}

#[test]
fn one_pass_gives_the_layer_and_the_snapshot_of_two() {
    let (store, host) = (Store::new(), host());
    std::fs::write(host.path().join("src/big"), big(0, (3 << 20) + 17)).unwrap();
    std::fs::write(host.path().join("src/sub/exact"), big(1, 1 << 20)).unwrap();
    std::fs::set_permissions(host.path().join("src/big"), std::fs::Permissions::from_mode(0o4444)).unwrap();
    let base = vec![store.layer(&[d("app"), f("app/big", "old"), f("app/kept", "")], &[])];
    let records = list(&[
        ("src", "", ""),
        ("src/big", "big", ""),
        ("src/link", "link", ""),
        ("src/main.py", "main.py", ""),
        ("src/sub", "sub", ""),
        ("src/sub/exact", "sub/exact", "600"),
    ]);
    let actions = || vec![Action::Copy(context(host.path(), &records, "/app", false))];
    run(&store, &base, actions()).unwrap();
    let (two, tar_of_two) = store.finish("new", &base, true);
    let before = tree(&store.path(&two.snapshot));
    berth_layer::remove_tree(&store.snapshots, two.snapshot.as_bytes()).unwrap();
    let made = layered(&store, &base, actions()).unwrap();
    assert_eq!((&made.layer.diff_id, &made.layer.snapshot), (&two.diff_id, &two.snapshot));
    assert_eq!((made.layer.plain_size, made.layer.entries), (two.plain_size, two.entries));
    assert_eq!(made.copied.entries, 5);
    assert_eq!(store.tar(&made.layer.snapshot, &base), tar_of_two);
    assert_eq!(tree(&store.path(&made.layer.snapshot)), before);
    let copied = std::fs::metadata(store.path(&made.layer.snapshot).join("app/big")).unwrap();
    assert_eq!(copied.permissions().mode() & 0o7777, 0o4444);
    assert_eq!(store.parts(), 0);
}

#[test]
fn one_pass_tells_the_digests_that_a_reading_would_give() {
    let (store, host) = (Store::new(), tempfile::tempdir().unwrap());
    let sizes = [0, 10, 64 << 10, (64 << 10) + 1, 1 << 20, (2 << 20) + 5];
    for (at, size) in sizes.into_iter().enumerate() {
        std::fs::write(host.path().join(format!("f{at}")), big(u8::try_from(at).unwrap(), size)).unwrap();
    }
    symlink("f0", host.path().join("link")).unwrap();
    let tar = host.path().join("archive");
    std::fs::write(&tar, support::tar(&[f("inside", "x")])).unwrap();
    let rows: Vec<(String, String)> = (0..sizes.len()).map(|at| (format!("f{at}"), format!("f{at}"))).collect();
    let mut records: Vec<(&str, &str, &str)> = rows.iter().map(|(path, dest)| (path.as_str(), dest.as_str(), "")).collect();
    records.push(("link", "link", ""));
    records.push(("archive", "archive", "a"));
    // Another file takes the place of a large one: its digest counts all the same.
    records.push(("f0", "f5", ""));
    let records = list(&records);
    let root = || std::fs::File::open(host.path()).unwrap().into();
    let read = contents::contents(root(), &records, &Report::new(&|_, _| {}, &|_| {})).unwrap();
    let made = layered(&store, &[], vec![Action::Copy(context(host.path(), &records, "/", true))]).unwrap();
    assert_eq!(read.len(), 32 * (sizes.len() + 2));
    assert_eq!(made.contents, read);
    assert_eq!(&read[..32], Sha256::digest(b"").as_slice());
    assert_eq!(&read[5 * 32..6 * 32], blake3::hash(&big(5, (2 << 20) + 5)).as_bytes());
    let found = store.path(&made.layer.snapshot);
    assert_eq!(std::fs::read(found.join("f5")).unwrap(), b"");
    assert_eq!(std::fs::read(found.join("f4")).unwrap(), big(4, 1 << 20));
    assert!(found.join("inside").exists() && !found.join("archive").exists());
}

#[test]
fn one_pass_makes_the_blob_that_packing_the_snapshot_makes() {
    let (store, host) = (Store::new(), tempfile::tempdir().unwrap());
    // What does not shrink is to be stored as it is, which is decided before the first byte is copied.
    let mut noise = blake3::Hasher::new().finalize_xof();
    let mut bytes = vec![0; 17 << 20];
    noise.fill(&mut bytes);
    std::fs::write(host.path().join("noise"), &bytes).unwrap();
    std::fs::write(host.path().join("text"), big(0, 17 << 20)).unwrap();
    for (name, codec, kept) in [
        ("noise", Codec::Gzip, Codec::None),
        ("text", Codec::Gzip, Codec::Gzip),
        ("text", Codec::Zstd, Codec::Zstd),
        ("noise", Codec::None, Codec::None),
    ] {
        let records = list(&[(name, name, "")]);
        let actions = vec![Action::Copy(context(host.path(), &records, "/", true))];
        let made = with_blob(&store, &[], actions, Some(&blob(&store, "one", codec))).unwrap();
        let mut what = store.what(&made.layer.snapshot, &[]);
        (what.output, what.codec, what.may_be_plain) = (Some("two"), codec, true);
        let two = store.diff(&what).unwrap();
        assert_eq!(
            (&made.layer.diff_id, &made.layer.blob),
            (&two.diff_id, &two.blob),
            "{name} {codec:?}"
        );
        assert_eq!(made.layer.blob.unwrap().2, kept, "{name} {codec:?}");
        let files = ["one", "two"].map(|name| store.dir.path().join(name));
        assert!(std::fs::read(&files[0]).unwrap() == std::fs::read(&files[1]).unwrap());
        for path in files {
            std::fs::remove_file(path).unwrap();
        }
        berth_layer::remove_tree(&store.snapshots, made.layer.snapshot.as_bytes()).unwrap();
    }
}

#[test]
fn a_directory_below_one_with_the_set_group_id_bit_inherits_as_by_mkdir() {
    if !is_root() {
        eprintln!("left out: it needs root");
        return;
    }
    let (store, host) = (Store::new(), host());
    let home = with(d("home"), |entry| (entry.mode, entry.uid, entry.gid) = (0o2775, 5, 6));
    let base = vec![store.layer(&[home], &[])];
    let mkdir = |path, owner| Action::Mkdir {
        path,
        mode: 0o755,
        owner,
        created: Some(0),
    };
    std::fs::write(host.path().join("file"), "").unwrap();
    let records = list(&[("file", "file", "")]);
    let copy = Action::Copy(context(host.path(), &records, "/home/copied/to/", true));
    let actions = vec![
        mkdir("/home/unowned/deep", None),
        mkdir("/home/owned/deep", Some((7, 8))),
        mkdir("/plain", None),
        copy,
    ];
    run(&store, &base, actions).unwrap();
    let found = |path: &str| {
        let meta = std::fs::metadata(store.path("new").join(path)).unwrap();
        (meta.mode() & 0o7777, meta.uid(), meta.gid())
    };
    assert_eq!(found("home/unowned/deep"), (0o2755, 0, 6));
    assert_eq!(found("home/owned/deep"), (0o2755, 7, 8));
    assert_eq!(found("home/copied/to"), (0o2755, 0, 6));
    assert_eq!(found("plain"), (0o755, 0, 0));
}

#[test]
fn a_layer_without_entries_or_with_an_error_leaves_no_blob() {
    let (store, host) = (Store::new(), host());
    let base = vec![store.layer(&[d("app")], &[])];
    let mkdir = |path| Action::Mkdir {
        path,
        mode: 0o755,
        owner: None,
        created: Some(0),
    };
    let wanted = blob(&store, "blob", Codec::Gzip);
    let made = with_blob(&store, &base, vec![mkdir("/app")], Some(&wanted)).unwrap();
    assert_eq!((made.layer.entries, made.layer.blob), (0, None));
    let hidden = host.path().join(".wh.name");
    std::fs::write(&hidden, "").unwrap();
    let records = list(&[(".wh.name", ".wh.name", "")]);
    let actions = vec![Action::Copy(context(host.path(), &records, "/", true))];
    with_blob(&store, &base, actions, Some(&wanted)).unwrap_err();
    assert!(!store.dir.path().join("blob").exists());
    // A place that is taken stays what it is.
    std::fs::write(store.dir.path().join("blob"), "other").unwrap();
    let error = with_blob(&store, &base, vec![mkdir("/new")], Some(&wanted)).unwrap_err();
    assert_eq!(error.kind, Kind::Conflict);
    assert_eq!(std::fs::read(store.dir.path().join("blob")).unwrap(), b"other");
    assert_eq!(store.parts(), 0);
}

#[test]
fn large_files_of_a_stage_come_whole_with_owner_mode_links_and_attributes() {
    let store = Store::new();
    let bytes = String::from_utf8(vec![b'x'; 2 << 20]).unwrap();
    let from = store.layer(
        &[
            d("d"),
            with(f("d/a", &bytes), |entry| entry.mode = 0o4755),
            h("d/b", "d/a"),
            with(f("d/c", &bytes), |entry| {
                entry.xattrs = vec![(b"user.note".to_vec(), b"1".to_vec())];
            }),
        ],
        &[],
    );
    let patterns = ["/d".to_owned()];
    let actions = || vec![Action::Copy(stage(&store, std::slice::from_ref(&from), &patterns, "/out", true))];
    run(&store, &[], actions()).unwrap();
    let two = store.finish("new", &[], true).0;
    let before = tree(&store.path(&two.snapshot));
    berth_layer::remove_tree(&store.snapshots, two.snapshot.as_bytes()).unwrap();
    let made = layered(&store, &[], actions()).unwrap();
    assert_eq!((&made.layer.diff_id, made.contents.len()), (&two.diff_id, 0));
    assert_eq!(tree(&store.path(&made.layer.snapshot)), before);
}

#[test]
fn a_hole_stays_one() {
    let (store, host) = (Store::new(), tempfile::tempdir().unwrap());
    let file = std::fs::File::create(host.path().join("sparse")).unwrap();
    file.set_len(64 << 20).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, b"end", 40 << 20).unwrap();
    let records = list(&[("sparse", "sparse", "")]);
    let made = layered(&store, &[], vec![Action::Copy(context(host.path(), &records, "/", true))]).unwrap();
    let copied = store.path(&made.layer.snapshot).join("sparse");
    let meta = std::fs::metadata(&copied).unwrap();
    assert_eq!(meta.len(), 64 << 20);
    assert!(meta.blocks() * 512 < 4 << 20, "{} blocks", meta.blocks());
    assert_eq!(&std::fs::read(&copied).unwrap()[40 << 20..][..4], b"end\0");
    assert_eq!(
        made.contents,
        blake3::hash(&std::fs::read(host.path().join("sparse")).unwrap()).as_bytes()
    );
}

#[test]
fn a_large_file_that_is_below_already_is_no_change() {
    let (store, host) = (Store::new(), tempfile::tempdir().unwrap());
    std::fs::write(host.path().join("big"), big(0, 2 << 20)).unwrap();
    let file = std::fs::File::options().write(true).open(host.path().join("big")).unwrap();
    file.set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000))
        .unwrap();
    let records = list(&[("big", "big", "644")]);
    let actions = || vec![Action::Copy(context(host.path(), &records, "/", true))];
    let first = layered(&store, &[], actions()).unwrap();
    let again = layered(&store, &[first.layer.snapshot], actions()).unwrap();
    assert_eq!((again.layer.entries, &again.contents), (0, &first.contents));
}

#[test]
fn a_file_that_is_not_the_one_that_was_listed_is_refused() {
    let (store, host) = (Store::new(), tempfile::tempdir().unwrap());
    std::fs::write(host.path().join("a"), "one").unwrap();
    let meta = std::fs::metadata(host.path().join("a")).unwrap();
    let stamp = |size: u64| format!("{}:{size}:{}", meta.ino(), meta.ctime() * 1_000_000_000 + meta.ctime_nsec());
    for (stamp, fits) in [(stamp(3), true), (stamp(4), false), ("1:3:5".to_owned(), false)] {
        let records = format!("a\0a\0\0{stamp}\0").into_bytes();
        let result = layered(&store, &[], vec![Action::Copy(context(host.path(), &records, "/", true))]);
        let root = std::fs::File::open(host.path()).unwrap().into();
        let read = contents::contents(root, &records, &Report::new(&|_, _| {}, &|_| {}));
        assert_eq!((result.is_ok(), read.is_ok()), (fits, fits), "{stamp}");
        for error in [result.err(), read.err()].into_iter().flatten() {
            assert_eq!((error.kind, error.subject.as_deref()), (Kind::Invalid, Some("a")));
            assert!(error.message.contains("changed while"), "{error}");
        }
    }
    assert_eq!(store.parts(), 0);
}

#[test]
fn a_layer_with_a_forbidden_value_is_told_and_not_kept() {
    let (store, host) = (Store::new(), tempfile::tempdir().unwrap());
    let mut content = big(0, 2 << 20);
    content[(1 << 20) - 3..(1 << 20) + 5].copy_from_slice(b"password");
    std::fs::write(host.path().join("big"), content).unwrap();
    let records = list(&[("big", "big", "")]);
    let forbidden = [Forbidden {
        id: "token",
        value: b"password",
    }];
    let report = Report::new(&|_, _| {}, &|_| {});
    let actions = vec![Action::Copy(context(host.path(), &records, "/", true))];
    let wanted = blob(&store, "blob", Codec::Gzip);
    let made = layer(&store.snapshots, &[], actions, &forbidden, Some(&wanted), None, &report).unwrap();
    let found: Vec<(&str, &str)> = made.layer.found.iter().map(|one| (one.path.as_str(), one.id.as_str())).collect();
    assert_eq!(found, [("/big", "token")]);
    assert_eq!((made.layer.blob, store.dir.path().join("blob").exists()), (None, false));
    assert_eq!(std::fs::read_dir(store.dir.path().join("snapshots")).unwrap().count(), 0);
}
