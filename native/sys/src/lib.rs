//! The only crate that may say `unsafe`: a wrapper per kernel call, with the safe flags by default. Style: `spec/style-rust.md` 1.2 and 4.

pub mod bpf;
pub mod content;
pub mod errno;
pub mod file;
pub mod keyring;
pub mod lock;
pub mod mount;
pub mod path;
pub mod process;
pub mod procfs;
pub mod seccomp;
pub mod signal;
pub mod strict;
pub mod xattr;
