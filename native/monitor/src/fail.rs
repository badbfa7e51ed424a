//! From an error number to a failure that names the step.

use berth_sys::errno;
use berth_wire::Failure;
use rustix::io::Errno;

/// A failure of the system call or step `step`; for `map_err`.
pub(crate) fn failed(step: &str) -> impl FnOnce(Errno) -> Failure + use<'_> {
    move |error| Failure::system(step, &errno::name(error), errno::text(error))
}
