//! Chores: `cargo xtask <chore>`.

mod models;

type Outcome = Result<(), Box<dyn std::error::Error>>;

const HELP: &str = "\
Chores of this repository.

Usage: cargo xtask <CHORE>

Chores:
  models [SERVICE...]  Renew models/*.json from the botocore package (all that are there, or those named)
";

fn main() -> std::process::ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let outcome: Outcome = match args.first().map(String::as_str) {
        Some("models") => models::renew(&args[1..]),
        Some("help" | "--help" | "-h") => {
            print!("{HELP}");
            Ok(())
        }
        _ => {
            eprint!("{HELP}");
            return std::process::ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("error: {why}");
            std::process::ExitCode::FAILURE
        }
    }
}

/// The root of the repository.
fn root() -> std::path::PathBuf {
    let here = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}
