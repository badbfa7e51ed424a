//! Which extended attributes belong to an image, and which are instructions to overlayfs that no foreign layer may give.

use crate::error::{Error, Result};
use berth_sys::xattr::{Attribute, NAME_MAX, VALUE_MAX};

/// On a directory: hides what is below.
pub const OPAQUE: &[u8] = b"user.overlay.opaque";
/// On the root of a snapshot whose layer says nothing about it: the attributes are those of the snapshot below. Ours; the kernel ignores it and
/// shows it to nobody.
pub const IMPLICIT: &[u8] = b"user.overlay.implicit";

/// What to do with an attribute that a tar carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Keep,
    /// It speaks to overlayfs: never taken from a layer.
    Overlay,
    /// It belongs to the host's security modules or file system.
    Host,
}

pub(crate) fn verdict(name: &[u8]) -> Verdict {
    if is_overlay(name) {
        Verdict::Overlay
    } else if name.starts_with(b"user.") || name == b"security.capability" {
        Verdict::Keep
    } else {
        Verdict::Host
    }
}

fn is_overlay(name: &[u8]) -> bool {
    name.starts_with(b"user.overlay.") || name.starts_with(b"trusted.overlay.")
}

/// The attributes of a file in a snapshot that belong to the image.
pub(crate) fn visible(mut attributes: Vec<Attribute>) -> Vec<Attribute> {
    attributes.retain(|(name, _)| verdict(name) == Verdict::Keep);
    attributes
}

/// Refuse what no file system could hold.
pub(crate) fn check(attributes: &[Attribute], subject: &[u8]) -> Result<()> {
    for (name, value) in attributes {
        if name.len() > NAME_MAX || value.len() > VALUE_MAX || name.contains(&0) {
            let message = format!(
                "extended attribute {} of {} bytes is over the limits",
                crate::error::display(name),
                value.len()
            );
            return Err(Error::invalid("read tar", message).subject(subject));
        }
    }
    Ok(())
}
