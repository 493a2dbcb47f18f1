//! The system calls that the standard library and nix do not wrap, each in the smallest unsafe block.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::libc;

fn check(result: libc::c_long) -> io::Result<libc::c_long> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

pub(crate) fn c_path(path: &Path) -> io::Result<CString> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))
}

/// What `fork` gives to each side.
pub(crate) enum Forked {
    Child,
    Parent(i32),
}

/// `fork` into new namespaces (`CLONE_NEW*` flags, or 0 for a plain fork).
///
/// Only for single-threaded processes: the child goes on with a copy of the whole program.
#[allow(unsafe_code)]
pub(crate) fn fork_into(namespaces: libc::c_int) -> io::Result<Forked> {
    let flags = libc::c_long::from(namespaces) | libc::c_long::from(libc::SIGCHLD);
    // SAFETY: without CLONE_VM and with a null stack, clone behaves as fork: the child runs on a copy of this
    // stack. The warden and the sandbox's init are single-threaded, so no lock is left held by a vanished thread.
    let pid = check(unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) })?;
    Ok(if pid == 0 { Forked::Child } else { Forked::Parent(pid as i32) })
}

/// A detached copy of the mount tree at `path`, to be put in place elsewhere with [`move_mount`]. Linux 5.2.
#[allow(unsafe_code)]
pub(crate) fn open_tree(path: &Path) -> io::Result<OwnedFd> {
    let path = c_path(path)?;
    let flags = libc::OPEN_TREE_CLONE | libc::OPEN_TREE_CLOEXEC;
    // SAFETY: the path is a valid C string for the duration of the call.
    let fd = check(unsafe {
        libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, path.as_ptr(), flags as libc::c_uint)
    })?;
    // SAFETY: the kernel just gave us this descriptor; nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// The kernel's `struct mount_attr`.
#[repr(C)]
struct MountAttr {
    set: u64,
    clear: u64,
    propagation: u64,
    userns_fd: u64,
}

/// Makes a detached tree read-only, without set-user-id and devices. Linux 5.12.
pub(crate) fn make_read_only(tree: BorrowedFd<'_>) -> io::Result<()> {
    set_mount_attributes(tree.as_raw_fd(), c"", READ_ONLY | NO_SUID | NO_DEVICES, libc::AT_EMPTY_PATH)
}

/// Makes the mount at `path` and every mount below it read-only, without set-user-id. Linux 5.12.
pub(crate) fn make_all_read_only(path: &Path, devices: bool) -> io::Result<()> {
    let set = READ_ONLY | NO_SUID | if devices { 0 } else { NO_DEVICES };
    set_mount_attributes(libc::AT_FDCWD, &c_path(path)?, set, libc::AT_RECURSIVE)
}

const READ_ONLY: u64 = 1;
const NO_SUID: u64 = 2;
const NO_DEVICES: u64 = 4;

#[allow(unsafe_code)]
fn set_mount_attributes(at: i32, path: &std::ffi::CStr, set: u64, flags: libc::c_int) -> io::Result<()> {
    let attr = MountAttr { set, clear: 0, propagation: 0, userns_fd: 0 };
    // SAFETY: `attr` has the layout and the size that is passed; the path is a C string that outlives the call.
    check(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            at,
            path.as_ptr(),
            flags as libc::c_uint,
            &raw const attr,
            size_of::<MountAttr>(),
        )
    })?;
    Ok(())
}

/// Puts a detached tree at `path` in the caller's mount namespace. Linux 5.2.
#[allow(unsafe_code)]
pub(crate) fn move_mount(tree: BorrowedFd<'_>, path: &Path) -> io::Result<()> {
    let path = c_path(path)?;
    const FROM_EMPTY_PATH: libc::c_uint = 4;
    // SAFETY: both strings are valid C strings for the duration of the call.
    check(unsafe {
        libc::syscall(
            libc::SYS_move_mount,
            tree.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_FDCWD,
            path.as_ptr(),
            FROM_EMPTY_PATH,
        )
    })?;
    Ok(())
}

/// A descriptor that stands for a process. Linux 5.3.
#[allow(unsafe_code)]
pub(crate) fn pidfd_open(pid: i32) -> io::Result<OwnedFd> {
    // SAFETY: takes integers and gives a new descriptor that nobody else owns.
    unsafe {
        let fd = check(libc::syscall(libc::SYS_pidfd_open, pid, 0))?;
        Ok(OwnedFd::from_raw_fd(fd as i32))
    }
}

/// `pivot_root`.
#[allow(unsafe_code)]
pub(crate) fn pivot_root(new: &Path, old: &Path) -> io::Result<()> {
    let (new, old) = (c_path(new)?, c_path(old)?);
    // SAFETY: both are valid C strings for the duration of the call.
    check(unsafe { libc::syscall(libc::SYS_pivot_root, new.as_ptr(), old.as_ptr()) })?;
    Ok(())
}

/// `prctl` with integer arguments only.
#[allow(unsafe_code)]
pub(crate) fn prctl(option: libc::c_int, a: libc::c_ulong) -> io::Result<()> {
    let zero: libc::c_ulong = 0;
    // SAFETY: only options whose arguments are integers are passed by this crate.
    check(libc::c_long::from(unsafe { libc::prctl(option, a, zero, zero, zero) }))?;
    Ok(())
}

/// Gives up every capability, in every set.
#[allow(unsafe_code)]
pub(crate) fn clear_capabilities() -> io::Result<()> {
    #[repr(C)]
    struct Header {
        version: u32,
        pid: i32,
    }
    const VERSION_3: u32 = 0x2008_0522;
    let header = Header { version: VERSION_3, pid: 0 };
    let none = [0u32; 6];
    // SAFETY: version 3 reads a header and two blocks of three words, which is what is passed.
    check(unsafe { libc::syscall(libc::SYS_capset, &raw const header, none.as_ptr()) })?;
    Ok(())
}

/// Brings the loopback interface of the current network namespace up.
#[allow(unsafe_code)]
pub(crate) fn loopback_up() -> io::Result<()> {
    let socket = std::net::UdpSocket::bind(("0.0.0.0", 0))?;
    // SAFETY: all-zero is a valid ifreq.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = *from as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: SIOCSIFFLAGS reads one ifreq, which lives through the call.
    check(libc::c_long::from(unsafe {
        libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS as _, &raw const request)
    }))?;
    Ok(())
}

/// Closes every descriptor from `first` up. Linux 5.9, else by walking /proc.
#[allow(unsafe_code)]
pub(crate) fn close_from(first: i32) {
    // SAFETY: closing descriptors by number is sound here: callers run right after a fork or at program start
    // and go on to use only descriptors below `first`.
    if unsafe { libc::syscall(libc::SYS_close_range, first as libc::c_uint, libc::c_uint::MAX, 0) } == 0 {
        return;
    }
    let open: Vec<i32> = std::fs::read_dir("/proc/self/fd")
        .map(|dir| dir.flatten().filter_map(|e| e.file_name().to_str()?.parse().ok()).collect())
        .unwrap_or_default();
    for fd in open.into_iter().filter(|&fd| fd >= first) {
        // SAFETY: as above.
        unsafe { libc::close(fd) };
    }
}

/// Makes descriptor number `to` refer to what `from` refers to, inherited by programs that are run.
#[allow(unsafe_code)]
pub(crate) fn dup_to(from: i32, to: i32) -> io::Result<()> {
    if from == to {
        // SAFETY: F_SETFD takes an integer.
        check(libc::c_long::from(unsafe { libc::fcntl(to, libc::F_SETFD, 0) }))?;
        return Ok(());
    }
    // SAFETY: dup2 replaces descriptor `to`; callers pass the low numbers they own (0 to 3).
    check(libc::c_long::from(unsafe { libc::dup2(from, to) }))?;
    Ok(())
}

/// A second descriptor at `lowest` or above, closed on exec.
#[allow(unsafe_code)]
pub(crate) fn dup_above(fd: BorrowedFd<'_>, lowest: i32) -> io::Result<OwnedFd> {
    // SAFETY: F_DUPFD_CLOEXEC takes an integer and gives a new descriptor that nobody else owns.
    unsafe {
        let new = check(libc::c_long::from(libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, lowest)))?;
        Ok(OwnedFd::from_raw_fd(new as i32))
    }
}

/// Takes over a descriptor that this process was started with.
#[allow(unsafe_code)]
pub(crate) fn inherited(fd: i32) -> OwnedFd {
    // SAFETY: used once, at the start of a program that was given this descriptor by its parent.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// Sets a limit of this process, soft and hard.
#[allow(unsafe_code)]
pub(crate) fn set_limit(pid: i32, resource: u32, value: u64) -> io::Result<()> {
    let limit = libc::rlimit64 { rlim_cur: value, rlim_max: value };
    // SAFETY: reads one rlimit64 and writes none.
    check(unsafe {
        libc::syscall(libc::SYS_prlimit64, pid, resource, &raw const limit, std::ptr::null::<libc::c_void>())
    })?;
    Ok(())
}

/// Leaves without running destructors or exit handlers of the program that was forked.
#[allow(unsafe_code)]
pub(crate) fn exit(code: i32) -> ! {
    // SAFETY: _exit does not return and touches no memory of ours.
    unsafe { libc::_exit(code) }
}
