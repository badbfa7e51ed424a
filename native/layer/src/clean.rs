//! Names in a tar, made into components below the root.

use crate::error::{Error, Kind, Result};
use berth_sys::file::{NAME_MAX, PATH_MAX};

/// Clean a name lexically: `.` and empty components vanish, `..` takes back the component before it, a leading slash means the root.
/// Empty for the root itself.
///
/// # Errors
/// `Attack` when a relative name leaves the root; `Invalid` when it is longer than the kernel takes.
pub(crate) fn clean(path: &[u8], entry: &[u8]) -> Result<Vec<Vec<u8>>> {
    if path.len() >= PATH_MAX {
        return Err(too_long(entry, path.len(), PATH_MAX - 1, "path"));
    }
    let absolute = path.first() == Some(&b'/');
    let mut components: Vec<Vec<u8>> = Vec::new();
    for name in path.split(|byte| *byte == b'/') {
        match name {
            b"" | b"." => {}
            b".." if components.pop().is_none() && !absolute => {
                return Err(Error::new(Kind::Attack, "read tar", "the name leaves the root of the image").subject(entry));
            }
            b".." => {}
            _ if name.len() > NAME_MAX => return Err(too_long(entry, name.len(), NAME_MAX, "name")),
            _ => components.push(name.to_vec()),
        }
    }
    Ok(components)
}

fn too_long(entry: &[u8], length: usize, limit: usize, what: &str) -> Error {
    let message = format!("the {what} has {length} bytes, more than {limit}");
    Error {
        errno: Some(rustix::io::Errno::NAMETOOLONG),
        ..Error::invalid("read tar", message)
    }
    .subject(entry)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cleaned(path: &str) -> String {
        String::from_utf8(clean(path.as_bytes(), b"x").unwrap().join(&b'/')).unwrap()
    }

    #[test]
    fn cleans_as_a_path_below_the_root() {
        for (path, expected) in [
            ("./", ""),
            ("/", ""),
            ("a//b/./c/", "a/b/c"),
            ("/../../x", "x"),
            ("a/../b", "b"),
            ("a/..", ""),
        ] {
            assert_eq!(cleaned(path), expected, "{path}");
        }
    }

    #[test]
    fn calls_a_relative_way_out_an_attack() {
        for path in ["..", "../x", "a/../../x"] {
            assert_eq!(clean(path.as_bytes(), b"x").unwrap_err().kind, Kind::Attack, "{path}");
        }
    }

    #[test]
    fn refuses_what_the_kernel_could_not_name() {
        assert_eq!(clean(&[b'x'; 256], b"x").unwrap_err().kind, Kind::Invalid);
        assert_eq!(clean(&b"x/".repeat(2048), b"x").unwrap_err().kind, Kind::Invalid);
        assert_eq!(clean(&b"x/".repeat(2047), b"x").unwrap().len(), 2047);
    }
}
