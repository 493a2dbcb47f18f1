//! What the front door is told at its start.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// How and where to listen, and within which bounds.
#[derive(Debug, Clone)]
pub struct EdgeConfig {
    /// TCP addresses; port 0 takes a free one.
    pub listen: Vec<SocketAddr>,
    /// Unix sockets for functions whose sandbox has no network. A stale socket at the path is replaced.
    pub unix: Vec<PathBuf>,
    /// The domains whose labels mean something: `photos.localhost`, `photos.s3.eu-west-1.example.org`.
    pub domains: Vec<String>,
    /// The region of requests that name none.
    pub default_region: String,
    /// The account of requests that nobody signed.
    pub default_account: String,
    /// The bounds.
    pub limits: Limits,
    /// The directory of the local certificate authority; `None` speaks no TLS.
    pub tls: Option<PathBuf>,
    /// The services that answer, by name; `None` for all.
    pub services: Option<Vec<String>>,
    /// Origins of web pages that may call beside those of our own domains, such as `https://app.example.org`; `*`
    /// for all.
    pub origins: Vec<String>,
    /// What `/_cloudlet/info` and `/_localstack/health` say the program's version is.
    pub version: String,
    /// How long [`crate::Edge::serve`] waits at its end for requests that have begun.
    pub grace: Duration,
}

impl Default for EdgeConfig {
    fn default() -> Self {
        let domains = ["localhost", "localhost.localstack.cloud", "amazonaws.com"];
        Self {
            listen: vec![SocketAddr::from(([127, 0, 0, 1], 4566))],
            unix: Vec::new(),
            domains: domains.map(str::to_owned).into(),
            default_region: "us-east-1".to_owned(),
            default_account: "000000000000".to_owned(),
            limits: Limits::default(),
            tls: None,
            services: None,
            origins: Vec::new(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            grace: Duration::from_secs(30),
        }
    }
}

/// The bounds that keep one client from hurting another.
#[derive(Debug, Clone)]
pub struct Limits {
    /// A request's head, in bytes. S3 takes 8 KiB of headers, others more.
    pub head_bytes: usize,
    /// From the first byte of a head to its last; also for a TLS handshake.
    pub head_time: Duration,
    /// A body that is held in memory, in bytes, whatever the service allows.
    pub body_bytes: usize,
    /// All bodies that are held in memory at one time, in bytes.
    pub body_bytes_in_all: usize,
    /// Without any byte of a body arriving, or any byte of an answer leaving.
    pub stall_time: Duration,
    /// Bytes a second that a body must reach on average after its first [`Limits::stall_time`].
    pub slowest_body: u64,
    /// A kept-alive connection without a request.
    pub idle_time: Duration,
    /// Connections at one time; further ones wait in the system's backlog.
    pub connections: usize,
    /// Requests at one time on one HTTP/2 connection.
    pub streams: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head_bytes: 64 * 1024,
            head_time: Duration::from_secs(10),
            body_bytes: 128 * 1024 * 1024,
            body_bytes_in_all: 1024 * 1024 * 1024,
            stall_time: Duration::from_secs(30),
            slowest_body: 128,
            idle_time: Duration::from_secs(75),
            connections: 4096,
            streams: 128,
        }
    }
}

impl Limits {
    /// How large a body of this API may be that must be held in memory, in bytes.
    ///
    /// Source: the quotas of each service: a Lambda deployment package of 50 MiB in base64 and its call, SQS and
    /// SNS messages of 1 MiB with their escapes, Kinesis 10 MiB of records in base64, DynamoDB 16 MiB, and so on.
    pub(crate) fn body_of(&self, api: &str) -> usize {
        const MIB: usize = 1024 * 1024;
        let of_service = match api {
            // As Lambda says itself when it refuses more.
            "lambda" => 70_167_211,
            "cloudformation" | "ssm" | "events" | "secretsmanager" => 4 * MIB,
            "iam" | "sts" => 2 * MIB,
            "sqs" | "sns" | "logs" => 8 * MIB,
            _ => 16 * MIB,
        };
        of_service.min(self.body_bytes)
    }
}
