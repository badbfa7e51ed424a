//! Looks for some values in a stream of bytes, all of them in one pass (Wu and Manber's method): windows as long as the shortest value are judged
//! by their last two bytes, which mostly say how far the next one may begin.

use std::collections::HashMap;

/// A value that must not occur, and what to call it.
#[derive(Debug, Clone, Copy)]
pub struct Forbidden<'a> {
    pub id: &'a str,
    pub value: &'a [u8],
}

/// The fewest bytes of a value: shorter ones occur by chance.
pub const SHORTEST: usize = 4;
const PAIRS: usize = 1 << 16;

/// The values, prepared.
#[derive(Debug)]
pub(crate) struct Search<'a> {
    values: Vec<Forbidden<'a>>,
    /// Length of the shortest and of the longest value.
    shortest: usize,
    longest: usize,
    /// By the last two bytes of a window: how far it may move. Zero where a value may begin with this window.
    shift: Vec<u16>,
    /// Values whose first window ends in these two bytes.
    ends: HashMap<u16, Vec<usize>>,
}

impl<'a> Search<'a> {
    /// `None` when there is nothing to look for. Values shorter than [`SHORTEST`] are left out.
    pub(crate) fn new(values: &[Forbidden<'a>]) -> Option<Self> {
        let values: Vec<_> = values.iter().copied().filter(|one| one.value.len() >= SHORTEST).collect();
        let shortest = values.iter().map(|one| one.value.len()).min()?;
        let longest = values.iter().map(|one| one.value.len()).max()?;
        let farthest = u16::try_from(shortest - 1).unwrap_or(u16::MAX);
        let mut shift = vec![farthest; PAIRS];
        let mut ends: HashMap<u16, Vec<usize>> = HashMap::new();
        for (index, Forbidden { value, .. }) in values.iter().enumerate() {
            for (at, window) in value.windows(2).take(shortest - 1).enumerate() {
                let pair = pair(window);
                let rest = u16::try_from(shortest - 2 - at).unwrap_or(u16::MAX);
                if let Some(known) = shift.get_mut(usize::from(pair)) {
                    *known = rest.min(*known);
                }
                if rest == 0 {
                    ends.entry(pair).or_default().push(index);
                }
            }
        }
        Some(Self {
            values,
            shortest,
            longest,
            shift,
            ends,
        })
    }

    /// The first value that occurs in `bytes`.
    pub(crate) fn find(&self, bytes: &[u8]) -> Option<&'a str> {
        let mut start = 0;
        while let Some(window) = bytes.get(start..start + self.shortest) {
            let pair = pair(window.get(self.shortest - 2..).unwrap_or_default());
            let step = self.shift.get(usize::from(pair)).copied().unwrap_or(1);
            if step == 0 {
                let rest = bytes.get(start..).unwrap_or_default();
                if let Some(found) = self.starts(pair, rest) {
                    return Some(found);
                }
            }
            start += usize::from(step.max(1));
        }
        None
    }

    fn starts(&self, pair: u16, bytes: &[u8]) -> Option<&'a str> {
        let candidates = self.ends.get(&pair)?.iter().filter_map(|index| self.values.get(*index));
        candidates.into_iter().find(|one| bytes.starts_with(one.value)).map(|one| one.id)
    }

    /// Begins with a stream.
    pub(crate) fn stream(&self) -> Stream<'_> {
        Stream {
            search: self,
            tail: Vec::new(),
        }
    }
}

fn pair(bytes: &[u8]) -> u16 {
    match bytes {
        [a, b, ..] => u16::from_be_bytes([*a, *b]),
        _ => 0,
    }
}

/// A stream that comes in pieces; a value may lie across them.
#[derive(Debug)]
pub(crate) struct Stream<'a> {
    search: &'a Search<'a>,
    /// The last bytes, one fewer than the longest value.
    tail: Vec<u8>,
}

impl<'a> Stream<'a> {
    /// The first value that ends in this piece.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Option<&'a str> {
        let keep = self.search.longest - 1;
        let begin = bytes.get(..keep.min(bytes.len())).unwrap_or_default();
        let across = if self.tail.is_empty() {
            None
        } else {
            self.search.find(&[&self.tail, begin].concat())
        };
        let found = across.or_else(|| self.search.find(bytes));
        self.tail
            .extend_from_slice(bytes.get(bytes.len().saturating_sub(keep)..).unwrap_or_default());
        self.tail.drain(..self.tail.len().saturating_sub(keep));
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn forbidden(values: &[Vec<u8>]) -> Vec<Forbidden<'_>> {
        values.iter().map(|value| Forbidden { id: "x", value }).collect()
    }

    #[test]
    fn names_the_value_that_it_found() {
        let values = [
            Forbidden {
                id: "token",
                value: b"s3cr3t-token",
            },
            Forbidden {
                id: "key",
                value: b"another-key-0123456789",
            },
        ];
        let search = Search::new(&values).unwrap();
        assert_eq!(search.find(b"nothing to see here, move along"), None);
        assert_eq!(search.find(b"a s3cr3t-toke, almost"), None);
        assert_eq!(search.find(b"machine x password s3cr3t-token\n"), Some("token"));
        assert_eq!(search.find(b"another-key-0123456789"), Some("key"));
        assert!(Search::new(&[]).is_none());
        assert!(
            Search::new(&[Forbidden {
                id: "short",
                value: b"abc"
            }])
            .is_none()
        );
    }

    #[test]
    fn finds_a_value_across_pieces_of_any_size() {
        let values = [Forbidden {
            id: "token",
            value: b"s3cr3t-token",
        }];
        let search = Search::new(&values).unwrap();
        let text = b"before it s3cr3t-token and after it";
        for size in 1..text.len() {
            let mut stream = search.stream();
            let found: Vec<_> = text.chunks(size).filter_map(|piece| stream.feed(piece)).collect();
            assert!(found.contains(&"token"), "pieces of {size}");
        }
    }

    proptest! {
        #[test]
        fn agrees_with_a_plain_search(
            values in prop::collection::vec(prop::collection::vec(0_u8..4, 4..12), 1..5),
            text in prop::collection::vec(0_u8..4, 0..200),
            size in 1_usize..40,
        ) {
            let plain = values.iter().any(|value| text.windows(value.len()).any(|window| window == value.as_slice()));
            let forbidden = forbidden(&values);
            let search = Search::new(&forbidden).unwrap();
            prop_assert_eq!(search.find(&text).is_some(), plain);
            let mut stream = search.stream();
            let streamed = text.chunks(size).filter_map(|piece| stream.feed(piece)).count() > 0;
            prop_assert_eq!(streamed, plain);
        }
    }
}
