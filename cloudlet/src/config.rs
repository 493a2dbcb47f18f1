//! What the cloud is started with: the command line over the environment over `cloudlet.toml` over LocalStack's
//! variables over the defaults.

use crate::cli::{Durability, Network, StartOptions};
use crate::localstack::Wishes;
use crate::{Failure, paths};
use serde::Deserialize;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

/// The port that local AWS tooling expects.
pub(crate) const DEFAULT_PORT: u16 = 4566;

/// `cloudlet.toml`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct File {
    listen: Option<IpAddr>,
    port: Option<u16>,
    data: Option<PathBuf>,
    ephemeral: Option<bool>,
    durability: Option<Durability>,
    detach: Option<bool>,
    region: Option<String>,
    domain: Vec<String>,
    services: Vec<String>,
    concurrency: Option<usize>,
    account_concurrency: Option<u32>,
    code_storage: Option<u64>,
    old_function_urls: Option<bool>,
    function_network: Option<Network>,
    enforce_throughput: Option<bool>,
    log: Option<String>,
    /// Interpreters by runtime, such as `"python3.13" = "/opt/python3.13/bin/python3"`.
    runtimes: std::collections::BTreeMap<String, PathBuf>,
}

impl File {
    /// Reads the named file, or `./cloudlet.toml` where there is one.
    pub(crate) fn find(named: Option<&Path>) -> Result<Self, Failure> {
        let path = match named {
            Some(path) => path,
            None if Path::new("cloudlet.toml").exists() => Path::new("cloudlet.toml"),
            None => return Ok(Self::default()),
        };
        let text = std::fs::read_to_string(path)
            .map_err(|e| format!("the configuration file {} cannot be read: {e}", path.display()))?;
        toml::from_str(&text).map_err(|e| format!("{} is not understood: {e}", path.display()).into())
    }

    pub(crate) fn port(&self) -> Option<u16> {
        self.port
    }
}

/// Where the state is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// In this directory.
    Data(PathBuf),
    /// In a temporary one, forgotten at the end.
    Ephemeral,
}

/// Everything a cloud is started with.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    pub(crate) listen: IpAddr,
    pub(crate) port: u16,
    pub(crate) place: Place,
    pub(crate) durability: Durability,
    pub(crate) detach: bool,
    pub(crate) region: String,
    pub(crate) domains: Vec<String>,
    pub(crate) services: Vec<String>,
    pub(crate) concurrency: usize,
    pub(crate) limits: cloudlet_lambda::Limits,
    pub(crate) network: Network,
    pub(crate) enforce_throughput: bool,
    pub(crate) log: String,
    pub(crate) runtimes: std::collections::BTreeMap<String, PathBuf>,
    /// LocalStack's variables that mean nothing here, with why.
    pub(crate) ignored: Vec<(&'static str, &'static str)>,
}

impl Config {
    /// Puts the layers over each other.
    pub(crate) fn resolve(options: StartOptions, file: &File) -> Result<Self, Failure> {
        Self::layered(options, file, Wishes::read(|name| std::env::var(name).ok()))
    }

    fn layered(options: StartOptions, file: &File, wishes: Wishes) -> Result<Self, Failure> {
        let first =
            |lists: [&[String]; 3]| lists.into_iter().find(|l| !l.is_empty()).unwrap_or_default().to_vec();
        let place = if let Some(data) = options.data {
            Place::Data(data)
        } else if options.ephemeral.or(file.ephemeral) == Some(true) {
            Place::Ephemeral
        } else if let Some(data) = &file.data {
            Place::Data(data.clone())
        } else if options.ephemeral.is_none() && wishes.persistence == Some(false) {
            Place::Ephemeral
        } else {
            Place::Data(paths::data())
        };
        let mut domains = first([&options.domain, &file.domain, &[]]);
        domains.extend(wishes.domain);
        Ok(Self {
            listen: options.listen.or(file.listen).or(wishes.listen).unwrap_or(Ipv4Addr::LOCALHOST.into()),
            port: options.port.or(file.port).or(wishes.port).unwrap_or(DEFAULT_PORT),
            place,
            durability: options.durability.or(file.durability).unwrap_or(Durability::Process),
            detach: options.detach.or(file.detach).unwrap_or(false),
            region: options
                .region
                .or_else(|| file.region.clone())
                .or(wishes.region)
                .unwrap_or_else(|| "us-east-1".to_owned()),
            domains,
            services: first([&options.services, &file.services, &wishes.services]),
            concurrency: options.concurrency.or(file.concurrency).unwrap_or(1000).max(1),
            limits: limits(
                options.account_concurrency.or(file.account_concurrency),
                options.code_storage.or(file.code_storage),
                options.old_function_urls.or(file.old_function_urls),
            ),
            network: options.function_network.or(file.function_network).unwrap_or(Network::Cloud),
            enforce_throughput: options.enforce_throughput.or(file.enforce_throughput).unwrap_or(false),
            log: options.log.or_else(|| file.log.clone()).or(wishes.log).unwrap_or_else(|| "warn".to_owned()),
            runtimes: file.runtimes.clone(),
            ignored: wishes.ignored,
        })
    }
}

/// What Lambda has otherwise than on AWS.
fn limits(
    concurrency: Option<u32>,
    code_storage: Option<u64>,
    old_function_urls: Option<bool>,
) -> cloudlet_lambda::Limits {
    let mut limits = cloudlet_lambda::Limits::default();
    if let Some(concurrency) = concurrency {
        limits.concurrency = i32::try_from(concurrency).unwrap_or(i32::MAX).max(1);
    }
    if let Some(bytes) = code_storage {
        limits.code_storage = i64::try_from(bytes).unwrap_or(i64::MAX);
    }
    limits.url_needs_invoke = !old_function_urls.unwrap_or(false);
    limits
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> File {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn the_command_line_wins_then_the_file_then_localstack() {
        let wishes = || Wishes {
            port: Some(3),
            persistence: Some(false),
            region: Some("eu-west-1".into()),
            ..Wishes::default()
        };
        let f = file("port = 2\nregion = \"eu-central-1\"");
        let options = StartOptions { port: Some(1), ..StartOptions::default() };
        let config = Config::layered(options, &f, wishes()).unwrap();
        assert_eq!(
            (config.port, config.region.as_str(), config.place),
            (1, "eu-central-1", Place::Ephemeral)
        );
        let config = Config::layered(StartOptions::default(), &f, wishes()).unwrap();
        assert_eq!(config.port, 2);
        let config = Config::layered(StartOptions::default(), &File::default(), wishes()).unwrap();
        assert_eq!((config.port, config.region.as_str()), (3, "eu-west-1"));
        let config = Config::layered(StartOptions::default(), &File::default(), Wishes::default()).unwrap();
        assert_eq!(config.port, DEFAULT_PORT);
        assert!(matches!(config.place, Place::Data(_)));
    }

    #[test]
    fn a_mistake_in_the_file_is_said() {
        let error = toml::from_str::<File>("prot = 1").unwrap_err().to_string();
        assert!(error.contains("unknown field `prot`"), "{error}");
    }
}
