//! The cloud's side of the warden: orders out, events in, by sandbox.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};

use super::protocol::{Exit, FromWarden, SandboxId, Status, ToWarden};
use super::server::Hello;
use super::socket;

/// What happens to one sandbox.
#[derive(Debug)]
pub(crate) enum Event {
    /// It stands; its listeners, and the host's number of its main process if there is one already.
    Up(Vec<OwnedFd>, Option<i32>),
    /// Its code is in place.
    Attached,
    /// The process of an extension has ended.
    Extension(String, Status),
    /// It could not be built, and is gone.
    Failed(String),
    /// It is gone.
    Exited(Exit),
}

#[derive(Default)]
struct Heard {
    listeners: HashMap<SandboxId, mpsc::UnboundedSender<Event>>,
    /// Who waits for a connection, in the order of asking.
    connecting: HashMap<(SandboxId, u16), VecDeque<oneshot::Sender<Option<OwnedFd>>>>,
}

type Listeners = Arc<Mutex<Heard>>;

/// A running warden.
pub(crate) struct Warden {
    pub(crate) hello: Hello,
    orders: mpsc::UnboundedSender<(Vec<u8>, Vec<OwnedFd>)>,
    listeners: Listeners,
    socket: Arc<AsyncFd<OwnedFd>>,
    over: tokio::sync::watch::Receiver<bool>,
}

impl Warden {
    /// Starts the process and waits for its first word.
    pub(crate) async fn start(child: &Path, state: &Path, plain: bool) -> io::Result<Self> {
        let (ours, theirs) = socket::pair()?;
        let mut process = {
            // Dropped at once: it holds the other end, whose closing is how the warden's death is noticed.
            let mut command = tokio::process::Command::new(child);
            command
                .args([std::ffi::OsStr::new("__compute"), "warden".as_ref(), state.as_os_str()])
                .arg(if plain { "plain" } else { "auto" })
                .env_clear()
                .stdin(Stdio::from(theirs))
                .stdout(Stdio::null());
            command.spawn()?
        };
        nix::fcntl::fcntl(ours.as_fd(), nix::fcntl::FcntlArg::F_SETFL(nix::fcntl::OFlag::O_NONBLOCK))?;
        let socket = Arc::new(watched(ours)?);
        let mut buffer = vec![0; socket::MAX_MESSAGE];
        let hello = async {
            receive::<Hello>(&socket, &mut buffer).await?.ok_or_else(|| {
                io::Error::other("the sandbox warden ended at once; its message is on standard error")
            })
        };
        let (hello, _) = tokio::time::timeout(std::time::Duration::from_secs(20), hello)
            .await
            .map_err(|_| io::Error::other("the sandbox warden did not answer within 20 seconds"))??;

        let listeners = Listeners::default();
        let (orders, mut queue) = mpsc::unbounded_channel::<(Vec<u8>, Vec<OwnedFd>)>();
        let out = socket.clone();
        tokio::spawn(async move {
            while let Some((bytes, fds)) = queue.recv().await {
                let fds: Vec<BorrowedFd<'_>> = fds.iter().map(AsFd::as_fd).collect();
                let sent = out
                    .async_io(Interest::WRITABLE, |socket| socket::send_bytes(socket.as_fd(), &bytes, &fds))
                    .await;
                if let Err(error) = sent {
                    // So it is, too, when it has been told to end.
                    tracing::debug!(%error, "the sandbox warden cannot be reached");
                    return;
                }
            }
        });
        let (ended, over) = tokio::sync::watch::channel(false);
        let (heard, from) = (listeners.clone(), socket.clone());
        tokio::spawn(async move {
            loop {
                match receive::<FromWarden>(&from, &mut buffer).await {
                    Ok(Some((message, fds))) => dispatch(&heard, message, fds),
                    Ok(None) => break,
                    Err(error) => {
                        tracing::warn!(%error, "the sandbox warden's words are not understood");
                        break;
                    }
                }
            }
            // Dropping the senders tells everybody who waits.
            *heard.lock() = Heard::default();
            let _ = process.wait().await;
            let _ = ended.send(true);
        });
        Ok(Self { hello, orders, listeners, socket, over })
    }

    /// Sends an order. Fails only when the warden is gone.
    pub(crate) fn order(&self, order: &ToWarden, fds: Vec<OwnedFd>) -> io::Result<()> {
        let bytes = serde_json::to_vec(order)?;
        if bytes.len() > socket::MAX_MESSAGE {
            return Err(io::Error::other("the function's configuration is too large for its sandbox"));
        }
        self.orders.send((bytes, fds)).map_err(|_| io::Error::other("the sandbox warden is gone"))
    }

    /// Events of a sandbox that is about to be ordered.
    pub(crate) fn listen(&self, id: SandboxId) -> mpsc::UnboundedReceiver<Event> {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.listeners.lock().listeners.insert(id, sender);
        receiver
    }

    /// A connection to a port of the sandbox's own network.
    pub(crate) async fn connect(&self, id: SandboxId, port: u16) -> io::Result<TcpStream> {
        let (sender, answer) = oneshot::channel();
        self.listeners.lock().connecting.entry((id, port)).or_default().push_back(sender);
        self.order(&ToWarden::Connect { id, port }, vec![])?;
        let fd = answer.await.ok().flatten().ok_or(io::ErrorKind::ConnectionRefused)?;
        let stream = std::net::TcpStream::from(fd);
        stream.set_nonblocking(true)?;
        TcpStream::from_std(stream)
    }

    pub(crate) fn is_over(&self) -> bool {
        *self.over.borrow()
    }

    /// Closes the line, upon which the warden ends every sandbox and itself, and waits for that.
    pub(crate) async fn end(&self) {
        let _ =
            nix::sys::socket::shutdown(self.socket.get_ref().as_raw_fd(), nix::sys::socket::Shutdown::Both);
        let mut over = self.over.clone();
        let _ = tokio::time::timeout(std::time::Duration::from_secs(40), over.wait_for(|over| *over)).await;
    }
}

impl Drop for Warden {
    fn drop(&mut self) {
        let _ =
            nix::sys::socket::shutdown(self.socket.get_ref().as_raw_fd(), nix::sys::socket::Shutdown::Both);
    }
}

/// Readiness of a descriptor that lives as long as the watching.
#[allow(unsafe_code)]
fn watched(socket: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: the OwnedFd is moved in, stays at the same number and open until the AsyncFd is dropped, and is
    // only ever borrowed from it.
    Ok(unsafe { AsyncFd::register(socket) }?)
}

fn dispatch(listeners: &Listeners, message: FromWarden, fds: Vec<OwnedFd>) {
    let mut heard = listeners.lock();
    let (id, event) = match message {
        FromWarden::Connected { id, port } => {
            if let Some(waiting) = heard.connecting.get_mut(&(id, port))
                && let Some(sender) = waiting.pop_front()
            {
                let _ = sender.send(fds.into_iter().next());
            }
            return;
        }
        FromWarden::Extension { id, name, status } => (id, Event::Extension(name, status)),
        FromWarden::Up { id, main } => (id, Event::Up(fds, main)),
        FromWarden::Attached { id } => (id, Event::Attached),
        FromWarden::Failed { id, error } => (id, Event::Failed(error)),
        FromWarden::Exited { id, exit } => (id, Event::Exited(exit)),
    };
    let last = matches!(event, Event::Failed(_) | Event::Exited(_));
    if let Some(listener) = heard.listeners.get(&id) {
        let _ = listener.send(event);
    }
    if last {
        heard.listeners.remove(&id);
        heard.connecting.retain(|(of, _), _| *of != id);
    }
}

async fn receive<T: serde::de::DeserializeOwned>(
    socket: &AsyncFd<OwnedFd>,
    buffer: &mut [u8],
) -> io::Result<Option<(T, Vec<OwnedFd>)>> {
    loop {
        let mut ready = socket.readable().await?;
        match ready.try_io(|socket| socket::receive(socket.as_fd(), buffer)) {
            Ok(result) => return result,
            Err(_would_block) => {}
        }
    }
}
