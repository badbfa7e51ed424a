//! The 512-byte header block.

use crate::BLOCK;
use crate::number;

/// A header block whose checksum is right.
pub(crate) struct Header<'a> {
    block: &'a [u8; BLOCK],
}

/// Which dialect the magic announces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    V7,
    Ustar,
    /// Schilling's: a shorter prefix, two times behind it.
    Star,
    Gnu,
}

impl<'a> Header<'a> {
    /// `Err` with the sentence when the checksum is wrong.
    pub(crate) fn new(block: &'a [u8; BLOCK]) -> Result<Self, &'static str> {
        let header = Self { block };
        let Some(stored) = number::field(header.bytes(148, 8)) else {
            return Err("header checksum is not a number");
        };
        let (unsigned, signed) = header.sums();
        if stored == unsigned || stored == signed {
            Ok(header)
        } else {
            Err("header checksum is wrong")
        }
    }

    /// Sums over the block with blanks in place of the checksum; old tars added signed characters.
    fn sums(&self) -> (i64, i64) {
        let blanked = |(at, byte): (usize, &u8)| if (148..156).contains(&at) { b' ' } else { *byte };
        let bytes = || self.block.iter().enumerate().map(blanked);
        let unsigned = bytes().fold(0i64, |sum, byte| sum.saturating_add(i64::from(byte)));
        let signed = bytes().fold(0i64, |sum, byte| sum.saturating_add(i64::from(byte.cast_signed())));
        (unsigned, signed)
    }

    pub(crate) fn bytes(&self, at: usize, length: usize) -> &'a [u8] {
        at.checked_add(length).and_then(|end| self.block.get(at..end)).unwrap_or_default()
    }

    fn text(&self, at: usize, length: usize) -> &'a [u8] {
        self.bytes(at, length).split(|byte| *byte == 0).next().unwrap_or_default()
    }

    fn number(&self, at: usize, length: usize) -> Option<i64> {
        number::field(self.bytes(at, length))
    }

    pub(crate) fn dialect(&self) -> Dialect {
        match self.bytes(257, 8) {
            b"ustar  \0" => Dialect::Gnu,
            magic if !magic.starts_with(b"ustar\0") => Dialect::V7,
            _ if self.bytes(508, 4) == b"tar\0" => Dialect::Star,
            _ => Dialect::Ustar,
        }
    }

    pub(crate) fn type_flag(&self) -> u8 {
        self.bytes(156, 1).first().copied().unwrap_or_default()
    }

    /// Name with the prefix of the dialect.
    pub(crate) fn path(&self) -> Vec<u8> {
        let name = self.text(0, 100);
        let prefix = match self.dialect() {
            Dialect::Ustar => self.text(345, 155),
            Dialect::Star => self.text(345, 131),
            Dialect::Gnu => self.misplaced_prefix(),
            Dialect::V7 => b"",
        };
        if prefix.is_empty() {
            return name.to_vec();
        }
        [prefix, b"/", name].concat()
    }

    /// GNU has two times where ustar has the prefix; some writers put a prefix there nevertheless, and Go reads it when the times make no sense.
    fn misplaced_prefix(&self) -> &'a [u8] {
        let times_are_numbers = self.number(345, 12).is_some() && self.number(357, 12).is_some();
        let prefix = self.text(345, 155);
        if times_are_numbers || !prefix.is_ascii() { b"" } else { prefix }
    }

    pub(crate) fn link(&self) -> &'a [u8] {
        self.text(157, 100)
    }

    pub(crate) fn mode(&self) -> Option<i64> {
        self.number(100, 8)
    }

    pub(crate) fn uid(&self) -> Option<i64> {
        self.number(108, 8)
    }

    pub(crate) fn gid(&self) -> Option<i64> {
        self.number(116, 8)
    }

    pub(crate) fn size(&self) -> Option<i64> {
        self.number(124, 12)
    }

    pub(crate) fn modified(&self) -> Option<i64> {
        self.number(136, 12)
    }

    /// Major and minor number; 0:0 where the dialect has none.
    pub(crate) fn device(&self) -> Option<(i64, i64)> {
        if self.dialect() == Dialect::V7 {
            return Some((0, 0));
        }
        Some((self.number(329, 8)?, self.number(337, 8)?))
    }

    /// The old GNU sparse header: four segments, whether more follow, and the real size.
    pub(crate) fn old_sparse(&self) -> (&'a [u8], bool, Option<i64>) {
        let extended = self.bytes(482, 1).first().is_some_and(|byte| *byte != 0);
        (self.bytes(386, 96), extended, self.number(483, 12))
    }
}
