//! From an error number to a failure that names the step.

use berth_sys::errno;
use berth_wire::{Code, Failure};
use rustix::io::Errno;

/// A failure of the system call or step `step`; for `map_err`.
pub(crate) fn failed(step: &str) -> impl FnOnce(Errno) -> Failure + use<'_> {
    move |error| Failure::system(step, &errno::name(error), errno::text(error))
}

/// A failure of `step` on `subject`; for `map_err`.
pub(crate) fn failed_on<'a>(step: &'a str, subject: &'a str) -> impl FnOnce(Errno) -> Failure + use<'a> {
    move |error| failed(step)(error).subject(escape(subject))
}

/// `text` with control characters written as escapes.
pub(crate) fn escape(text: &str) -> String {
    text.chars()
        .flat_map(|c| {
            if c.is_control() {
                c.escape_default().collect::<Vec<_>>()
            } else {
                vec![c]
            }
        })
        .collect()
}

/// The configuration says something that this helper does not do.
pub(crate) fn refused(field: &str, message: impl Into<String>) -> Failure {
    Failure::new(Code::Request, "read configuration", message).subject(escape(field))
}

/// The image tried to lead a step out of its place.
pub(crate) fn attack(step: &str, subject: &str, message: &str) -> Failure {
    Failure::new(Code::Attack, step, message).subject(escape(subject))
}
