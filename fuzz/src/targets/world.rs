//! A cloud in this process: the services that need no sandbox, over a store that is forgotten. One for each thread, so that
//! targets need no lock.

use cloudlet_bus::Bus;
use cloudlet_edge::{Edge, EdgeConfig};
use cloudlet_identity::{Identities, Settings};
use cloudlet_service::{
    Api, Clock, Cloud, Context, Error, Identity, ManualClock, Principal, Seeded, Service, Structure,
};
use cloudlet_store::Store;
use cloudlet_wire::{Payload, Route, Router, write_output};
use std::cell::RefCell;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;

/// 2023-11-14T22:13:20Z.
pub(super) const NOW: i64 = 1_700_000_000;
/// After so many calls the cloud is made anew, so that state stays small and a finding has a short history.
const CALLS: usize = 5000;
/// What no answer may take. Everything is in memory or in the page cache.
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) struct World {
    runtime: Runtime,
    cloud: Arc<Cloud>,
    pub(super) identities: Arc<Identities>,
    pub(super) router: Router,
    pub(super) door: SocketAddr,
    session: String,
    calls: usize,
    _bus: Arc<Bus>,
}

thread_local! {
    static WORLD: RefCell<Option<World>> = const { RefCell::new(None) };
}

/// Works with this thread's cloud.
pub(super) fn with<T>(work: impl FnOnce(&mut World) -> T) -> T {
    WORLD.with_borrow_mut(|slot| {
        if slot.as_ref().is_some_and(|world| world.calls > CALLS) {
            *slot = None;
        }
        match slot {
            Some(world) => work(world),
            None => work(slot.insert(World::new())),
        }
    })
}

impl World {
    #[allow(clippy::expect_used, reason = "without a cloud there is nothing to test")]
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let entered = runtime.enter();
        let store = Store::ephemeral().expect("a store in the temporary folder");
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(NOW * 1000));
        let cloud = Cloud::new(clock.clone(), Arc::new(Seeded::new(1)), "http://localhost:4566".to_owned());
        let opened = Identities::open(store.clone(), cloud.clone(), Settings { well_known_keys: true });
        let identities = runtime.block_on(opened).expect("identities");
        let bus = Bus::new(store.clone(), clock);
        let services: Vec<Arc<dyn Service>> = vec![
            cloudlet_iam::Iam::new(identities.clone()),
            cloudlet_sts::Sts::new(identities.clone()),
            cloudlet_logs::Logs::new(store.clone(), cloud.clone(), &bus),
            cloudlet_s3::S3::new(store, cloud.clone(), &bus),
        ];
        let apis: Vec<&'static Api> = services.iter().map(|s| s.api()).collect();
        let config =
            EdgeConfig { listen: vec![SocketAddr::from(([127, 0, 0, 1], 0))], ..EdgeConfig::default() };
        let edge = Edge::bind(config, cloud.clone()).expect("a free port");
        let door = edge.local_addr().expect("an address");
        cloud.open(services, identities.clone() as Arc<dyn Identity>);
        runtime.spawn(edge.serve(std::future::pending()));
        drop(entered);
        let mut world = Self {
            runtime,
            cloud,
            identities,
            router: Router::new(&apis),
            door,
            session: String::new(),
            calls: 0,
            _bus: bus,
        };
        world.session = world.new_session();
        world
    }

    fn root(&self) -> Context {
        self.cloud.context(Principal::Root { account: "000000000000".into() }, "000000000000", "us-east-1")
    }

    /// A session's key and, after a line end, its token.
    pub(super) fn session(&self) -> String {
        self.session.clone()
    }

    #[allow(clippy::expect_used, reason = "without a session there is nothing to test")]
    fn new_session(&self) -> String {
        use cloudlet_api_sts::{GetSessionTokenInput, operations::GetSessionToken};
        let root = self.root();
        let asked = self.cloud.call::<GetSessionToken>(&root, GetSessionTokenInput::default());
        let made = self.runtime.block_on(asked);
        let made = made.ok().and_then(|m| m.credentials).expect("a session of the root user");
        format!("{}\n{}", made.access_key_id, made.session_token)
    }

    /// Calls an operation as the root user and takes its whole answer; gives its length in bytes.
    pub(super) fn call(&mut self, route: &Route, input: Box<dyn Structure>) -> Result<usize, Error> {
        self.calls += 1;
        let cx = self.root();
        let name = route.operation().name;
        self.runtime.block_on(async {
            let work = async {
                let service = self
                    .cloud
                    .service(route.api.name)
                    .ok_or_else(|| Error::internal("a route without its service"))?;
                let output = self.cloud.dispatch(service, route.operation, &cx, input).await?;
                match write_output(route, "00000000-0000-4000-8000-000000000000", output).into_body() {
                    Payload::Bytes(bytes) => Ok(bytes.len()),
                    // A live tail never ends.
                    Payload::Stream(stream) if stream.len().is_none() => Ok(0),
                    Payload::Stream(stream) => Ok(stream.collect(usize::MAX).await?.len()),
                }
            };
            let answered = tokio::time::timeout(PATIENCE, work).await;
            assert!(answered.is_ok(), "{name} did not answer within {} s", PATIENCE.as_secs());
            answered.unwrap_or_else(|late| Err(Error::internal(late)))
        })
    }

    /// Sends bytes to the front door on a connection of their own and takes what comes back. `ends` closes our side behind
    /// them; otherwise they must ask for the connection to be closed.
    pub(super) fn knock(&mut self, bytes: &[u8], ends: bool) -> Vec<u8> {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        self.calls += 1;
        let door = self.door;
        self.runtime.block_on(async {
            let talk = async {
                let stream = tokio::net::TcpStream::connect(door).await.ok()?;
                let (mut read, mut write) = stream.into_split();
                let send = async {
                    // The other side may have heard enough.
                    let _ = write.write_all(bytes).await;
                    if ends {
                        let _ = write.shutdown().await;
                    }
                };
                let mut answer = Vec::new();
                let mut take = (&mut read).take(1 << 20);
                let (_, _) = tokio::join!(send, take.read_to_end(&mut answer));
                Some(answer)
            };
            let answered = tokio::time::timeout(PATIENCE, talk).await;
            assert!(
                answered.is_ok(),
                "the front door neither answered nor closed within {} s",
                PATIENCE.as_secs()
            );
            answered.ok().flatten().unwrap_or_default()
        })
    }
}
