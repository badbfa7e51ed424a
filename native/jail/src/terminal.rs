//! A terminal of the container's own devpts.

use crate::fail::failed;
use crate::mounts;
use crate::report::Reporter;
use berth_sys::path::open_in_root;
use berth_wire::Failure;
use berth_wire::oci::Process;
use rustix::fd::{AsFd as _, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::pty::OpenptFlags;
use rustix::termios::Winsize;

/// Magic number of devpts in statfs.
const DEVPTS_MAGIC: u64 = 0x1cd1;

/// Opens a terminal below `root`, hands its other end to the parent, and shows it as `/dev/console` when `console` is set.
pub(crate) fn open(root: &OwnedFd, process: &Process, console: bool, reporter: &Reporter) -> Result<OwnedFd, Failure> {
    let master = master(root)
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
        mounts::place(root, "/dev/console", &tree, false, reporter)?;
    }
    reporter.hand_over(&master)?;
    Ok(terminal)
}

/// Where there is no devpts, whatever else the image has by that name is not even opened: a device may act on it.
fn master(root: &OwnedFd) -> Result<OwnedFd, Errno> {
    let folder = open_in_root(root, b"/dev/pts", OFlags::RDONLY | OFlags::DIRECTORY)?;
    let kind = rustix::fs::fstatfs(&folder)?.f_type;
    if u64::try_from(kind) != Ok(DEVPTS_MAGIC) {
        return Err(Errno::NODEV);
    }
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(&folder, "ptmx", flags, Mode::empty())
}

/// Makes the terminal this session's, and standard input, output and error.
pub(crate) fn take(terminal: &OwnedFd) -> Result<(), Failure> {
    rustix::process::ioctl_tiocsctty(terminal).map_err(failed("ioctl TIOCSCTTY"))
}
