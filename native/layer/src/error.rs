//! What can go wrong with a layer. The helper turns it into its one `Failure` at the edge.

use rustix::io::Errno;
use std::fmt;

/// What kind of failure it is; the caller's words for it are in `wire::Code`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Foreign bytes are malformed or over a limit.
    Invalid,
    /// Foreign bytes tried to leave their root.
    Attack,
    /// What was asked for is not there.
    NotFound,
    /// It is there already.
    Conflict,
    /// The kernel refuses it to this user.
    NotPermitted,
    /// The file system lacks something without which the result would be wrong.
    Unsupported,
    /// No space, no inodes or over a quota.
    NoSpace,
    /// The caller asked for something that has no meaning.
    Request,
    /// Any other system error.
    System,
}

/// A failure with the step, the thing it happened to and the state that stood in the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    pub kind: Kind,
    /// The call or act that failed: `openat`, `read tar`.
    pub step: &'static str,
    pub errno: Option<Errno>,
    /// Path, entry or snapshot; control characters escaped.
    pub subject: Option<String>,
    pub message: String,
    /// What to do next, as a sentence.
    pub hint: Option<String>,
}

/// The result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    #[must_use]
    pub fn new(kind: Kind, step: &'static str, message: impl Into<String>) -> Self {
        Self {
            kind,
            step,
            errno: None,
            subject: None,
            message: message.into(),
            hint: None,
        }
    }

    #[must_use]
    pub fn invalid(step: &'static str, message: impl Into<String>) -> Self {
        Self::new(Kind::Invalid, step, message)
    }

    /// The failure of a system call.
    #[must_use]
    pub fn system(step: &'static str, errno: Errno) -> Self {
        let (kind, hint) = match errno {
            Errno::NOSPC => (
                Kind::NoSpace,
                Some("free space or inodes on the file system of the store, for example with `berth system prune`"),
            ),
            Errno::DQUOT => (
                Kind::NoSpace,
                Some("the quota of the store's owner is used up; free space or raise it"),
            ),
            Errno::PERM | Errno::ACCESS | Errno::ROFS => (Kind::NotPermitted, None),
            Errno::NOSYS => (
                Kind::Unsupported,
                Some("the kernel, or a filter around this process, lacks this system call; use Linux 5.12 or later"),
            ),
            Errno::NOENT => (Kind::NotFound, None),
            Errno::NAMETOOLONG => (Kind::Invalid, None),
            Errno::MFILE | Errno::NFILE => (Kind::System, Some("raise the limit of open files (`ulimit -n`)")),
            _ => (Kind::System, None),
        };
        Self {
            errno: Some(errno),
            hint: hint.map(str::to_owned),
            ..Self::new(kind, step, describe(errno))
        }
    }

    /// Name the thing that it happened to, unless a deeper place has done so.
    #[must_use]
    pub fn subject(mut self, subject: &[u8]) -> Self {
        self.subject.get_or_insert_with(|| display(subject));
        self
    }

    /// The subject is where links led to: name the path that was asked for, and it in brackets.
    #[must_use]
    pub(crate) fn asked_for(mut self, path: &[Vec<u8>]) -> Self {
        let asked = display(&[b"/".as_slice(), &crate::stack::join(path)].concat());
        let resolved = self.subject.map(|subject| format!("/{subject}"));
        self.subject = Some(match resolved {
            Some(resolved) if resolved != asked => format!("{asked} ({resolved})"),
            _ => asked,
        });
        self
    }

    /// The subject of a failure in a tar is the entry's name as it is written there.
    #[must_use]
    pub(crate) fn of_entry(self, entry: &[u8]) -> Self {
        Self {
            subject: Some(display(entry)),
            ..self
        }
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// A tar that is not one, with the entry at which that shows.
impl From<berth_tar::Error> for Error {
    fn from(error: berth_tar::Error) -> Self {
        let failure = Self::invalid("read tar", error.to_string());
        match error.entry {
            Some(entry) => failure.subject(&entry),
            None => failure,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.step, self.message)?;
        self.subject.as_ref().map_or(Ok(()), |subject| write!(f, " ({subject})"))
    }
}

impl std::error::Error for Error {}

/// Adds step and subject to the bare error number of a system call.
pub(crate) trait Context<T> {
    fn step(self, step: &'static str, subject: &[u8]) -> Result<T>;
}

impl<T> Context<T> for rustix::io::Result<T> {
    /// An empty subject is left to a caller who knows it.
    fn step(self, step: &'static str, subject: &[u8]) -> Result<T> {
        self.map_err(|errno| match Error::system(step, errno) {
            error if subject.is_empty() => error,
            error => error.subject(subject),
        })
    }
}

/// The longest subject that is shown whole, in bytes.
const SHOWN: usize = 300;

/// A path for a person: UTF-8 as it is, everything else and control characters escaped, a long one shortened in the middle.
#[must_use]
pub fn display(path: &[u8]) -> String {
    if let (Some(head), Some(tail)) = (
        path.get(..SHOWN / 2),
        path.len().checked_sub(SHOWN / 2).and_then(|at| path.get(at..)),
    ) && path.len() > SHOWN
    {
        return format!("{}…{}", escape(head), escape(tail));
    }
    escape(path)
}

fn escape(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            if character.is_control() || character == '\\' {
                text.extend(character.escape_default());
            } else {
                text.push(character);
            }
        }
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}

fn describe(errno: Errno) -> String {
    let text = std::io::Error::from(errno).to_string();
    // The standard library appends "(os error 2)", which the error number's name says better.
    text.split(" (os error").next().unwrap_or_default().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_control_characters_and_foreign_bytes() {
        assert_eq!(display(b"a\n\x1b[31m\xff\\"), "a\\n\\u{1b}[31m\\xff\\\\");
    }

    #[test]
    fn shortens_a_long_path_in_the_middle() {
        let shown = display(&[b'x'; 5000]);
        assert!(shown.len() < 400 && shown.contains('…'));
    }
}
