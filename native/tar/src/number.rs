//! Numbers in headers (octal, base-256) and in PAX records (decimal).

use crate::entry::Time;

/// A numeric header field: octal digits between blanks and NULs, or two's complement when the first bit is set. `None` when it is neither.
pub(crate) fn field(bytes: &[u8]) -> Option<i64> {
    match bytes.first() {
        Some(first) if first & 0x80 != 0 => base256(bytes),
        _ => octal(bytes),
    }
}

fn base256(bytes: &[u8]) -> Option<i64> {
    let (first, rest) = bytes.split_first()?;
    // Bit 7 marks the form, bit 6 is the sign.
    let negative = first & 0x40 != 0;
    let mut value: i64 = i64::from(first & 0x3f);
    if negative {
        value = value.checked_sub(0x40)?;
    }
    for byte in rest {
        value = value.checked_mul(256)?.checked_add(i64::from(*byte))?;
    }
    Some(value)
}

fn octal(bytes: &[u8]) -> Option<i64> {
    let digits = trim(bytes);
    let digits = digits.split(|byte| *byte == 0).next().unwrap_or_default();
    let mut value: i64 = 0;
    for byte in digits {
        let digit = byte.checked_sub(b'0').filter(|digit| *digit < 8)?;
        value = value.checked_mul(8)?.checked_add(i64::from(digit))?;
    }
    Some(value)
}

fn trim(mut bytes: &[u8]) -> &[u8] {
    while let Some((b' ' | 0, rest)) = bytes.split_first() {
        bytes = rest;
    }
    while let Some((b' ' | 0, rest)) = bytes.split_last() {
        bytes = rest;
    }
    bytes
}

/// A decimal number without sign; `None` for anything else or over 2^63 - 1.
pub(crate) fn decimal(bytes: &[u8]) -> Option<u64> {
    if bytes.is_empty() {
        return None;
    }
    let mut value: i64 = 0;
    for byte in bytes {
        let digit = byte.checked_sub(b'0').filter(|digit| *digit < 10)?;
        value = value.checked_mul(10)?.checked_add(i64::from(digit))?;
    }
    u64::try_from(value).ok()
}

/// A PAX time: `[-]seconds[.fraction]`. Seconds out of range are clamped; `None` when it is no number at all.
pub(crate) fn time(bytes: &[u8]) -> Option<Time> {
    let (negative, digits) = match bytes.split_first() {
        Some((b'-', rest)) => (true, rest),
        _ => (false, bytes),
    };
    let mut parts = digits.splitn(2, |byte| *byte == b'.');
    let whole = parts
        .next()
        .filter(|part| !part.is_empty() && part.iter().all(u8::is_ascii_digit))?;
    let fraction = parts.next().unwrap_or_default();
    if !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let seconds = decimal(whole).and_then(|value| i64::try_from(value).ok()).unwrap_or(i64::MAX);
    let nanoseconds = nanoseconds(fraction);
    if !negative {
        return Some(Time { seconds, nanoseconds });
    }
    // -1.25 is two seconds before 1970 and three quarters of one after that.
    let seconds = seconds.saturating_neg();
    Some(match nanoseconds {
        0 => Time { seconds, nanoseconds },
        part => Time {
            seconds: seconds.saturating_sub(1),
            nanoseconds: 1_000_000_000_u32.saturating_sub(part),
        },
    })
}

fn nanoseconds(fraction: &[u8]) -> u32 {
    let digits = fraction.iter().copied().chain(std::iter::repeat(b'0')).take(9);
    digits.fold(0, |value: u32, digit| {
        value.saturating_mul(10).saturating_add(u32::from(digit.saturating_sub(b'0')))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_octal_between_blanks_and_refuses_garbage() {
        assert_eq!(field(b"0000644\0"), Some(0o644));
        assert_eq!(field(b"   644 \0"), Some(0o644));
        assert_eq!(field(b"\0\0\0\0\0\0\0\0"), Some(0));
        assert_eq!(field(b"77777777777\0"), Some(0o77_777_777_777));
        for bad in [b"0000648\0", b"-000644\0", b"0x00644\0", b"00 0644\0"] {
            assert_eq!(field(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn reads_base_256_with_sign_and_refuses_overflow() {
        assert_eq!(field(&[0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0]), Some(256));
        assert_eq!(field(&[0xff; 12]), Some(-1));
        assert_eq!(field(&[0x80, 0, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0]), None);
        assert_eq!(field(&[0xbf; 12]), None);
    }

    #[test]
    fn reads_times_with_sign_and_fraction() {
        assert_eq!(
            time(b"12.5"),
            Some(Time {
                seconds: 12,
                nanoseconds: 500_000_000
            })
        );
        assert_eq!(
            time(b"-1.25"),
            Some(Time {
                seconds: -2,
                nanoseconds: 750_000_000
            })
        );
        assert_eq!(
            time(b"1000000000000000000000"),
            Some(Time {
                seconds: i64::MAX,
                nanoseconds: 0
            })
        );
        assert_eq!(
            time(b"1.0000000019"),
            Some(Time {
                seconds: 1,
                nanoseconds: 1
            })
        );
        for bad in [b"NaN".as_slice(), b"", b"-", b"1.x", b"+1", b".5"] {
            assert_eq!(time(bad), None, "{bad:?}");
        }
    }
}
