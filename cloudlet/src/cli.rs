//! The command line. Every option of `start` is also a variable `CLOUDLET_…` and a key of `cloudlet.toml`.

use crate::Failure;
use crate::config::File;
use crate::instance::Target;
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use std::net::IpAddr;
use std::path::PathBuf;

/// AWS on your own machine: one program that speaks AWS's protocols and does the work.
#[derive(Parser, Debug)]
#[command(
    version,
    about,
    after_help = "\
Examples:
  cloudlet demo                    see it work: photos in, thumbnails out
  cloudlet start                   run the cloud on http://localhost:4566
  eval \"$(cloudlet env)\"           point aws, boto3, CDK … of this shell at it
  aws s3 mb s3://photos            use it

Every option of `start` can also stand in the environment (CLOUDLET_PORT=4600) or in cloudlet.toml (port = 4600).
The command line wins over the environment, the environment over the file."
)]
pub(crate) struct Cli {
    /// The configuration file (default: ./cloudlet.toml where there is one)
    #[arg(long, global = true, value_name = "FILE", env = "CLOUDLET_CONFIG")]
    pub(crate) config: Option<PathBuf>,

    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Run the cloud
    Start(StartOptions),
    /// Stop a running cloud; it finishes what it has begun
    Stop(TargetOptions),
    /// Say whether a cloud runs, where, and what it holds
    Status(TargetOptions),
    /// Print shell commands that point AWS tools at the cloud: eval "$(cloudlet env)"
    Env(TargetOptions),
    /// See it work: upload photos with boto3, get thumbnails from a Lambda function
    Demo(DemoOptions),
    /// Check this machine: what works, what is missing and what to do about it
    Doctor {
        #[command(flatten)]
        options: StartOptions,
        /// Check every stored object's bytes against its checksum instead
        #[arg(long)]
        verify: bool,
    },
    /// Save, load and list copies of the whole state
    #[command(subcommand)]
    Snapshot(SnapshotCommand),
    /// Delete everything the running cloud holds
    Reset(TargetOptions),
    /// Say which statement of which policy refused a request
    WhyDenied(WhyDeniedOptions),
    /// Policies from what was really done
    #[command(subcommand)]
    Iam(IamCommand),
    /// Print the log of a function or of any log group
    Logs(LogsOptions),
    /// Work on functions
    #[command(subcommand)]
    Lambda(LambdaCommand),
    /// Print the certificate of the cloud's own authority, for clients that use https
    Ca(StartOptions),
    /// Print completions for a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
}

/// How durable an acknowledged change is.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Durability {
    /// Survives the death of the process (kill -9)
    Process,
    /// Survives the loss of power: every change waits for the disk
    Disk,
}

/// What network a function sees.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Network {
    /// The cloud, and nothing else
    Cloud,
    /// All that this machine sees
    Host,
}

#[derive(Args, Debug, Default, Clone)]
pub(crate) struct StartOptions {
    /// The address to listen on. Beyond loopback the well-known test keys are off and a root key is made [default: 127.0.0.1]
    #[arg(long, value_name = "ADDR", env = "CLOUDLET_LISTEN")]
    pub(crate) listen: Option<IpAddr>,

    /// The port, for every service, http and https alike; 0 takes a free one [default: 4566]
    #[arg(long, value_name = "N", env = "CLOUDLET_PORT")]
    pub(crate) port: Option<u16>,

    /// Where the state is kept [default: cloudlet in the user's data folder]
    #[arg(long, value_name = "DIR", env = "CLOUDLET_DATA", conflicts_with = "ephemeral")]
    pub(crate) data: Option<PathBuf>,

    /// Keep the state in a temporary folder and forget it at the end
    #[arg(long, env = "CLOUDLET_EPHEMERAL", num_args = 0..=1, default_missing_value = "true")]
    pub(crate) ephemeral: Option<bool>,

    /// What an acknowledged change survives [default: process]
    #[arg(long, value_enum, env = "CLOUDLET_DURABILITY")]
    pub(crate) durability: Option<Durability>,

    /// Run in the background; returns when the cloud answers
    #[arg(long, env = "CLOUDLET_DETACH", num_args = 0..=1, default_missing_value = "true")]
    pub(crate) detach: Option<bool>,

    /// The region of calls that name none [default: us-east-1]
    #[arg(long, value_name = "REGION", env = "CLOUDLET_REGION")]
    pub(crate) region: Option<String>,

    /// Further host names under which buckets are addressed, such as s3.example.test (may be repeated)
    #[arg(long, value_name = "NAME", env = "CLOUDLET_DOMAIN", value_delimiter = ',')]
    pub(crate) domain: Vec<String>,

    /// Serve only these services (default: all)
    #[arg(long, value_name = "NAME", env = "CLOUDLET_SERVICES", value_delimiter = ',')]
    pub(crate) services: Vec<String>,

    /// Functions that run at once, at most [default: 1000]
    #[arg(long, value_name = "N", env = "CLOUDLET_CONCURRENCY")]
    pub(crate) concurrency: Option<usize>,

    /// Executions of an account in a region at one time, beyond which Lambda throttles [default: as on AWS, 1000]
    #[arg(long, value_name = "N", env = "CLOUDLET_ACCOUNT_CONCURRENCY")]
    pub(crate) account_concurrency: Option<u32>,

    /// Bytes that all packages of an account in a region may have together [default: as on AWS, 80530636800]
    #[arg(long, value_name = "BYTES", env = "CLOUDLET_CODE_STORAGE")]
    pub(crate) code_storage: Option<u64>,

    /// Open function URLs with lambda:InvokeFunctionUrl alone, as AWS did until October 2025
    #[arg(long, env = "CLOUDLET_OLD_FUNCTION_URLS", num_args = 0..=1, default_missing_value = "true")]
    pub(crate) old_function_urls: Option<bool>,

    /// What network functions see [default: cloud]
    #[arg(long, value_enum, env = "CLOUDLET_FUNCTION_NETWORK")]
    pub(crate) function_network: Option<Network>,

    /// Refuse what exceeds the throughput of DynamoDB's tables instead of only counting it
    #[arg(long, env = "CLOUDLET_ENFORCE_THROUGHPUT", num_args = 0..=1, default_missing_value = "true")]
    pub(crate) enforce_throughput: Option<bool>,

    /// What to log: error, warn, info, debug, trace, or per part: warn,cloudlet_edge=debug [default: warn]
    #[arg(long, value_name = "FILTER", env = "CLOUDLET_LOG")]
    pub(crate) log: Option<String>,
}

#[derive(Args, Debug, Clone)]
pub(crate) struct TargetOptions {
    /// The port of the cloud that is meant [default: 4566]
    #[arg(long, value_name = "N", env = "CLOUDLET_PORT")]
    pub(crate) port: Option<u16>,
}

impl TargetOptions {
    pub(crate) fn resolve(&self, file: &File) -> Result<Target, Failure> {
        Target::at(self.port.or(file.port()).unwrap_or(crate::config::DEFAULT_PORT))
    }
}

#[derive(Args, Debug, Clone)]
pub(crate) struct DemoOptions {
    /// Leave the cloud running afterwards
    #[arg(long)]
    pub(crate) keep: bool,

    /// Where the thumbnails and the contact sheet go
    #[arg(long, value_name = "DIR", default_value = "demo-output")]
    pub(crate) out: PathBuf,

    /// How many photos to upload
    #[arg(long, value_name = "N", default_value_t = 12, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) photos: u32,
}

#[derive(Subcommand, Debug)]
pub(crate) enum SnapshotCommand {
    /// Copy the running cloud's whole state under a name
    Save {
        /// The name
        name: String,
        #[command(flatten)]
        target: TargetOptions,
    },
    /// Replace the running cloud's whole state by a saved one
    Load {
        /// The name
        name: String,
        #[command(flatten)]
        target: TargetOptions,
    },
    /// List what was saved
    List,
}

#[derive(Args, Debug, Clone)]
pub(crate) struct WhyDeniedOptions {
    /// The id of the request, as errors show it (default: the latest refusals)
    pub(crate) request_id: Option<String>,

    #[command(flatten)]
    pub(crate) target: TargetOptions,
}

#[derive(Subcommand, Debug)]
pub(crate) enum IamCommand {
    /// Print the least policy that covers what a role or user did
    GeneratePolicy(GeneratePolicyOptions),
}

#[derive(Args, Debug, Clone)]
pub(crate) struct GeneratePolicyOptions {
    /// The name or ARN of the role, or the ARN of a user
    #[arg(long = "for", value_name = "ROLE")]
    pub(crate) role: String,

    /// How far back to look: 30s, 10m, 2h, 1d (default: since it was created)
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,

    /// The account, where no ARN names it
    #[arg(long, value_name = "ID", default_value = "000000000000")]
    pub(crate) account: String,

    #[command(flatten)]
    pub(crate) target: TargetOptions,
}

#[derive(Subcommand, Debug)]
pub(crate) enum LambdaCommand {
    /// Run a folder as a function, as it is: every change counts from the next call on. Ends with Ctrl-C
    Run(RunOptions),
}

#[derive(Args, Debug, Clone)]
#[command(after_help = "\
Examples:
  cloudlet lambda run ./thumbnail thumbnail.handler
  cloudlet lambda run ./hello index.handler --event '{\"name\": \"you\"}'   call it now and after each change
  cloudlet lambda run . app.handler --policy arn:aws:iam::aws:policy/AmazonS3FullAccess")]
pub(crate) struct RunOptions {
    /// The folder with the code and what it needs
    pub(crate) folder: PathBuf,

    /// The handler, such as index.handler; a bare name is looked for in the folder's main file
    #[arg(default_value = "handler")]
    pub(crate) handler: String,

    /// The runtime [default: that of the folder's language, in the version that is installed]
    #[arg(long, value_name = "NAME")]
    pub(crate) runtime: Option<String>,

    /// The function's name [default: the folder's]
    #[arg(long)]
    pub(crate) name: Option<String>,

    /// Call it with this JSON now and after each change; @FILE reads a file
    #[arg(short, long, value_name = "JSON")]
    pub(crate) event: Option<String>,

    /// An environment variable (may be repeated)
    #[arg(long = "env", value_name = "NAME=VALUE")]
    pub(crate) environment: Vec<String>,

    /// A managed policy for the function's role, beside that for logs (may be repeated)
    #[arg(long, value_name = "ARN")]
    pub(crate) policy: Vec<String>,

    /// How long a call may take, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(i32).range(1..=900))]
    pub(crate) timeout: i32,

    /// Memory in MB
    #[arg(long, value_name = "MB", default_value_t = 512, value_parser = clap::value_parser!(i32).range(128..=10240))]
    pub(crate) memory: i32,

    /// The region [default: us-east-1]
    #[arg(long, value_name = "REGION", env = "AWS_DEFAULT_REGION")]
    pub(crate) region: Option<String>,

    /// The account
    #[arg(long, value_name = "ID", default_value = "000000000000")]
    pub(crate) account: String,

    #[command(flatten)]
    pub(crate) target: TargetOptions,
}

#[derive(Args, Debug, Clone)]
pub(crate) struct LogsOptions {
    /// A function's name, or a log group's (which begins with a slash)
    pub(crate) name: String,

    /// Go on printing what comes
    #[arg(short, long)]
    pub(crate) follow: bool,

    /// Print where the time of each invocation went instead: queue, sandbox, import, handler
    #[arg(long)]
    pub(crate) trace: bool,

    /// How far back to begin: 30s, 10m, 2h, 1d
    #[arg(long, value_name = "TIME", default_value = "10m")]
    pub(crate) since: String,

    /// The region [default: us-east-1]
    #[arg(long, value_name = "REGION", env = "AWS_DEFAULT_REGION")]
    pub(crate) region: Option<String>,

    /// The account
    #[arg(long, value_name = "ID", default_value = "000000000000")]
    pub(crate) account: String,

    #[command(flatten)]
    pub(crate) target: TargetOptions,
}

/// Writes a completion script to standard output.
pub(crate) fn completions(shell: clap_complete::Shell) {
    clap_complete::generate(shell, &mut Cli::command(), "cloudlet", &mut std::io::stdout());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
