"""An interpreter that has imported everything already and forks into sandboxes.

Starting Python and importing the SDK takes a few hundred milliseconds of processor time and tens of megabytes;
forking takes two milliseconds and shares the memory. This process never runs anything of a user's. The child that
does first enters the sandbox's namespaces and gives up every right, in the order of jail/privileges.rs.

Descriptor 3 is a line of messages from the warden; see warden/zygote.rs.
"""

import ctypes
import gc
import json
import os
import resource
import select
import signal
import socket
import sys

PR_SET_DUMPABLE, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP = 4, 24, 38, 22
SECCOMP_MODE_FILTER = 2
CLONE_NEWPID, CLONE_NEWUSER = 0x20000000, 0x10000000
SANDBOX_ID = 993

libc = ctypes.CDLL(None, use_errno=True)
libc.prctl.argtypes = [ctypes.c_int] + [ctypes.c_ulong] * 4


class Program(ctypes.Structure):
    """struct sock_fprog"""

    _fields_ = [("len", ctypes.c_ushort), ("filter", ctypes.c_char_p)]


def check(result, what):
    if result != 0:
        error = ctypes.get_errno()
        raise OSError(error, "%s: %s" % (what, os.strerror(error)))


def drop_bounding_set():
    for capability in range(64):
        if libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0:
            return


def give_up_rights(user, filters):
    drop_bounding_set()
    if user is not None:
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
        libc.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)
        # A further wall where the kernel allows it.
        if libc.unshare(CLONE_NEWUSER) == 0:
            try:
                write("/proc/self/uid_map", "%d %d 1" % (SANDBOX_ID, user))
                write("/proc/self/setgroups", "deny")
                write("/proc/self/gid_map", "%d %d 1" % (SANDBOX_ID, user))
            except OSError:
                pass
    drop_bounding_set()
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    check(libc.capset(header, (ctypes.c_uint32 * 6)()), "capset")
    check(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")
    for instructions in filters:
        program = Program(len(instructions) // 8, instructions)
        check(libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.addressof(program), 0, 0), "seccomp")


def write(path, text):
    with open(path, "w") as f:
        f.write(text)


def limit(name, value):
    resource.setrlimit(name, (value, value))


def enter(order, filters, init, output, channel, *groups):
    """Runs in the child, from here to the end of the sandbox."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for number, group in enumerate(groups):
        try:
            os.write(group, b"0")
        except OSError:
            if number < order["required_groups"]:
                raise
    check(libc.setns(init, order["namespaces"]), "setns")
    os.setsid()
    os.chdir("/var/task")
    for source, target in ((output, 1), (output, 2), (channel, 3)):
        os.dup2(source, target)
    os.closerange(4, 1024)
    limit(resource.RLIMIT_CORE, 0)
    limit(resource.RLIMIT_NOFILE, 1024)
    limit(resource.RLIMIT_MEMLOCK, 64 << 10)
    limit(resource.RLIMIT_MSGQUEUE, 0)
    if order["count_processes"]:
        limit(resource.RLIMIT_NPROC, 1024)
    give_up_rights(order["user"], filters)


def receive(line):
    """One message with up to eight descriptors."""
    data, control, _, _ = line.recvmsg(1 << 17, socket.CMSG_SPACE(8 * 4))
    fds = []
    for level, kind, payload in control:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds = [int.from_bytes(payload[i : i + 4], sys.byteorder) for i in range(0, len(payload), 4)]
    return (json.loads(data) if data else None), fds


def send(line, message):
    line.send(json.dumps(message).encode())


def bury(line):
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        if os.WIFSIGNALED(status):
            send(line, {"Ended": {"pid": pid, "status": {"Signal": os.WTERMSIG(status)}}})
        else:
            send(line, {"Ended": {"pid": pid, "status": {"Code": os.WEXITSTATUS(status)}}})


def main(argv):
    sys.path.insert(0, os.path.dirname(argv[0]))
    import bootstrap

    del sys.path[0]
    line = socket.socket(fileno=os.dup(3))
    os.set_inheritable(line.fileno(), False)
    os.close(3)
    bootstrap.prepare_streams()
    bootstrap.Runtime(None).preload(argv[1] if len(argv) > 1 else None)
    filters = [bytes.fromhex(text) for text in receive(line)[0]["filters"]]
    # The collector would write into every page that children share.
    gc.collect()
    gc.freeze()

    wake, woken = os.pipe()
    os.set_blocking(wake, False)
    os.set_blocking(woken, False)
    signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    send(line, "Ready")
    while True:
        ready, _, _ = select.select([line, wake], [], [])
        if wake in ready:
            os.read(wake, 4096)
            bury(line)
        if line not in ready:
            continue
        order, fds = receive(line)
        if order is None:
            os._exit(0)
        try:
            # Children are born in this pid namespace from now on; we are not in it ourselves.
            check(libc.setns(fds[0], CLONE_NEWPID), "setns")
            pid = os.fork()
        except OSError as error:
            send(line, {"Failed": {"id": order["id"], "error": str(error)}})
            pid = -1
        if pid == 0:
            break
        for fd in fds:
            os.close(fd)
        if pid > 0:
            send(line, {"Forked": {"id": order["id"], "pid": pid}})
    try:
        enter(order, filters, *fds)
    except Exception as error:
        os.write(fds[1] if len(fds) > 1 else 2, ("cannot enter the sandbox: %s\n" % error).encode())
        os._exit(1)
    line.detach()
    bootstrap.run()


if __name__ == "__main__":
    main(sys.argv)
