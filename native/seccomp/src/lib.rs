//! Compiles the `linux.seccomp` of an OCI configuration to a filter that the kernel loads.
//!
//! Native architecture only: any other calling convention is refused before a rule is looked at. Pure. Follows runtime-spec `config-linux.md`,
//! with runc's reading where it is silent: several conditions on one argument are alternatives, unknown names are left out.
#![forbid(unsafe_code)]

mod action;
mod condition;
mod filter;
#[cfg(test)]
mod interpreter;
pub mod table;

pub use filter::{Compiled, compile};

/// Every action that is done, by its name in the specification.
pub const ACTIONS: [&str; 7] = [
    "SCMP_ACT_ALLOW",
    "SCMP_ACT_ERRNO",
    "SCMP_ACT_KILL",
    "SCMP_ACT_KILL_PROCESS",
    "SCMP_ACT_KILL_THREAD",
    "SCMP_ACT_LOG",
    "SCMP_ACT_TRAP",
];
/// Every comparison of an argument.
pub const OPERATORS: [&str; 7] = [
    "SCMP_CMP_EQ",
    "SCMP_CMP_GE",
    "SCMP_CMP_GT",
    "SCMP_CMP_LE",
    "SCMP_CMP_LT",
    "SCMP_CMP_MASKED_EQ",
    "SCMP_CMP_NE",
];

/// Machines that the helper runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Architecture {
    X86_64,
    Aarch64,
}

impl Architecture {
    /// The one that this program was built for.
    pub const NATIVE: Self = if cfg!(target_arch = "aarch64") {
        Self::Aarch64
    } else {
        Self::X86_64
    };

    /// The number by which the kernel tells a filter the calling convention.
    pub(crate) const fn audit(self) -> u32 {
        match self {
            Self::X86_64 => 0xc000_003e,
            Self::Aarch64 => 0xc000_00b7,
        }
    }

    /// Its name in the specification.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::X86_64 => "SCMP_ARCH_X86_64",
            Self::Aarch64 => "SCMP_ARCH_AARCH64",
        }
    }
}
