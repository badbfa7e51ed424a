//! A store in a temporary folder, tars made by hand, and a tree as it looks on disk.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, dead_code, unreachable_pub)]

use berth_layer::apply::{Applied, Apply, apply};
use berth_layer::diff::{Diff, Layer, diff};
use berth_layer::{Codec, Error, Report, snapshot};
use berth_sys::{file, xattr};
use berth_tar::{Entry, Kind, Time, writer};
use rustix::fd::OwnedFd;
use sha2::{Digest, Sha256};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

pub struct Store {
    pub dir: tempfile::TempDir,
    pub root: OwnedFd,
    pub snapshots: OwnedFd,
    pub warnings: RefCell<Vec<String>>,
}

pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

impl Store {
    /// In the target folder, which is on a real disk: overlayfs and user attributes work there.
    pub fn new() -> Self {
        // As the helper does.
        file::raise_file_limit();
        let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        std::fs::create_dir(dir.path().join("snapshots")).unwrap();
        let open = |path: &Path| -> OwnedFd { File::open(path).unwrap().into() };
        let (root, snapshots) = (open(dir.path()), open(&dir.path().join("snapshots")));
        Self {
            dir,
            root,
            snapshots,
            warnings: RefCell::default(),
        }
    }

    pub fn path(&self, snapshot: &str) -> PathBuf {
        self.dir.path().join("snapshots").join(snapshot).join("fs")
    }

    pub fn warn(&self) -> impl Fn(String) + '_ {
        |message| self.warnings.borrow_mut().push(message)
    }

    pub fn apply_blob(&self, blob: &[u8], codec: Codec, diff_id: &str, lowers: &[String], limits: (u64, u64)) -> Result<Applied, Error> {
        let mut file = tempfile::tempfile_in(self.dir.path()).unwrap();
        file.write_all(blob).unwrap();
        rustix::fs::seek(&file, rustix::fs::SeekFrom::Start(0)).unwrap();
        let chain = sha256(format!("{diff_id} {lowers:?}").as_bytes());
        let what = Apply {
            blob: file.into(),
            codec,
            diff_id,
            chain_id: &chain,
            lowers,
            max_bytes: limits.0,
            max_entries: limits.1,
            identity: None,
            name: None,
        };
        let warn = self.warn();
        apply(&self.snapshots, &what, &Report::new(&|_, _| {}, &warn))
    }

    pub fn apply(&self, tar: &[u8], lowers: &[String]) -> Result<Applied, Error> {
        self.apply_blob(tar, Codec::None, &sha256(tar), lowers, (1 << 30, 1_000_000))
    }

    /// Apply and give the name.
    pub fn layer(&self, members: &[Member], lowers: &[String]) -> String {
        self.apply(&tar(members), lowers).unwrap().snapshot
    }

    /// Apply a whole tar and give the name.
    pub fn layer_of(&self, tar: &[u8]) -> String {
        self.apply(tar, &[]).unwrap().snapshot
    }

    pub fn what<'a>(&self, snapshot: &'a str, lowers: &'a [String]) -> Diff<'a> {
        Diff {
            snapshot,
            lowers,
            output: None,
            codec: Codec::None,
            level: 1,
            may_be_plain: false,
            clamp: None,
            finish: false,
            untouched: std::collections::BTreeSet::new(),
            identity: None,
            owner: None,
            forbidden: &[],
            threads: None,
        }
    }

    pub fn diff(&self, what: &Diff<'_>) -> Result<Layer, Error> {
        let warn = self.warn();
        diff(&self.root, &self.snapshots, what, &Report::new(&|_, _| {}, &warn))
    }

    /// The plain tar of the snapshot.
    pub fn tar(&self, snapshot: &str, lowers: &[String]) -> Vec<u8> {
        self.finish(snapshot, lowers, false).1
    }

    /// The layer and its plain tar.
    pub fn finish(&self, snapshot: &str, lowers: &[String], finish: bool) -> (Layer, Vec<u8>) {
        let output = format!("out-{}", file::random_name().unwrap());
        let mut what = self.what(snapshot, lowers);
        (what.output, what.finish) = (Some(output.as_str()), finish);
        let layer = self.diff(&what).unwrap();
        let bytes = std::fs::read(self.dir.path().join(&output)).unwrap();
        assert_eq!(
            (layer.diff_id.as_str(), layer.plain_size),
            (sha256(&bytes).as_str(), bytes.len() as u64)
        );
        (layer, bytes)
    }

    pub fn upper(&self, name: &str, lowers: &[String]) -> PathBuf {
        let stack = snapshot::stack(&self.snapshots, lowers).unwrap();
        snapshot::prepare(&self.snapshots, name, &stack).unwrap();
        self.path(name)
    }

    pub fn parts(&self) -> usize {
        let names = std::fs::read_dir(self.dir.path().join("snapshots")).unwrap();
        names
            .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().starts_with(".part-"))
            .count()
    }
}

pub fn sha256(bytes: &[u8]) -> String {
    let digest: [u8; 32] = Sha256::digest(bytes).into();
    format!("sha256:{}", digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
}

pub type Member = (Entry, Vec<u8>);

pub fn tar(members: &[Member]) -> Vec<u8> {
    let mut out = Vec::new();
    for (entry, content) in members {
        writer::header(entry, &mut out);
        out.extend_from_slice(content);
        out.extend_from_slice(writer::padding(content.len() as u64));
    }
    out.extend_from_slice(&writer::END);
    out
}

fn entry(path: &str, kind: Kind, mode: u32) -> Entry {
    let mut entry = Entry::new(path, kind);
    entry.mode = mode;
    entry.modified = Time {
        seconds: 1_600_000_000,
        nanoseconds: 0,
    };
    entry
}

pub fn f(path: &str, content: &str) -> Member {
    let mut entry = entry(path, Kind::File, 0o644);
    entry.size = content.len() as u64;
    (entry, content.into())
}

pub fn d(path: &str) -> Member {
    (entry(path, Kind::Directory, 0o755), Vec::new())
}

pub fn l(path: &str, target: &str) -> Member {
    let mut entry = entry(path, Kind::Symlink, 0o777);
    entry.link = target.into();
    (entry, Vec::new())
}

pub fn h(path: &str, target: &str) -> Member {
    let mut entry = entry(path, Kind::HardLink, 0o644);
    entry.link = target.into();
    (entry, Vec::new())
}

pub fn node(path: &str, kind: Kind, device: (u32, u32)) -> Member {
    let mut entry = entry(path, kind, 0o600);
    entry.device = device;
    (entry, Vec::new())
}

pub fn with(mut member: Member, change: impl FnOnce(&mut Entry)) -> Member {
    change(&mut member.0);
    member
}

/// Everything below `path`, one line each: type, mode, owner, attributes and content.
pub fn tree(path: &Path) -> BTreeMap<String, String> {
    tree_with(path, false)
}

pub fn tree_with(path: &Path, times: bool) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let root: OwnedFd = File::open(path).unwrap().into();
    let mut links = BTreeMap::new();
    collect(&root, "", times, &mut links, &mut found);
    found
}

fn collect(dir: &OwnedFd, prefix: &str, times: bool, links: &mut BTreeMap<u64, String>, found: &mut BTreeMap<String, String>) {
    for name in file::names(dir).unwrap() {
        let path = format!("{prefix}{}", name.escape_ascii());
        let meta = file::stat(dir, &name).unwrap();
        let attributes: Vec<String> = if meta.is_file() || meta.is_dir() {
            let fd = if meta.is_dir() {
                file::open_dir(dir, &name)
            } else {
                file::open_read(dir, &name)
            }
            .unwrap();
            xattr::all(&fd)
                .unwrap()
                .iter()
                .map(|(name, value)| format!("{}={}", name.escape_ascii(), value.escape_ascii()))
                .collect()
        } else {
            Vec::new()
        };
        let mut line = format!("{:?} {:o} {}:{} {attributes:?}", meta.kind, meta.mode, meta.uid, meta.gid);
        if times {
            line += &format!(" {}", meta.modified.seconds);
        }
        if meta.links > 1 && !meta.is_dir() && !meta.is_whiteout() {
            line += &format!(" ={}", links.entry(meta.inode).or_insert_with(|| path.clone()));
        }
        if meta.is_link() {
            line += &format!(" -> {}", file::read_link(dir, &name).unwrap().escape_ascii());
        } else if meta.is_file() {
            let mut content = vec![0; usize::try_from(meta.size).unwrap()];
            file::read_full(file::open_read(dir, &name).unwrap(), &mut content).unwrap();
            line += &format!(" {:?}", content.escape_ascii().to_string());
        } else if !meta.is_dir() {
            line += &format!(" {:?}", meta.special);
        }
        found.insert(path.clone(), line);
        if meta.is_dir() {
            collect(&file::open_dir(dir, &name).unwrap(), &format!("{path}/"), times, links, found);
        }
    }
}

/// Content of a file of a snapshot.
pub fn read(path: PathBuf) -> String {
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
