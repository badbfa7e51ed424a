//! Keys of the type `user` in the keyring of the calling user: memory of the kernel, which lasts as long as the machine runs. Source: `keyrings(7)`,
//! `keyctl(2)`.

use crate::process::{last, positive};
use rustix::io::{self, Errno};
use std::ffi::CStr;

const USER: &CStr = c"user";
const USER_KEYRING: libc::c_long = -4;
const PROCESS_KEYRING: libc::c_long = -2;
const KEYCTL_LINK: libc::c_long = 8;
const KEYCTL_UNLINK: libc::c_long = 9;
const KEYCTL_SEARCH: libc::c_long = 10;
const KEYCTL_READ: libc::c_long = 11;
/// The most that a key of this type holds.
pub const MAX_VALUE: usize = 32_767;

/// The keyring of the user that this process runs as.
#[derive(Debug)]
pub struct Keyring(());

impl Keyring {
    /// Opens it. A key belongs to whoever holds a keyring in which it is: so this process takes the user's among its own.
    ///
    /// # Errors
    /// `ENOSYS` of a kernel without keys, `EPERM` or `EACCES` where a filter or a policy hides them, `EDQUOT`, `ENOMEM`.
    pub fn open() -> io::Result<Self> {
        control(KEYCTL_LINK, [USER_KEYRING, PROCESS_KEYRING]).map(|_| Self(()))
    }

    /// Keeps `value` under `name`, in place of what was there.
    ///
    /// # Errors
    /// Those of `add_key(2)`: `EDQUOT` when the user has too many keys.
    pub fn store(&self, name: &CStr, value: &[u8]) -> io::Result<()> {
        if value.is_empty() || value.len() > MAX_VALUE {
            return Err(Errno::INVAL);
        }
        // SAFETY: both names end with NUL, and the length is that of the value; all three live until the call returns.
        let result = unsafe {
            libc::syscall(
                libc::SYS_add_key,
                USER.as_ptr(),
                name.as_ptr(),
                value.as_ptr(),
                value.len(),
                USER_KEYRING,
            )
        };
        positive(result).map(drop)
    }

    /// The value under `name`.
    ///
    /// # Errors
    /// `ENOKEY` when there is none; those of `keyctl(2)`.
    pub fn read(&self, name: &CStr) -> io::Result<Vec<u8>> {
        let key = self.find(name)?;
        let mut value = vec![0_u8; MAX_VALUE];
        // SAFETY: the pointer and the length are those of one live buffer.
        let result = unsafe { libc::syscall(libc::SYS_keyctl, KEYCTL_READ, key, value.as_mut_ptr(), value.len()) };
        let length = usize::try_from(positive(result)?).unwrap_or_default();
        value.truncate(length);
        Ok(value)
    }

    /// Takes the key `name` out; the kernel forgets a key that is in no keyring.
    ///
    /// # Errors
    /// `ENOKEY` when there is none; those of `keyctl(2)`.
    pub fn erase(&self, name: &CStr) -> io::Result<()> {
        let key = self.find(name)?;
        control(KEYCTL_UNLINK, [key, USER_KEYRING]).map(drop)
    }

    fn find(&self, name: &CStr) -> io::Result<libc::c_long> {
        // SAFETY: both names end with NUL, and live until the call returns; the last argument names no keyring to link to.
        let result = unsafe { libc::syscall(libc::SYS_keyctl, KEYCTL_SEARCH, USER_KEYRING, USER.as_ptr(), name.as_ptr(), 0) };
        match positive(result) {
            Ok(key) => Ok(libc::c_long::from(key)),
            // One that was taken back or has run out counts as none.
            Err(Errno::KEYREVOKED | Errno::KEYEXPIRED) => Err(Errno::NOKEY),
            Err(error) => Err(error),
        }
    }
}

fn control(operation: libc::c_long, [first, second]: [libc::c_long; 2]) -> io::Result<i32> {
    // SAFETY: the operations that are called here take numbers alone.
    let result = unsafe { libc::syscall(libc::SYS_keyctl, operation, first, second) };
    if result == -1 { Err(last()) } else { positive(result) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_replaces_and_forgets_a_value_where_the_kernel_has_keys() {
        let keyring = match Keyring::open() {
            Err(Errno::NOSYS | Errno::PERM | Errno::ACCESS) => return,
            other => other.unwrap(),
        };
        let name = std::ffi::CString::new(format!("berth-test:{}", std::process::id())).unwrap();
        assert_eq!(keyring.read(&name), Err(Errno::NOKEY));
        keyring.store(&name, b"one").unwrap();
        keyring.store(&name, b"longer").unwrap();
        assert_eq!(keyring.read(&name).unwrap(), b"longer");
        keyring.erase(&name).unwrap();
        assert_eq!(keyring.erase(&name), Err(Errno::NOKEY));
        assert_eq!(keyring.store(&name, b""), Err(Errno::INVAL));
    }
}
