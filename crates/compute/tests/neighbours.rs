//! What a hostile function tries on its neighbours: on other functions, on their credentials, on the kernel they share.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use cloudlet_compute::*;
use common::*;

/// What another function keeps to itself.
const SECRET: &str = "b3hav10ur-0f-a-neighb0ur";

/// A function at work, which has its secret in memory, in its environment, in /tmp, in its code and in shared memory.
async fn victim(lab: &Lab) -> tokio::task::JoinHandle<InvokeResult> {
    let mut spec = lab.python(&format!(
        "import mmap, os, socket, time\nCODE = '{SECRET}'\ndef handler(e, c):\n    open('/tmp/secret', 'w').write(CODE)\n    held = mmap.mmap(-1, 4096)\n    held.write(CODE.encode())\n    s = socket.socket(socket.AF_UNIX)\n    s.bind('\\0neighbour')\n    s.listen()\n    print('ready')\n    time.sleep(e)\n    return open('/tmp/secret').read()\n"
    ));
    spec.env.insert("SECRET".into(), SECRET.into());
    spec.credentials = Some(Arc::new(|| {
        Box::pin(async {
            Ok(Credentials {
                access_key_id: "ASIAVICTIM".into(),
                secret_access_key: SECRET.into(),
                session_token: SECRET.into(),
                expiration: SystemTime::now() + Duration::from_secs(3600),
            })
        })
    }));
    spec.timeout = Duration::from_secs(30);
    let spec = Arc::new(spec);
    let (compute, called) = (lab.compute.clone(), spec.clone());
    let call = tokio::spawn(async move {
        compute.invoke(called.clone(), Invocation::new("v", called.arn.clone(), &b"3"[..])).await.unwrap()
    });
    let begin = Instant::now();
    while !lab.logs.has("ready") && begin.elapsed() < Duration::from_secs(20) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    call
}

#[tokio::test]
async fn nothing_of_another_function_can_be_read() {
    let lab = lab();
    let victim = victim(&lab).await;
    let source = r#"
import ctypes, glob, os, socket
libc = ctypes.CDLL(None, use_errno=True)

def files(top):
    for folder, _, names in os.walk(top, followlinks=False):
        for name in names:
            yield os.path.join(folder, name)

def handler(secret, context):
    found = []
    def look(path):
        try:
            with open(path, 'rb') as f:
                if secret.encode() in f.read(1 << 20):
                    found.append(path)
        except OSError:
            pass
    own = os.getpid()
    for top in ('/tmp', '/var', '/opt', '/dev', '/etc', '/home', '/run', '/sys/fs', '/proc/sysvipc'):
        for path in files(top):
            look(path)
    for pid in [p for p in os.listdir('/proc') if p.isdigit() and int(p) != own]:
        for name in ('environ', 'cmdline', 'maps', 'mem', 'stack', 'io', 'auxv', 'limits'):
            look('/proc/%s/%s' % (pid, name))
        for path in files('/proc/%s/root/tmp' % pid):
            look(path)
    # By number, without seeing them: all processes of the host.
    for pid in range(1, 70000):
        if pid == own:
            continue
        try:
            fd = os.open('/proc/%d/environ' % pid, os.O_RDONLY)
            if secret.encode() in os.read(fd, 1 << 16):
                found.append('environ of %d' % pid)
            os.close(fd)
        except OSError:
            pass
    # Its socket without a file.
    try:
        s = socket.socket(socket.AF_UNIX)
        s.connect('\0neighbour')
        found.append('abstract socket')
    except OSError:
        pass
    # Shared memory and queues of System V.
    for key in range(64):
        if libc.shmat(key, None, 0o10000) not in (-1, 0xffffffff):
            found.append('shared memory %d' % key)
    env = [n for n, v in os.environ.items() if secret in v]
    return {'found': found, 'env': env, 'keys': os.environ.get('AWS_ACCESS_KEY_ID')}
"#;
    let mut spec = lab.python(source);
    spec.timeout = Duration::from_secs(60);
    spec.memory_mb = 512;
    let event = serde_json::Value::from(SECRET).to_string();
    let result = lab.call(&Arc::new(spec), &event).await;
    // The event itself is its own: it is in its memory only.
    assert_eq!(json(&result), serde_json::json!({"found": [], "env": [], "keys": null}), "{}", text(&result));
    let result = victim.await.unwrap();
    assert_eq!(json(&result), SECRET, "the neighbour went on undisturbed");
    lab.compute.shutdown().await;
}

#[tokio::test]
async fn a_sandbox_is_no_bigger_after_every_way_out() {
    let lab = lab();
    let source = r#"
import ctypes, os, resource, socket
libc = ctypes.CDLL(None, use_errno=True)

def tried(f):
    try:
        result = f()
    except OSError:
        return 'refused'
    return 'refused' if result == -1 else 'allowed'

def put(path, data):
    fd = os.open(path, os.O_WRONLY)
    os.write(fd, data)

def limit():
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (1 << 20, 1 << 20))
        return 'allowed'
    except (OSError, ValueError):
        return 'refused'

def handler(event, context):
    def open_close(path, flags=os.O_RDONLY):
        return lambda: os.close(os.open(path, flags))
    def handle():
        # open_by_handle_at on the root: the well-known way out of containers.
        class Handle(ctypes.Structure):
            _fields_ = [('bytes', ctypes.c_uint), ('kind', ctypes.c_int), ('data', ctypes.c_char * 8)]
        h = Handle(8, 1, (2).to_bytes(8, 'little'))
        root = os.open('/', os.O_RDONLY)
        return libc.syscall(304, root, ctypes.byref(h), 0)
    def pivot():
        os.makedirs('/tmp/a', exist_ok=True)
        return libc.syscall(155, b'/tmp/a', b'/tmp/a')
    out = {
        'setns of init': tried(lambda: libc.setns(os.open('/proc/1/ns/mnt', os.O_RDONLY), 0)),
        'clone into a user namespace': tried(lambda: libc.unshare(0x10000000 | 0x00020000)),
        'root of init': tried(lambda: os.listdir('/proc/1/root/root')),
        'chroot': tried(lambda: os.chroot('/tmp')),
        'pivot_root': tried(pivot),
        'open_by_handle_at': tried(handle),
        'move_mount': tried(lambda: libc.syscall(429, -100, b'/tmp', -100, b'/usr', 0)),
        'open_tree': tried(lambda: libc.syscall(428, -100, b'/', 1)),
        'fsopen': tried(lambda: libc.syscall(430, b'tmpfs', 0)),
        'mount proc': tried(lambda: libc.mount(b'proc', b'/tmp', b'proc', 0, None)),
        'remount the root': tried(lambda: libc.mount(None, b'/', None, 32, None)),
        'umount /proc': tried(lambda: libc.umount2(b'/proc', 2)),
        'make a device': tried(lambda: os.mknod('/tmp/disk', 0o60666, os.makedev(8, 0))),
        'read the disk': tried(open_close('/dev/sda')) if os.path.exists('/dev/sda') else 'refused',
        'read /dev/mem': tried(open_close('/dev/mem')),
        'read /dev/kmsg': tried(open_close('/dev/kmsg')),
        'use /dev/kvm': tried(open_close('/dev/kvm', os.O_RDWR)),
        'use /dev/fuse': tried(open_close('/dev/fuse', os.O_RDWR)),
        'use /dev/net/tun': tried(open_close('/dev/net/tun', os.O_RDWR)),
        'write core_pattern': tried(open_close('/proc/sys/kernel/core_pattern', os.O_WRONLY)),
        'write sysrq': tried(open_close('/proc/sysrq-trigger', os.O_WRONLY)),
        'write own oom score': tried(lambda: put('/proc/self/oom_score_adj', b'-1000')),
        'write a uid map': tried(lambda: put('/proc/self/uid_map', b'0 0 1')),
        'write cgroups': tried(lambda: os.mkdir('/sys/fs/cgroup/mine')),
        'ptrace': tried(lambda: libc.ptrace(16, os.getppid(), 0, 0)),
        'read memory of another': tried(lambda: libc.syscall(310, os.getppid(), None, 0, None, 0, 0)),
        'load a module': tried(lambda: libc.syscall(313, 0, b'', 0)),
        'kexec': tried(lambda: libc.syscall(246, 0, 0, 0, 0)),
        'set the clock': tried(lambda: libc.syscall(227, 0, None)),
        'set the name of the host': tried(lambda: libc.sethostname(b'x', 1)),
        'reboot': tried(lambda: libc.reboot(0x1234567)),
        'raise nice': tried(lambda: os.nice(-5)),
        'real time': tried(lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))),
        'raise a limit': limit(),
        'become root': tried(lambda: os.setuid(0)),
        'gain by a set-uid file': 'refused',
    }
    try:
        open('/tmp/suid', 'wb').write(open('/bin/sh', 'rb').read())
        os.chmod('/tmp/suid', 0o4755)
        if os.stat('/tmp/suid').st_uid == 0:
            out['gain by a set-uid file'] = 'allowed'
    except OSError:
        pass
    return out
"#;
    let result = lab.once(source).await;
    assert_eq!(result.function_error, None, "{}", text(&result));
    for (way, state) in json(&result).as_object().unwrap() {
        assert_eq!(state, "refused", "{way}");
    }
    lab.compute.shutdown().await;
}

/// Several busy loops do not keep a small function, nor the cloud, from answering.
#[tokio::test]
async fn busy_loops_starve_nobody() {
    let lab = lab();
    let mut spec = lab.python("import threading\ndef spin():\n    while True:\n        pass\ndef handler(e, c):\n    for _ in range(8):\n        threading.Thread(target=spin, daemon=True).start()\n    spin()\n");
    spec.timeout = Duration::from_secs(4);
    let spec = Arc::new(spec);
    let busy: Vec<_> = (0..3)
        .map(|n| {
            let (compute, spec) = (lab.compute.clone(), spec.clone());
            tokio::spawn(async move {
                compute
                    .invoke(spec.clone(), Invocation::new(format!("b{n}"), spec.arn.clone(), &b"1"[..]))
                    .await
            })
        })
        .collect();
    let quiet = Arc::new(lab.python("def handler(e, c):\n    return 'fine'\n"));
    for _ in 0..20 {
        assert_eq!(text(&lab.call(&quiet, "{}").await), "\"fine\"");
    }
    for call in busy {
        assert_eq!(call.await.unwrap().unwrap().error_type.as_deref(), Some("Sandbox.Timedout"));
    }
    lab.compute.shutdown().await;
}
