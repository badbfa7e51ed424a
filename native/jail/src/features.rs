//! What the configuration may name, for the features document of the OCI command line.

/// Options of mounts that no file system is asked about.
pub const MOUNT_OPTIONS: [&str; 28] = [
    "async",
    "atime",
    "bind",
    "defaults",
    "dev",
    "diratime",
    "exec",
    "noatime",
    "nodev",
    "nodiratime",
    "noexec",
    "nosuid",
    "nosymfollow",
    "private",
    "rbind",
    "relatime",
    "ro",
    "rprivate",
    "rro",
    "rslave",
    "runbindable",
    "rw",
    "slave",
    "strictatime",
    "suid",
    "symfollow",
    "tmpcopyup",
    "unbindable",
];

/// Every capability by its full name.
#[must_use]
pub fn capabilities() -> Vec<String> {
    crate::capability::NAMES.iter().map(|name| format!("CAP_{name}")).collect()
}
