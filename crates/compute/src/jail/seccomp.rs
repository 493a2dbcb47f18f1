//! Which system calls a function may not make.
//!
//! A list of what is refused, not of what is allowed: functions bring any library they like, and what must be
//! out of reach is the kernel's administration, other processes' memory, and the few large interfaces that have
//! been the usual way out of containers. Refused calls fail with EPERM, as in the containers people know.

use std::collections::BTreeMap;

use nix::libc;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch, sock_filter,
};

/// Calls that fail whatever their arguments.
const REFUSED: &[libc::c_long] = &[
    // Mounts and namespaces.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsmount,
    libc::SYS_fsconfig,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_setns,
    libc::SYS_unshare,
    // Other processes.
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_kcmp,
    libc::SYS_pidfd_getfd,
    libc::SYS_process_madvise,
    // Kernel administration.
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_syslog,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_vhangup,
    libc::SYS_lookup_dcookie,
    libc::SYS_nfsservctl,
    libc::SYS_fanotify_init,
    // Large interfaces with a history of holes.
    libc::SYS_userfaultfd,
    libc::SYS_open_by_handle_at,
    libc::SYS_name_to_handle_at,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_move_pages,
    libc::SYS_migrate_pages,
    libc::SYS_mbind,
    libc::SYS_personality,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_iopl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ioperm,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_modify_ldt,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_uselib,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ustat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_sysfs,
];

/// Address families that remain: local, IPv4, IPv6 and routing information (for listing interfaces).
const FAMILIES: [libc::c_int; 4] = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];

const NEW_NAMESPACES: u64 = (libc::CLONE_NEWNS
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWCGROUP) as u64;

/// Compiles the filters, in the order in which they are to be installed.
///
/// `protected` are processes that may not be signalled: needed only where there is no pid namespace.
pub(crate) fn compile(protected: &[i32]) -> Result<Vec<BpfProgram>, seccompiler::BackendError> {
    let arch: TargetArch = std::env::consts::ARCH.try_into()?;
    let denied = SeccompAction::Errno(libc::EPERM as u32);

    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = REFUSED.iter().map(|&call| (call, vec![])).collect();
    let clone: Result<Vec<_>, _> =
        bits(NEW_NAMESPACES).map(|bit| when(0, SeccompCmpOp::MaskedEq(bit), bit)).collect();
    rules.insert(libc::SYS_clone, clone?);
    rules.insert(libc::SYS_socket, sockets()?);
    rules.insert(libc::SYS_socketpair, vec![when(0, SeccompCmpOp::Ne, libc::AF_UNIX as u64)?]);
    // Typing into the terminal of whoever started the cloud.
    let typing = [libc::TIOCSTI, libc::TIOCLINUX].map(|request| when(1, SeccompCmpOp::Eq, request));
    rules.insert(libc::SYS_ioctl, typing.into_iter().collect::<Result<_, _>>()?);
    if !protected.is_empty() {
        let mut targets = vec![when(0, SeccompCmpOp::Eq, u64::from(u32::MAX))?];
        for &pid in protected {
            targets.push(when(0, SeccompCmpOp::Eq, pid as u64)?);
            targets.push(when(0, SeccompCmpOp::Eq, u64::from((-pid) as u32))?);
        }
        for call in [
            libc::SYS_kill,
            libc::SYS_tkill,
            libc::SYS_tgkill,
            libc::SYS_pidfd_open,
            libc::SYS_rt_sigqueueinfo,
        ] {
            rules.insert(call, targets.clone());
        }
    }
    let mut main: BpfProgram = SeccompFilter::new(rules, SeccompAction::Allow, denied, arch)?.try_into()?;
    if arch == TargetArch::x86_64 {
        main.splice(0..0, refuse_x32());
    }

    // clone3 hides its flags in memory where a filter cannot look. "No such call" makes libc use clone.
    let absent = BTreeMap::from([(libc::SYS_clone3, vec![])]);
    let absent: BpfProgram =
        SeccompFilter::new(absent, SeccompAction::Allow, SeccompAction::Errno(libc::ENOSYS as u32), arch)?
            .try_into()?;
    Ok(vec![absent, main])
}

/// A rule on one 32-bit argument.
fn when(argument: u8, op: SeccompCmpOp, value: u64) -> Result<SeccompRule, seccompiler::BackendError> {
    SeccompRule::new(vec![SeccompCondition::new(argument, SeccompCmpArgLen::Dword, op, value)?])
}

fn sockets() -> Result<Vec<SeccompRule>, seccompiler::BackendError> {
    let family = |op, value: libc::c_int| SeccompCondition::new(0, SeccompCmpArgLen::Dword, op, value as u64);
    let not_listed: Result<Vec<_>, _> = FAMILIES.iter().map(|&f| family(SeccompCmpOp::Ne, f)).collect();
    // The type shares its word with SOCK_NONBLOCK and SOCK_CLOEXEC. SOCK_RAW on IP is refused, netlink is always raw.
    let raw = |f| -> Result<_, seccompiler::BackendError> {
        let kind = SeccompCondition::new(
            1,
            SeccompCmpArgLen::Dword,
            SeccompCmpOp::MaskedEq(0xf),
            libc::SOCK_RAW as u64,
        )?;
        SeccompRule::new(vec![family(SeccompCmpOp::Eq, f)?, kind])
    };
    let other_netlink = SeccompRule::new(vec![
        family(SeccompCmpOp::Eq, libc::AF_NETLINK)?,
        SeccompCondition::new(2, SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, libc::NETLINK_ROUTE as u64)?,
    ])?;
    Ok(vec![SeccompRule::new(not_listed?)?, raw(libc::AF_INET)?, raw(libc::AF_INET6)?, other_netlink])
}

fn bits(mask: u64) -> impl Iterator<Item = u64> {
    (0..64).map(|n| 1u64 << n).filter(move |bit| mask & bit != 0)
}

/// On x86-64 every call has a second number with bit 30 set (the x32 ABI) which the main filter does not know.
fn refuse_x32() -> [sock_filter; 3] {
    const LOAD_NUMBER: sock_filter = sock_filter { code: 0x20, jt: 0, jf: 0, k: 0 };
    const BELOW_X32: sock_filter = sock_filter { code: 0x35, jt: 0, jf: 1, k: 0x4000_0000 };
    const REFUSE: sock_filter = sock_filter { code: 0x06, jt: 0, jf: 0, k: 0x0005_0000 | libc::EPERM as u32 };
    [LOAD_NUMBER, BELOW_X32, REFUSE]
}

#[cfg(test)]
mod tests {
    #[test]
    fn compiles_with_and_without_protected_processes() {
        let plain = super::compile(&[]).unwrap();
        let protected = super::compile(&[10, 20]).unwrap();
        assert_eq!(plain.len(), 2);
        assert!(protected[1].len() > plain[1].len());
    }
}
