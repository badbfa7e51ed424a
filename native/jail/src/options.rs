//! Mount options as words: attributes of the mount, data for the file system, propagation.

use crate::fail::refused;
use berth_sys::mount::{self, Attributes};
use berth_wire::Failure;

/// What the options of one mount say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) attributes: Attributes,
    /// `key=value`, or a flag alone, for the file system.
    pub(crate) data: Vec<(String, Option<String>)>,
    pub(crate) bind: bool,
    pub(crate) recursive: bool,
    /// What the directory below holds is copied into it.
    pub(crate) copy_up: bool,
}

/// Reads the options of the mount at `destination`; `bind` says that its type is already `bind`.
pub(crate) fn parse(destination: &str, words: &[String], bind: bool) -> Result<Options, Failure> {
    let mut options = Options {
        bind,
        ..Options::default()
    };
    words.iter().try_for_each(|word| options.take(destination, word))?;
    // A tmpfs or proc has its own access time rule; `relatime` is the kernel's default.
    if options.bind && !options.data.is_empty() {
        let (key, _) = options.data.swap_remove(0);
        return Err(refused(
            "mounts.options",
            format!("a bind mount has no option {key:?} ({destination})"),
        ));
    }
    Ok(options)
}

impl Options {
    fn take(&mut self, destination: &str, word: &str) -> Result<(), Failure> {
        match word {
            "bind" => self.bind = true,
            "rbind" => (self.bind, self.recursive) = (true, true),
            "ro" | "rro" => self.set(mount::RDONLY, word == "rro"),
            "nosuid" => self.set(mount::NOSUID, false),
            "nodev" => self.set(mount::NODEV, false),
            "noexec" => self.set(mount::NOEXEC, false),
            "nosymfollow" => self.set(mount::NOSYMFOLLOW, false),
            "nodiratime" => self.set(mount::NODIRATIME, false),
            "noatime" => self.access_time(mount::NOATIME),
            "strictatime" => self.access_time(mount::STRICTATIME),
            "relatime" => self.access_time(mount::RELATIME),
            // What a new mount is anyway, and what a bind takes from its source.
            "rw" | "suid" | "dev" | "exec" | "symfollow" | "diratime" | "atime" | "defaults" | "async" => {}
            "private" | "rprivate" => self.attributes.propagation = mount::PRIVATE,
            "slave" | "rslave" => self.attributes.propagation = mount::SLAVE,
            "unbindable" | "runbindable" => self.attributes.propagation = mount::UNBINDABLE,
            "shared" | "rshared" => {
                return Err(refused(
                    "mounts.options",
                    format!("{word:?} would show mounts of the container on the host ({destination})"),
                ));
            }
            "tmpcopyup" => self.copy_up = true,
            "copy-symlink" | "idmap" | "ridmap" | "remount" => {
                return Err(refused("mounts.options", format!("{word:?} is not built yet ({destination})")));
            }
            other => self.data.push(split(other)),
        }
        Ok(())
    }

    fn set(&mut self, bit: u64, recursive: bool) {
        self.attributes.set |= bit;
        self.recursive |= recursive;
    }

    fn access_time(&mut self, mode: u64) {
        self.attributes.clear |= mount::ATIME;
        self.attributes.set = (self.attributes.set & !mount::ATIME) | mode;
    }
}

fn split(word: &str) -> (String, Option<String>) {
    match word.split_once('=') {
        Some((key, value)) => (key.to_owned(), Some(value.to_owned())),
        None => (word.to_owned(), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split(',').map(str::to_owned).collect()
    }

    #[test]
    fn attributes_and_data_are_told_apart() {
        let options = parse("/dev", &words("nosuid,strictatime,mode=755,size=65536k"), false).unwrap();
        assert_eq!(options.attributes.set, mount::NOSUID | mount::STRICTATIME);
        assert_eq!(
            options.data,
            [
                ("mode".to_owned(), Some("755".to_owned())),
                ("size".to_owned(), Some("65536k".to_owned()))
            ]
        );
    }

    #[test]
    fn rbind_makes_a_recursive_bind() {
        let options = parse("/data", &words("rbind,ro,rprivate"), false).unwrap();
        assert!(options.bind && options.recursive);
        assert_eq!(options.attributes.propagation, mount::PRIVATE);
    }

    #[test]
    fn refuses_what_it_does_not_do_by_name() {
        for (text, bind) in [("rshared", true), ("idmap", false), ("size=3", true)] {
            let failure = parse("/x", &words(text), bind).unwrap_err();
            assert!(
                failure.message.contains(text.split('=').next().unwrap()),
                "{text}: {}",
                failure.message
            );
        }
    }
}
