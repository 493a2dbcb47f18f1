//! The environment variables that people have wired into compose files for LocalStack: they mean what they meant,
//! or are named at start as meaning nothing here. Source: LocalStack's "Configuration" page.

/// What LocalStack's variables ask for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Wishes {
    /// From `GATEWAY_LISTEN` or `EDGE_BIND_HOST`.
    pub(crate) listen: Option<std::net::IpAddr>,
    /// From `GATEWAY_LISTEN` or `EDGE_PORT`.
    pub(crate) port: Option<u16>,
    /// From `SERVICES`.
    pub(crate) services: Vec<String>,
    /// From `DEBUG` or `LS_LOG`.
    pub(crate) log: Option<String>,
    /// From `PERSISTENCE`: `Some(false)` asks for a cloud that forgets.
    pub(crate) persistence: Option<bool>,
    /// From `LOCALSTACK_HOST`: the host name that answers name.
    pub(crate) domain: Option<String>,
    /// From `DEFAULT_REGION`.
    pub(crate) region: Option<String>,
    /// Variables that are set and mean nothing here, with why.
    pub(crate) ignored: Vec<(&'static str, &'static str)>,
}

const MEANINGLESS: &[(&str, &str)] = &[
    ("LOCALSTACK_AUTH_TOKEN", "nothing here asks for a token"),
    ("LOCALSTACK_API_KEY", "nothing here asks for a key"),
    ("ACTIVATE_PRO", "all that is here is free"),
    ("LAMBDA_EXECUTOR", "functions run in sandboxes of their own, without Docker"),
    ("LAMBDA_RUNTIME_EXECUTOR", "functions run in sandboxes of their own, without Docker"),
    ("LAMBDA_DOCKER_NETWORK", "there is no Docker; see --function-network"),
    ("LAMBDA_DOCKER_FLAGS", "there is no Docker"),
    ("LAMBDA_REMOTE_DOCKER", "there is no Docker"),
    ("LAMBDA_KEEPALIVE_MS", "idle functions are kept as memory allows"),
    ("MAIN_CONTAINER_NAME", "there is no container"),
    ("DOCKER_HOST", "there is no Docker"),
    ("DOCKER_FLAGS", "there is no Docker"),
    ("DOCKER_SOCK", "there is no Docker"),
    ("HOST_TMP_FOLDER", "see --data"),
    ("TMP_FOLDER", "see --data"),
    ("DATA_DIR", "see --data"),
    ("SNAPSHOT_SAVE_STRATEGY", "every acknowledged change is durable"),
    ("SNAPSHOT_LOAD_STRATEGY", "the state is there at start"),
    ("EAGER_SERVICE_LOADING", "every service is there at start"),
    ("STRICT_SERVICE_LOADING", "every service is there at start"),
    ("SKIP_SSL_CERT_DOWNLOAD", "the certificate is made here; see cloudlet ca"),
    ("DISABLE_EVENTS", "nothing is reported to anybody"),
    ("ENFORCE_IAM", "policies are always enforced"),
    ("IAM_SOFT_MODE", "policies are always enforced"),
    ("S3_SKIP_SIGNATURE_VALIDATION", "signatures are always verified"),
    ("DISABLE_CORS_CHECKS", "browsers are let in"),
    ("EXTRA_CORS_ALLOWED_ORIGINS", "browsers are let in"),
];

impl Wishes {
    /// Reads the variables through `get`.
    pub(crate) fn read(get: impl Fn(&str) -> Option<String>) -> Self {
        let get = |name: &str| get(name).map(|v| v.trim().to_owned()).filter(|v| !v.is_empty());
        let flag =
            |name: &str| get(name).map(|v| matches!(v.to_ascii_lowercase().as_str(), "1" | "true" | "yes"));
        let mut wishes = Self::default();
        if let Some(listen) = get("GATEWAY_LISTEN") {
            // Several may be named; they differ only in the port, of which one is enough here.
            let first = listen.split(',').next().unwrap_or_default().trim().to_owned();
            let (host, port) = first.rsplit_once(':').unwrap_or(("", first.as_str()));
            wishes.listen = host.trim_matches(['[', ']']).parse().ok();
            wishes.port = port.parse().ok();
        }
        wishes.port = wishes.port.or_else(|| get("EDGE_PORT").and_then(|v| v.parse().ok()));
        wishes.listen = wishes.listen.or_else(|| get("EDGE_BIND_HOST").and_then(|v| v.parse().ok()));
        wishes.services = get("SERVICES")
            .map(|v| v.split(',').map(|s| s.split(':').next().unwrap_or(s).trim().to_owned()).collect())
            .unwrap_or_default();
        wishes.services.retain(|s| !s.is_empty());
        wishes.log = match get("LS_LOG").as_deref() {
            Some("trace" | "trace-internal") => Some("trace".to_owned()),
            Some(level @ ("debug" | "info" | "warn" | "error")) => Some(level.to_owned()),
            Some("warning") => Some("warn".to_owned()),
            _ => (flag("DEBUG") == Some(true)).then(|| "debug".to_owned()),
        };
        wishes.persistence = flag("PERSISTENCE");
        let host = get("LOCALSTACK_HOST")
            .or_else(|| get("LOCALSTACK_HOSTNAME"))
            .or_else(|| get("HOSTNAME_EXTERNAL"));
        wishes.domain = host.map(|h| h.split(':').next().unwrap_or(&h).to_owned());
        wishes.region = get("DEFAULT_REGION");
        wishes.ignored = MEANINGLESS.iter().filter(|(name, _)| get(name).is_some()).copied().collect();
        wishes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(set: &[(&str, &str)]) -> Wishes {
        Wishes::read(|name| set.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned()))
    }

    #[test]
    fn compose_files_mean_what_they_meant() {
        let w = read(&[
            ("GATEWAY_LISTEN", "0.0.0.0:4566,0.0.0.0:443"),
            ("SERVICES", "s3, lambda:4574"),
            ("DEBUG", "1"),
        ]);
        assert_eq!(w.listen, Some([0, 0, 0, 0].into()));
        assert_eq!(w.port, Some(4566));
        assert_eq!(w.services, ["s3", "lambda"]);
        assert_eq!(w.log.as_deref(), Some("debug"));
        assert_eq!(read(&[("GATEWAY_LISTEN", ":4600")]).port, Some(4600));
        assert_eq!(read(&[("EDGE_PORT", "4577")]).port, Some(4577));
        assert_eq!(read(&[("PERSISTENCE", "0")]).persistence, Some(false));
        assert_eq!(read(&[("LOCALSTACK_HOST", "cloud.test:4566")]).domain.as_deref(), Some("cloud.test"));
        assert_eq!(read(&[("ENFORCE_IAM", "1")]).ignored.len(), 1);
        assert_eq!(read(&[]), Wishes::default());
    }
}
