//! The same walls on machines that give less: a program that nobody made root, and one that may not make control groups.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cloudlet_compute::*;
use common::*;

const NOBODY: u32 = 65534;

/// A cloud whose sandboxes are made by a child that `wrapper` starts, a shell line that ends in the program and its
/// arguments.
fn lab_behind(wrapper: &str) -> Lab {
    lab_with(|config| {
        let child = config.child.display().to_string();
        let outer = config.state_dir.parent().unwrap().to_owned();
        let script = outer.join("child");
        // The program itself may lie where not everybody may go.
        let own = outer.join("program");
        std::fs::copy(child, &own).unwrap();
        std::fs::write(
            &script,
            format!("#!/bin/sh\nPATH=/usr/sbin:/usr/bin:/sbin:/bin\n{wrapper} {} \"$@\"\n", own.display()),
        )
        .unwrap();
        for path in [&own, &script] {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        std::fs::set_permissions(&outer, std::fs::Permissions::from_mode(0o755)).unwrap();
        std::fs::create_dir_all(&config.state_dir).unwrap();
        chown(&config.state_dir, Some(NOBODY), Some(NOBODY)).unwrap();
        config.child = script;
        if Path::new("/usr/bin/python3").exists() {
            config.interpreters.insert("python3.11".into(), "/usr/bin/python3".into());
        }
    })
}

/// The labs of this machine, with what they lack.
fn labs() -> Vec<(&'static str, Lab)> {
    if !nix_is_root() {
        eprintln!(
            "skipped: only root can take away what root has; the other tests run with what this user has"
        );
        return vec![];
    }
    let unprivileged = "exec setpriv --reuid=65534 --regid=65534 --clear-groups --bounding-set=-all --";
    // An empty file system where control groups are mounted, in a mount namespace of the warden's own.
    let without_groups =
        "exec unshare --mount sh -c 'mount -t tmpfs none /sys/fs/cgroup && exec \"$0\" \"$@\"'";
    vec![
        ("an unprivileged user", lab_behind(unprivileged)),
        ("no control groups", lab_behind(without_groups)),
    ]
}

fn nix_is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|meta| std::os::unix::fs::MetadataExt::uid(&meta) == 0)
}

#[tokio::test]
async fn what_is_missing_is_said() {
    for (what, lab) in labs() {
        let script = lab.state().join("child");
        let found = probe(&script);
        let missing: Vec<_> = found.iter().filter(|c| !c.available).map(|c| c.name.as_str()).collect();
        for name in ["memory limit", "process limit", "processor shares"] {
            assert!(missing.contains(&name), "{what}: {found:?}");
        }
        assert!(found.iter().filter(|c| !c.available).all(|c| !c.detail.is_empty()));
        lab.compute.shutdown().await;
    }
}

#[tokio::test]
async fn hostile_functions_are_held_all_the_same() {
    for (what, lab) in labs() {
        let fine = lab.once("import os\ndef handler(e, c):\n    return os.getuid()\n").await;
        assert_eq!(fine.function_error, None, "{what}: {} {:?}", text(&fine), lab.logs.all());
        assert_ne!(text(&fine), "0", "{what}");

        let hungry = lab
            .once("def handler(e, c):\n    hoard = []\n    while True:\n        hoard.append(bytearray(4 << 20))\n")
            .await;
        let kind = json(&hungry)["errorType"].as_str().unwrap().to_owned();
        // Where only its address space is limited, Python itself may be told no first.
        assert!(kind == "Runtime.OutOfMemory" || kind == "MemoryError", "{what}: {}", text(&hungry));

        let mut forks = lab.python(
            "import os, time\ndef handler(e, c):\n    while True:\n        try:\n            if os.fork() == 0:\n                continue\n        except OSError:\n            time.sleep(0.01)\n",
        );
        forks.timeout = Duration::from_secs(2);
        assert!(lab.call(&Arc::new(forks), "{}").await.function_error.is_some(), "{what}");

        let mut deaf = lab.python("import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\ndef handler(e, c):\n    time.sleep(100)\n");
        deaf.timeout = Duration::from_secs(1);
        assert_eq!(json(&lab.call(&Arc::new(deaf), "{}").await)["errorType"], "Sandbox.Timedout", "{what}");

        let secret = lab.state().join("secret");
        std::fs::write(&secret, "s3cr3t").unwrap();
        std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).unwrap();
        let look = format!(
            "import ctypes, os, signal, socket\nlibc = ctypes.CDLL(None, use_errno=True)\ndef tried(f):\n    try:\n        r = f()\n    except OSError:\n        return 'refused'\n    return 'refused' if r == -1 else 'allowed'\ndef handler(e, c):\n    return {{\n        'secret': tried(lambda: open({:?}).read()),\n        'code': tried(lambda: open(os.environ['LAMBDA_TASK_ROOT'] + '/app.py', 'a')),\n        'mount': tried(lambda: libc.mount(b'none', b'/tmp', b'tmpfs', 0, None)),\n        'namespaces': tried(lambda: libc.unshare(0x10000000)),\n        'ptrace': tried(lambda: libc.ptrace(16, os.getppid(), 0, 0)),\n        'raw sockets': tried(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)),\n        'io_uring': tried(lambda: libc.syscall(425, 1, 0)),\n        'root': tried(lambda: os.setuid(0)),\n        'disk': tried(lambda: os.mknod('/tmp/disk', 0o60666, os.makedev(8, 0))),\n        'memory of the kernel': tried(lambda: open('/dev/mem', 'rb')),\n        'sysrq': tried(lambda: open('/proc/sysrq-trigger', 'w')),\n    }}\n",
            secret.to_str().unwrap()
        );
        let seen = lab.once(&look).await;
        assert_eq!(seen.function_error, None, "{what}: {}", text(&seen));
        for (door, state) in json(&seen).as_object().unwrap() {
            assert_eq!(state, "refused", "{what}: {door}");
        }

        let last = lab.once("def handler(e, c):\n    return 'fine'\n").await;
        assert_eq!(text(&last), "\"fine\"", "{what}");
        lab.compute.shutdown().await;
    }
}

/// Root in a container that may make no namespaces, with its state below its home, where nobody else may go.
#[tokio::test]
async fn functions_run_where_nobody_may_enter_the_state_folder() {
    let lab = lab_with(|config| {
        let outer = config.state_dir.parent().unwrap().to_owned();
        std::fs::set_permissions(&outer, std::fs::Permissions::from_mode(0o700)).unwrap();
        config.isolation = Isolation::Plain;
    });
    let result = lab
        .once("import os\ndef handler(e, c):\n    open(os.environ['TMPDIR'] + '/x', 'w').write('x')\n    return [os.listdir(os.environ['LAMBDA_TASK_ROOT']), os.getuid()]\n")
        .await;
    assert_eq!(json(&result)[0], serde_json::json!(["app.py"]), "{} {:?}", text(&result), lab.logs.all());
    assert_ne!(json(&result)[1], 0);
    lab.compute.shutdown().await;
    let name = format!("cloudlet-functions-{}-", std::process::id());
    let left = || {
        let entries = std::fs::read_dir(std::env::temp_dir()).unwrap().flatten();
        entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(&name)).count()
    };
    drop(lab);
    let begin = std::time::Instant::now();
    while left() > 0 && begin.elapsed() < Duration::from_secs(10) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(left(), 0);
}
