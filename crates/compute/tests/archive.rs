//! Packages that somebody made on purpose.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::{Cursor, Write};
use std::os::unix::fs::PermissionsExt;

use cloudlet_compute::{ArchiveError, UnpackLimits, unpack_zip};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

type Zip = ZipWriter<Cursor<Vec<u8>>>;

fn zip(build: impl FnOnce(&mut Zip)) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    build(&mut zip);
    zip.finish().unwrap().into_inner()
}

fn file(zip: &mut Zip, name: &str, bytes: &[u8], mode: u32) {
    zip.start_file(name, SimpleFileOptions::default().unix_permissions(mode)).unwrap();
    zip.write_all(bytes).unwrap();
}

fn link(zip: &mut Zip, name: &str, target: &str) {
    zip.add_symlink(name, target, SimpleFileOptions::default()).unwrap();
}

fn unpack(bytes: &[u8], limits: UnpackLimits) -> (tempfile::TempDir, Result<(), ArchiveError>) {
    let outer = tempfile::tempdir().unwrap();
    let dest = outer.path().join("dest");
    std::fs::create_dir(&dest).unwrap();
    let result = unpack_zip(Cursor::new(bytes), &dest, limits).map(|_| ());
    // Whatever happened, nothing came to lie beside the destination.
    assert_eq!(std::fs::read_dir(outer.path()).unwrap().count(), 1);
    (outer, result)
}

#[test]
fn an_honest_package_comes_out_readable_and_not_writable() {
    let bytes = zip(|zip| {
        file(zip, "app.py", b"x = 1", 0o600);
        file(zip, "bin/tool", b"#!/bin/sh\n", 0o755);
        link(zip, "bin/alias", "tool");
        link(zip, "top", "bin/../app.py");
    });
    let (folder, result) = unpack(&bytes, UnpackLimits::default());
    result.unwrap();
    let dest = folder.path().join("dest");
    let mode = |name: &str| std::fs::metadata(dest.join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("app.py"), mode("bin/tool")), (0o444, 0o555));
    assert_eq!(std::fs::read(dest.join("bin/alias")).unwrap(), b"#!/bin/sh\n");
    assert_eq!(std::fs::read(dest.join("top")).unwrap(), b"x = 1");
}

#[test]
fn ways_out_are_closed() {
    for name in ["../evil", "a/../../evil", "/etc/evil", "..\\evil", "a\\..\\..\\evil"] {
        let (_folder, result) = unpack(&zip(|zip| file(zip, name, b"", 0o644)), UnpackLimits::default());
        assert!(matches!(result, Err(ArchiveError::Outside(_))), "{name}: {result:?}");
    }
    for (name, target) in [("a", "/etc/passwd"), ("a", ".."), ("d/a", "../../x"), ("a", "b/../../x")] {
        let (_folder, result) = unpack(&zip(|zip| link(zip, name, target)), UnpackLimits::default());
        assert!(matches!(result, Err(ArchiveError::EscapingLink { .. })), "{name} -> {target}: {result:?}");
    }
    // Through a link that is fine by itself.
    let bytes = zip(|zip| {
        link(zip, "here", ".");
        link(zip, "up", "here/..");
    });
    let (_folder, result) = unpack(&bytes, UnpackLimits::default());
    assert!(matches!(result, Err(ArchiveError::EscapingLink { .. })), "{result:?}");
    // Writing through a link.
    let bytes = zip(|zip| {
        link(zip, "d", "elsewhere");
        file(zip, "d/x", b"", 0o644);
    });
    let (folder, result) = unpack(&bytes, UnpackLimits::default());
    assert!(matches!(result, Ok(()) | Err(ArchiveError::Outside(_) | ArchiveError::Io(_))), "{result:?}");
    assert!(!folder.path().join("dest/elsewhere").exists());
}

#[test]
fn bombs_do_not_go_off() {
    let zeros = vec![0; 1 << 20];
    let bytes = zip(|zip| {
        let options = SimpleFileOptions::default();
        zip.start_file("bomb", options).unwrap();
        for _ in 0..64 {
            zip.write_all(&zeros).unwrap();
        }
    });
    assert!(bytes.len() < 1 << 20);
    let (_folder, result) = unpack(&bytes, UnpackLimits::default());
    assert!(matches!(result, Err(ArchiveError::Bomb { .. })), "{result:?}");
    let small = UnpackLimits { bytes: 1000, ..UnpackLimits::default() };
    let (_folder, result) = unpack(&zip(|zip| file(zip, "a", &[1; 1001], 0o644)), small);
    assert_eq!(result.unwrap_err().to_string(), "Unzipped size must be smaller than 1000 bytes");
    let few = UnpackLimits { entries: 3, ..UnpackLimits::default() };
    let bytes = zip(|zip| (0..4).for_each(|n| file(zip, &n.to_string(), b"", 0o644)));
    let (_folder, result) = unpack(&bytes, few);
    assert!(matches!(result, Err(ArchiveError::TooManyEntries { limit: 3 })), "{result:?}");
}

#[test]
fn damage_is_told_apart_from_a_full_disk() {
    let whole = zip(|zip| file(zip, "app.py", &(0..=255).cycle().take(5000).collect::<Vec<u8>>(), 0o644));
    for cut in [0, 1, 10, whole.len() / 2, whole.len() - 1] {
        let (_folder, result) = unpack(&whole[..cut], UnpackLimits::default());
        assert!(matches!(result, Err(ArchiveError::NotAZip(_))), "{cut}: {result:?}");
    }
    for at in 0..whole.len() {
        let mut bent = whole.clone();
        bent[at] ^= 0x5a;
        // Any answer will do, as long as it is one and nothing lands outside.
        let _ = unpack(&bent, UnpackLimits::default());
    }
}
