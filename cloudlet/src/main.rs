//! The program: command line, configuration, wiring. No AWS behaviour lives here.

mod banner;
mod cli;
mod cloud;
mod config;
mod control;
mod demo;
mod detach;
mod doctor;
mod endpoints;
mod explain;
mod instance;
mod localstack;
mod logs;
mod memory;
mod own;
mod paths;
mod run;
mod snapshots;
mod start;
mod style;
mod verify;
mod workbench;

use clap::Parser;
use cli::{Cli, Command};
use std::process::ExitCode;

/// Why a command failed, in words that say what to do next.
pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> ExitCode {
    // A sandbox's processes are this program too: they begin here, before anything has been started.
    if std::env::args_os().nth(1).is_some_and(|role| role == cloudlet_compute::CHILD_ARGUMENT) {
        cloudlet_compute::child_main(std::env::args_os().collect());
    }
    memory::share_heaps();
    let cli = Cli::parse();
    match run(cli) {
        Ok(code) => code,
        Err(why) => {
            eprintln!("{} {why}", style::error("error:"));
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> Result<ExitCode, Failure> {
    let file = config::File::find(cli.config.as_deref())?;
    match cli.command {
        Command::Start(options) => start::run(config::Config::resolve(options, &file)?),
        Command::Demo(options) => demo::run(&options),
        Command::Stop(target) => control::stop(&target.resolve(&file)?),
        Command::Status(target) => control::status(&target.resolve(&file)?),
        Command::Reset(target) => control::reset(&target.resolve(&file)?),
        Command::Env(target) => {
            instance::print_env(&target.resolve(&file)?);
            Ok(ExitCode::SUCCESS)
        }
        Command::Ca(options) => start::print_ca(&config::Config::resolve(options, &file)?),
        Command::Doctor { options, verify: true } => verify::run(&config::Config::resolve(options, &file)?),
        Command::Doctor { options, .. } => doctor::run(config::Config::resolve(options, &file)?),
        Command::Snapshot(command) => snapshots::run(command, &file),
        Command::WhyDenied(options) => explain::why(&options, &file),
        Command::Iam(command) => explain::iam(&command, &file),
        Command::Logs(options) => logs::run(&options, &file),
        Command::Lambda(cli::LambdaCommand::Run(options)) => run::run(&options, &file),
        Command::Completions { shell } => {
            cli::completions(shell);
            Ok(ExitCode::SUCCESS)
        }
    }
}
