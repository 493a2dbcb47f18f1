//! The program run again as a part of the sandbox machinery.

use std::ffi::OsString;
use std::path::PathBuf;

/// The first argument that says so.
pub const CHILD_ARGUMENT: &str = "__compute";

/// To be called first thing in `main`, before any thread or runtime exists, when `argv[1]` is
/// [`CHILD_ARGUMENT`]. `args` are all arguments, from `argv[0]`. Never returns.
pub fn child_main(args: Vec<OsString>) -> ! {
    let mut args = args.into_iter().skip(2);
    let role = args.next();
    match role.as_deref().and_then(|role| role.to_str()) {
        Some("warden") => {
            let state = PathBuf::from(args.next().unwrap_or_default());
            let plain = args.next().is_some_and(|mode| mode == "plain");
            crate::warden::server::main(state, plain)
        }
        Some("probe") => crate::probe::main(),
        _ => {
            eprintln!("cloudlet: {CHILD_ARGUMENT} is for cloudlet's own use");
            std::process::exit(2)
        }
    }
}
