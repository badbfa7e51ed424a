//! `keyring`: credentials in the memory of the kernel.

use crate::context::Context;
use crate::fail::failed;
use crate::secrets::wipe;
use berth_sys::keyring::{Keyring, MAX_VALUE};
use berth_wire::request::{self, KeyringAct};
use berth_wire::{Code, Failure, Reply, reply};
use rustix::io::Errno;
use std::ffi::CString;

/// The id of the frame that carries the value.
pub(crate) const VALUE: &str = "value";
/// The longest name that a key can have in the kernel is 4095 bytes.
const MAX_NAME: usize = 1024;

pub(crate) fn run(context: &Context, args: &request::Keyring) -> Result<Reply, Failure> {
    let name = name(&args.name)?;
    let keyring = Keyring::open().map_err(refused)?;
    let found = match args.act {
        KeyringAct::Store => {
            let secrets = context.secrets.borrow();
            let value = secrets.get(VALUE)?;
            if value.is_empty() || value.len() > MAX_VALUE {
                let message = format!("a value has 1 to {MAX_VALUE} bytes, not {}", value.len());
                return Err(Failure::new(Code::Request, "add key", message));
            }
            keyring.store(&name, value).map(|()| true)
        }
        KeyringAct::Erase => keyring.erase(&name).map(|()| true),
        KeyringAct::Read => match keyring.read(&name) {
            Ok(mut value) => {
                let sent = context.output.data(&value);
                wipe(&mut value);
                sent?;
                Ok(true)
            }
            Err(error) => Err(error),
        },
    };
    match found {
        Ok(found) => Ok(Reply::Keyring(reply::Keyring { found })),
        Err(Errno::NOKEY) => Ok(Reply::Keyring(reply::Keyring { found: false })),
        Err(error) => Err(refused(error)),
    }
}

fn name(text: &str) -> Result<CString, Failure> {
    let fits = !text.is_empty() && text.len() <= MAX_NAME && !text.chars().any(char::is_control);
    CString::new(format!("berth:{text}")).ok().filter(|_| fits).ok_or_else(|| {
        Failure::new(
            Code::Request,
            "read request",
            "the name of a key is empty, too long or holds control characters",
        )
    })
}

/// Kernels and filters say in several ways that there are no keys to be had.
fn refused(error: Errno) -> Failure {
    match error {
        Errno::NOSYS | Errno::PERM | Errno::ACCESS => {
            let failure = failed("use the kernel's keyring")(error);
            Failure {
                code: Code::Unsupported,
                ..failure
            }
        }
        error => failed("use the kernel's keyring")(error),
    }
}
