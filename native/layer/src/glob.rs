//! Patterns of Go's `filepath.Match`, one path component at a time, and what they select in a merged tree.

use crate::error::{Error, Kind, Result};
use crate::stack::{Dir, Node, Resolved, Stack, components, join};

/// One element of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Token {
    /// `*`
    Star,
    /// `?`
    Any,
    One(u32),
    Class {
        negated: bool,
        ranges: Vec<(u32, u32)>,
    },
}

/// A pattern of one component.
#[derive(Debug, Clone)]
pub(crate) struct Pattern {
    tokens: Vec<Token>,
}

/// Something that a pattern selects.
#[derive(Debug)]
pub(crate) struct Match {
    /// Last component of the path that matched; empty for the root.
    pub(crate) name: Vec<u8>,
    /// What is there, a final link followed.
    pub(crate) node: Node,
}

impl Pattern {
    /// Read a pattern; `None` when Go calls it bad.
    pub(crate) fn parse(pattern: &[u8]) -> Option<Self> {
        let units = units(pattern);
        let mut rest = units.as_slice();
        let mut tokens = Vec::new();
        while let Some((first, after)) = rest.split_first() {
            rest = after;
            tokens.push(match char::from_u32(*first) {
                Some('*') => Token::Star,
                Some('?') => Token::Any,
                Some('[') => class(&mut rest)?,
                Some('\\') => Token::One(take(&mut rest)?),
                _ => Token::One(*first),
            });
        }
        Some(Self { tokens })
    }

    /// Whether the whole of `name` matches.
    pub(crate) fn matches(&self, name: &[u8]) -> bool {
        let name = units(name);
        let (mut at, mut token) = (0, 0);
        // Where to go on when the last star has to take one more.
        let mut retry: Option<(usize, usize)> = None;
        loop {
            match (self.tokens.get(token), name.get(at)) {
                (None, None) => return true,
                (Some(Token::Star), _) => {
                    retry = Some((token + 1, at + 1));
                    token += 1;
                    continue;
                }
                (Some(one), Some(unit)) if one.takes(*unit) => {
                    (at, token) = (at + 1, token + 1);
                    continue;
                }
                _ => {}
            }
            match retry {
                Some((after, from)) if from <= name.len() => {
                    (token, at) = (after, from);
                    retry = Some((after, from + 1));
                }
                _ => return false,
            }
        }
    }
}

impl Token {
    pub(crate) fn takes(&self, unit: u32) -> bool {
        match self {
            Self::Star => false,
            Self::Any => true,
            Self::One(one) => *one == unit,
            Self::Class { negated, ranges } => ranges.iter().any(|(low, high)| (*low..=*high).contains(&unit)) != *negated,
        }
    }
}

/// Characters; a byte that is no UTF-8 is a unit of its own beyond them.
pub(crate) fn units(bytes: &[u8]) -> Vec<u32> {
    let mut units = Vec::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        units.extend(chunk.valid().chars().map(u32::from));
        units.extend(chunk.invalid().iter().map(|byte| 0x11_0000 + u32::from(*byte)));
    }
    units
}

pub(crate) fn take(rest: &mut &[u32]) -> Option<u32> {
    let (first, after) = rest.split_first()?;
    *rest = after;
    Some(*first)
}

fn next_is(rest: &mut &[u32], wanted: char) -> bool {
    match rest.split_first() {
        Some((first, after)) if *first == u32::from(wanted) => {
            *rest = after;
            true
        }
        _ => false,
    }
}

pub(crate) fn class(rest: &mut &[u32]) -> Option<Token> {
    let negated = next_is(rest, '^');
    let mut ranges = Vec::new();
    loop {
        if !ranges.is_empty() && next_is(rest, ']') {
            return Some(Token::Class { negated, ranges });
        }
        let low = bound(rest)?;
        let high = if next_is(rest, '-') { bound(rest)? } else { low };
        ranges.push((low, high));
    }
}

fn bound(rest: &mut &[u32]) -> Option<u32> {
    match char::from_u32(take(rest)?) {
        Some('-' | ']') => None,
        Some('\\') => take(rest),
        Some(other) => Some(u32::from(other)),
        None => None,
    }
}

fn is_literal(component: &[u8]) -> bool {
    !component.iter().any(|byte| matches!(byte, b'*' | b'?' | b'[' | b'\\'))
}

/// What `pattern` selects in the merged tree, in the order of names. Links before the first wildcard are followed inside the root; behind it only
/// real directories are entered. Empty when nothing matches.
pub(crate) fn select(stack: &Stack, pattern: &str) -> Result<Vec<Match>> {
    let parts: Vec<Vec<u8>> = components(pattern.as_bytes()).into();
    let parsed = parts.iter().map(|part| Pattern::parse(part)).collect::<Option<Vec<_>>>();
    let Some(parsed) = parsed else {
        return Err(Error::new(Kind::Request, "match pattern", "the pattern is malformed").subject(pattern.as_bytes()));
    };
    let literal = parts.iter().take_while(|part| is_literal(part)).count();
    let prefix = parts.get(..literal).unwrap_or_default();
    let rest = parsed.get(literal..).unwrap_or_default();
    let follow = !rest.is_empty();
    let Some(Resolved { node, path }) = stack.resolve(&join(prefix), follow)? else {
        return Ok(Vec::new());
    };
    let mut found = Vec::new();
    match node {
        Node::Dir(dir) if follow => descend(&dir, &path, rest, &mut found)?,
        Node::Leaf(_) if follow => {}
        _ => found.push(path),
    }
    found.into_iter().map(|path| followed(stack, path)).collect()
}

fn descend(dir: &Dir, path: &[Vec<u8>], rest: &[Pattern], found: &mut Vec<Vec<Vec<u8>>>) -> Result<()> {
    let Some((pattern, after)) = rest.split_first() else {
        return Ok(());
    };
    for name in dir.names()?.into_iter().filter(|name| pattern.matches(name)) {
        let path = [path, std::slice::from_ref(&name)].concat();
        if after.is_empty() {
            found.push(path);
        } else if let Some(Node::Dir(inner)) = dir.child(&name)? {
            descend(&inner, &path, after, found)?;
        }
    }
    Ok(())
}

fn followed(stack: &Stack, path: Vec<Vec<u8>>) -> Result<Match> {
    let joined = join(&path);
    let dangling = || Error::new(Kind::NotFound, "match pattern", "the symbolic link leads nowhere in the image").subject(&joined);
    let node = stack.resolve(&joined, true)?.ok_or_else(dangling)?.node;
    Ok(Match {
        name: path.last().cloned().unwrap_or_default(),
        node,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_as_go_does() {
        let cases: [(&str, &[u8], bool); 21] = [
            ("abc", b"abc", true),
            ("*", b"abc", true),
            ("*c", b"abc", true),
            ("a*", b"a", true),
            ("a*b*c*d*e*", b"axbxcxdxe", true),
            ("a*b?c*x", b"abxbbxdbxebxczzx", true),
            ("a*b?c*x", b"abxbbxdbxebxczzy", false),
            ("ab[c]", b"abc", true),
            ("ab[b-d]", b"abc", true),
            ("ab[e-g]", b"abc", false),
            ("ab[^c]", b"abc", false),
            ("ab[^e-g]", b"abc", true),
            ("a\\*b", b"a*b", true),
            ("a\\*b", b"ab", false),
            ("a?b", "a☺b".as_bytes(), true),
            ("a[^a]b", "a☺b".as_bytes(), true),
            ("a???b", "a☺b".as_bytes(), false),
            ("[a-ζ]*", "α".as_bytes(), true),
            ("[\\]a]", b"]", true),
            ("?", b"\xff", true),
            ("*x", b"xxx", true),
        ];
        for (pattern, name, expected) in cases {
            assert_eq!(Pattern::parse(pattern.as_bytes()).unwrap().matches(name), expected, "{pattern}");
        }
    }

    #[test]
    fn refuses_what_go_calls_a_bad_pattern() {
        for pattern in ["[", "[^", "[^bc", "a[", "[]a]", "[-]", "[x-]", "[-x]", "[a-b-c]", "a\\", "[\\"] {
            assert!(Pattern::parse(pattern.as_bytes()).is_none(), "{pattern}");
        }
    }
}
