//! An upper snapshot becomes a layer: tar, digests and blob in one pass, in an order that is always the same.

use crate::apply::{OPAQUE, WHITEOUT};
use crate::codec::Codec;
use crate::compress;
use crate::digest;
use crate::error::{Context, Error, Kind, Result, display};
use crate::gather::{self, BUFFER};
use crate::later::{Later, Pending};
use crate::output::{self, Digests, Form, Output, WRITE};
use crate::plan::{Directories, FileId, Item, Plan, plan};
use crate::remove::remove_tree;
use crate::report::Report;
use crate::sample;
use crate::search::{Forbidden, Search, Stream};
use crate::snapshot::{self, Part};
use crate::stack::Stack;
use crate::xattrs;
use berth_sys::file::{self, Time};
use berth_sys::strict::Identity;
use berth_sys::xattr;
use berth_tar::{Entry, writer};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, FileType, OFlags, fsync, syncfs, unlinkat};
use std::collections::{BTreeSet, HashMap};

/// How many places of forbidden values are told.
const MOST_FOUND: usize = 20;

/// What to make a layer of.
#[derive(Debug)]
pub struct Diff<'a> {
    pub snapshot: &'a str,
    /// Names of the snapshots below, topmost first.
    pub lowers: &'a [String],
    /// Path of the blob below the store root; `None` makes digests only.
    pub output: Option<&'a str>,
    pub codec: Codec,
    pub level: u32,
    /// Where samples of the files do not shrink, the blob is the plain tar.
    pub may_be_plain: bool,
    /// Later times are set to this one.
    pub clamp: Option<i64>,
    /// Remove what did not change, and rename the snapshot to the diff id.
    pub finish: bool,
    /// Paths (without a slash before) that are no change while they are new and empty: targets of mounts of a container that runs.
    pub untouched: BTreeSet<Vec<u8>>,
    /// Who hashes and compresses.
    pub identity: Option<Identity>,
    /// Who owns the blob; `None` leaves it to whom it belongs.
    pub owner: Option<Identity>,
    /// Compressing threads; `None` takes as many as there are processors. The bytes do not depend on it.
    pub threads: Option<usize>,
    /// What the layer must not hold. Where it does there is no blob, and the snapshot stays as it is.
    pub forbidden: &'a [Forbidden<'a>],
}

/// A blob to make of a layer.
#[derive(Debug, Clone, Copy)]
pub struct Blob<'a> {
    /// Path below the store root, which is open in `store`.
    pub output: &'a str,
    pub store: BorrowedFd<'a>,
    pub codec: Codec,
    pub level: u32,
    /// Where samples of the files do not shrink, it is the plain tar.
    pub may_be_plain: bool,
    /// Who compresses.
    pub identity: Option<Identity>,
    /// Who owns it; `None` leaves it to whom it belongs.
    pub owner: Option<Identity>,
    /// Compressing threads; `None` takes as many as there are processors. The bytes do not depend on it.
    pub threads: Option<usize>,
}

/// A layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// `sha256:…` of the plain tar.
    pub diff_id: String,
    pub plain_size: u64,
    pub entries: u64,
    /// Digest, size and codec, when there is an output.
    pub blob: Option<(String, u64, Codec)>,
    /// Name of the snapshot now.
    pub snapshot: String,
    /// Where forbidden values were found: path and id.
    pub found: Vec<Found>,
}

/// A forbidden value in a layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Path in the image, with control characters escaped.
    pub path: String,
    pub id: String,
}

/// Make the layer. A blob that could not be completed is removed.
///
/// # Errors
/// `Invalid` when a name cannot be in a layer or a file changes meanwhile; `Conflict` when the output exists; the error of a system call.
pub fn diff(store: &impl AsFd, snapshots: &impl AsFd, what: &Diff<'_>, report: &Report<'_>) -> Result<Layer> {
    compress::check_level(what.codec, what.level)?;
    let root = snapshot::open(snapshots, what.snapshot)?;
    let lowers = snapshot::stack(snapshots, what.lowers)?;
    let mut later = Later::default();
    let plan = plan(&root, &lowers, &what.untouched, &mut later)?;
    let blob = what.output.map(|output| Blob {
        output,
        store: store.as_fd(),
        codec: what.codec,
        level: what.level,
        may_be_plain: what.may_be_plain,
        identity: what.identity,
        owner: what.owner,
        threads: what.threads,
    });
    let made = make(
        (&root, &plan),
        &mut later,
        blob.as_ref(),
        (what.clamp, what.forbidden),
        (false, report),
    )?;
    let snapshot = if what.finish && made.found.is_empty() {
        finish(snapshots, what, &root, &plan, &made.digests).inspect_err(|_| discard(blob.as_ref()))?
    } else {
        what.snapshot.to_owned()
    };
    Ok(made.layer(snapshot))
}

/// Make the layer of a snapshot that has just been filled, and the blob that is wanted of it; files that wait for their content get it on the way.
/// With a forbidden value in it there is no layer: the snapshot goes.
pub(crate) fn layer_of(
    part: Part<'_>,
    lowers: &Stack,
    later: &mut Later,
    forbidden: &[Forbidden<'_>],
    blob: Option<&Blob<'_>>,
    report: &Report<'_>,
) -> Result<Layer> {
    let plan = plan(part.fs(), lowers, &BTreeSet::new(), later)?;
    // Nobody asks for the blob of a layer without entries.
    let blob = blob.filter(|_| plan.items.iter().any(|item| item.keep));
    let made = make((part.fs(), &plan), later, blob, (None, forbidden), (true, report))?;
    let snapshot = digest::hex(&made.digests.plain);
    if made.found.is_empty() {
        // Another step may have made the same layer: that one is used.
        let kept = tidy(part.fs(), &plan, None).and_then(|()| part.commit(&snapshot, true));
        kept.inspect_err(|_| discard(blob))?;
    }
    Ok(made.layer(snapshot))
}

struct Made {
    digests: Digests,
    entries: u64,
    found: Vec<Found>,
    /// How the blob is packed, when there is one.
    codec: Option<Codec>,
}

impl Made {
    fn layer(self, snapshot: String) -> Layer {
        let Digests { plain, plain_size, .. } = self.digests;
        let (blob, size) = (self.digests.blob, self.digests.blob_size);
        Layer {
            diff_id: digest::sha256(&plain),
            plain_size,
            entries: self.entries,
            blob: self.codec.map(|codec| (digest::sha256(&blob), size, codec)),
            snapshot,
            found: self.found,
        }
    }
}

/// Write the layer of the plan, and the blob when one is wanted: it stays when it is complete and nothing forbidden is in it. `counted` means that
/// what is in the snapshot was told as progress when it came there.
fn make(
    (root, plan): (&OwnedFd, &Plan),
    later: &mut Later,
    blob: Option<&Blob<'_>>,
    limits: (Option<i64>, &[Forbidden<'_>]),
    counted: (bool, &Report<'_>),
) -> Result<Made> {
    let Some(wanted) = blob else {
        return write((root, plan), later, None, limits, counted);
    };
    let file = create_blob(wanted)?;
    let made = packed((root, plan), later, (wanted, &file), limits, counted);
    if !made.as_ref().is_ok_and(|made| made.found.is_empty()) {
        discard(blob);
    }
    made
}

fn packed(
    (root, plan): (&OwnedFd, &Plan),
    later: &mut Later,
    (wanted, file): (&Blob<'_>, &OwnedFd),
    limits: (Option<i64>, &[Forbidden<'_>]),
    counted: (bool, &Report<'_>),
) -> Result<Made> {
    let mut form = Form {
        codec: wanted.codec,
        level: wanted.level,
        threads: wanted.threads,
    };
    if wanted.may_be_plain && !sample::shrinks(root, plan, &form, later)? {
        form.codec = Codec::None;
    }
    let made = write((root, plan), later, Some((file, form, wanted.identity)), limits, counted)?;
    fsync(file).step("fsync", b"blob")?;
    let codec = made.found.is_empty().then_some(form.codec);
    Ok(Made { codec, ..made })
}

/// The layer's tar into the digests and, with a target, into that.
fn write(
    (root, plan): (&OwnedFd, &Plan),
    later: &mut Later,
    target: Option<(&OwnedFd, Form, Option<Identity>)>,
    (clamp, forbidden): (Option<i64>, &[Forbidden<'_>]),
    (counted, report): (bool, &Report<'_>),
) -> Result<Made> {
    let output = output::start(target)?;
    let search = Search::new(forbidden);
    let mut emit = Emit {
        out: Buffer::new(),
        output: &output,
        report,
        plan,
        later,
        counted,
        links: HashMap::new(),
        clamp,
        entries: 0,
        search: search.as_ref(),
        found: Vec::new(),
    };
    let walked = emit.all(root);
    let Emit { entries, found, .. } = emit;
    let digests = match walked {
        Ok(()) => output.finish(),
        // When the child is gone, its own reason is the better one.
        Err(error) if error.step == WRITE => output.finish().and(Err(error)),
        Err(error) => Err(error),
    }?;
    Ok(Made {
        digests,
        entries,
        found,
        codec: None,
    })
}

fn create_blob(wanted: &Blob<'_>) -> Result<OwnedFd> {
    let path = wanted.output;
    let (folder, name) = open_folder(wanted)?;
    let blob = file::create_file(&folder, name, 0o600).map_err(|errno| match errno {
        rustix::io::Errno::EXIST => Error {
            kind: Kind::Conflict,
            ..Error::system("create blob", errno)
        }
        .subject(path.as_bytes()),
        errno => Error::system("create blob", errno).subject(path.as_bytes()),
    })?;
    if let Some((uid, gid)) = wanted.owner {
        file::chown_fd(&blob, uid, gid).step("fchown", path.as_bytes())?;
    }
    Ok(blob)
}

fn open_folder<'a>(wanted: &Blob<'a>) -> Result<(OwnedFd, &'a [u8])> {
    let path = wanted.output;
    let (folder, name) = path.rsplit_once('/').unwrap_or((".", path));
    if !file::is_component(name.as_bytes()) {
        return Err(Error::new(Kind::Request, "create blob", "the output is no file below the store root").subject(path.as_bytes()));
    }
    let folder = berth_sys::path::open_beneath(wanted.store, folder.as_bytes(), OFlags::RDONLY | OFlags::DIRECTORY)
        .step("create blob", path.as_bytes())?;
    Ok((folder, name.as_bytes()))
}

/// Remove the blob.
pub(crate) fn discard(blob: Option<&Blob<'_>>) {
    if let Some(Ok((folder, name))) = blob.map(open_folder) {
        // The first error is what counts; a leftover in `ingest/` is collected.
        let _ = unlinkat(folder, name, AtFlags::empty());
    }
}

/// Leave in the snapshot what the layer holds, as applying the layer would make it, and give it its name.
fn finish(snapshots: &impl AsFd, what: &Diff<'_>, root: &OwnedFd, plan: &Plan, digests: &Digests) -> Result<String> {
    tidy(root, plan, what.clamp)?;
    let name = digest::hex(&digests.plain);
    if name == what.snapshot {
        return Ok(name);
    }
    syncfs(root).step("syncfs", name.as_bytes())?;
    if !snapshot::rename(snapshots.as_fd(), what.snapshot.as_bytes(), name.as_bytes(), true)? {
        // Another step has made the same layer: that one is used.
        remove_tree(snapshots, what.snapshot.as_bytes())?;
    }
    Ok(name)
}

fn tidy(root: &OwnedFd, plan: &Plan, clamp: Option<i64>) -> Result<()> {
    let mut directories = Directories::new(root)?;
    for (index, item) in plan.items.iter().enumerate().skip(1) {
        let parent_is_kept = item.parent == 0 || plan.items.get(item.parent).is_some_and(|parent| parent.keep);
        if !parent_is_kept {
            continue;
        }
        let dir = directories.parent(plan, index)?;
        if !item.keep {
            remove_tree(&*dir, &item.name)?;
        } else if !item.meta.is_dir() && !item.meta.is_whiteout() && item.meta.modified != clamped(item.meta.modified, clamp) {
            file::set_time(&*dir, &item.name, clamped(item.meta.modified, clamp)).step("utimensat", &item.name)?;
        }
    }
    tidy_directories(root, plan, clamp)
}

/// After their content, whose removal changes them.
fn tidy_directories(root: &OwnedFd, plan: &Plan, clamp: Option<i64>) -> Result<()> {
    let mut directories = Directories::new(root)?;
    for (index, item) in plan
        .items
        .iter()
        .enumerate()
        .skip(1)
        .filter(|(_, item)| item.keep && item.meta.is_dir())
    {
        let dir = directories.parent(plan, index)?;
        file::set_time(&*dir, &item.name, clamped(item.meta.modified, clamp)).step("utimensat", &item.name)?;
        if item.marked && !item.opaque {
            let own = file::open_dir(&*dir, &item.name).step("openat", &item.name)?;
            xattr::remove(own, xattrs::OPAQUE).step("fremovexattr", &item.name)?;
        }
    }
    let Some(first) = plan.items.first() else { return Ok(()) };
    if first.keep {
        xattr::remove(root, xattrs::IMPLICIT).step("fremovexattr", b"/")?;
    } else {
        // Where attributes are not supported, so is overlayfs.
        let _ = xattr::set(root, xattrs::IMPLICIT, b"y");
    }
    file::set_time_fd(root, clamped(first.meta.modified, clamp)).step("futimens", b"/")
}

/// Whole seconds, none later than `clamp`.
fn clamped(time: Time, clamp: Option<i64>) -> Time {
    Time {
        seconds: gather::clamped(time, clamp),
        nanoseconds: 0,
    }
}

/// Tar bytes on their way out.
struct Buffer {
    bytes: Vec<u8>,
}

impl Buffer {
    fn new() -> Self {
        Self { bytes: gather::buffer() }
    }

    fn flush_when_full(&mut self, output: &Output) -> Result<()> {
        if self.bytes.len() >= BUFFER {
            output.write(&mut self.bytes)
        } else {
            Ok(())
        }
    }

    /// Take `size` bytes of `content`; how many there were, and the id of a forbidden value among them.
    fn take_file<'s>(
        &mut self,
        output: &Output,
        (content, size): (&mut Content, u64),
        mut watch: Option<Stream<'s>>,
    ) -> Result<(u64, Option<&'s str>)> {
        let mut taken = 0;
        let mut found = None;
        while taken < size {
            let start = self.bytes.len();
            let length = gather::append(&mut self.bytes, size - taken, |room| content.read(room))?;
            if let (Some(watch), None) = (watch.as_mut(), found) {
                found = watch.feed(self.bytes.get(start..).unwrap_or_default());
            }
            taken += length as u64;
            if length == 0 {
                break;
            }
            self.flush_when_full(output)?;
        }
        Ok((taken, found))
    }
}

/// What a file of the layer holds.
enum Content {
    /// It is in the snapshot.
    Here(OwnedFd),
    /// It comes into the snapshot on the way.
    Later(Box<Pending>),
}

impl Content {
    /// The file in the snapshot.
    fn file(&self) -> &OwnedFd {
        match self {
            Self::Here(file) => file,
            Self::Later(pending) => pending.target(),
        }
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        match self {
            Self::Here(file) => file::read_full(&*file, buffer).step("read", b""),
            Self::Later(pending) => pending.read(buffer),
        }
    }
}

struct Emit<'a> {
    out: Buffer,
    output: &'a Output,
    report: &'a Report<'a>,
    plan: &'a Plan,
    later: &'a mut Later,
    counted: bool,
    /// First path of each file with several names.
    links: HashMap<FileId, Vec<u8>>,
    clamp: Option<i64>,
    entries: u64,
    search: Option<&'a Search<'a>>,
    found: Vec<Found>,
}

impl Emit<'_> {
    fn all(&mut self, root: &OwnedFd) -> Result<()> {
        let mut directories = Directories::new(root)?;
        let plan = self.plan;
        for (index, item) in plan.items.iter().enumerate().filter(|(_, item)| item.keep) {
            let path = plan.path(index);
            let parent = directories.parent(plan, index)?;
            self.item(&parent, item, path.clone()).map_err(|error| Error {
                subject: Some(display(&path)),
                ..error
            })?;
        }
        self.out.bytes.extend_from_slice(&writer::END);
        self.output.write(&mut self.out.bytes)
    }

    fn item(&mut self, parent: &OwnedFd, item: &Item, path: Vec<u8>) -> Result<()> {
        if item.meta.is_whiteout() {
            return self.marker(&path, &[WHITEOUT, item.name.as_slice()].concat());
        }
        match item.meta.kind {
            FileType::Directory => self.directory(parent, item, path),
            FileType::RegularFile => self.file(parent, item, path),
            FileType::Symlink => {
                let target = file::read_link(parent, &item.name).step("readlinkat", &item.name)?;
                self.simple(item, path, berth_tar::Kind::Symlink, target)
            }
            FileType::Fifo => self.simple(item, path, berth_tar::Kind::Fifo, Vec::new()),
            FileType::CharacterDevice => self.simple(item, path, berth_tar::Kind::CharDevice, Vec::new()),
            FileType::BlockDevice => self.simple(item, path, berth_tar::Kind::BlockDevice, Vec::new()),
            // Nobody can use a socket without the process that made it.
            FileType::Socket | FileType::Unknown => Ok(()),
        }
    }

    fn entry(&self, item: &Item, path: Vec<u8>, kind: berth_tar::Kind) -> Entry {
        let mut entry = Entry::new(path, kind);
        (entry.mode, entry.uid, entry.gid) = (item.meta.mode, item.meta.uid, item.meta.gid);
        entry.modified.seconds = clamped(item.meta.modified, self.clamp).seconds;
        if matches!(kind, berth_tar::Kind::CharDevice | berth_tar::Kind::BlockDevice) {
            entry.device = item.meta.special;
        }
        entry
    }

    fn header(&mut self, entry: &Entry) -> Result<()> {
        if let Some(search) = self.search {
            let attributes = entry.xattrs.iter().map(|(_, value)| value.as_slice());
            let texts = [entry.path.as_slice(), entry.link.as_slice()].into_iter().chain(attributes);
            let found = texts.into_iter().find_map(|text| search.find(text));
            self.note(&entry.path, found);
        }
        writer::header(entry, &mut self.out.bytes);
        self.entries += 1;
        self.out.flush_when_full(self.output)
    }

    fn note(&mut self, path: &[u8], found: Option<&str>) {
        if let Some(id) = found.filter(|_| self.found.len() < MOST_FOUND) {
            self.found.push(Found {
                path: display(&[b"/", path].concat()),
                id: id.to_owned(),
            });
        }
    }

    /// An empty file whose name has a meaning.
    fn marker(&mut self, path: &[u8], name: &[u8]) -> Result<()> {
        let folder = path.iter().rposition(|byte| *byte == b'/').map_or(0, |at| at + 1);
        let path = [path.get(..folder).unwrap_or_default(), name].concat();
        self.header(&Entry::new(path, berth_tar::Kind::File))
    }

    fn directory(&mut self, parent: &OwnedFd, item: &Item, path: Vec<u8>) -> Result<()> {
        let name = if item.name.is_empty() { b".".as_slice() } else { &item.name };
        let dir = file::open_dir(parent, name).step("openat", name)?;
        let mut entry = self.entry(
            item,
            if path.is_empty() { b"./".to_vec() } else { path.clone() },
            berth_tar::Kind::Directory,
        );
        entry.xattrs = self.xattrs(&dir, &path)?;
        self.header(&entry)?;
        if item.opaque {
            self.marker(&[path.as_slice(), b"/"].concat(), OPAQUE)
        } else {
            Ok(())
        }
    }

    fn xattrs(&self, file: &OwnedFd, path: &[u8]) -> Result<Vec<xattr::Attribute>> {
        let attributes = xattrs::visible(xattr::all(file).step("flistxattr", path)?);
        Ok(gather::sayable(attributes, path, self.report))
    }

    /// A further name when the file has been written; the caller goes on otherwise.
    fn further_name(&mut self, item: &Item, path: &[u8]) -> Option<Vec<u8>> {
        if item.meta.links < 2 {
            return None;
        }
        let key = (item.meta.device, item.meta.inode);
        match self.links.get(&key) {
            Some(first) => Some(first.clone()),
            None => {
                self.links.insert(key, path.to_vec());
                None
            }
        }
    }

    fn hard_link(&mut self, item: &Item, path: Vec<u8>, first: Vec<u8>) -> Result<()> {
        let mut entry = self.entry(item, path, berth_tar::Kind::HardLink);
        entry.link = first;
        entry.device = (0, 0);
        self.header(&entry)
    }

    fn simple(&mut self, item: &Item, path: Vec<u8>, kind: berth_tar::Kind, link: Vec<u8>) -> Result<()> {
        if let Some(first) = self.further_name(item, &path) {
            return self.hard_link(item, path, first);
        }
        let mut entry = self.entry(item, path, kind);
        entry.link = link;
        self.header(&entry)
    }

    fn file(&mut self, parent: &OwnedFd, item: &Item, path: Vec<u8>) -> Result<()> {
        if let Some(first) = self.further_name(item, &path) {
            return self.hard_link(item, path, first);
        }
        let mut content = match self.later.take((item.meta.device, item.meta.inode)) {
            Some(pending) => Content::Later(Box::new(pending)),
            None => Content::Here(file::open_read(parent, &item.name).step("openat", &item.name)?),
        };
        let size = item.meta.size;
        let mut entry = self.entry(item, path.clone(), berth_tar::Kind::File);
        entry.size = size;
        entry.xattrs = self.xattrs(content.file(), &path)?;
        self.header(&entry)?;
        let watch = self.search.map(Search::stream);
        let (taken, found) = self.out.take_file(self.output, (&mut content, size), watch)?;
        self.note(&path, found);
        if !self.counted || matches!(content, Content::Later(_)) {
            self.report.advance(size);
        }
        self.end(content, item, taken == size)?;
        self.out.bytes.extend_from_slice(writer::padding(size));
        Ok(())
    }

    /// A file has been read: it must have been one and the same all the time.
    fn end(&mut self, content: Content, item: &Item, is_whole: bool) -> Result<()> {
        let changed = || Error::invalid("read file", "changed while reading");
        match content {
            Content::Later(pending) if is_whole => self.later.end(*pending),
            Content::Later(_) => Err(changed()),
            Content::Here(opened) => {
                let after = file::stat_fd(&opened).step("statx", &item.name)?;
                let meta = &item.meta;
                let same = is_whole && (after.size, after.modified, after.inode) == (meta.size, meta.modified, meta.inode);
                if same { Ok(()) } else { Err(changed()) }
            }
        }
    }
}
