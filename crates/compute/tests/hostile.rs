//! What a hostile function tries, and what it gets.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::sync::Arc;
use std::time::{Duration, Instant};

use cloudlet_compute::*;
use common::*;

/// After whatever `source` did, another function must run as if nothing had happened.
async fn neighbour_is_fine(lab: &Lab) {
    let result = lab.once("def handler(event, context):\n    return 'fine'\n").await;
    assert_eq!(text(&result), "\"fine\"");
}

#[tokio::test]
async fn ignoring_the_timeout_does_not_help() {
    for lab in both_labs() {
        let mut spec = lab.python(
            "import signal, time, subprocess\nfor s in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):\n    signal.signal(s, signal.SIG_IGN)\ndef handler(event, context):\n    subprocess.Popen(['sleep', '1000'], start_new_session=True)\n    print('going to sleep')\n    while True:\n        time.sleep(100)\n",
        );
        spec.timeout = Duration::from_secs(1);
        let spec = Arc::new(spec);
        let begin = Instant::now();
        let result = lab.call(&spec, "{}").await;
        assert!(begin.elapsed() < Duration::from_secs(4));
        assert_eq!(json(&result)["errorType"], "Sandbox.Timedout");
        let message = json(&result)["errorMessage"].as_str().unwrap().to_owned();
        assert!(
            message.starts_with("RequestId: ")
                && message.ends_with(" Error: Task timed out after 1.00 seconds")
        );
        let tail = String::from_utf8(result.log_tail.clone()).unwrap();
        assert!(
            tail.contains("going to sleep\n") && tail.contains(" Task timed out after 1.00 seconds\n"),
            "{tail}"
        );
        assert!(tail.contains("Duration: 1000.00 ms\tBilled Duration: "), "{tail}");
        assert!(tail.contains("\tStatus: timeout"), "{tail}");
        neighbour_is_fine(&lab).await;
        lab.compute.shutdown().await;
    }
}

#[tokio::test]
async fn exits_and_crashes_are_reported_as_lambda_does() {
    let cases = [
        ("import os\ndef handler(e, c):\n    os._exit(1)\n", "Runtime exited with error: exit status 1"),
        ("import sys\ndef handler(e, c):\n    sys.exit(0)\n", "Runtime exited without providing a reason"),
        (
            "import os\ndef handler(e, c):\n    os.kill(os.getpid(), 9)\n",
            "Runtime exited with error: signal: killed",
        ),
        (
            "import ctypes\ndef handler(e, c):\n    ctypes.string_at(0)\n",
            "Runtime exited with error: signal: segmentation fault",
        ),
    ];
    for lab in both_labs() {
        for (source, words) in cases {
            let result = lab.once(source).await;
            assert_eq!(result.function_error, Some(FunctionError::Unhandled));
            assert_eq!(json(&result)["errorType"], "Runtime.ExitError", "{source}");
            let message = json(&result)["errorMessage"].as_str().unwrap().to_owned();
            assert!(
                message.starts_with("RequestId: ") && message.ends_with(&format!(" Error: {words}")),
                "{message}"
            );
            let tail = String::from_utf8(result.log_tail.clone()).unwrap();
            assert!(tail.contains("\tStatus: error\tError Type: Runtime.ExitError"), "{tail}");
        }
        neighbour_is_fine(&lab).await;
        lab.compute.shutdown().await;
    }
}

#[tokio::test]
async fn memory_is_limited() {
    for lab in both_labs() {
        let result = lab
            .once("def handler(e, c):\n    hoard = []\n    while True:\n        hoard.append(bytearray(4 << 20))\n")
            .await;
        assert_eq!(json(&result)["errorType"], "Runtime.OutOfMemory", "{}", text(&result));
        assert!(text(&result).contains("signal: killed"));
        assert_eq!(result.max_memory_mb, 128);
        neighbour_is_fine(&lab).await;
        lab.compute.shutdown().await;
    }
}

#[tokio::test]
async fn a_fork_bomb_stays_inside() {
    for lab in both_labs() {
        let mut spec = lab.python(
            "import os, time\ndef handler(e, c):\n    while True:\n        try:\n            if os.fork() == 0:\n                continue\n        except OSError:\n            time.sleep(0.01)\n",
        );
        spec.timeout = Duration::from_secs(2);
        spec.memory_mb = 1024;
        let spec = Arc::new(spec);
        let result = lab.call(&spec, "{}").await;
        assert!(result.function_error.is_some(), "{}", text(&result));
        neighbour_is_fine(&lab).await;
        // Nothing of it is left.
        lab.compute.shutdown().await;
        assert_eq!(processes_that_mention(lab.state().to_str().unwrap()), Vec::<String>::new());
    }
}

/// Command lines of processes that carry this text.
fn processes_that_mention(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        if entry.file_name().to_string_lossy().parse::<u32>().is_err() {
            continue;
        }
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        if line.contains(text) {
            found.push(line);
        }
    }
    found
}

#[tokio::test]
async fn killing_everything_in_sight_kills_nobody_else() {
    for lab in both_labs() {
        let result = lab
            .once(
                "import os, signal\ndef handler(e, c):\n    out = {}\n    for pid in (-1, os.getppid(), 1):\n        try:\n            os.kill(pid, signal.SIGKILL)\n            out[str(pid)] = 'sent'\n        except OSError as x:\n            out[str(pid)] = x.strerror\n    return out\n",
            )
            .await;
        // Whatever became of itself: the machine goes on.
        assert!(result.function_error.is_some() || json(&result).is_object());
        neighbour_is_fine(&lab).await;
        lab.compute.shutdown().await;
    }
}

#[tokio::test]
async fn the_disk_is_bounded() {
    let lab = lab();
    let result = lab
        .once(
            "import os\ndef handler(e, c):\n    n = 0\n    try:\n        with open('/tmp/fill', 'wb', buffering=0) as f:\n            while n < 2 << 30:\n                n += f.write(bytes(1 << 20))\n    except OSError as x:\n        return [n >> 20, x.strerror]\n    return n >> 20\n",
        )
        .await;
    let (written, why) = (json(&result)[0].as_u64(), json(&result)[1].as_str().map(str::to_owned));
    assert_eq!((written, why.as_deref()), (Some(512), Some("No space left on device")), "{}", text(&result));
    neighbour_is_fine(&lab).await;
    lab.compute.shutdown().await;
}

#[tokio::test]
async fn printing_without_end_is_bounded() {
    for isolation in [Isolation::Auto, Isolation::Plain] {
        let lab = lab_with(|config| {
            config.isolation = isolation;
            config.max_log_bytes = 1 << 20;
        });
        let mut spec = lab.python(
            "import os\ndef handler(e, c):\n    line = b'x' * 1000 + b'\\n'\n    for _ in range(1 << 10):\n        os.write(1, line * 100)\n    return 'done'\n",
        );
        spec.timeout = Duration::from_secs(60);
        let result = lab.call(&Arc::new(spec), "{}").await;
        assert_eq!(text(&result), "\"done\"");
        assert!(lab.logs.bytes() < (1 << 20) + 10_000);
        assert!(lab.logs.has("bytes of this invocation's output were dropped"));
        lab.compute.shutdown().await;
    }
}

#[tokio::test]
async fn code_and_root_cannot_be_written() {
    let lab = lab();
    let result = lab
        .once(
            "import os\ndef handler(e, c):\n    out = {}\n    for path in ('/var/task/app.py', '/var/task/new', '/usr/bin/new', '/new', '/etc/passwd', '/opt/new', '/dev/new', '/proc/sys/kernel/hostname', '/var/new'):\n        try:\n            open(path, 'a').close()\n            out[path] = 'written'\n        except OSError as x:\n            out[path] = x.strerror\n    try:\n        os.chmod('/var/task/app.py', 0o777)\n        out['chmod'] = 'done'\n    except OSError as x:\n        out['chmod'] = x.strerror\n    return out\n",
        )
        .await;
    for (path, what) in json(&result).as_object().unwrap() {
        let refused = ["Read-only file system", "Permission denied", "Operation not permitted"];
        assert!(refused.contains(&what.as_str().unwrap()), "{path}: {what}");
    }
    lab.compute.shutdown().await;
}

#[tokio::test]
async fn nothing_of_the_host_is_seen() {
    let lab = lab();
    let secret = lab.state().join("data");
    std::fs::create_dir_all(&secret).unwrap();
    std::fs::write(secret.join("secret"), "s3cr3t").unwrap();
    let other =
        Arc::new(lab.python("def handler(e, c):\n    open('/tmp/mine', 'w').write('x')\n    return 1\n"));
    lab.call(&other, "{}").await;
    let source = format!(
        "import os, glob\ndef handler(e, c):\n    out = {{}}\n    out['data'] = os.path.exists({:?})\n    out['root'] = sorted(os.listdir('/'))\n    out['home'] = os.path.exists('/root/.bashrc') or os.path.exists('/root/.ssh') or os.path.exists('/root/.cache')\n    out['tmp'] = os.listdir('/tmp')\n    out['pids'] = sorted(int(p) for p in os.listdir('/proc') if p.isdigit())\n    out['task'] = os.listdir('/var/task')\n    out['environ'] = [p for p in glob.glob('/proc/[0-9]*/environ') if p != '/proc/%d/environ' % os.getpid() and readable(p)]\n    out['init_root'] = readable_dir('/proc/1/root') or readable_dir('/proc/1/cwd') or readable_dir('/proc/1/fd')\n    out['uid'] = os.getuid()\n    out['caps'] = [l.split()[1] for l in open('/proc/self/status') if l.startswith('Cap')]\n    out['nnp'] = [l.split()[1] for l in open('/proc/self/status') if l.startswith(('NoNewPrivs', 'Seccomp:'))]\n    out['fds'] = sorted(int(f) for f in os.listdir('/proc/self/fd'))\n    return out\ndef readable(p):\n    try:\n        return bool(open(p).read())\n    except OSError:\n        return False\ndef readable_dir(p):\n    try:\n        return bool(os.listdir(p))\n    except OSError:\n        return False\n",
        secret.to_str().unwrap()
    );
    let result = lab.once(&source).await;
    let seen = json(&result);
    assert_eq!(result.function_error, None, "{seen}");
    assert_eq!(seen["data"], false);
    assert_eq!(seen["home"], false);
    assert_eq!(seen["tmp"], serde_json::json!([]));
    assert_eq!(seen["task"], serde_json::json!(["app.py"]));
    assert_eq!(seen["environ"], serde_json::json!([]));
    assert_eq!(seen["init_root"], false);
    assert_eq!(seen["pids"].as_array().unwrap().len(), 2, "{seen}");
    assert_ne!(seen["uid"], 0);
    assert!(seen["caps"].as_array().unwrap().iter().all(|c| c == "0000000000000000"), "{seen}");
    assert_eq!(seen["nnp"], serde_json::json!(["1", "2"]));
    assert!(seen["fds"].as_array().unwrap().len() <= 5, "{seen}");
    lab.compute.shutdown().await;
}

#[tokio::test]
async fn the_kernel_keeps_its_doors_shut() {
    for lab in both_labs() {
        let result = lab
            .once(
                "import ctypes, os, socket\nlibc = ctypes.CDLL(None, use_errno=True)\ndef tried(f):\n    try:\n        r = f()\n    except OSError as x:\n        return 'refused'\n    if isinstance(r, int) and r == -1:\n        return 'refused'\n    return 'allowed'\ndef handler(e, c):\n    return {\n        'mount': tried(lambda: libc.mount(b'none', b'/tmp', b'tmpfs', 0, None)),\n        'unshare_user': tried(lambda: libc.unshare(0x10000000)),\n        'unshare_ns': tried(lambda: libc.unshare(0x00020000)),\n        'ptrace': tried(lambda: libc.ptrace(16, os.getppid(), 0, 0)),\n        'bpf': tried(lambda: libc.syscall(321, 0, 0, 0)),\n        'keyctl': tried(lambda: libc.syscall(250, 0, 0, 0)),\n        'io_uring': tried(lambda: libc.syscall(425, 1, 0)),\n        'userfaultfd': tried(lambda: libc.syscall(323, 0)),\n        'perf': tried(lambda: libc.syscall(298, 0, 0, 0, 0, 0)),\n        'x32': tried(lambda: libc.syscall(0x40000000 + 39)),\n        'raw': tried(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)),\n        'packet': tried(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)),\n        'vsock': tried(lambda: socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)),\n        'setuid': tried(lambda: os.setuid(0)) if os.getuid() else 'refused',\n        'chroot': tried(lambda: os.chroot('/tmp')),\n    }\n",
            )
            .await;
        for (door, state) in json(&result).as_object().unwrap() {
            assert_eq!(state, "refused", "{door}");
        }
        lab.compute.shutdown().await;
    }
}

#[tokio::test]
async fn only_the_cloud_is_reachable() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let edge = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let other = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (edge_at, other_at) = (edge.local_addr().unwrap(), other.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = edge.accept().await.unwrap();
            tokio::spawn(async move {
                let mut buffer = [0; 4];
                stream.read_exact(&mut buffer).await.unwrap();
                stream.write_all(b"pong").await.unwrap();
            });
        }
    });
    let lab = lab_with(|config| {
        config.edge = EdgeRoute::Address(edge_at);
        config.endpoint_port = 4566;
    });
    let result = lab
        .once(&format!(
            "import os, socket\ndef handler(e, c):\n    host, port = os.environ['AWS_ENDPOINT_URL'][7:].split(':')\n    s = socket.create_connection((host, int(port)), 5)\n    s.sendall(b'ping')\n    out = {{'edge': s.recv(4).decode()}}\n    for name, to in {{'other': ('127.0.0.1', {}), 'outside': ('1.1.1.1', 80), 'metadata': ('169.254.169.254', 80)}}.items():\n        try:\n            socket.create_connection(to, 2)\n            out[name] = 'reached'\n        except OSError as x:\n            out[name] = 'refused'\n    try:\n        socket.socket().bind(('127.0.0.1', 4566))\n        out['bind'] = 'bound'\n    except OSError:\n        out['bind'] = 'refused'\n    return out\n",
            other_at.port()
        ))
        .await;
    let expected = serde_json::json!({
        "edge": "pong", "other": "refused", "outside": "refused", "metadata": "refused", "bind": "refused",
    });
    assert_eq!(json(&result), expected);
    lab.compute.shutdown().await;
}

#[tokio::test]
async fn answers_that_are_too_large_are_refused_and_the_sandbox_lives() {
    let lab = lab();
    let spec = Arc::new(lab.python("def handler(e, c):\n    return 'x' * e\n"));
    let big = lab.call(&spec, "7000000").await;
    assert_eq!(json(&big)["errorType"], "Function.ResponseSizeTooLarge");
    let small = lab.call(&spec, "3").await;
    assert_eq!((text(&small).as_str(), &small.sandbox), ("\"xxx\"", &big.sandbox));
    lab.compute.shutdown().await;
}

#[tokio::test]
async fn nonsense_on_the_line_ends_only_that_sandbox() {
    for lab in both_labs() {
        let result = lab
            .once("import os\ndef handler(e, c):\n    os.write(3, b'\\xff' * 4096)\n    import time\n    time.sleep(5)\n")
            .await;
        assert_eq!(json(&result)["errorType"], "Runtime.ExitError", "{}", text(&result));
        neighbour_is_fine(&lab).await;
        lab.compute.shutdown().await;
    }
}
