//! Which hierarchies there are and where they are mounted.

use rustix::fs::{Access, AtFlags, CWD};

/// The whole picture, as a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    V2,
    V1,
    Hybrid,
    None,
}

impl Mode {
    /// The word that the probe reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::V2 => "v2",
            Self::V1 => "v1",
            Self::Hybrid => "hybrid",
            Self::None => "none",
        }
    }
}

/// One mounted hierarchy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hierarchy {
    pub path: String,
    pub v2: bool,
    /// For v1 the mount options that name it: `memory`, or `cpu` and `cpuacct`, or `name=systemd`. For v2 what its root offers.
    pub controllers: Vec<String>,
}

impl Hierarchy {
    /// Whether this process can make groups in it.
    pub(crate) fn is_writable(&self) -> bool {
        rustix::fs::accessat(CWD, &self.path, Access::WRITE_OK, AtFlags::EACCESS).is_ok()
    }
}

/// All hierarchies.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Layout {
    pub hierarchies: Vec<Hierarchy>,
}

impl Layout {
    /// Reads the mounts of this process.
    #[must_use]
    pub fn detect() -> Self {
        let mounts = read("/proc/self/mountinfo").unwrap_or_default();
        let mut layout = Self::parse(&mounts);
        for hierarchy in layout.hierarchies.iter_mut().filter(|hierarchy| hierarchy.v2) {
            let offered = read(&format!("{}/cgroup.controllers", hierarchy.path)).unwrap_or_default();
            hierarchy.controllers = offered.split_whitespace().map(str::to_owned).collect();
        }
        layout
    }

    /// The hierarchies in the text of a `mountinfo`; the first mount of each.
    #[must_use]
    pub fn parse(mountinfo: &str) -> Self {
        let mut layout = Self::default();
        for hierarchy in mountinfo.lines().filter_map(parse_line) {
            let known = layout
                .hierarchies
                .iter()
                .any(|other| other.v2 == hierarchy.v2 && (other.v2 || other.controllers == hierarchy.controllers));
            if !known {
                layout.hierarchies.push(hierarchy);
            }
        }
        layout
    }

    #[must_use]
    pub fn mode(&self) -> Mode {
        let v2 = self.hierarchies.iter().any(|hierarchy| hierarchy.v2);
        let v1 = self.hierarchies.iter().any(|hierarchy| !hierarchy.v2);
        match (v1, v2) {
            (false, true) => Mode::V2,
            (true, false) => Mode::V1,
            (true, true) => Mode::Hybrid,
            (false, false) => Mode::None,
        }
    }

    /// Controllers in which this process can make groups, sorted.
    #[must_use]
    pub fn writable(&self) -> Vec<String> {
        let mut names: Vec<String> = self
            .hierarchies
            .iter()
            .filter(|hierarchy| hierarchy.is_writable())
            .flat_map(|hierarchy| hierarchy.controllers.iter().filter(|name| !name.starts_with("name=")).cloned())
            .collect();
        names.sort();
        names.dedup();
        names
    }
}

/// `36 35 98:0 /root /mount rw,opts tag:1 - type source super,options`: fields 5 and those after the dash count.
fn parse_line(line: &str) -> Option<Hierarchy> {
    let (left, right) = line.split_once(" - ")?;
    let path = unescape(left.split(' ').nth(4)?);
    let mut right = right.split(' ');
    let kind = right.next()?;
    let options = right.nth(1)?;
    match kind {
        "cgroup2" => Some(Hierarchy {
            path,
            v2: true,
            controllers: Vec::new(),
        }),
        "cgroup" => {
            let named = |word: &&str| {
                !matches!(*word, "rw" | "ro" | "xattr" | "noprefix" | "clone_children" | "none") && !word.starts_with("release_agent=")
            };
            Some(Hierarchy {
                path,
                v2: false,
                controllers: options.split(',').filter(named).map(str::to_owned).collect(),
            })
        }
        _ => None,
    }
}

/// The kernel writes blank, tab, line feed and backslash as octal.
fn unescape(path: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(path.to_owned(), |text, (code, char)| text.replace(code, char))
}

pub(crate) fn read(path: &str) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "\
24 30 0:22 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
25 24 0:23 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct
26 24 0:24 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,release_agent=/lib/x,name=systemd
27 24 0:25 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
28 24 0:25 / /other rw - cgroup2 cgroup2 rw
";

    #[test]
    fn finds_each_hierarchy_once_with_its_controllers() {
        let layout = Layout::parse(HYBRID);
        let paths: Vec<_> = layout.hierarchies.iter().map(|one| one.path.as_str()).collect();
        assert_eq!(
            paths,
            ["/sys/fs/cgroup/cpu,cpuacct", "/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified"]
        );
        assert_eq!(layout.hierarchies[0].controllers, ["cpu", "cpuacct"]);
        assert_eq!(layout.hierarchies[1].controllers, ["name=systemd"]);
        assert_eq!(layout.mode(), Mode::Hybrid);
    }

    #[test]
    fn tells_the_other_modes_apart() {
        assert_eq!(
            Layout::parse("27 24 0:25 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw").mode(),
            Mode::V2
        );
        assert_eq!(
            Layout::parse("27 24 0:25 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory").mode(),
            Mode::V1
        );
        assert_eq!(Layout::parse("not a mount\n\n1 2 - cgroup").mode(), Mode::None);
    }

    #[test]
    fn reads_a_path_with_blanks() {
        assert_eq!(Layout::parse("27 24 0:25 / /a\\040b rw - cgroup2 c rw").hierarchies[0].path, "/a b");
    }
}
