//! The command line: options by name, as runc's, up to the first word that is none.

use berth_wire::{Code, Failure};

/// An option of a command: its name, its letter, and whether a value follows.
pub(crate) type Known = (&'static str, Option<char>, bool);

/// What was given.
#[derive(Debug, Default)]
pub(crate) struct Arguments {
    given: Vec<(&'static str, String)>,
    /// The words from the first on that is no option.
    pub(crate) rest: Vec<String>,
}

impl Arguments {
    /// Reads `words` by the options in `known`.
    ///
    /// # Errors
    /// `Request` naming an option that is not known, or lacks its value.
    pub(crate) fn parse(words: &[String], known: &[Known]) -> Result<Self, Failure> {
        let mut arguments = Self::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            if word == "--" {
                break;
            }
            let Some(option) = option_of(word) else {
                arguments.rest.push(word.clone());
                break;
            };
            let (name, value) = option.split_once('=').map_or((option, None), |(name, value)| (name, Some(value)));
            let (long, _, takes) = find(known, name).ok_or_else(|| bad(word, "there is no such option"))?;
            let value = match (takes, value) {
                (true, Some(value)) => value.to_owned(),
                (true, None) => words.next().cloned().ok_or_else(|| bad(word, "the option lacks its value"))?,
                (false, None | Some("true")) => "true".to_owned(),
                (false, Some("false")) => "false".to_owned(),
                (false, Some(_)) => return Err(bad(word, "the option is either true or false")),
            };
            arguments.given.push((long, value));
        }
        arguments.rest.extend(words.cloned());
        Ok(arguments)
    }

    /// The last value of an option.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        let last = self.given.iter().rfind(|(known, _)| *known == name);
        last.map(|(_, value)| value.as_str())
    }

    /// Every value of an option.
    pub(crate) fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.given
            .iter()
            .filter(move |(known, _)| *known == name)
            .map(|(_, value)| value.as_str())
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.value(name) == Some("true")
    }

    /// A number, 0 where none is given.
    ///
    /// # Errors
    /// `Request` when it is none.
    pub(crate) fn number(&self, name: &str) -> Result<u32, Failure> {
        let number = |text: &str| text.parse().map_err(|_| bad(&format!("--{name} {text}"), "it is no number"));
        self.value(name).map_or(Ok(0), number)
    }

    /// The one word that names a container.
    ///
    /// # Errors
    /// `Request` where there is none, or more.
    pub(crate) fn id(&self, command: &str) -> Result<&str, Failure> {
        match self.rest.as_slice() {
            [id] => Ok(id),
            [] => Err(bad(command, "the command needs the id of a container")),
            [_, more, ..] => Err(bad(more, "the command takes one container and no more words")),
        }
    }
}

/// The text behind the dashes; one is enough for a long name, as runc has it.
fn option_of(word: &str) -> Option<&str> {
    let option = word.strip_prefix("--").or_else(|| word.strip_prefix('-'))?;
    (!option.is_empty()).then_some(option)
}

fn find(known: &[Known], name: &str) -> Option<Known> {
    let letter = |text: &str| {
        let mut letters = text.chars();
        letters.next().filter(|_| letters.next().is_none())
    };
    known
        .iter()
        .find(|(long, short, _)| *long == name || (short.is_some() && letter(name) == *short))
        .copied()
}

/// The command line says something that this program does not do.
pub(crate) fn bad(subject: &str, message: &str) -> Failure {
    Failure::new(Code::Request, "read command line", message)
        .subject(crate::fail::escape(subject))
        .hint("See native/README.md for the commands and options of `berth-native oci`")
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [Known; 3] = [("bundle", Some('b'), true), ("detach", Some('d'), false), ("env", Some('e'), true)];

    fn parse(text: &str) -> Result<Arguments, Failure> {
        let words: Vec<String> = text.split(' ').map(str::to_owned).collect();
        Arguments::parse(&words, &KNOWN)
    }

    #[test]
    fn takes_options_in_every_spelling_up_to_the_first_word() {
        for text in [
            "--bundle=/b -d box ls -d",
            "-b /b --detach box ls -d",
            "-bundle /b --detach=true -- box ls -d",
        ] {
            let arguments = parse(text).unwrap();
            assert_eq!(arguments.value("bundle"), Some("/b"), "{text}");
            assert!(arguments.has("detach"), "{text}");
            assert_eq!(arguments.rest, ["box", "ls", "-d"], "{text}");
        }
        let arguments = parse("-e A=1 -e B=2 x").unwrap();
        assert_eq!(arguments.values("env").collect::<Vec<_>>(), ["A=1", "B=2"]);
        assert!(!parse("-d=false x").unwrap().has("detach"));
    }

    #[test]
    fn names_what_it_does_not_know() {
        for (text, word) in [
            ("--nope x", "--nope"),
            ("-x y", "-x"),
            ("--bundle", "--bundle"),
            ("-d=perhaps x", "-d=perhaps"),
        ] {
            assert_eq!(parse(text).unwrap_err().subject.as_deref(), Some(word), "{text}");
        }
        assert!(parse("a b").unwrap().id("start").is_err());
        assert!(Arguments::default().id("start").is_err());
    }
}
