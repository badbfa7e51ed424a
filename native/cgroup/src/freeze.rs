//! Processes that stand still and go on.

use crate::fail::failed_on;
use crate::group::{Group, Member, write};
use berth_wire::{Code, Failure};
use std::time::{Duration, Instant};

/// How long the kernel may take to stop every process of a group.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(2);

impl Group {
    /// Stops every process of the group where it stands, and waits until all do.
    ///
    /// # Errors
    /// `NotPermitted` where no hierarchy can freeze.
    pub fn freeze(&self) -> Result<(), Failure> {
        let Some(member) = self.freezer() else {
            let message = "no cgroup hierarchy here lets this user freeze processes";
            return Err(Failure::new(Code::NotPermitted, "freeze container", message).hint(
                "Run as root of the machine or of a privileged container, or give this user a delegated cgroup (systemd: Delegate=yes)",
            ));
        };
        set(member, true).map_err(failed_on("freeze container", &member.path))?;
        let due = Instant::now() + PATIENCE;
        while !is_frozen(member) {
            if Instant::now() >= due {
                let _ = set(member, false);
                return Err(Failure::new(Code::System, "freeze container", "a process is stuck in the kernel"));
            }
            std::thread::sleep(PAUSE);
        }
        Ok(())
    }

    /// Lets the processes of the group go on. Where none can be frozen, none is.
    pub fn thaw(&self) {
        for member in &self.members {
            let _ = set(member, false);
        }
    }

    #[must_use]
    pub fn is_frozen(&self) -> bool {
        self.freezer().is_some_and(is_frozen)
    }

    /// v2 first: a process that it has frozen can still be killed.
    fn freezer(&self) -> Option<&Member> {
        let v2 = self
            .members
            .iter()
            .find(|member| member.v2 && member.text("cgroup.freeze").is_some());
        v2.or_else(|| self.members.iter().find(|member| !member.v2 && member.controls("freezer")))
    }
}

fn set(member: &Member, frozen: bool) -> Result<(), rustix::io::Errno> {
    match (member.v2, frozen) {
        (true, _) => write(&member.directory, "cgroup.freeze", if frozen { "1" } else { "0" }),
        (false, true) => write(&member.directory, "freezer.state", "FROZEN"),
        (false, false) => write(&member.directory, "freezer.state", "THAWED"),
    }
}

fn is_frozen(member: &Member) -> bool {
    if member.v2 {
        member.field("cgroup.events", "frozen") == Some(1)
    } else {
        member.text("freezer.state").is_some_and(|state| state.trim() == "FROZEN")
    }
}
