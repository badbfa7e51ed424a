//! A terminal of the container's own devpts.

use crate::fail::failed;
use crate::mounts;
use crate::report::Reporter;
use crate::target;
use berth_sys::path::open_in_root;
use berth_wire::Failure;
use berth_wire::oci::Process;
use rustix::fd::{AsFd as _, OwnedFd};
use rustix::fs::OFlags;
use rustix::pty::OpenptFlags;
use rustix::termios::Winsize;

/// Opens a terminal below `root`, hands its other end to the parent, and shows it as `/dev/console` when `console` is set.
pub(crate) fn open(root: &OwnedFd, process: &Process, console: bool, reporter: &Reporter) -> Result<OwnedFd, Failure> {
    let master = open_in_root(root, b"/dev/pts/ptmx", OFlags::RDWR | OFlags::NOCTTY)
        .map_err(|error| failed("open /dev/pts/ptmx")(error).hint("A terminal needs a devpts on /dev/pts in the configuration"))?;
    rustix::pty::unlockpt(&master).map_err(failed("unlockpt"))?;
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let terminal = rustix::pty::ioctl_tiocgptpeer(&master, flags).map_err(failed("open terminal"))?;
    if let Some(size) = process.console_size {
        let size = Winsize {
            ws_row: size.height,
            ws_col: size.width,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        rustix::termios::tcsetwinsize(&terminal, size).map_err(failed("set terminal size"))?;
    }
    if console {
        let tree = mounts::clone_tree(terminal.as_fd(), "", false).map_err(failed("open_tree /dev/console"))?;
        let target = target::ensure(root, "/dev/console", false, reporter)?;
        mounts::attach(&tree, &target.fd).map_err(failed("mount /dev/console"))?;
    }
    reporter.hand_over(&master)?;
    Ok(terminal)
}

/// Makes the terminal this session's, and standard input, output and error.
pub(crate) fn take(terminal: &OwnedFd) -> Result<(), Failure> {
    rustix::process::ioctl_tiocsctty(terminal).map_err(failed("ioctl TIOCSCTTY"))
}
