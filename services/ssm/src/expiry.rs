//! Deletes parameters whose `Expiration` policy says so. Until the bus comes by, they are hidden.

use crate::counts;
use crate::errors::{Failure, stored};
use crate::state::{Parameter, Version};
use cloudlet_bus::{Handler, Message, MessageId, Outcome};
use cloudlet_service::{BoxFuture, Error};
use cloudlet_store::{Key, Store, Tx};
use std::time::Duration;

/// The queue of parameters that expire.
pub(crate) const QUEUE: &str = "ssm.expiry";

/// Asks for a look at a parameter at this time.
pub(crate) fn at(parameter: &Parameter, due: i64) -> Message {
    Message {
        queue: QUEUE.to_owned(),
        payload: parameter.place().as_bytes().to_vec(),
        not_before: u64::try_from(due).unwrap_or(0),
        ..Message::default()
    }
}

pub(crate) struct Expiry(pub(crate) Store);

impl Handler for Expiry {
    fn deliver<'a>(&'a self, id: &'a MessageId, message: &'a Message) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            let key = Key::from_bytes(message.payload.clone());
            let now = i64::try_from(id.due()).unwrap_or(i64::MAX);
            match self.expire(&key, now).await {
                Ok(()) => Outcome::Done,
                Err(error) => Outcome::Retry { after: Some(Duration::from_secs(60)), why: error.to_string() },
            }
        })
    }
}

impl Expiry {
    async fn expire(&self, key: &Key, now: i64) -> Result<(), Error> {
        let found = self.0.table::<Parameter>().get(key).map_err(stored)?;
        if found.is_none_or(|parameter| parameter.expires.is_none_or(|at| at > now)) {
            return Ok(());
        }
        Ok(self.0.transact(|tx| erase(tx, key)).await?)
    }
}

/// Takes a parameter away with all its versions.
pub(crate) fn erase(tx: &mut Tx<'_>, key: &Key) -> Result<(), Failure> {
    let versions: Vec<Key> = tx
        .scan::<Version>(key.prefix_range(), false)
        .map(|row| row.map(|(key, _)| key))
        .collect::<Result<_, _>>()?;
    for version in versions {
        tx.delete::<Version>(&version)?;
    }
    if let Some(parameter) = tx.get::<Parameter>(key)? {
        counts::remove(tx, &parameter)?;
    }
    Ok(tx.delete::<Parameter>(key)?)
}
