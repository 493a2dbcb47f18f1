//! What every handler of Lambda's own messages begins with.

use crate::Lambda;
use cloudlet_bus::{Message, Outcome};
use serde::de::DeserializeOwned;
use std::sync::{Arc, Weak};

/// Lambda, while the program runs, and the task in a message. Errors: what becomes of the message instead.
pub(crate) fn at_work<T: DeserializeOwned>(
    lambda: &Weak<Lambda>,
    message: &Message,
) -> Result<(Arc<Lambda>, T), Outcome> {
    let Some(lambda) = lambda.upgrade() else {
        return Err(Outcome::Retry { after: None, why: "the program is stopping".to_owned() });
    };
    match serde_json::from_slice(&message.payload) {
        Ok(task) => Ok((lambda, task)),
        Err(error) => Err(Outcome::Dead { why: format!("the task cannot be read: {error}") }),
    }
}
