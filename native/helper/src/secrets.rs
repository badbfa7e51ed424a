//! Values that came as `Secret` frames: in this memory alone, and zeroed when they have been used.

use crate::fail::escape;
use berth_wire::{Code, Failure};

/// Secrets by id.
#[derive(Default)]
pub(crate) struct Secrets(Vec<(String, Vec<u8>)>);

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(id, _)| id)).finish()
    }
}

impl Secrets {
    /// Adds the payload of a frame: `[id length: u16, big endian][id][value]`.
    pub(crate) fn add(&mut self, payload: &[u8]) -> Result<(), Failure> {
        let parts = payload.split_first_chunk::<2>().and_then(|(length, rest)| {
            let (id, value) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
            Some((String::from_utf8(id.to_vec()).ok()?, value.to_vec()))
        });
        let (id, value) = parts.ok_or_else(|| Failure::new(Code::Request, "read frame", "a secret has no id"))?;
        self.0.push((id, value));
        Ok(())
    }

    pub(crate) fn get(&self, id: &str) -> Result<&[u8], Failure> {
        let found = self.0.iter().find(|(known, _)| known == id);
        found
            .map(|(_, value)| value.as_slice())
            .ok_or_else(|| Failure::new(Code::Request, "read frame", "the request names a secret that did not come").subject(escape(id)))
    }

    /// Zeroes and forgets them.
    pub(crate) fn clear(&mut self) {
        for (_, value) in &mut self.0 {
            wipe(value);
        }
        self.0.clear();
    }
}

impl Drop for Secrets {
    fn drop(&mut self) {
        self.clear();
    }
}

/// Overwrites bytes that are not looked at again; the compiler must not see that.
pub(crate) fn wipe(bytes: &mut [u8]) {
    bytes.fill(0);
    std::hint::black_box(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_holds_id_and_value() {
        let mut secrets = Secrets::default();
        secrets.add(b"\0\x03keyvalue\0\xff").unwrap();
        assert_eq!(secrets.get("key").unwrap(), b"value\0\xff");
        assert_eq!(secrets.get("other").unwrap_err().code, Code::Request);
        assert_eq!(format!("{secrets:?}"), "[\"key\"]");
    }

    #[test]
    fn a_frame_that_ends_early_is_refused() {
        for payload in [b"".as_slice(), b"\0", b"\0\x05key", b"\0\x01\xff"] {
            assert!(Secrets::default().add(payload).is_err(), "{payload:?}");
        }
    }
}
