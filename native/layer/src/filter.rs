//! Patterns as ignore files have them, over paths below a directory: `**` is any depth, `!` an exception, the last pattern that matches the path or
//! a directory above it decides (moby's patternmatcher). The engine cleans the patterns; `engine/context/pattern` says the same for contexts.

use crate::error::{Error, Kind, Result};
use crate::glob::{self, Token as Glob};
use crate::stack::{Dir, Node, join};
use crate::walk::Walk;
use std::collections::VecDeque;

const SLASH: u32 = '/' as u32;

/// One element of a pattern.
#[derive(Debug, Clone)]
enum Token {
    One(Glob),
    /// `**` before more: any number of directories, also none.
    Directories,
    /// `**` at the end.
    Rest,
}

#[derive(Debug, Clone)]
struct Rule {
    exception: bool,
    tokens: Vec<Token>,
    /// `**` and then nothing but plain characters: the end of the path is compared.
    suffix: Option<Vec<u8>>,
}

/// A list of patterns.
#[derive(Debug, Clone, Default)]
pub(crate) struct Matcher {
    rules: Vec<Rule>,
}

/// Which rules matched a directory; handed down to what it holds.
pub(crate) type Matches = Vec<bool>;

impl Matcher {
    /// Read patterns that the engine has cleaned.
    pub(crate) fn parse(patterns: &[String]) -> Result<Self> {
        let rules = patterns.iter().filter(|pattern| !pattern.is_empty()).map(|pattern| {
            let malformed = || Error::new(Kind::Request, "match pattern", "the pattern is malformed").subject(pattern.as_bytes());
            rule(pattern).ok_or_else(malformed)
        });
        Ok(Self {
            rules: rules.collect::<Result<_>>()?,
        })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Whether the path is matched, given what matched its directory.
    pub(crate) fn verdict(&self, path: &[u8], parent: Option<&[bool]>) -> (bool, Matches) {
        let mut matched = false;
        let mut matches = Vec::with_capacity(self.rules.len());
        for (at, rule) in self.rules.iter().enumerate() {
            let above = parent.is_some_and(|parent| parent.get(at) == Some(&true));
            // A rule that cannot change the verdict is not tried.
            let is_match = above || (rule.exception == matched && rule.matches(path));
            matches.push(is_match);
            if is_match {
                matched = !rule.exception;
            }
        }
        (matched, matches)
    }
}

fn rule(pattern: &str) -> Option<Rule> {
    let (exception, text) = pattern.strip_prefix('!').map_or((false, pattern), |rest| (true, rest));
    if text.is_empty() {
        return None;
    }
    let suffix = text
        .strip_prefix("**")
        .filter(|rest| !rest.is_empty() && !rest.contains(['*', '?', '[', '\\']))
        .map(|rest| rest.as_bytes().to_vec());
    Some(Rule {
        exception,
        tokens: tokens(text)?,
        suffix,
    })
}

fn tokens(text: &str) -> Option<Vec<Token>> {
    let units = glob::units(text.as_bytes());
    let mut rest = units.as_slice();
    let mut tokens = Vec::new();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        tokens.push(match char::from_u32(*first) {
            Some('*') => match rest.strip_prefix(&['*' as u32]) {
                Some(after) => {
                    rest = after.strip_prefix(&[SLASH]).unwrap_or(after);
                    if rest.is_empty() { Token::Rest } else { Token::Directories }
                }
                None => Token::One(Glob::Star),
            },
            Some('?') => Token::One(Glob::Any),
            Some('[') => Token::One(glob::class(&mut rest)?),
            Some('\\') => Token::One(Glob::One(glob::take(&mut rest)?)),
            _ => Token::One(Glob::One(*first)),
        });
    }
    Some(tokens)
}

impl Rule {
    fn matches(&self, path: &[u8]) -> bool {
        match &self.suffix {
            Some(suffix) => path.ends_with(suffix) || suffix.strip_prefix(b"/").is_some_and(|name| name == path),
            None => walk(&self.tokens, &glob::units(path)),
        }
    }
}

/// All ways at once: time is the product of both lengths, whatever the pattern. State `2i` stands before token `i`, `2i + 1` inside of the
/// directories that it takes.
fn walk(tokens: &[Token], path: &[u32]) -> bool {
    let end = 2 * tokens.len();
    let mut states = vec![false; end + 2];
    enter(&mut states, 0, tokens);
    for unit in path {
        let mut next = vec![false; end + 2];
        for state in (0..end).filter(|state| states.get(*state) == Some(&true)) {
            let ahead = state / 2 * 2 + 2;
            match tokens.get(state / 2) {
                Some(Token::One(Glob::Star)) if *unit != SLASH => enter(&mut next, state, tokens),
                Some(Token::Rest) => enter(&mut next, state, tokens),
                Some(Token::Directories) => {
                    enter(&mut next, state / 2 * 2 + 1, tokens);
                    if *unit == SLASH {
                        enter(&mut next, ahead, tokens);
                    }
                }
                Some(Token::One(Glob::Any)) if *unit != SLASH => enter(&mut next, ahead, tokens),
                Some(Token::One(one @ (Glob::One(_) | Glob::Class { .. }))) if one.takes(*unit) => enter(&mut next, ahead, tokens),
                _ => {}
            }
        }
        states = next;
    }
    states.get(end) == Some(&true)
}

/// Tokens that may take nothing are passed at once.
fn enter(states: &mut [bool], from: usize, tokens: &[Token]) {
    let mut state = from;
    while let Some(slot) = states.get_mut(state) {
        if std::mem::replace(slot, true) || state % 2 == 1 {
            return;
        }
        match tokens.get(state / 2) {
            Some(Token::One(Glob::Star) | Token::Rest | Token::Directories) => state += 2,
            _ => return,
        }
    }
}

/// What is taken of a directory.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filter {
    /// Only this; nothing is left out when there are no patterns.
    pub(crate) include: Matcher,
    pub(crate) exclude: Matcher,
}

impl Filter {
    /// Whether a file that is a source itself is left out.
    pub(crate) fn hides(&self, name: &[u8]) -> bool {
        self.exclude.verdict(name, None).0
    }
}

/// Walks through a directory as [`Walk`] does, and leaves out what the filter hides. A directory that is not meant itself comes when something in
/// it does, before it.
pub(crate) struct Chosen<'a> {
    walk: Walk,
    filter: &'a Filter,
    /// What matched each directory on the way, topmost first.
    levels: Vec<(Matches, Matches)>,
    /// Directories on the way that have not come yet.
    waiting: Vec<(Vec<Vec<u8>>, Node)>,
    ready: VecDeque<(Vec<Vec<u8>>, Node)>,
    found: bool,
}

impl<'a> Chosen<'a> {
    pub(crate) fn new(dir: Dir, filter: &'a Filter) -> Result<Self> {
        Ok(Self {
            walk: Walk::new(dir)?,
            filter,
            levels: Vec::new(),
            waiting: Vec::new(),
            ready: VecDeque::new(),
            found: false,
        })
    }

    /// The next node with its path below the directory where the walk began.
    pub(crate) fn next(&mut self) -> Result<Option<(Vec<Vec<u8>>, Node)>> {
        loop {
            if let Some(ready) = self.ready.pop_front() {
                return Ok(Some(ready));
            }
            let Some((path, node)) = self.walk.next()? else {
                return Ok(None);
            };
            self.take(path, node);
        }
    }

    /// Whether anything was meant by the patterns to include, hidden or not.
    pub(crate) fn found(&self) -> bool {
        self.found
    }

    fn take(&mut self, path: Vec<Vec<u8>>, node: Node) {
        let above = path.len().saturating_sub(1);
        self.levels.truncate(above);
        while self.waiting.last().is_some_and(|(waiting, _)| waiting.len() > above) {
            self.waiting.pop();
        }
        let joined = join(&path);
        let parent = self.levels.last();
        let Filter { include, exclude } = self.filter;
        let (included, included_by) = include.verdict(&joined, parent.map(|(matches, _)| matches.as_slice()));
        let (hidden, hidden_by) = exclude.verdict(&joined, parent.map(|(_, matches)| matches.as_slice()));
        let included = included || include.is_empty();
        self.found |= included;
        if matches!(node, Node::Dir(_)) {
            self.levels.push((included_by, hidden_by));
        }
        if included && !hidden {
            self.ready.extend(self.waiting.drain(..));
            self.ready.push_back((path, node));
        } else if matches!(node, Node::Dir(_)) {
            self.waiting.push((path, node));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hidden(patterns: &[&str], path: &str) -> bool {
        let patterns: Vec<String> = patterns.iter().map(|pattern| (*pattern).to_owned()).collect();
        let matcher = Matcher::parse(&patterns).unwrap();
        let mut parent: Option<Matches> = None;
        let mut verdict = false;
        let names: Vec<&str> = path.split('/').collect();
        for end in 1..=names.len() {
            let (matched, matches) = matcher.verdict(names[..end].join("/").as_bytes(), parent.as_deref());
            (verdict, parent) = (matched, Some(matches));
        }
        verdict
    }

    #[test]
    fn matches_as_ignore_files_do() {
        for (patterns, path, expected) in [
            (&["*.txt"] as &[&str], "a.txt", true),
            (&["*.txt"], "d/a.txt", false),
            (&["**/*.txt"], "d/e/a.txt", true),
            (&["**/*.txt"], "a.txt", true),
            (&["d"], "d/e/a.txt", true),
            (&["d/**"], "d", false),
            (&["d/**"], "d/e", true),
            (&["d", "!d/keep"], "d/keep", false),
            (&["d", "!d/keep"], "d/keep/x", false),
            (&["d", "!d/keep"], "d/other", true),
            (&["!d/keep", "d"], "d/keep", true),
            (&["**foo"], "a/xfoo", true),
            (&["**/foo"], "a/xfoo", false),
            (&["a/**/z"], "a/z", true),
            (&["a/**/z"], "a/b/c/z", true),
            (&["a/**/z"], "ab/z", false),
            (&["?[a-c]"], "xb", true),
            (&["?[^a-c]"], "xb", false),
            (&["\\*"], "*", true),
            (&["\\*"], "x", false),
            (&["**"], "x/y", true),
        ] {
            assert_eq!(hidden(patterns, path), expected, "{patterns:?} {path}");
        }
    }

    #[test]
    fn refuses_what_is_no_pattern() {
        for pattern in ["[", "a[]b", "!", "x\\"] {
            assert!(Matcher::parse(&[pattern.to_owned()]).is_err(), "{pattern}");
        }
    }
}
