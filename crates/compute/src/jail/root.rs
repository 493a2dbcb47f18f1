//! The file system that a function sees: the host's programs and libraries, read-only, and nothing of its data.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};

use super::sys;

/// Shown as they are on the host.
const PROGRAMS: [&str; 6] = ["usr", "lib", "lib64", "lib32", "bin", "sbin"];
/// Public configuration that libraries look for. Nothing in here is secret on any distribution.
const CONFIGURATION: [&str; 12] = [
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "ssl/certs",
    "ssl/openssl.cnf",
    "pki",
    "ca-certificates",
    "alternatives",
    "mime.types",
    "protocols",
    "services",
    "crypto-policies",
];
/// All names that the cloud has, where nothing else is to be reached.
const INNER_HOSTS: &str = "127.0.0.1 localhost localhost.localstack.cloud s3.localhost.localstack.cloud sandbox.localdomain sandbox\n";
const DEVICES: [&str; 5] = ["null", "zero", "full", "random", "urandom"];
/// Windows into the kernel that /proc opens to everybody.
const MASKED: [&str; 8] =
    ["kcore", "keys", "key-users", "kmsg", "kallsyms", "sysrq-trigger", "timer_list", "sched_debug"];

/// Builds the shared, read-only part of every sandbox's root at `at`, in the warden's own mount namespace.
pub(crate) fn build_template(at: &Path, shown: &[(PathBuf, PathBuf)], host_network: bool) -> io::Result<()> {
    fs::create_dir_all(at)?;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount(Some("cloudlet"), at, Some("tmpfs"), flags, Some("mode=755,size=4m,nr_inodes=4096"))?;
    for name in PROGRAMS {
        show(&Path::new("/").join(name), &at.join(name))?;
    }
    let etc = at.join("etc");
    fs::create_dir_all(&etc)?;
    for name in CONFIGURATION {
        show(&Path::new("/etc").join(name), &etc.join(name))?;
    }
    fs::write(
        etc.join("passwd"),
        "root:x:0:0:root:/root:/bin/sh\nsbx_user1051:x:993:990::/home/sbx_user1051:/sbin/nologin\n",
    )?;
    fs::write(etc.join("group"), "root:x:0:\nsbx_user1051:x:993:\n")?;
    fs::write(etc.join("nsswitch.conf"), "passwd: files\ngroup: files\nhosts: files dns\n")?;
    if host_network {
        for name in ["hosts", "resolv.conf"] {
            let from = fs::canonicalize(Path::new("/etc").join(name));
            fs::write(etc.join(name), from.and_then(fs::read).unwrap_or_default())?;
        }
    } else {
        fs::write(etc.join("hosts"), INNER_HOSTS)?;
        fs::write(etc.join("resolv.conf"), "")?;
    }
    let dev = at.join("dev");
    fs::create_dir_all(&dev)?;
    make_devices(&dev)?;
    for name in ["proc", "tmp", "opt", "var/task", "var/runtime", "home"] {
        fs::create_dir_all(at.join(name))?;
    }
    symlink("/tmp", at.join("var/tmp"))?;
    // `import` looks for packages in every node_modules above /var/task: so it finds a layer's.
    symlink("/opt/nodejs/node_modules", at.join("var/node_modules"))?;
    for (inside, outside) in shown {
        let inside = at.join(inside.strip_prefix("/").unwrap_or(inside));
        show(outside, &inside)?;
    }
    let read_only = MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY | flags;
    mount(None::<&str>, at, None::<&str>, read_only, Some("mode=755,size=4m,nr_inodes=4096"))?;
    Ok(())
}

fn make_devices(dev: &Path) -> io::Result<()> {
    for name in DEVICES {
        let inside = dev.join(name);
        fs::write(&inside, "")?;
        mount(Some(&Path::new("/dev").join(name)), &inside, None::<&str>, MsFlags::MS_BIND, None::<&str>)?;
    }
    for (name, target) in [("fd", ""), ("stdin", "/0"), ("stdout", "/1"), ("stderr", "/2")] {
        symlink(format!("/proc/self/fd{target}"), dev.join(name))?;
    }
    Ok(())
}

/// Builds the same from a container image, unpacked at `image`, which has real folders wherever something is mounted.
pub(crate) fn build_from_image(at: &Path, image: &Path, host_network: bool) -> io::Result<()> {
    fs::create_dir_all(at)?;
    bind_read_only(image, at)?;
    let dev = at.join("dev");
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    let options = Some("mode=755,size=1m,nr_inodes=64");
    mount(Some("cloudlet"), &dev, Some("tmpfs"), flags, options)?;
    make_devices(&dev)?;
    for (name, text) in [("hosts", INNER_HOSTS), ("resolv.conf", "")] {
        let file = dev.join(format!(".{name}"));
        let host = fs::canonicalize(Path::new("/etc").join(name)).and_then(fs::read);
        let text = if host_network { host.unwrap_or_default() } else { text.as_bytes().to_vec() };
        fs::write(&file, text)?;
        bind_read_only(&file, &at.join("etc").join(name))?;
    }
    mount(None::<&str>, &dev, None::<&str>, MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY | flags, options)?;
    Ok(())
}

/// Shows one file, folder or link of the host, read-only. What the host does not have is left out.
fn show(outside: &Path, inside: &Path) -> io::Result<()> {
    let Ok(kind) = fs::symlink_metadata(outside).map(|meta| meta.file_type()) else { return Ok(()) };
    if let Some(parent) = inside.parent() {
        fs::create_dir_all(parent)?;
    }
    if kind.is_symlink() {
        // `/bin -> usr/bin` stays a link; a link to elsewhere shows what it leads to.
        let target = fs::read_link(outside)?;
        if target.is_relative() && !target.starts_with("..") {
            return symlink(target, inside);
        }
    }
    let Ok(real) = fs::canonicalize(outside) else { return Ok(()) };
    if real.is_dir() {
        fs::create_dir_all(inside)?;
    } else {
        fs::write(inside, "")?;
    }
    bind_read_only(&real, inside)
}

/// Binds with everything mounted below, and takes away every right to write.
pub(crate) fn bind_read_only(from: &Path, to: &Path) -> io::Result<()> {
    mount(Some(from), to, None::<&str>, MsFlags::MS_BIND | MsFlags::MS_REC, None::<&str>)?;
    if sys::make_all_read_only(to, false).is_ok() {
        return Ok(());
    }
    let remount =
        MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY | MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    Ok(mount(None::<&str>, to, None::<&str>, remount, None::<&str>)?)
}

/// Makes `template` the root of this (fresh) mount namespace, with an own /proc and /tmp, and lets go of the
/// host's. `place` is an empty folder to build on; `code` are trees to bind at /var/task and /opt on the way.
pub(crate) fn enter(template: &Path, place: &Path, code: Option<(&Path, Option<&Path>)>) -> io::Result<()> {
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_PRIVATE | MsFlags::MS_REC, None::<&str>)?;
    mount(Some(template), place, None::<&str>, MsFlags::MS_BIND | MsFlags::MS_REC, None::<&str>)?;
    let quiet = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    let proc = place.join("proc");
    // Refused inside of containers that mask parts of /proc: it stays empty there.
    if mount(Some("proc"), &proc, Some("proc"), quiet, None::<&str>).is_ok() {
        mask(&proc);
    }
    mount(
        Some("tmp"),
        &place.join("tmp"),
        Some("tmpfs"),
        MsFlags::MS_NOSUID | MsFlags::MS_NODEV,
        Some("mode=1777,size=16m"),
    )?;
    if let Some((task, opt)) = code {
        bind_read_only(task, &place.join("var/task"))?;
        if let Some(opt) = opt {
            bind_read_only(opt, &place.join("opt"))?;
        }
    }
    std::env::set_current_dir(place)?;
    sys::pivot_root(Path::new("."), Path::new("."))?;
    // Both roots are at "." now, the host's on top.
    umount2(".", MntFlags::MNT_DETACH)?;
    std::env::set_current_dir("/")?;
    Ok(())
}

fn mask(proc: &Path) {
    for name in MASKED {
        let path = proc.join(name);
        if path.exists() {
            let _ = mount(Some("/dev/null"), &path, None::<&str>, MsFlags::MS_BIND, None::<&str>);
        }
    }
    for name in ["sys", "acpi", "scsi", "irq", "bus", "fs"] {
        let path = proc.join(name);
        if path.is_dir() {
            let _ = bind_read_only(&path, &path);
        }
    }
}

/// Sets the size of the /tmp that [`enter`] made.
pub(crate) fn size_tmp(megabytes: u32) -> io::Result<()> {
    let flags = MsFlags::MS_REMOUNT | MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    Ok(mount(
        None::<&str>,
        "/tmp",
        None::<&str>,
        flags,
        Some(format!("size={megabytes}m,mode=1777").as_str()),
    )?)
}
