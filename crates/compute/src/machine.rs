//! Makes sandboxes: finds the runtime, unpacks the code, orders the walls from the warden, loads the handler.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use serde_json::json;
use tokio::net::{TcpListener, UnixStream};
use tokio::sync::mpsc;

use crate::capture::Capture;
use crate::extensions::telemetry::Telemetry;
use crate::extensions::{self, Extensions};
use crate::frames::{Frames, Message};
use crate::home::Home;
use crate::jail::Level;
use crate::output::{Output, Writer};
use crate::runtime_api::{Api, serve_extensions};
use crate::runtimes::environment::{self, Places};
use crate::runtimes::image;
use crate::runtimes::{Runtime, Runtimes, Start, WRAPPER, provided};
use crate::sandbox::{End, InitFailure, Link, Sandbox};
use crate::warden::client::{Event, Warden};
use crate::warden::protocol::{Assign, Program, SandboxId, Spawn, ToWarden};
use crate::{ComputeError, Config, EdgeRoute, FunctionSpec, Isolation, LogSink, LogStream, Network, edge};

/// Init may take this long before it starts to use up the function's own timeout. AWS: 10 seconds.
pub(crate) const INIT_TIME: Duration = Duration::from_secs(10);
/// To build an empty sandbox and start an interpreter in it, on a very busy machine.
const RAISE_TIME: Duration = Duration::from_secs(60);
/// The Runtime API's port inside of a sandbox.
const API_PORT: u16 = 9001;

/// Everything that starting a sandbox needs.
pub(crate) struct Machine {
    pub(crate) config: Config,
    pub(crate) logs: Arc<dyn LogSink>,
    pub(crate) runtimes: Runtimes,
    /// Known once the warden has said what sandboxes are like here.
    home: tokio::sync::OnceCell<Home>,
    warden: tokio::sync::Mutex<Option<Arc<Warden>>>,
    next: AtomicU64,
}

/// A sandbox without code.
pub(crate) struct Blank {
    pub(crate) handle: Handle,
    pub(crate) events: mpsc::UnboundedReceiver<Event>,
    pub(crate) frames: Option<Frames>,
    pub(crate) capture: Capture,
    pub(crate) runtime: Arc<Runtime>,
    /// Listener of the Runtime API, for the runtime if it speaks it, and for extensions.
    pub(crate) api: TcpListener,
    /// Its interpreter runs already.
    pub(crate) started: bool,
}

/// Ends the sandbox when dropped.
pub(crate) struct Handle {
    pub(crate) id: SandboxId,
    pub(crate) warden: Arc<Warden>,
    /// The host's number of the main process, where that is known.
    pub(crate) main: Option<i32>,
    /// Carries the sandbox's connections to the edge.
    pub(crate) edge: Option<tokio::task::JoinHandle<()>>,
    /// Serves the Runtime API, the Extensions API, the Telemetry API.
    pub(crate) api: Option<tokio::task::JoinHandle<()>>,
    /// Who is told about the end.
    pub(crate) extensions: Option<Arc<Extensions>>,
    /// Why it ends, as extensions are told.
    pub(crate) reason: &'static str,
    /// What must outlive the sandbox's own end.
    pub(crate) left: Option<Left>,
}

/// What a sandbox leaves for the time in which its extensions are told about the end.
pub(crate) struct Left {
    /// A runtime whose link is cut ends, and all else in its sandbox with it: before extensions have heard of anything.
    pub(crate) _link: Option<Link>,
    /// What they write when they are told, and where it goes.
    pub(crate) last_words: Option<(Capture, Output)>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        let (edge, api) = (self.edge.take(), self.api.take());
        let (warden, id, reason) = (self.warden.clone(), self.id, self.reason);
        let end = move || {
            for task in [edge, api].into_iter().flatten() {
                task.abort();
            }
            let _ = warden.order(&ToWarden::Kill { id }, vec![]);
        };
        match (self.extensions.take(), tokio::runtime::Handle::try_current()) {
            // They may use the cloud meanwhile, for the last of what they gathered.
            (Some(extensions), Ok(runtime)) if extensions.wants_farewell() => {
                let mut left = self.left.take();
                runtime.spawn(async move {
                    let last_words = left.as_mut().and_then(|left| left.last_words.take());
                    let heard = async move {
                        let Some((mut capture, mut output)) = last_words else { return };
                        while let Ok(Some(lines)) = capture.read().await {
                            output.put(lines, Writer::Extension).await;
                        }
                    };
                    // All of them are gone when nobody holds their output any more.
                    tokio::join!(
                        extensions.farewell(reason),
                        tokio::time::timeout(extensions::FAREWELL, heard)
                    )
                    .1
                    .ok();
                    drop(left);
                    end();
                });
            }
            _ => end(),
        }
    }
}

impl Machine {
    pub(crate) fn new(config: Config, logs: Arc<dyn LogSink>) -> Result<Self, ComputeError> {
        let state = config.state_dir.clone();
        std::fs::create_dir_all(&state)
            .map_err(ComputeError::io(format!("cannot make the folder {}", state.display())))?;
        let state =
            state.canonicalize().map_err(ComputeError::io(format!("cannot find {}", state.display())))?;
        let _ = crate::archive::remove_tree(&state.join("sandboxes"));
        Ok(Self {
            config: Config { state_dir: state, ..config },
            logs,
            runtimes: Runtimes::default(),
            home: tokio::sync::OnceCell::new(),
            warden: tokio::sync::Mutex::new(None),
            next: AtomicU64::new(1),
        })
    }

    /// The running warden, started now if there is none.
    pub(crate) async fn warden(&self) -> Result<Arc<Warden>, ComputeError> {
        let mut slot = self.warden.lock().await;
        if let Some(warden) = slot.as_ref().filter(|warden| !warden.is_over()) {
            return Ok(warden.clone());
        }
        let plain = self.config.isolation == Isolation::Plain;
        let warden = Warden::start(&self.config.child, &self.config.state_dir, plain)
            .await
            .map_err(|error| ComputeError::Sandbox(format!("the warden of the sandboxes: {error}")))?;
        for missing in &warden.hello.missing {
            tracing::info!("sandboxes do without {missing}");
        }
        let warden = Arc::new(warden);
        *slot = Some(warden.clone());
        Ok(warden)
    }

    async fn home(&self) -> Result<&Home, ComputeError> {
        let open = async {
            let plain = self.warden().await?.hello.level == Level::Plain;
            Home::open(self.config.clone(), plain && nix::unistd::geteuid().is_root())
        };
        self.home.get_or_try_init(|| open).await
    }

    pub(crate) async fn end(&self) {
        if let Some(warden) = self.warden.lock().await.take() {
            warden.end().await;
        }
    }

    /// The runtime that a function needs, its image unpacked if it is one.
    pub(crate) async fn runtime(&self, spec: &FunctionSpec) -> Result<Arc<Runtime>, ComputeError> {
        let home = self.home().await?;
        match &spec.image {
            Some(image) => home.images.get(image).await,
            None => self.runtimes.get(&spec.runtime, &home.config).await,
        }
    }

    /// The folders to show at /var/task and /opt. An image has its own.
    pub(crate) async fn code(
        &self,
        spec: &FunctionSpec,
    ) -> Result<(Option<PathBuf>, Option<PathBuf>), ComputeError> {
        if spec.image.is_some() {
            return Ok((None, None));
        }
        let cache = &self.home().await?.cache;
        Ok((Some(cache.code(&spec.code).await?), cache.layers(&spec.layers).await?))
    }

    /// Whether sandboxes of this runtime can be started before there is code for them.
    pub(crate) async fn can_start_ahead(&self, runtime: &Runtime) -> bool {
        matches!(runtime.start, Start::Ahead { .. })
            && self.warden().await.is_ok_and(|warden| warden.hello.attach)
    }

    /// Builds a sandbox for this runtime, up to the point where it waits for code. `ahead` starts its interpreter, where
    /// that is possible.
    pub(crate) async fn raise(&self, runtime: &Arc<Runtime>, ahead: bool) -> Result<Blank, ComputeError> {
        let warden = self.warden().await?;
        let state = &self.home().await?.config.state_dir;
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let plain = warden.hello.level == Level::Plain;
        let host_network = plain || self.config.network == Network::Host;
        let io = |what: &str| {
            let what = what.to_owned();
            move |error| ComputeError::Sandbox(format!("{what}: {error}"))
        };

        let (output, writer) = std::io::pipe().map_err(io("cannot make a pipe"))?;
        let mut fds = vec![OwnedFd::from(writer)];
        let mut frames = None;
        let (mut program, mut zygote) = (None, None);
        if let Start::Ahead { jailed, plain: unjailed, zygote: forks } = &runtime.start {
            let (near, far) = std::os::unix::net::UnixStream::pair().map_err(io("cannot make a socket"))?;
            near.set_nonblocking(true).map_err(io("cannot set up a socket"))?;
            frames = Some(Frames::new(UnixStream::from_std(near).map_err(io("cannot set up a socket"))?));
            fds.push(far.into());
            if warden.hello.attach && ahead {
                program = Some(if plain { unjailed } else { jailed }.clone());
                zygote = forks.clone();
            }
        }
        let mut listen = Vec::new();
        if !host_network {
            if !matches!(self.config.edge, EdgeRoute::None) {
                listen.push(self.config.endpoint_port);
            }
            listen.push(API_PORT);
        }
        let spawn = Spawn {
            id,
            host_network,
            listen: listen.clone(),
            shown: runtime.shown.clone(),
            program,
            zygote,
            channel: frames.is_some(),
            root: runtime.root.clone(),
            scratch: state.join("sandboxes").join(id.to_string()),
        };
        let started = spawn.program.is_some();
        let mut events = warden.listen(id);
        let mut handle = Handle {
            id,
            warden: warden.clone(),
            main: None,
            edge: None,
            api: None,
            extensions: None,
            reason: "spindown",
            left: None,
        };
        warden.order(&ToWarden::Spawn(Box::new(spawn)), fds).map_err(io("cannot reach the warden"))?;
        let output = OwnedFd::from(output);
        let output =
            tokio::net::unix::pipe::Receiver::from_owned_fd(output).map_err(io("cannot read output"))?;
        let mut capture = Capture::new(output);

        let (listeners, main) = tokio::time::timeout(RAISE_TIME, up(&mut events))
            .await
            .map_err(|_| ComputeError::Sandbox("it did not come up within a minute".to_owned()))??;
        handle.main = main;
        let mut api = None;
        for (listener, port) in listeners.into_iter().zip(listen) {
            let listener = std::net::TcpListener::from(listener);
            listener.set_nonblocking(true).map_err(io("cannot listen in the sandbox"))?;
            let listener = TcpListener::from_std(listener).map_err(io("cannot listen in the sandbox"))?;
            if port == API_PORT {
                api = Some(listener);
            } else {
                handle.edge = edge::carry(listener, self.config.edge.clone());
            }
        }
        let api = match api {
            Some(api) => api,
            None => TcpListener::bind(("127.0.0.1", 0)).await.map_err(io("cannot listen for the runtime"))?,
        };
        if started && let Some(frames) = &mut frames {
            let ready = async {
                tokio::select! {
                    message = frames.receive() => message.map_err(|error| error.to_string()),
                    event = events.recv() => Err(format!("{event:?}")),
                }
            };
            let ready = tokio::time::timeout(RAISE_TIME, ready).await;
            if !matches!(ready, Ok(Ok(Message::Ready))) {
                let said: Vec<_> = capture
                    .drain()
                    .iter()
                    .map(|l| String::from_utf8_lossy(&l.message).into_owned())
                    .collect();
                return Err(ComputeError::Sandbox(format!(
                    "the interpreter of {} did not start ({ready:?}): {}",
                    runtime.key,
                    said.join("; ")
                )));
            }
        }
        Ok(Blank { handle, events, frames, capture, runtime: runtime.clone(), api, started })
    }

    /// Makes a sandbox into one of `spec`, loading its handler. `blank` is one from the pool, if there was one.
    pub(crate) async fn start(
        &self,
        spec: Arc<FunctionSpec>,
        runtime: Arc<Runtime>,
        blank: Option<Blank>,
    ) -> Result<Sandbox, ComputeError> {
        let begin = Instant::now();
        let (task, opt) = self.code(&spec).await?;
        let credentials = match &spec.credentials {
            Some(provider) => Some(provider().await.map_err(ComputeError::Credentials)?),
            None => None,
        };
        let blank = match blank {
            Some(blank) => blank,
            None => self.raise(&runtime, !runtime.starts_late(&spec.env)).await?,
        };
        let Blank { mut handle, mut events, mut frames, capture, runtime, api, started } = blank;
        let stream = Arc::new(LogStream {
            account: spec.account.clone(),
            region: spec.region.clone(),
            group: spec.log_group.clone(),
            stream: stream_name(&spec.version),
        });
        let mut output = Output::new(self.logs.clone(), stream.clone());
        output.begin(self.config.max_log_bytes);
        for warning in &runtime.warnings {
            output.hold(crate::LogLine { at: SystemTime::now(), message: Bytes::from(warning.clone()) });
        }

        let plain = handle.warden.hello.level == Level::Plain;
        let text = |path: &std::path::Path| path.to_string_lossy().into_owned();
        let outer =
            |folder: &Option<PathBuf>, inside: &str| folder.as_deref().map_or(inside.to_owned(), text);
        let (outer_task, outer_opt) = (outer(&task, "/var/task"), outer(&opt, "/opt"));
        let state = &self.home().await?.config.state_dir;
        let scratch = text(&state.join("sandboxes").join(handle.id.to_string()).join("tmp"));
        let listening = api.local_addr().ok();
        let places = Places {
            task: if plain { &outer_task } else { "/var/task" },
            opt: if plain { &outer_opt } else { "/opt" },
            runtime: "/var/runtime",
            bin: None,
            tmp: plain.then_some(scratch.as_str()),
            endpoint: self.endpoint(plain),
            runtime_api: listening.map(|at| at.to_string()),
        };
        let env = environment::of_function(&spec, &stream.stream, &places, credentials.as_ref());

        let mut failure = None;
        let mut program = None;
        match &runtime.start {
            Start::Image(config) => match image::program(&runtime, config, &spec, &env) {
                Ok(own) => program = Some(own),
                Err(why) => failure = Some(why),
            },
            Start::Bootstrap => match provided::bootstrap(Path::new(&outer_task), opt.as_deref()) {
                Some(place) => {
                    let path = if plain { text(&place.outside) } else { place.inside.to_owned() };
                    let directory = Some(places.task.to_owned());
                    program = Some(Program { argv: vec![path], env: env.clone(), directory });
                }
                None => {
                    failure = Some(InitFailure::new(
                        "Runtime.InvalidEntrypoint",
                        "Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap]",
                    ));
                }
            },
            Start::Java(launch) => program = Some(launch.program(&spec, &env, &places, plain)),
            Start::Ahead { jailed, plain: unjailed, .. } if !started => {
                let mut late = if plain { unjailed } else { jailed }.clone();
                late.env.extend(env.clone());
                program = Some(late);
            }
            Start::Ahead { .. } => {}
        }
        if let Some(program) = &mut program
            && matches!(runtime.start, Start::Ahead { .. } | Start::Java(_))
            && let Some(wrapper) = spec.env.get(WRAPPER)
        {
            let place = |inside: &str, at: &str| {
                wrapper
                    .strip_prefix(inside)
                    .filter(|rest| rest.starts_with('/'))
                    .map(|rest| format!("{at}{rest}"))
            };
            let wrapper = place("/var/task", places.task).or_else(|| place("/opt", places.opt));
            program.argv.insert(0, wrapper.unwrap_or_else(|| spec.env[WRAPPER].clone()));
        }
        let inner_opt = match (&runtime.root, &opt) {
            (Some(root), _) => Some(root.join("opt")),
            (None, opt) => opt.clone(),
        };
        let names = extensions::external(inner_opt.as_deref());
        let beside: Vec<_> =
            names.iter().map(|name| (name.clone(), environment::of_extension(name, &env, &places))).collect();
        let telemetry = Telemetry::new(handle.warden.clone(), handle.id);
        let extensions = Extensions::new(&spec, names, telemetry);
        let mut beside_output = None;
        if failure.is_none() {
            let mut fds = vec![];
            if !beside.is_empty() {
                let pipe = |error| ComputeError::Sandbox(format!("cannot make a pipe: {error}"));
                let (reader, writer) = std::io::pipe().map_err(pipe)?;
                let reader = tokio::net::unix::pipe::Receiver::from_owned_fd(OwnedFd::from(reader));
                beside_output = Some(Capture::new(reader.map_err(pipe)?));
                fds.push(OwnedFd::from(writer));
            }
            // Before anything of the function's runs: extensions register as soon as they are up.
            let assign = Assign {
                id: handle.id,
                task,
                opt,
                memory_mb: spec.memory_mb,
                ephemeral_mb: spec.ephemeral_mb,
                limit_address_space: runtime.address_space,
                program,
                extensions: beside,
            };
            let order = ToWarden::Assign(Box::new(assign));
            handle.warden.order(&order, fds).map_err(|e| ComputeError::Sandbox(e.to_string()))?;
            attached(&mut events).await?;
        }
        let loading = Instant::now();
        let link = match frames.take() {
            Some(mut frames) => {
                handle.api = Some(serve_extensions(api, extensions.clone()));
                let init = json!({
                    "t": "init",
                    "env": env,
                    // Its environment came with its start, and a wrapper may have added to it.
                    "late": !started,
                    "handler": spec.handler,
                    "task_root": places.task,
                    "opt_root": places.opt,
                });
                frames.send(&init, b"");
                Link::Frames(frames)
            }
            None => {
                let (link, task) = Api::serve(api, extensions.clone());
                handle.api = Some(task);
                Link::Api(link)
            }
        };
        handle.extensions = Some(extensions.clone());
        output.tap(extensions.clone());
        let expires = credentials.map(|c| c.expiration);
        let captures = (capture, beside_output);
        let mut sandbox = Sandbox::new(handle, events, link, captures, output, spec, expires, extensions);
        sandbox.phases.sandbox = loading - begin;
        match failure {
            Some(failure) => sandbox.init_failure = Some(failure),
            None => sandbox.initialise(loading).await,
        }
        sandbox.init_duration = Some(loading.elapsed());
        sandbox.phases.import = loading.elapsed();
        Ok(sandbox)
    }

    fn endpoint(&self, plain: bool) -> Option<String> {
        let host = plain || self.config.network == Network::Host;
        match &self.config.edge {
            EdgeRoute::None => None,
            EdgeRoute::Address(address) if host => {
                let ip = if address.ip().is_unspecified() { [127, 0, 0, 1].into() } else { address.ip() };
                Some(format!("http://{}", std::net::SocketAddr::new(ip, address.port())))
            }
            _ => Some(format!("http://127.0.0.1:{}", self.config.endpoint_port)),
        }
    }
}

async fn up(
    events: &mut mpsc::UnboundedReceiver<Event>,
) -> Result<(Vec<OwnedFd>, Option<i32>), ComputeError> {
    match events.recv().await {
        Some(Event::Up(listeners, main)) => Ok((listeners, main)),
        other => Err(broken(other)),
    }
}

async fn attached(events: &mut mpsc::UnboundedReceiver<Event>) -> Result<(), ComputeError> {
    match tokio::time::timeout(RAISE_TIME, events.recv()).await {
        Ok(Some(Event::Attached)) => Ok(()),
        Ok(other) => Err(broken(other)),
        Err(_) => Err(ComputeError::Sandbox("its code was not in place within a minute".to_owned())),
    }
}

fn broken(event: Option<Event>) -> ComputeError {
    ComputeError::Sandbox(match event {
        Some(Event::Failed(error)) => error,
        Some(Event::Exited(exit)) => format!("it ended at once ({})", End::of(&exit).words()),
        Some(other) => format!("it answered out of turn ({other:?})"),
        None => "the warden of the sandboxes is gone; the next call starts a new one".to_owned(),
    })
}

/// `2026/11/23/[$LATEST]0123…`, as Lambda names streams.
fn stream_name(version: &str) -> String {
    let today = time::OffsetDateTime::now_utc().date();
    let id = uuid::Uuid::new_v4().simple();
    format!("{}/{:02}/{:02}/[{version}]{id}", today.year(), u8::from(today.month()), today.day())
}
