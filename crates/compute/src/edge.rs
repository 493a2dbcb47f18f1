//! Carries a sandbox's connections to the cloud: the only way out of its network.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use crate::EdgeRoute;

/// Connections of one sandbox at a time. The SDK's pools hold ten per client.
const MAX_CONNECTIONS: usize = 256;

/// Accepts for as long as the returned task lives; its end closes what it carries.
pub(crate) fn carry(listener: TcpListener, route: EdgeRoute) -> Option<tokio::task::JoinHandle<()>> {
    if matches!(route, EdgeRoute::None) {
        return None;
    }
    Some(tokio::spawn(async move {
        let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let mut connections = tokio::task::JoinSet::new();
        loop {
            let Ok(place) = places.clone().acquire_owned().await else { return };
            while connections.try_join_next().is_some() {}
            let Ok((mut inner, _)) = listener.accept().await else {
                // Out of descriptors, most likely: let others finish first.
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            let _ = inner.set_nodelay(true);
            match &route {
                EdgeRoute::None => return,
                EdgeRoute::Accept(take) => take(inner),
                EdgeRoute::Address(address) => {
                    let address = *address;
                    connections.spawn(async move {
                        if let Ok(mut outer) = TcpStream::connect(address).await {
                            let _ = outer.set_nodelay(true);
                            let _ = tokio::io::copy_bidirectional(&mut inner, &mut outer).await;
                        }
                        drop(place);
                    });
                }
            }
        }
    }))
}
