//! Code packages: whatever is in them, nothing is written outside the folder and nothing beyond the limits.

use super::{Target, seen, seen_message};
use cloudlet_compute::{UnpackLimits, unpack_zip};
use std::fs;
use std::io::{Cursor, Write};
use std::path::Path;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

pub(super) static TARGET: Target =
    Target { name: "zip", run, seeds, words: WORDS, longest: 64 << 10, memory: 64 << 20 };

const LIMITS: UnpackLimits = UnpackLimits { bytes: 1 << 20, entries: 64, ratio: 100 };

const WORDS: &[&str] = &[
    "PK\u{1}\u{2}",
    "PK\u{3}\u{4}",
    "PK\u{5}\u{6}",
    "PK\u{6}\u{6}",
    "PK\u{6}\u{7}",
    "../",
    "/",
    "\\",
    "..",
    "a/",
    "\0",
    "C:",
];

/// Writes the entries of an archive.
type Fill<'a> = &'a dyn Fn(&mut ZipWriter<Cursor<Vec<u8>>>) -> zip::result::ZipResult<()>;

fn seeds() -> Vec<Vec<u8>> {
    let plain = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    let small = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    let make = |fill: Fill<'_>| {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        let filled = fill(&mut zip);
        zip.finish().ok().filter(|_| filled.is_ok()).map(Cursor::into_inner)
    };
    let all = [
        make(&|zip| {
            zip.start_file("handler.py", small.unix_permissions(0o755))?;
            Ok(zip.write_all(b"def handler(event, context): return event\n")?)
        }),
        make(&|zip| {
            zip.add_directory("package/", plain)?;
            zip.start_file("package/a.txt", plain)?;
            zip.write_all(b"aaaa")?;
            zip.add_symlink("package/link", "a.txt", plain)?;
            zip.add_symlink("out", "../../etc/passwd", plain)
        }),
        make(&|zip| {
            zip.start_file("../escape", plain)?;
            Ok(zip.write_all(b"x")?)
        }),
        make(&|zip| {
            zip.add_symlink("d", "/tmp", plain)?;
            zip.start_file("d/x", plain)?;
            Ok(zip.write_all(b"x")?)
        }),
        make(&|zip| {
            zip.start_file("bomb", small)?;
            Ok(zip.write_all(&vec![0; 4 << 20])?)
        }),
        make(&|zip| {
            for i in 0..70 {
                zip.start_file(format!("f{i}"), plain)?;
            }
            Ok(())
        }),
        make(&|_| Ok(())),
    ];
    all.into_iter().flatten().collect()
}

fn run(input: &[u8]) -> u64 {
    let Ok(around) = tempfile::tempdir() else { return 0 };
    let inside = around.path().join("inside");
    if fs::create_dir(&inside).is_err() {
        return 0;
    }
    let outcome = unpack_zip(Cursor::new(input), &inside, LIMITS);
    let beside = fs::read_dir(around.path()).map_or(0, Iterator::count);
    assert_eq!(beside, 1, "something was written beside the folder");
    let (bytes, entries) = measure(&inside, &inside);
    // What had been written before a refusal stays, up to the limit and the block that went beyond it.
    assert!(bytes <= LIMITS.bytes + (128 << 10), "{bytes} bytes were written");
    match outcome {
        Ok(done) => seen(&(done.entries, done.bytes.checked_ilog2(), entries)),
        Err(why) => seen_message("", &why.to_string()),
    }
}

/// Bytes and entries below a folder; no link may lead out of `root`.
fn measure(folder: &Path, root: &Path) -> (u64, usize) {
    let mut sum = (0, 0);
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        sum.1 += 1;
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_symlink() {
            if let Ok(real) = fs::canonicalize(entry.path()) {
                let root = fs::canonicalize(root).unwrap_or_default();
                assert!(real.starts_with(&root), "a link leads to {}", real.display());
            }
        } else if kind.is_dir() {
            let (bytes, entries) = measure(&entry.path(), root);
            sum = (sum.0 + bytes, sum.1 + entries);
        } else {
            sum.0 += entry.metadata().map_or(0, |m| m.len());
        }
    }
    sum
}
