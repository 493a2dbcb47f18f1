//! The wiring: store, bus, identities, compute, services and the front door, put together in the one order that works.

use crate::config::{Config, Place};
use crate::control::{Answer, Ask};
use crate::endpoints::Endpoints;
use crate::workbench::Workbench;
use crate::{Failure, cli, explain, instance, paths, start};
use cloudlet_api_logs as logs_api;
use cloudlet_bus::Bus;
use cloudlet_compute::{Compute, EdgeRoute};
use cloudlet_edge::{Edge, EdgeConfig};
use cloudlet_identity::{Identities, Settings};
use cloudlet_lambda::Lambda;
use cloudlet_service::{Clock, Cloud, Identity, Principal, Service, SystemClock, SystemRandomness};
use cloudlet_store::{Durability, Options, Store};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinHandle;

/// The account of the well-known key.
const ACCOUNT: &str = "000000000000";
/// The longest command line of an owner, in bytes.
const LONGEST_COMMAND: u64 = 64 * 1024;

/// A cloud whose parts all run; its front door opens with [`Running::serve_until`].
pub(crate) struct Running {
    store: Store,
    bus: Arc<Bus>,
    compute: Arc<Compute>,
    lambda: Arc<Lambda>,
    cloud: Arc<Cloud>,
    identities: Arc<Identities>,
    edge: Edge,
    address: SocketAddr,
    place: String,
    keys: Keys,
}

/// The keys that the owner uses.
#[derive(Clone)]
pub(crate) struct Keys {
    pub(crate) access_key_id: String,
    pub(crate) secret: String,
    /// `None` for the well-known key; otherwise whether the key was made at this start.
    pub(crate) made: Option<bool>,
}

/// What commands about identities need.
#[derive(Clone)]
struct Owner {
    identities: Arc<Identities>,
    lambda: Arc<Lambda>,
    keys: Keys,
}

impl Owner {
    /// Tells the identities that the store holds something else. The key that the owner was shown goes on working when
    /// everything was deleted.
    async fn restored(&self, emptied: bool) -> Result<(), Failure> {
        self.identities.restored().await?;
        self.lambda.restored()?;
        if emptied && self.keys.made.is_some() {
            self.identities.keep_root_key(ACCOUNT, &self.keys.access_key_id, &self.keys.secret).await?;
        }
        Ok(())
    }
}

impl Running {
    /// Puts the cloud together. Must be called within a tokio runtime.
    pub(crate) async fn start(config: &Config) -> Result<Self, Failure> {
        let store = open_store(config)?;
        let dir = store.dir().to_owned();
        let place = match &config.place {
            Place::Data(dir) => dir.display().to_string(),
            Place::Ephemeral => "temporary; forgotten at the end".to_owned(),
        };
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
        let cloud = Cloud::new(clock.clone(), Arc::new(SystemRandomness), String::new());
        let endpoints = Arc::new(Endpoints::default());
        let edge = Edge::bind_with(edge_config(config), cloud.clone(), endpoints.clone())?;
        let address = edge.local_addr().ok_or("the front door has no address")?;
        cloud.set_endpoint(format!("http://{}:{}", public_host(config), address.port()));

        let well_known_keys = config.listen.is_loopback();
        let identities = Identities::open(store.clone(), cloud.clone(), Settings { well_known_keys }).await?;
        let keys = if well_known_keys {
            Keys { access_key_id: "test".to_owned(), secret: "test".to_owned(), made: None }
        } else {
            let root = identities.root_key_pair(ACCOUNT).await?;
            Keys {
                access_key_id: root.access_key_id,
                secret: root.secret.reveal().to_owned(),
                made: Some(root.created),
            }
        };

        let bus = Bus::new(store.clone(), clock);
        let sink = cloudlet_lambda::Sink::new(&cloud);
        let compute = Compute::new(compute_config(config, &dir, address), sink.clone())?;
        let compute = Arc::new(compute);
        let lambda = cloudlet_lambda::Lambda::new(store.clone(), cloud.clone(), &bus, compute.clone(), &sink);
        lambda.set_limits(config.limits);
        endpoints.open(lambda.clone());
        let dynamodb = cloudlet_dynamodb::DynamoDb::new(store.clone(), cloud.clone(), &bus);
        dynamodb.enforce_throughput(config.enforce_throughput);
        let kms = cloudlet_kms::Kms::new(store.clone(), &cloud, &bus, kms_master_key()?)?;
        let services: Vec<Arc<dyn Service>> = vec![
            cloudlet_iam::Iam::new(identities.clone()),
            cloudlet_sts::Sts::new(identities.clone()),
            cloudlet_organizations::Organizations::new(identities.clone()),
            cloudlet_account::Account::new(identities.clone()),
            cloudlet_logs::Logs::new(store.clone(), cloud.clone(), &bus),
            kms,
            cloudlet_secretsmanager::SecretsManager::new(store.clone(), &cloud, &bus),
            cloudlet_ssm::Ssm::new(store.clone(), &bus),
            lambda.clone(),
            cloudlet_s3::S3::new(store.clone(), cloud.clone(), &bus),
            dynamodb.streams(),
            dynamodb,
        ];
        cloud.open(services, identities.clone() as Arc<dyn Identity>);
        Ok(Self { store, bus, compute, lambda, cloud, identities, edge, address, place, keys })
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    pub(crate) fn endpoint(&self) -> &str {
        self.cloud.endpoint()
    }

    pub(crate) fn place(&self) -> String {
        self.place.clone()
    }

    pub(crate) fn keys(&self) -> Keys {
        self.keys.clone()
    }

    pub(crate) fn millis(&self) -> i64 {
        self.cloud.clock().millis()
    }

    /// The names of what is served, sorted.
    pub(crate) fn services(&self) -> Vec<&'static str> {
        let names: BTreeSet<&'static str> = self.cloud.services().map(|s| s.api().name).collect();
        names.into_iter().collect()
    }

    /// Takes the owner's commands from now on.
    pub(crate) fn take_commands(&self) -> Result<JoinHandle<()>, Failure> {
        let path = instance::socket(self.port());
        let _ = std::fs::remove_file(&path);
        let listener = UnixListener::bind(&path)?;
        let (store, cloud) = (self.store.clone(), self.cloud.clone());
        let owner = Owner {
            identities: self.identities.clone(),
            lambda: self.lambda.clone(),
            keys: self.keys.clone(),
        };
        Ok(tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (store, cloud, owner) = (store.clone(), cloud.clone(), owner.clone());
                tokio::spawn(async move {
                    if let Err(why) = command(stream, &store, &cloud, &owner).await {
                        tracing::debug!(%why, "an owner's command ended early");
                    }
                });
            }
        }))
    }

    /// Answers until `stop` resolves; then finishes what has begun, in the order in which things depend on each other.
    pub(crate) async fn serve_until(self, stop: impl Future<Output = ()>) {
        let left = self.edge.serve(stop).await;
        if left > 0 {
            tracing::warn!(left, "some connections did not end in time");
        }
        self.cloud.close();
        self.bus.stop(Duration::from_secs(20)).await;
        self.compute.shutdown().await;
        if let Err(why) = self.identities.write_down().await {
            tracing::warn!(%why, "when identities were last used could not be written down");
        }
        let store = self.store;
        if let Err(why) = tokio::task::spawn_blocking(move || store.close()).await {
            tracing::error!(%why, "the store did not close");
        }
    }
}

/// The operator's own master key for KMS. Not an option of the command line, where others could read it.
fn kms_master_key() -> Result<Option<cloudlet_kms::MasterKey>, Failure> {
    let Ok(text) = std::env::var("CLOUDLET_KMS_MASTER_KEY") else { return Ok(None) };
    let key = cloudlet_kms::MasterKey::parse(&text);
    let wanted = "CLOUDLET_KMS_MASTER_KEY must be 256 bits: 64 hexadecimal digits or Base64, as of `openssl rand -hex 32`";
    Ok(Some(key.ok_or(wanted)?))
}

pub(crate) fn open_store(config: &Config) -> Result<Store, Failure> {
    let durability = match config.durability {
        cli::Durability::Process => Durability::Process,
        cli::Durability::Disk => Durability::Disk,
    };
    let options = Options { durability, ..Options::default() };
    Ok(match &config.place {
        Place::Data(dir) => Store::open(dir, options)?,
        Place::Ephemeral => Store::ephemeral_with(options)?,
    })
}

fn edge_config(config: &Config) -> EdgeConfig {
    let mut edge = EdgeConfig {
        listen: vec![SocketAddr::new(config.listen, config.port)],
        default_region: config.region.clone(),
        tls: Some(start::authority(&config.place)),
        services: (!config.services.is_empty()).then(|| config.services.clone()),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..EdgeConfig::default()
    };
    edge.domains.extend(config.domains.iter().cloned());
    edge
}

/// The host name that answers name.
fn public_host(config: &Config) -> String {
    if config.listen.is_loopback() || config.listen.is_unspecified() {
        config.domains.first().cloned().unwrap_or_else(|| "localhost".to_owned())
    } else {
        config.listen.to_string()
    }
}

fn compute_config(config: &Config, data: &Path, address: SocketAddr) -> cloudlet_compute::Config {
    // Functions reach the cloud through loopback wherever else it listens.
    let inside = match address {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => SocketAddr::from(([127, 0, 0, 1], v4.port())),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => {
            SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], v6.port()))
        }
        other => other,
    };
    let mut compute = cloudlet_compute::Config::new(compute_dir(data), EdgeRoute::Address(inside));
    compute.sdk_dir = paths::cache().join("sdk");
    compute.endpoint_port = address.port();
    compute.network = match config.network {
        cli::Network::Cloud => cloudlet_compute::Network::Cloud,
        cli::Network::Host => cloudlet_compute::Network::Host,
    };
    compute.interpreters = config.runtimes.clone();
    compute.max_concurrency = compute.max_concurrency.min(config.concurrency);
    compute.progress = Arc::new(|progress| eprintln!("{}: {}", progress.what, progress.step));
    compute
}

/// Where sandboxes are made and unpacked code is kept.
fn compute_dir(data: &Path) -> PathBuf {
    data.join("compute")
}

/// Reads commands, obeys it, answers.
async fn command(
    stream: UnixStream,
    store: &Store,
    cloud: &Arc<Cloud>,
    owner: &Owner,
) -> Result<(), Failure> {
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::new(read);
    let mut bench = Workbench::new(cloud.clone(), owner.lambda.clone());
    let end = async {
        loop {
            let mut line = String::new();
            tokio::io::AsyncReadExt::take(&mut read, LONGEST_COMMAND).read_line(&mut line).await?;
            if line.is_empty() {
                return Ok(());
            }
            let answer = match serde_json::from_str(&line) {
                Ok(ask) => obey(ask, store, cloud, owner, &mut bench)
                    .await
                    .unwrap_or_else(|why| Answer::Failed { why: why.to_string() }),
                Err(why) => Answer::Failed {
                    why: format!("not understood: {why}; are the command and the cloud of one version?"),
                },
            };
            write.write_all(format!("{}\n", serde_json::to_string(&answer)?).as_bytes()).await?;
        }
    }
    .await;
    bench.end().await;
    end
}

async fn obey(
    ask: Ask,
    store: &Store,
    cloud: &Arc<Cloud>,
    owner: &Owner,
    bench: &mut Workbench,
) -> Result<Answer, Failure> {
    let store = store.clone();
    Ok(match ask {
        Ask::Status => Answer::Status { rows: status(&store, cloud)? },
        Ask::Reset => {
            tokio::task::spawn_blocking(move || store.clear()).await??;
            owner.restored(true).await?;
            Answer::Done
        }
        Ask::Save { dir } => {
            tokio::task::spawn_blocking(move || store.snapshot_to(Path::new(&dir))).await??;
            Answer::Done
        }
        Ask::Load { dir } => {
            tokio::task::spawn_blocking(move || store.restore_from(Path::new(&dir))).await??;
            owner.restored(false).await?;
            Answer::Done
        }
        Ask::WhyDenied { request } => {
            Answer::Text { text: explain::why_denied(&owner.identities, request.as_deref()) }
        }
        Ask::LeastPolicy { account, name, since } => {
            let policy = owner.identities.least_policy(&account, &name, since)?;
            let policy =
                policy.ok_or_else(|| format!("account {account} has no role or user named {name}"))?;
            Answer::Text { text: serde_json::to_string_pretty(&policy)? }
        }
        Ask::Verify { after } => verified(cloudlet_s3::verify(&store, after.as_deref()).await?),
        Ask::Run { bench: wanted } => match bench.run(wanted).await {
            Ok(answer) => answer,
            Err(why) => {
                bench.end().await;
                return Err(why);
            }
        },
        Ask::Reload => bench.reload()?,
        Ask::Invoke { payload } => bench.invoke(payload).await?,
        Ask::Traces { account, region, function, after } => {
            let traces = owner.lambda.traces(&account, &region, &function, after);
            Answer::Traces { lines: traces.into_iter().map(|t| (t.at, t.line)).collect() }
        }
        Ask::Logs { account, region, group, since, token } => {
            let root = Principal::Root { account: account.as_str().into() };
            let cx = cloud.context(root, &account, &region);
            let input = logs_api::FilterLogEventsInput {
                log_group_name: Some(group),
                start_time: Some(since),
                next_token: token,
                ..Default::default()
            };
            let output = cloud.call::<logs_api::operations::FilterLogEvents>(&cx, input).await?;
            let events = output.events.unwrap_or_default();
            let event =
                |e: logs_api::FilteredLogEvent| (e.timestamp.unwrap_or(0), e.message.unwrap_or_default());
            Answer::Logs { events: events.into_iter().map(event).collect(), next: output.next_token }
        }
    })
}

/// What a batch found, as the answer tells it.
pub(crate) fn verified(found: cloudlet_s3::Verified) -> Answer {
    let cloudlet_s3::Verified { checked, bytes, sealed, damaged, next } = found;
    Answer::Verified { checked, bytes, sealed, damaged, next }
}

fn status(store: &Store, cloud: &Arc<Cloud>) -> Result<Vec<(String, String)>, Failure> {
    let mut services: Vec<&str> = cloud.services().map(|s| s.api().name).collect();
    services.sort_unstable();
    let mut rows = vec![("services".to_owned(), services.join(" "))];
    for queue in store.outbox().queues()? {
        rows.push((format!("waiting in {queue}"), store.outbox().len(&queue)?.to_string()));
    }
    if let Ok(statm) = std::fs::read_to_string("/proc/self/status")
        && let Some(line) = statm.lines().find(|l| l.starts_with("VmRSS:"))
    {
        rows.push(("memory".to_owned(), line.trim_start_matches("VmRSS:").trim().to_owned()));
    }
    Ok(rows)
}
