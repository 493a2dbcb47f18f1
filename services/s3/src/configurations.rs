//! Configurations of a bucket that are kept as the documents they came as: written and read through the API's own
//! shapes, checked where they are put, acted upon where they are used.

use crate::S3;
use crate::errors::{Result, internal, invalid_argument};
use crate::state::{Bucket, Config};
use aws_smithy_json::codec::{JsonCodec, JsonCodecSettings};
use aws_smithy_schema::codec::Codec;
use aws_smithy_schema::serde::ShapeSerializer;
use cloudlet_service::{Context, Error, Shape, pages};
use cloudlet_store::Tx;

/// The most configurations of one kind, and of one page.
/// Source: S3 User Guide, on inventory, analytics, metrics and intelligent-tiering configurations.
const MOST: usize = 1000;
const PAGE: usize = 100;

fn codec() -> JsonCodec {
    JsonCodec::new(JsonCodecSettings::builder().use_json_name(false).build())
}

/// A shape as a document. Errors: `InternalError`.
pub(crate) fn encode<T: Shape>(value: &T) -> Result<Vec<u8>> {
    let mut writer = codec().create_serializer();
    writer.write_struct(T::shape_schema(), value).map_err(internal)?;
    Ok(writer.finish())
}

/// A document as a shape. Errors: `InternalError`.
pub(crate) fn decode<T: Shape>(document: &[u8]) -> Result<T> {
    T::read(&mut codec().create_deserializer(document)).map_err(|why| internal(why).into())
}

/// A kind of configuration: its name in the store, and the error where there is none.
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    pub(crate) missing: (&'static str, &'static str),
}

impl Kind {
    pub(crate) fn missing(&self, bucket: &str) -> Error {
        crate::errors::no_such_configuration(self.missing.0, self.missing.1, bucket)
    }
}

/// An id for a rule that was given none, in the form that AWS makes them.
pub(crate) fn made_id(cx: &Context) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(cx.random().uuid())
}

impl S3 {
    /// The configuration, where the bucket has it.
    pub(crate) fn config<T: Shape>(&self, bucket: &Bucket, kind: &Kind, id: &str) -> Result<Option<T>> {
        if !bucket.has(kind.name) {
            return Ok(None);
        }
        let stored = self.store.table::<Config>().get_arc(&Config::key(bucket.id, kind.name, id))?;
        stored.map(|config| decode(&config.document)).transpose()
    }

    /// Writes a configuration. `change` alters the bucket's record beside it.
    pub(crate) async fn put_config<T: Shape>(
        &self,
        bucket: &str,
        owner: Option<&str>,
        kind: &Kind,
        id: &str,
        value: &T,
    ) -> Result<()> {
        let document = encode(value)?;
        let expected = self.expected(bucket, owner)?;
        self.store
            .transact(|tx| -> Result<()> {
                let mut bucket = live(tx, &expected)?;
                let at = Config::key(bucket.id, kind.name, id);
                if !id.is_empty() && !tx.exists::<Config>(&at)? {
                    let known = tx.scan::<Config>(Config::kind(bucket.id, kind.name).prefix_range(), false).count();
                    if known >= MOST {
                        let message = "You are attempting to create a new configuration but have already reached the \
                                       1,000-configuration limit.";
                        return Err(Error::sender("TooManyConfigurations", message).into());
                    }
                }
                tx.put(&at, &Config { document: document.clone() })?;
                if !bucket.has(kind.name) {
                    bucket.has.push(kind.name.to_owned());
                    tx.put(&Bucket::key(&bucket.name), &bucket)?;
                }
                Ok(())
            })
            .await
    }

    /// Removes a configuration. `false`: there was none.
    pub(crate) async fn delete_config(
        &self,
        bucket: &str,
        owner: Option<&str>,
        kind: &Kind,
        id: &str,
    ) -> Result<bool> {
        let expected = self.expected(bucket, owner)?;
        self.store
            .transact(|tx| -> Result<bool> {
                let mut bucket = live(tx, &expected)?;
                let at = Config::key(bucket.id, kind.name, id);
                if !tx.exists::<Config>(&at)? {
                    return Ok(false);
                }
                tx.delete::<Config>(&at)?;
                let range = Config::kind(bucket.id, kind.name).prefix_range();
                if tx.scan::<Config>(range, false).next().transpose()?.is_none() {
                    bucket.has.retain(|name| name != kind.name);
                    tx.put(&Bucket::key(&bucket.name), &bucket)?;
                }
                Ok(true)
            })
            .await
    }

    /// A page of the configurations of a kind, and the token of the next. Errors: `InvalidArgument`.
    pub(crate) fn configs<T: Shape>(
        &self,
        bucket: &Bucket,
        kind: &Kind,
        token: Option<&str>,
    ) -> Result<(Vec<T>, Option<String>)> {
        let mut range = Config::kind(bucket.id, kind.name).prefix_range();
        if let Some(token) = token {
            let id = pages::position(token).and_then(|p| String::from_utf8(p).ok()).ok_or_else(|| {
                invalid_argument("The continuation token provided is incorrect", "continuation-token", token)
            })?;
            range = range.after(&Config::key(bucket.id, kind.name, &id));
        }
        let mut found = Vec::new();
        let mut last = None;
        for row in self.store.table::<Config>().scan(range, false) {
            let (key, config) = row?;
            if found.len() == PAGE {
                return Ok((found, last.map(|id: String| pages::token(id))));
            }
            let mut parts = key.parts();
            parts.number();
            parts.text();
            last = parts.text();
            found.push(decode(&config.document)?);
        }
        Ok((found, None))
    }
}

/// The bucket as the transaction sees it. Errors: `NoSuchBucket`.
fn live(tx: &mut Tx<'_>, expected: &Bucket) -> Result<Bucket> {
    let found = tx.get::<Bucket>(&Bucket::key(&expected.name))?.filter(|b| b.id == expected.id);
    Ok(found.ok_or_else(|| crate::errors::no_such_bucket(&expected.name))?)
}
