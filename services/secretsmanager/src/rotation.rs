//! Rotation: the four steps through the rotation function, and what the clock asks for.
//!
//! Source: User Guide, "Rotation by Lambda function", "Lambda rotation functions".

use crate::errors::{Failure, stored};
use crate::replicas::note_rotated;
use crate::state::{CURRENT, PENDING, Secret, Value, Version};
use crate::{PRINCIPAL, SecretsManager, schedule};
use cloudlet_api_lambda as lambda;
use cloudlet_bus::{Handler, Message, MessageId, Outcome};
use cloudlet_service::{BoxFuture, Context, Error, Principal};
use cloudlet_store::{Key, Tx};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// The queue of rotations and deletions.
pub(crate) const QUEUE: &str = "secretsmanager.tasks";

/// What a rotation function is asked for, in this order.
const STEPS: [&str; 4] = ["createSecret", "setSecret", "testSecret", "finishSecret"];

/// What is to be done with a secret.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub(crate) enum Task {
    /// All four steps for this version; what a schedule asks for is tried until its window closes.
    Rotate {
        token: String,
        #[serde(default)]
        until: Option<i64>,
    },
    /// The third step alone: whether the function works.
    Test { token: String },
    /// A rotation that the schedule asks for, if it still does.
    Due { at: i64 },
    /// Forget the secret, if it is still to be deleted then.
    Delete { at: i64 },
}

#[derive(Serialize, Deserialize)]
struct Order {
    key: Vec<u8>,
    suffix: String,
    task: Task,
}

/// The message that asks for it.
pub(crate) fn order(secret: &Secret, task: Task, due: i64) -> Message {
    let order = Order { key: secret.place().as_bytes().to_vec(), suffix: secret.suffix.clone(), task };
    Message {
        queue: QUEUE.to_owned(),
        group: secret.arn(),
        payload: serde_json::to_vec(&order).unwrap_or_default(),
        not_before: u64::try_from(due).unwrap_or(0),
        ..Message::default()
    }
}

pub(crate) struct Tasks(pub(crate) Arc<SecretsManager>);

impl Handler for Tasks {
    fn deliver<'a>(&'a self, id: &'a MessageId, message: &'a Message) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            let order = match serde_json::from_slice::<Order>(&message.payload) {
                Ok(order) => order,
                Err(error) => return Outcome::Dead { why: error.to_string() },
            };
            let now = i64::try_from(id.due()).unwrap_or(i64::MAX);
            match self.0.obey(&order, now).await {
                Ok(()) => Outcome::Done,
                Err(error) => Outcome::Retry { after: None, why: error.to_string() },
            }
        })
    }

    fn dead<'a>(&'a self, _id: &'a MessageId, message: &'a Message, why: &'a str) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            tracing::warn!(secret = message.group, why, "a rotation was given up");
        })
    }
}

impl SecretsManager {
    async fn obey(&self, order: &Order, now: i64) -> Result<(), Error> {
        let key = Key::from_bytes(order.key.clone());
        let found = self.store.table::<Secret>().get(&key).map_err(stored)?;
        let Some(secret) = found.filter(|secret| secret.suffix == order.suffix) else { return Ok(()) };
        match &order.task {
            Task::Delete { at } if secret.deletion == Some(*at) => self.forget(&secret).await,
            Task::Due { at } => {
                let wanted = secret.rotation.as_ref().is_some_and(|r| r.enabled && r.next == Some(*at));
                let until = secret.rotation.as_ref().and_then(|rotation| schedule::window_end(rotation, *at));
                if wanted && secret.deletion.is_none() {
                    self.begin(&secret, now, until).await
                } else {
                    Ok(())
                }
            }
            Task::Rotate { until: Some(until), .. } if *until <= now => Ok(()),
            Task::Rotate { token, .. } if secret.deletion.is_none() => self.rotate(&secret, token).await,
            Task::Test { token } if secret.deletion.is_none() => {
                if let Err(error) = self.step(&secret, "testSecret", token).await {
                    let (secret, why) = (secret.arn(), error.to_string());
                    tracing::warn!(secret, why, "the test of a rotation function failed");
                }
                // Whatever comes of the test, the version that was made for it goes.
                self.change(&secret, |tx, secret| {
                    let at = secret.value_place(token);
                    secret.versions.retain(|version| version.id != *token);
                    Ok(tx.delete::<Value>(&at)?)
                })
                .await
                .map(drop)
            }
            _ => Ok(()),
        }
    }

    /// Begins a rotation that the schedule asks for.
    async fn begin(&self, secret: &Secret, now: i64, until: Option<i64>) -> Result<(), Error> {
        let Some(cloud) = self.cloud.upgrade() else { return Ok(()) };
        let token = cloud.random().uuid();
        self.change(secret, |tx, secret| {
            // One that has not ended is tried again.
            let token = match secret.staged(PENDING).filter(|_| in_progress(secret)) {
                Some(pending) => pending.id.clone(),
                None => {
                    pend(secret, &token, now);
                    token.clone()
                }
            };
            plan(tx, secret, now)?;
            tx.emit(order(secret, Task::Rotate { token, until }, now))?;
            Ok(())
        })
        .await
        .map(drop)
    }

    /// The four steps. Any that fails lets the whole rotation be tried again, which functions are made to stand.
    async fn rotate(&self, secret: &Secret, token: &str) -> Result<(), Error> {
        let current = secret.staged(CURRENT).filter(|version| version.id == token);
        let finished = match current {
            // The function has done its part; whether we have noted it, the times tell.
            Some(version) if secret.rotated.is_some_and(|at| at >= version.created) => return Ok(()),
            Some(_) => true,
            None => false,
        };
        // It may have been asked for twice, or been given up for another one.
        if !finished && secret.staged(PENDING).is_none_or(|pending| pending.id != token) {
            return Ok(());
        }
        for step in if finished { &[][..] } else { &STEPS[..] } {
            // Somebody may have cancelled it, or deleted the secret.
            let now = self.store.table::<Secret>().get_arc(&secret.place()).map_err(stored)?;
            let goes_on = now.is_some_and(|now| {
                now.suffix == secret.suffix
                    && now.deletion.is_none()
                    && now.rotation.as_ref().is_some_and(|rotation| rotation.enabled)
            });
            if !goes_on {
                return Ok(());
            }
            self.step(secret, step, token).await?;
        }
        let Some(cloud) = self.cloud.upgrade() else { return Ok(()) };
        let now = cloud.clock().millis();
        self.change(secret, |tx, secret| {
            if secret.staged(CURRENT).is_none_or(|version| version.id != token) {
                return Err(Failure(Error::internal(
                    "the rotation function did not make the new version the current one",
                )));
            }
            secret.rotated = Some(now);
            secret.changed = now;
            note_rotated(tx, secret)?;
            plan(tx, secret, now)
        })
        .await
        .map(drop)
    }

    /// Invokes the rotation function for one step, as the service for this secret.
    async fn step(&self, secret: &Secret, step: &str, token: &str) -> Result<(), Error> {
        let Some(cloud) = self.cloud.upgrade() else { return Ok(()) };
        let principal = Principal::Service {
            name: PRINCIPAL.into(),
            source_arn: Some(secret.arn().into()),
            source_account: Some(secret.account.as_str().into()),
        };
        let cx = cloud.context(principal, &secret.account, &secret.region);
        let event = serde_json::json!({
            "Step": step,
            "SecretId": secret.arn(),
            "ClientRequestToken": token,
            "RotationToken": cloud.random().uuid(),
        });
        let answer = self.invoke(&cx, secret, event.to_string(), None).await?;
        match answer.function_error {
            None => Ok(()),
            Some(kind) => Err(Error::sender(kind, format!("the rotation function failed in {step}"))),
        }
    }

    /// Calls the secret's rotation function.
    pub(crate) async fn invoke(
        &self,
        cx: &Context,
        secret: &Secret,
        event: String,
        kind: Option<&str>,
    ) -> Result<lambda::InvokeOutput, Error> {
        let function = secret.rotation.as_ref().map(|r| r.lambda.clone()).unwrap_or_default();
        let input = lambda::InvokeInput {
            function_name: function,
            invocation_type: kind.map(str::to_owned),
            payload: Some(lambda::Blob::new(event)),
            ..Default::default()
        };
        // A function that never answers must not hold the queue for ever; fifteen minutes is the longest one may run.
        let call = cx.cloud.call::<lambda::operations::Invoke>(cx, input);
        match tokio::time::timeout(Duration::from_secs(16 * 60), call).await {
            Ok(answer) => answer,
            Err(_) => Err(Error::internal("the rotation function did not answer")),
        }
    }

    /// Takes a secret away with all its values.
    pub(crate) async fn forget(&self, secret: &Secret) -> Result<(), Error> {
        Ok(self.store.transact(|tx| erase(tx, secret)).await?)
    }
}

/// Takes a secret away with all its values, if it is still the same.
pub(crate) fn erase(tx: &mut Tx<'_>, secret: &Secret) -> Result<(), Failure> {
    let at = secret.place();
    let Some(found) = tx.get::<Secret>(&at)? else { return Ok(()) };
    if found.suffix != secret.suffix {
        return Ok(());
    }
    let keys: Vec<Key> = tx
        .scan::<Value>(secret.values_place().prefix_range(), false)
        .map(|row| row.map(|(key, _)| key))
        .collect::<Result<_, _>>()?;
    for key in keys {
        tx.delete::<Value>(&key)?;
    }
    Ok(tx.delete::<Secret>(&at)?)
}

/// Whether a rotation has begun and not ended: `AWSPENDING` is somewhere else than `AWSCURRENT`.
pub(crate) fn in_progress(secret: &Secret) -> bool {
    let pending = secret.staged(PENDING);
    pending.is_some_and(|pending| !pending.stages.iter().any(|stage| stage == CURRENT))
}

/// Makes the version that a rotation will fill.
pub(crate) fn pend(secret: &mut Secret, token: &str, now: i64) {
    if secret.version(token).is_none() {
        secret.versions.push(Version {
            id: token.to_owned(),
            stages: Vec::new(),
            created: now,
            accessed: None,
            kms_key: secret.kms_key.clone(),
            empty: true,
        });
    }
    secret.attach(token, &[PENDING.to_owned()]);
}

/// Says when the next rotation is, and asks for it.
pub(crate) fn plan(tx: &mut Tx<'_>, secret: &mut Secret, now: i64) -> Result<(), Failure> {
    let Some(rotation) = secret.rotation.as_mut().filter(|rotation| rotation.enabled) else { return Ok(()) };
    rotation.next = schedule::next(rotation, now)?;
    if let Some(at) = rotation.next {
        tx.emit(order(secret, Task::Due { at }, at))?;
    }
    Ok(())
}
