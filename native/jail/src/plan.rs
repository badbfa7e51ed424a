//! The checked form of a configuration: what is asked for and not done is refused here, before the first privileged call.

use crate::fail::refused;
use crate::report::Reporter;
use berth_sys::process::Namespaces;
use berth_sys::seccomp::Instruction;
use berth_wire::Failure;
use berth_wire::oci::{Process, Spec};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ffi::CString;

/// The most of each list that a configuration may hold.
const MAX_ITEMS: usize = 4096;

/// Where the root file system comes from. All names are below the store root, which the child opens again in its own mount namespace.
#[derive(Debug)]
pub struct Recipe {
    pub store_root: String,
    /// Device and inode of the store root, to know it again.
    pub store_identity: (u64, u64),
    /// `snapshots/<idmap>`.
    pub snapshots: String,
    /// Topmost first.
    pub lowers: Vec<String>,
    pub upper: String,
    /// `containers/<id>`.
    pub container: String,
    /// Destination and name below `containers/<id>/files`.
    pub files: Vec<(String, String)>,
    /// Mounts of a RUN.
    pub lent: Vec<Lent>,
}

/// What becomes the root of the container.
#[derive(Debug)]
pub enum Rootfs {
    /// Snapshots of the store.
    Snapshots(Recipe),
    /// A directory of the host, as the bundle of a foreign engine has it: an absolute path.
    Folder(String),
}

/// A mount whose source is of the store, or of memory.
pub struct Lent {
    pub destination: String,
    pub readonly: bool,
    pub origin: Origin,
}

impl std::fmt::Debug for Lent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lent")
            .field("destination", &self.destination)
            .finish_non_exhaustive()
    }
}

/// Where it comes from. Folders and files are named below the store root; `path` is resolved inside its root.
pub enum Origin {
    /// The merged tree of snapshots, topmost first; without an upper it takes no writes.
    Tree {
        lowers: Vec<String>,
        upper: Option<String>,
        path: String,
    },
    Folder {
        folder: String,
        path: String,
    },
    File {
        path: String,
    },
    Tmpfs {
        size: Option<u64>,
    },
    /// A file in memory; uid and gid.
    Secret {
        value: Vec<u8>,
        mode: u32,
        owner: (u32, u32),
    },
}

/// A filter to load last.
#[derive(Debug)]
pub struct Filter {
    pub instructions: Vec<Instruction>,
    pub log: bool,
}

impl std::fmt::Debug for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Tree { .. } => "Tree",
            Self::Folder { .. } => "Folder",
            Self::File { .. } => "File",
            Self::Tmpfs { .. } => "Tmpfs",
            Self::Secret { .. } => "Secret",
        })
    }
}

/// May refuse that the way goes on.
pub type BeforePivot<'a> = &'a dyn Fn(&Reporter) -> Result<(), Failure>;
/// Gives the reporter of what may still fail.
pub type BeforeExec<'a> = &'a dyn Fn(&Reporter) -> Result<Reporter, Failure>;

/// What the OCI command line wants of a process beside what the configuration says.
#[derive(Default)]
pub struct Extra<'a> {
    /// Descriptors that `before_exec` uses.
    pub kept: Vec<BorrowedFd<'a>>,
    /// How many descriptors from 3 on the program gets.
    pub preserved: u32,
    /// The user namespace forbids to change the groups.
    pub fixed_groups: bool,
    /// The process keeps the session keyring of its caller.
    pub keeps_keyring: bool,
    /// The root is moved over the old one, which stays below it, in place of `pivot_root`.
    pub no_pivot: bool,
    /// The process is never let on, and has no program.
    pub lacks_program: bool,
    pub domain_name: Option<&'a str>,
    /// Called in the namespaces of the container when its root is ready, with that of the host still there.
    pub before_pivot: Option<BeforePivot<'a>>,
    /// Called when all is done but the filter and exec.
    pub before_exec: Option<BeforeExec<'a>>,
}

impl std::fmt::Debug for Extra<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Extra").field("preserved", &self.preserved).finish_non_exhaustive()
    }
}

/// How a process is confined, for the first process of a container and for a further one alike.
pub struct Confinement<'a> {
    pub process: &'a Process,
    pub filter: Option<Filter>,
    /// The process has capabilities only in a user namespace of ours.
    pub user_namespace: bool,
    /// No cgroup keeps the process to the devices that it may use: it gets none but the nodes of its `/dev`, and cannot make any.
    pub nodes_only: bool,
    /// Names of rlimits that the user asked for: they are errors where they can't be set, not warnings.
    pub requested_rlimits: Vec<String>,
    /// `NAME=value` beside the environment of `process`, and in place of what is there of the same name: secrets, which no file may hold.
    pub secret_env: Vec<CString>,
    pub extra: Extra<'a>,
}

impl std::fmt::Debug for Confinement<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Confinement")
            .field("process", &self.process)
            .finish_non_exhaustive()
    }
}

/// How the cgroups of the host look, for `/sys/fs/cgroup` inside.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum CgroupView {
    V2,
    /// Mount options of each hierarchy (`cpu,cpuacct`, `name=systemd`), and whether there is a v2 tree beside them.
    V1 {
        hierarchies: Vec<String>,
        unified: bool,
    },
    /// Without a cgroup namespace: the container's own groups, by the name of their folder and their path on the host.
    Folders(Vec<(String, String)>),
    #[default]
    None,
}

/// Everything that the child needs.
pub struct Jail<'a> {
    pub spec: &'a Spec,
    pub rootfs: Rootfs,
    pub confinement: Confinement<'a>,
    pub namespaces: Namespaces,
    /// Namespaces of running containers to live in: kind, and a process that is in it.
    pub joins: Vec<(Namespaces, OwnedFd)>,
    pub cgroups: CgroupView,
    /// Moves the process into those of its groups that it was not born in.
    pub enter_cgroups: &'a dyn Fn() -> Result<(), Failure>,
    pub stdio: Stdio,
    /// Interpose a process 1 that forwards signals and reaps.
    pub init: bool,
    /// Brings the network namespace up.
    pub network: &'a dyn Fn() -> Result<(), Failure>,
    /// The reading end of a pipe whose writing end only the parent holds; without one the process outlives its parent.
    pub life: Option<OwnedFd>,
}

impl Jail<'_> {
    /// Whether the root is one of a foreign bundle, whose configuration says all.
    pub(crate) fn is_bundle(&self) -> bool {
        matches!(self.rootfs, Rootfs::Folder(_))
    }
}

impl std::fmt::Debug for Jail<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Jail")
            .field("rootfs", &self.rootfs)
            .field("namespaces", &self.namespaces)
            .finish_non_exhaustive()
    }
}

/// Standard descriptors of the process.
#[derive(Debug)]
pub enum Stdio {
    Pipes {
        /// `None` is `/dev/null`.
        stdin: Option<OwnedFd>,
        stdout: OwnedFd,
        stderr: OwnedFd,
    },
    /// A terminal of the container, handed to the parent by the report channel.
    Terminal,
    /// Those of the parent, as they are.
    Inherited,
}

impl Stdio {
    /// All that must stay open until exec.
    pub fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let ends = match self {
            Self::Pipes { stdin, stdout, stderr } => [stdin.as_ref(), Some(stdout), Some(stderr)],
            Self::Terminal | Self::Inherited => [None, None, None],
        };
        ends.into_iter().flatten().map(AsFd::as_fd)
    }
}

/// The namespaces that `spec` asks for. Checks the whole configuration for what this helper refuses.
///
/// # Errors
/// `Request` naming the field.
pub fn check(spec: &Spec, user_namespace: bool, network_namespace: bool) -> Result<Namespaces, Failure> {
    if let Some(field) = spec.linux.refused() {
        return Err(refused(field, "this helper does not do it"));
    }
    bounded("mounts", spec.mounts.len())?;
    bounded("linux.devices", spec.linux.devices.len())?;
    bounded("linux.maskedPaths", spec.linux.masked_paths.len())?;
    bounded("linux.readonlyPaths", spec.linux.readonly_paths.len())?;
    check_process(&spec.process)?;
    let kinds = kinds(spec, user_namespace)?;
    if kinds.has(Namespaces::NETWORK) != network_namespace {
        let (has, wants) = if network_namespace { ("no", "a") } else { ("a", "no") };
        return Err(refused(
            "linux.namespaces",
            format!("there is {has} network namespace, and the network of the request needs {wants} one"),
        ));
    }
    if spec.hostname.is_some() && !kinds.has(Namespaces::UTS) {
        return Err(refused("hostname", "a host name needs a uts namespace"));
    }
    Ok(kinds)
}

/// The namespaces that `spec` asks for, without the user namespace.
///
/// # Errors
/// `Request` naming one that is not possible, or that is missing.
pub fn kinds(spec: &Spec, user_namespace: bool) -> Result<Namespaces, Failure> {
    let mut kinds = Namespaces::NONE;
    for namespace in &spec.linux.namespaces {
        if namespace.path.is_some() {
            return Err(refused("linux.namespaces.path", "joining a namespace by path is not built yet"));
        }
        kinds = kinds.and(match namespace.kind.as_str() {
            "mount" => Namespaces::MOUNT,
            "pid" => Namespaces::PID,
            "ipc" => Namespaces::IPC,
            "uts" => Namespaces::UTS,
            "cgroup" => Namespaces::CGROUP,
            "network" => Namespaces::NETWORK,
            // Entered already, by the identity map of the request.
            "user" if user_namespace => Namespaces::NONE,
            other => {
                return Err(refused(
                    "linux.namespaces",
                    format!("namespace {other:?} is not possible on this rung"),
                ));
            }
        });
    }
    if kinds.has(Namespaces::MOUNT) {
        Ok(kinds)
    } else {
        Err(refused("linux.namespaces", "a container needs a mount namespace"))
    }
}

/// Checks what a first and a further process have in common.
///
/// # Errors
/// `Request` naming the field.
pub fn check_process(process: &Process) -> Result<(), Failure> {
    if process.apparmor_profile.as_deref().is_some_and(|name| !name.is_empty()) {
        return Err(refused("process.apparmorProfile", "this helper does not do it"));
    }
    if process.selinux_label.as_deref().is_some_and(|label| !label.is_empty()) {
        return Err(refused("process.selinuxLabel", "this helper does not do it"));
    }
    if process.args.is_empty() {
        return Err(refused("process.args", "there is no command"));
    }
    if !process.cwd.starts_with('/') {
        return Err(refused("process.cwd", "the working directory is not an absolute path"));
    }
    bounded("process.rlimits", process.rlimits.len())?;
    bounded("process.user.additionalGids", process.user.additional_gids.len())?;
    let nul = |text: &String| text.contains('\0');
    if process.args.iter().any(nul) || process.env.iter().any(nul) || nul(&process.cwd) {
        return Err(refused("process", "an argument, a variable or the working directory holds a NUL"));
    }
    crate::capability::check(process)?;
    crate::limits::check(process)
}

fn bounded(field: &str, length: usize) -> Result<(), Failure> {
    if length > MAX_ITEMS {
        Err(refused(field, format!("{length} items are over the limit of {MAX_ITEMS}")))
    } else {
        Ok(())
    }
}
