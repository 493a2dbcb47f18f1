//! The ports and sockets, and the loop that takes connections from them.

use crate::config::EdgeConfig;
use crate::connection;
use crate::gate::Gate;
use crate::hosts::Hosts;
use crate::own::OwnEndpoints;
use crate::tls;
use cloudlet_service::Cloud;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{Semaphore, watch};

/// Why the front door cannot open.
#[derive(Debug, thiserror::Error)]
pub enum EdgeError {
    /// Another program listens there.
    #[error("{0} is in use by another program; stop it or choose another port")]
    PortTaken(SocketAddr),
    /// Another program listens on the socket.
    #[error("{} is in use by another program; stop it or choose another path", .0.display())]
    SocketTaken(PathBuf),
    /// The address is not this machine's, or not allowed.
    #[error("cannot listen on {0}: {1}; choose another address or a port above 1023")]
    Listen(SocketAddr, std::io::Error),
    /// The same for a Unix socket.
    #[error("cannot listen on {path}: {why}; choose another path", path = .0.display(), why = .1)]
    Socket(PathBuf, std::io::Error),
    /// The local certificate authority cannot be opened or made.
    #[error("cannot open the certificate authority in {path}: {why}", path = .0.display(), why = .1)]
    Tls(PathBuf, std::io::Error),
}

/// The front door, with its ports taken. Connections wait in the system's backlog until [`Edge::serve`].
pub struct Edge {
    gate: Arc<Gate>,
    tcp: Vec<TcpListener>,
    unix: Vec<UnixListener>,
}

impl std::fmt::Debug for Edge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Edge").field("tcp", &self.tcp).field("unix", &self.unix).finish_non_exhaustive()
    }
}

impl Edge {
    /// Takes the ports. The cloud may open later; until then requests are answered with 503. Must be called
    /// inside a Tokio runtime.
    ///
    /// Errors: a port or path that is taken or not allowed; a certificate authority that cannot be opened.
    pub fn bind(config: EdgeConfig, cloud: Arc<Cloud>) -> Result<Self, EdgeError> {
        Self::bind_with(config, cloud, Arc::new(()))
    }

    /// The same, with further endpoints below `/_cloudlet/`.
    pub fn bind_with(
        config: EdgeConfig,
        cloud: Arc<Cloud>,
        own: Arc<dyn OwnEndpoints>,
    ) -> Result<Self, EdgeError> {
        let hosts = Arc::new(Hosts::new(&config.domains));
        let tcp = config.listen.iter().map(|at| listen(*at)).collect::<Result<_, _>>()?;
        let unix = config.unix.iter().map(|at| listen_unix(at)).collect::<Result<_, _>>()?;
        let tls = match &config.tls {
            Some(directory) => {
                let acceptor = tls::acceptor(directory, hosts.clone());
                Some(acceptor.map_err(|why| EdgeError::Tls(directory.clone(), why))?)
            }
            None => None,
        };
        Ok(Self { gate: Arc::new(Gate::new(config, cloud, hosts, own, tls)), tcp, unix })
    }

    /// The first TCP address, with its real port.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.local_addrs().next()
    }

    /// All TCP addresses, with their real ports.
    pub fn local_addrs(&self) -> impl Iterator<Item = SocketAddr> {
        self.tcp.iter().filter_map(|listener| listener.local_addr().ok())
    }

    /// Answers until `shutdown` is over; then takes no more connections, finishes the requests that have begun
    /// and closes, at the latest after [`EdgeConfig::grace`]. Gives the number of connections that did not end.
    pub async fn serve(self, shutdown: impl Future<Output = ()>) -> usize {
        let Self { gate, tcp, unix } = self;
        let most = gate.config.limits.connections.clamp(1, Semaphore::MAX_PERMITS >> 3);
        let places = Arc::new(Semaphore::new(most));
        let (stop, stopped) = watch::channel(false);
        let mut loops = tokio::task::JoinSet::new();
        let listeners = tcp.into_iter().map(Listener::Tcp).chain(unix.into_iter().map(Listener::Unix));
        for listener in listeners {
            loops.spawn(accept(listener, gate.clone(), places.clone(), stopped.clone()));
        }
        shutdown.await;
        stop.send_replace(true);
        // The listeners close with their loops, so that the ports are free while the last requests end.
        while loops.join_next().await.is_some() {}
        for path in &gate.config.unix {
            let _ = std::fs::remove_file(path);
        }
        let all = u32::try_from(most).unwrap_or(u32::MAX);
        match tokio::time::timeout(gate.config.grace, places.acquire_many(all)).await {
            Ok(_) => 0,
            Err(_) => most - places.available_permits(),
        }
    }
}

enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// Takes connections one after the other, each with a place of its own.
async fn accept(
    listener: Listener,
    gate: Arc<Gate>,
    places: Arc<Semaphore>,
    mut stopped: watch::Receiver<bool>,
) {
    loop {
        let taken = tokio::select! {
            biased;
            taken = take(&listener, &gate, &places, &stopped) => taken,
            _ = async { stopped.clone().wait_for(|stop| *stop).await.is_ok() } => return,
        };
        let Err(why) = taken else { continue };
        // Out of descriptors, mostly: others must end first. A client that left is not worth a pause.
        if !matches!(why.kind(), ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset) {
            tracing::warn!(%why, "cannot take a connection; raise the limit of open files if this goes on");
            let pause = tokio::time::sleep(Duration::from_millis(50));
            tokio::select! {
                () = pause => {}
                _ = stopped.changed() => return,
            }
        }
    }
}

/// Takes one connection when there is a place for it.
async fn take(
    listener: &Listener,
    gate: &Arc<Gate>,
    places: &Arc<Semaphore>,
    stopped: &watch::Receiver<bool>,
) -> std::io::Result<()> {
    let permit = places.clone().acquire_owned().await.map_err(std::io::Error::other)?;
    let (gate, stopped) = (gate.clone(), stopped.clone());
    match listener {
        Listener::Tcp(listener) => {
            let (stream, from) = listener.accept().await?;
            tokio::spawn(connection::tcp(gate, stream, from.ip(), permit, stopped));
        }
        Listener::Unix(listener) => {
            let (stream, _) = listener.accept().await?;
            tokio::spawn(connection::unix(gate, stream, permit, stopped));
        }
    }
    Ok(())
}

fn listen(at: SocketAddr) -> Result<TcpListener, EdgeError> {
    let open = || -> std::io::Result<TcpListener> {
        let listener = std::net::TcpListener::bind(at)?;
        listener.set_nonblocking(true)?;
        TcpListener::from_std(listener)
    };
    open().map_err(|why| match why.kind() {
        ErrorKind::AddrInUse => EdgeError::PortTaken(at),
        _ => EdgeError::Listen(at, why),
    })
}

fn listen_unix(at: &Path) -> Result<UnixListener, EdgeError> {
    use std::os::unix::fs::{FileTypeExt, PermissionsExt};
    let open = || -> std::io::Result<UnixListener> {
        let stale = std::fs::symlink_metadata(at).is_ok_and(|m| m.file_type().is_socket());
        if stale {
            if std::os::unix::net::UnixStream::connect(at).is_ok() {
                return Err(ErrorKind::AddrInUse.into());
            }
            std::fs::remove_file(at)?;
        }
        let listener = UnixListener::bind(at)?;
        // Functions run as other users. Requests are signed like any other; the directory decides who gets here.
        std::fs::set_permissions(at, std::fs::Permissions::from_mode(0o666))?;
        Ok(listener)
    };
    open().map_err(|why| match why.kind() {
        ErrorKind::AddrInUse => EdgeError::SocketTaken(at.to_owned()),
        _ => EdgeError::Socket(at.to_owned(), why),
    })
}
