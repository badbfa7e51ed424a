//! From an error number to the failure that leaves the helper.

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

/// `text` with control characters written as escapes, so that a name cannot forge a line.
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

/// The engine closed fd 0.
pub(crate) fn cancelled() -> Failure {
    Failure::new(
        Code::Cancelled,
        "read frame",
        "the engine closed its end before the operation was over",
    )
}

/// A failure of the layer crate in the words of the protocol.
pub(crate) fn of_layer(error: berth_layer::Error) -> Failure {
    use berth_layer::Kind;
    let code = match error.kind {
        Kind::Invalid => Code::Invalid,
        Kind::Attack => Code::Attack,
        Kind::NotFound => Code::NotFound,
        Kind::Conflict => Code::Conflict,
        Kind::NotPermitted => Code::NotPermitted,
        Kind::Unsupported => Code::Unsupported,
        Kind::NoSpace => Code::NoSpace,
        Kind::Request => Code::Request,
        Kind::System => Code::System,
    };
    Failure {
        code,
        step: error.step.to_owned(),
        errno: error.errno.map(errno::name),
        subject: error.subject,
        hint: error.hint,
        message: error.message,
    }
}
