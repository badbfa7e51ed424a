//! Every walk through a tree, while a second thread swaps a directory of it for a link to the outside and back: what lies outside is neither read nor
//! changed. Rounds are counted, not seconds; each one sees at least one swap. `tools.rs` has the same for `apply`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by a panic")]

mod support;

use berth_layer::copy::{Action, Copy, Selection, Source, copy};
use berth_layer::copy_in::{CopyIn, Ground, Rules};
use berth_layer::copy_out::{Sink, pack};
use berth_layer::extract::Extract;
use berth_layer::{Report, Result, export, snapshot};
use rustix::fd::OwnedFd;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use support::{Store, d, f, tar, tree_with};

const ROUNDS: usize = 100;
const FILES: usize = 12;
const INSIDE: &str = "what lies inside";
const OUTSIDE: &str = "what lies outside";

/// A snapshot `up` with a directory that is swapped for a link, and what the link leads to: the same names with another content.
struct Arena {
    store: Store,
    outside: tempfile::TempDir,
}

impl Arena {
    fn new() -> Self {
        let arena = Self {
            store: Store::new(),
            outside: tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap(),
        };
        fill(arena.outside.path(), OUTSIDE);
        fs::create_dir_all(arena.root().join("deep/dir")).unwrap();
        fill(&arena.root().join("deep/dir"), INSIDE);
        symlink(arena.outside.path(), arena.root().parent().unwrap().join("aside")).unwrap();
        arena
    }

    fn root(&self) -> PathBuf {
        self.store.path("up")
    }

    fn descriptor(&self) -> OwnedFd {
        File::open(self.root()).unwrap().into()
    }

    /// Runs `walk` again and again beside the swaps. It may fail, and its result must not hold what lies outside.
    fn race(&self, mut walk: impl FnMut() -> Result<Vec<u8>>) {
        let before = tree_with(self.outside.path(), true);
        let (here, aside) = (self.root().join("deep/dir"), self.root().parent().unwrap().join("aside"));
        let (stop, swaps) = (AtomicBool::new(false), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    // For a moment it may not be there: a removal is one of the walks.
                    let _ = renameat_with(CWD, &here, CWD, &aside, RenameFlags::EXCHANGE);
                    swaps.fetch_add(1, Ordering::Relaxed);
                }
            });
            // Also when an assertion fails here, the other thread must end.
            let _end = Ending(&stop);
            for round in 0..ROUNDS {
                let seen = swaps.load(Ordering::Relaxed);
                if let Ok(bytes) = walk() {
                    assert!(!holds(&bytes, OUTSIDE), "round {round}: the outside was read");
                }
                while swaps.load(Ordering::Relaxed) == seen {
                    std::thread::yield_now();
                }
            }
        });
        assert_eq!(tree_with(self.outside.path(), true), before, "the outside was changed");
    }
}

struct Ending<'a>(&'a AtomicBool);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn fill(folder: &Path, content: &str) {
    for index in 0..FILES {
        fs::write(folder.join(format!("f{index}")), content).unwrap();
    }
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

/// Runs `work` with a report that nobody reads.
fn quietly<T>(work: impl FnOnce(&Report<'_>) -> T) -> T {
    work(&Report::new(&|_, _| {}, &|_| {}))
}

struct Bytes(Vec<u8>);

impl Sink for Bytes {
    fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }
}

/// Files for the place that is swapped.
fn payload() -> Vec<u8> {
    let mut members = vec![d("deep"), d("deep/dir")];
    members.extend((0..FILES).flat_map(|index| {
        [
            f(&format!("deep/dir/f{index}"), "from the tar"),
            f(&format!("deep/dir/new{index}"), "from the tar"),
        ]
    }));
    tar(&members)
}

#[test]
fn cp_out_of_a_container() {
    let arena = Arena::new();
    for (source, follow) in [("/deep", false), ("/deep/dir/", true), ("/deep/dir/f3", true)] {
        arena.race(|| {
            let mut bytes = Bytes(Vec::new());
            quietly(|report| pack(&arena.descriptor(), source, follow, &mut bytes, report))?;
            Ok(bytes.0)
        });
    }
}

#[test]
fn cp_into_a_container_and_onto_this_machine() {
    let arena = Arena::new();
    let bytes = payload();
    let host: OwnedFd = File::open("/").unwrap().into();
    let path = arena.root().display().to_string();
    for (root, dest, ground) in [(arena.descriptor(), "/", Ground::Container), (host, path.as_str(), Ground::Host)] {
        let rules = Rules {
            dest,
            ground,
            keep_owner: false,
            into: true,
        };
        arena.race(|| {
            quietly(|report| {
                let mut copy = CopyIn::new(&root, rules, report);
                copy.feed(&bytes)?;
                copy.finish().map(|_| Vec::new())
            })
        });
    }
}

#[test]
fn a_tar_is_unpacked_onto_this_machine() {
    let arena = Arena::new();
    let bytes = payload();
    arena.race(|| {
        quietly(|report| {
            let mut extract = Extract::new(arena.descriptor(), report);
            extract.take(&bytes)?;
            extract.finish().map(|_| Vec::new())
        })
    });
}

#[test]
fn a_tree_is_exported() {
    let arena = Arena::new();
    arena.race(|| {
        let stack = snapshot::stack(&arena.store.snapshots, &["up".to_owned()])?;
        let mut bytes = Vec::new();
        let mut sink = |piece: &[u8]| {
            bytes.extend_from_slice(piece);
            true
        };
        quietly(|report| export::export(&stack, None, &mut sink, report))?;
        Ok(bytes)
    });
}

#[test]
fn a_step_becomes_a_layer() {
    let arena = Arena::new();
    let mut round = 0;
    arena.race(|| {
        round += 1;
        let output = format!("layer-{round}");
        let mut what = arena.store.what("up", &[]);
        what.output = Some(output.as_str());
        arena.store.diff(&what)?;
        Ok(fs::read(arena.store.dir.path().join(&output)).unwrap())
    });
}

#[test]
fn copy_from_a_stage_and_from_the_context() {
    let arena = Arena::new();
    let patterns = ["/deep/dir".to_owned()];
    let list: Vec<u8> = (0..FILES)
        .flat_map(|index| format!("deep/dir/f{index}\0f{index}\0\0").into_bytes())
        .collect();
    for from_stage in [true, false] {
        arena.race(|| {
            berth_layer::remove_tree(&arena.store.snapshots, b"new")?;
            let source = if from_stage {
                let stack = snapshot::stack(&arena.store.snapshots, &["up".to_owned()])?;
                let selection = Selection {
                    patterns: &patterns,
                    ..Selection::default()
                };
                Source::Snapshots { stack, selection }
            } else {
                Source::Context {
                    root: arena.descriptor(),
                    list: &list,
                }
            };
            let action = Action::Copy(Copy {
                source,
                dest: "/to/",
                dest_is_directory: true,
                owner: None,
                mode: None,
                changes: Vec::new(),
                created: None,
            });
            quietly(|report| copy(&arena.store.snapshots, "new", &[], vec![action], None, report))?;
            Ok(contents(&arena.store.path("new")))
        });
    }
}

/// The content of all files, one after the other.
fn contents(folder: &Path) -> Vec<u8> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| {
            let meta = fs::symlink_metadata(&path).unwrap();
            if meta.is_dir() {
                contents(&path)
            } else if meta.is_file() {
                fs::read(&path).unwrap()
            } else {
                Vec::new()
            }
        })
        .collect()
}

#[test]
fn a_tree_is_removed() {
    let arena = Arena::new();
    let part = arena.root().parent().unwrap().to_owned();
    let root: OwnedFd = File::open(&part).unwrap().into();
    let mut removed = 0;
    arena.race(|| {
        if !part.join("fs").exists() {
            again(&part, arena.outside.path());
        }
        removed += usize::from(berth_layer::remove_tree(&root, b"fs")?);
        Ok(Vec::new())
    });
    assert!(removed > 0);
}

/// The tree is gone, so that nothing can be swapped: it is made anew beside its place, and the link comes back.
fn again(part: &Path, outside: &Path) {
    let aside = part.join("aside");
    if !fs::symlink_metadata(&aside).unwrap().is_symlink() {
        fs::remove_dir_all(&aside).unwrap();
        symlink(outside, &aside).unwrap();
    }
    fs::create_dir_all(part.join("next/deep/dir")).unwrap();
    fill(&part.join("next/deep/dir"), INSIDE);
    fs::rename(part.join("next"), part.join("fs")).unwrap();
}
