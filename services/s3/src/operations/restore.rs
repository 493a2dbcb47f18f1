//! RestoreObject, and what S3 has given up.

use crate::S3;
use crate::access::charged;
use crate::errors::{Result, invalid_argument, malformed_xml, method_not_allowed};
use cloudlet_api_s3 as api;
use cloudlet_service::{Context, Error};

const DAY: i64 = 86_400_000;

/// How long a restore takes, in milliseconds: long enough to be seen.
const RESTORING: i64 = 2_000;

impl S3 {
    /// Makes an archived object readable for some days: from [`RESTORING`] later on, where AWS takes minutes or hours.
    /// One that is readable already is so for longer.
    ///
    /// Errors: `RestoreAlreadyInProgress`, `InvalidObjectState` for an object that is not archived,
    /// `ObjectAlreadyInActiveTierError`, `MalformedXML`, `InvalidArgument`.
    pub async fn restore_object(
        &self,
        cx: &Context,
        input: api::RestoreObjectInput,
    ) -> Result<api::RestoreObjectOutput, Error> {
        let bucket = self.expected(&input.bucket, input.expected_bucket_owner.as_deref())?;
        let request = input.restore_request.ok_or_else(malformed_xml)?;
        if request.r#type.is_some()
            || request.select_parameters.is_some()
            || request.output_location.is_some()
        {
            return Err(Error::not_implemented_part("s3:RestoreObject of type SELECT; leave out Type"));
        }
        let days = request.days.ok_or_else(malformed_xml)?;
        if days < 1 {
            return Err(invalid_argument("restoration days should be at least 1", "Days", days.to_string()));
        }
        let tier = request.tier.or(request.glacier_job_parameters.map(|p| p.tier));
        if tier.as_ref().is_some_and(|t| !matches!(t.as_str(), "Standard" | "Bulk" | "Expedited")) {
            return Err(malformed_xml());
        }
        // Days end at midnight UTC, as with lifecycle rules.
        let until = (cx.millis() / DAY + i64::from(days) + 1) * DAY;
        let version = input.version_id.as_deref();
        let (now, mut begins) = (cx.millis(), false);
        let restored =
            self.alter(cx, &bucket, &input.key, version, "POST", &["ObjectRestore:Post"], |version| {
                if version.class() == "INTELLIGENT_TIERING" {
                    // Nothing here moves such objects to their archive tiers, so that all of them can be read.
                    let message = "This action is not allowed against this storage tier.";
                    return Err(Error::new("ObjectAlreadyInActiveTierError", 403, message).into());
                }
                if !matches!(version.class(), "GLACIER" | "DEEP_ARCHIVE") {
                    let message = "Restore is not allowed for the object's current storage class";
                    return Err(Error::new("InvalidObjectState", 403, message)
                        .with("StorageClass", version.class())
                        .into());
                }
                if version.class() == "DEEP_ARCHIVE" && tier.as_deref() == Some("Expedited") {
                    let message = "Retrieval option is not supported by this storage class";
                    return Err(invalid_argument(message, "Tier", "Expedited").into());
                }
                if version.is_restoring(now) {
                    let message = "Object restore is already in progress";
                    return Err(Error::new("RestoreAlreadyInProgress", 409, message).into());
                }
                begins = version.restored_until(now).is_none();
                version.restored = Some(until);
                version.restoring = begins.then_some(now + RESTORING);
                Ok(())
            });
        let restored = restored.await?;
        self.remember_restored(&bucket, &input.key, &restored).await?;
        Ok(api::RestoreObjectOutput {
            request_charged: charged(cx, &bucket),
            restore_output_path: (!begins).then(String::new),
        })
    }

    /// Refused: S3 has ended BitTorrent. Errors: always.
    pub async fn get_object_torrent(
        &self,
        _: &Context,
        _: api::GetObjectTorrentInput,
    ) -> Result<api::GetObjectTorrentOutput, Error> {
        Err(method_not_allowed("GET", "TORRENT"))
    }
}
