//! The one shape in which anything that went wrong leaves the helper.

use serde::{Deserialize, Serialize};
use std::fmt;

/// What kind of failure it is. Callers match on this, never on text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "kebab-case")]
pub enum Code {
    /// The request is malformed, of another version, or asks for something that this helper does not do.
    Request,
    /// The file, snapshot or container is not there.
    NotFound,
    /// It is there already, or in use.
    Conflict,
    /// The kernel or the rung does not allow it; `hint` names the switch.
    NotPermitted,
    /// The kernel lacks a feature, and there is no safe fallback.
    Unsupported,
    /// Foreign bytes (a layer, a configuration) are malformed or over a limit.
    Invalid,
    /// Foreign input tried to leave its root. Never softened into a partial result.
    Attack,
    /// No space, no inodes or over a quota.
    NoSpace,
    /// The program named by the configuration could not be started (Docker's 127).
    CommandNotFound,
    /// The program is there and cannot be executed (Docker's 126).
    CommandNotExecutable,
    /// The engine closed fd 0.
    Cancelled,
    /// Any other system error; `errno` says which.
    System,
}

/// A failure: the last line that the helper writes on fd 2.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    pub code: Code,
    /// The step that failed, in the words of the man page: `mount overlay`, `openat2`.
    pub step: String,
    /// The name of the error number, such as `EPERM`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", ts(optional))]
    pub errno: Option<String>,
    /// The path, entry, snapshot or container that it happened to; control characters escaped.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", ts(optional))]
    pub subject: Option<String>,
    /// What to do next, as a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", ts(optional))]
    pub hint: Option<String>,
    /// The state that stood in the way: `parent is a symbolic link`.
    pub message: String,
}

/// The error number of a call that is not there.
const LACKING: &str = "ENOSYS";
const LACKING_HINT: &str = "The kernel, or a filter around this process, lacks a system call of this step: use Linux 5.12 or later, and let new calls through the filter";

impl Failure {
    /// A failure of `step` with the state `message`.
    #[must_use]
    pub fn new(code: Code, step: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            code,
            step: step.into(),
            errno: None,
            subject: None,
            hint: None,
            message: message.into(),
        }
    }

    /// A failed system call: the kind follows from the name of the error number.
    #[must_use]
    pub fn system(step: impl Into<String>, errno: &str, message: impl Into<String>) -> Self {
        let code = match errno {
            "ENOENT" | "ENOTDIR" => Code::NotFound,
            "EEXIST" | "EBUSY" | "EADDRINUSE" => Code::Conflict,
            "EPERM" | "EACCES" | "EROFS" => Code::NotPermitted,
            LACKING | "EOPNOTSUPP" | "ENODEV" => Code::Unsupported,
            "ENOSPC" | "EDQUOT" => Code::NoSpace,
            _ => Code::System,
        };
        let failure = Self::new(code, step, message);
        let failure = if errno == LACKING { failure.hint(LACKING_HINT) } else { failure };
        failure.errno(errno)
    }

    #[must_use]
    pub fn errno(mut self, name: impl Into<String>) -> Self {
        self.errno = Some(name.into());
        self
    }

    #[must_use]
    pub fn subject(mut self, subject: impl Into<String>) -> Self {
        self.subject = Some(subject.into());
        self
    }

    /// What to do next. Where the kernel lacks the call there is but one thing to do, which stays.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        if self.errno.as_deref() != Some(LACKING) {
            self.hint = Some(hint.into());
        }
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.step, self.message)?;
        if let Some(subject) = &self.subject {
            write!(f, " ({subject})")?;
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_is_not_there_keeps_its_own_hint() {
        let lacking = Failure::system("open_tree", "ENOSYS", "Function not implemented").hint("try again");
        assert_eq!(lacking.code, Code::Unsupported);
        assert!(lacking.hint.is_some_and(|hint| hint.contains("Linux 5.12")));
        let refused = Failure::system("open_tree", "EPERM", "Operation not permitted").hint("be root");
        assert_eq!(refused.hint.as_deref(), Some("be root"));
    }
}
