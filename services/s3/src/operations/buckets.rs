//! Buckets: create, delete, head, list, locate.

use crate::S3;
use crate::acl::{self, AclRequest};
use crate::errors::{Result, access_denied, conflicting_operation, invalid_argument, malformed_xml};
use crate::names::{caller, check_bucket, invalid_bucket, is_region, locate, location_constraint};
use crate::state::{
    Bucket, Config, Live, Object, ObjectLock, Owned, Ownership, PublicAccessBlock, Upload, Version,
    Versioning, partition,
};
use crate::tags;
use aws_smithy_types::DateTime;
use cloudlet_api_s3::{
    self as api, CreateBucketInput, CreateBucketOutput, DeleteBucketInput, GetBucketLocationInput,
    GetBucketLocationOutput, HeadBucketInput, HeadBucketOutput, ListBucketsInput, ListBucketsOutput,
    NoMembers,
};
use cloudlet_service::{Context, Error, pages};
use cloudlet_store::Key;

/// The most buckets of an account and of a page. Source: S3 User Guide, "Quotas for Amazon S3 buckets".
const MOST: usize = 10_000;

/// Noted on a bucket that was made with the constraint `EU`, which is what it says of its place ever after.
const OLD_EUROPE: &str = "location-eu";

pub(crate) const MAX_BUCKETS: &str = "Argument max-buckets must be an integer between 1 and 10000";

impl S3 {
    /// Makes a bucket, whose name no other bucket of any account has.
    ///
    /// Errors: `InvalidBucketName`, `BucketAlreadyExists`, `BucketAlreadyOwnedByYou`, `IllegalLocationConstraint…`,
    /// `InvalidLocationConstraint`, `InvalidBucketAclWithObjectOwnership`, `TooManyBuckets`.
    pub async fn create_bucket(
        &self,
        cx: &Context,
        mut input: CreateBucketInput,
    ) -> Result<CreateBucketOutput, Error> {
        check_bucket(&input.bucket)?;
        let own_namespace = check_namespace(cx, &input)?;
        let configuration = input.create_bucket_configuration.take();
        // A document says something; who has nothing to say sends none.
        if configuration.as_ref().is_some_and(|c| {
            c.location_constraint.is_none() && c.location.is_none() && c.bucket.is_none() && c.tags.is_none()
        }) {
            return Err(malformed_xml());
        }
        let configuration = configuration.unwrap_or_default();
        if configuration.bucket.is_some() || configuration.location.is_some() {
            return Err(Error::not_implemented_part("directory buckets; leave out Bucket and Location"));
        }
        let region = locate(&cx.region, configuration.location_constraint.as_deref())?;
        let old_europe = configuration.location_constraint.as_deref() == Some("EU");
        let owner = caller(cx).to_owned();
        if owner.is_empty() {
            return Err(access_denied());
        }
        let ownership = ownership(input.object_ownership.as_deref())?;
        let request = AclRequest {
            canned: input.acl.take().filter(|acl| !acl.is_empty()),
            full_control: input.grant_full_control.take(),
            read: input.grant_read.take(),
            write: input.grant_write.take(),
            read_acp: input.grant_read_acp.take(),
            write_acp: input.grant_write_acp.take(),
        };
        let private = request.canned.as_deref() == Some("private") && !request.has_grants();
        if ownership == Ownership::BucketOwnerEnforced && !request.is_empty() && !private {
            let message = "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting";
            return Err(Error::sender("InvalidBucketAclWithObjectOwnership", message));
        }
        let acl = request.resolve(&owner, &owner)?;
        if acl.as_ref().is_some_and(crate::state::Acl::is_public) {
            // Block public access is on from the start.
            let message = "Bucket cannot have public ACLs set with BlockPublicAccess enabled";
            return Err(Error::sender("InvalidBucketAclWithBlockPublicAccessError", message));
        }
        let locked = input.object_lock_enabled_for_bucket == Some(true);
        let tags = tags::from_set(configuration.tags.unwrap_or_default(), tags::BUCKET_TAGS, "Bucket")?;
        let all =
            PublicAccessBlock { block_acls: true, ignore_acls: true, block_policy: true, restrict: true };
        let draft = Bucket {
            id: 0,
            name: input.bucket.clone(),
            owner: owner.clone(),
            region: region.clone(),
            created: cx.millis(),
            versioning: if locked { Versioning::Enabled } else { Versioning::Never },
            ownership: Some(ownership),
            ownership_unsaid: input.object_ownership.is_none(),
            acl,
            block: Some(all),
            policy: None,
            notifications: Vec::new(),
            event_bridge: false,
            lock: locked.then(ObjectLock::default),
            mfa_delete: None,
            requester_pays: false,
            abac: false,
            tags,
            has: Vec::from_iter(old_europe.then(|| OLD_EUROPE.to_owned())),
        };
        let made = self
            .store
            .transact(|tx| -> Result<bool> {
                let at = Bucket::key(&draft.name);
                if let Some(existing) = tx.get::<Bucket>(&at)? {
                    taken(&existing, &owner, &cx.region)?;
                    // Its ACL is reset to what this request says.
                    tx.put(&at, &Bucket { acl: draft.acl.clone(), ..existing })?;
                    return Ok(false);
                }
                let owned = tx.scan::<Owned>(Key::new().text(&owner).prefix_range(), false);
                if owned.take(MOST).count() == MOST {
                    let message = "You have attempted to create more buckets than allowed";
                    return Err(Error::sender("TooManyBuckets", message).into());
                }
                let bucket = Bucket { id: tx.sequence("s3.buckets")?, ..draft.clone() };
                tx.put(&at, &bucket)?;
                tx.put(&Live::key(bucket.id), &Live {})?;
                let owned = Owned { region: bucket.region.clone(), created: bucket.created };
                tx.put(&Owned::key(&owner, &bucket.name), &owned)?;
                Ok(true)
            })
            .await?;
        tracing::debug!(bucket = %input.bucket, made, "CreateBucket");
        let location = match cx.region.as_ref() {
            _ if own_namespace => format!("/{}", input.bucket),
            "us-east-1" if region == "us-east-1" => format!("/{}", input.bucket),
            _ => format!("http://{}.s3.amazonaws.com/", input.bucket),
        };
        Ok(CreateBucketOutput { location: Some(location), bucket_arn: Some(draft.arn()) })
    }

    /// Deletes an empty bucket. Errors: `NoSuchBucket`, `BucketNotEmpty`.
    pub async fn delete_bucket(&self, _: &Context, input: DeleteBucketInput) -> Result<NoMembers, Error> {
        let expected = self.expected(&input.bucket, input.expected_bucket_owner.as_deref())?;
        self.store
            .transact(|tx| -> Result<()> {
                let at = Bucket::key(&input.bucket);
                let Some(bucket) = tx.get::<Bucket>(&at)?.filter(|b| b.id == expected.id) else {
                    return Err(crate::errors::no_such_bucket(&input.bucket).into());
                };
                let inside = Key::new().number(bucket.id);
                let object = tx.scan::<Object>(inside.prefix_range(), false).next().transpose()?;
                if let Some((_, object)) = object {
                    let message = if object.version.marker || object.older > 0 || bucket.versioning != Versioning::Never {
                        "The bucket you tried to delete is not empty. You must delete all versions in the bucket."
                    } else {
                        "The bucket you tried to delete is not empty"
                    };
                    return Err(Error::new("BucketNotEmpty", 409, message).with("BucketName", bucket.name).into());
                }
                let uploads: Vec<_> =
                    tx.scan::<Upload>(inside.prefix_range(), false).collect::<std::result::Result<_, _>>()?;
                for (key, upload) in uploads {
                    super::multipart::drop_parts(tx, upload.seq)?;
                    tx.delete::<Upload>(&key)?;
                }
                let configs: Vec<_> =
                    tx.scan::<Config>(inside.prefix_range(), false).collect::<std::result::Result<_, _>>()?;
                for (key, _) in configs {
                    tx.delete::<Config>(&key)?;
                }
                debug_assert!(tx.scan::<Version>(inside.prefix_range(), false).next().is_none());
                tx.delete::<Owned>(&Owned::key(&bucket.owner, &bucket.name))?;
                tx.delete::<Live>(&Live::key(bucket.id))?;
                tx.delete::<Bucket>(&at)?;
                Ok(())
            })
            .await?;
        Ok(NoMembers)
    }

    /// Says that the bucket is there and may be listed. Errors: `NoSuchBucket`.
    pub async fn head_bucket(&self, _: &Context, input: HeadBucketInput) -> Result<HeadBucketOutput, Error> {
        let bucket = self.expected(&input.bucket, input.expected_bucket_owner.as_deref())?;
        Ok(HeadBucketOutput {
            bucket_arn: Some(bucket.arn()),
            bucket_region: Some(bucket.region.clone()),
            access_point_alias: Some(false),
            ..Default::default()
        })
    }

    /// The caller's buckets by name. Errors: `InvalidArgument`.
    pub async fn list_buckets(
        &self,
        cx: &Context,
        input: ListBucketsInput,
    ) -> Result<ListBucketsOutput, Error> {
        let most = match input.max_buckets {
            None => MOST,
            Some(n) if (1..=MOST as i32).contains(&n) => n as usize,
            Some(n) => return Err(invalid_argument(MAX_BUCKETS, "max-buckets", n.to_string())),
        };
        if let Some(region) = input.bucket_region.as_deref().filter(|r| !r.is_empty() && !is_region(r)) {
            let message = format!("Argument value {region} is not a valid AWS Region");
            return Err(Error::sender("InvalidArgument", message).with("ArgumentName", "bucket-region"));
        }
        let account = caller(cx).to_owned();
        let prefix = input.prefix.clone().unwrap_or_default();
        let mut range = Key::new().text(&account).prefix_range();
        if let Some(token) = &input.continuation_token {
            let after = pages::position(token).and_then(|p| String::from_utf8(p).ok()).ok_or_else(|| {
                invalid_argument("The continuation token provided is incorrect", "continuation-token", token)
            })?;
            range = range.after(&Owned::key(&account, &after));
        }
        // A request with parameters is also told where the buckets are.
        let asked = input.max_buckets.is_some()
            || input.prefix.is_some()
            || input.bucket_region.is_some()
            || input.continuation_token.is_some();
        let mut buckets = Vec::new();
        let mut next = None;
        for row in self.store.table::<Owned>().scan(range, false) {
            let (key, owned) = row.map_err(crate::errors::Fail::from)?;
            let mut parts = key.parts();
            parts.text();
            let name = parts.text().unwrap_or_default();
            let here = input.bucket_region.as_ref().is_none_or(|r| r.is_empty() || *r == owned.region);
            if !here || !name.starts_with(&prefix) {
                continue;
            }
            if buckets.len() == most {
                next = buckets.last().and_then(|b: &api::Bucket| b.name.as_ref()).map(pages::token);
                break;
            }
            buckets.push(api::Bucket {
                creation_date: Some(DateTime::from_secs(owned.created.div_euclid(1000))),
                bucket_arn: Some(format!("arn:{}:s3:::{name}", partition(&owned.region))),
                bucket_region: asked.then_some(owned.region),
                name: Some(name),
            });
        }
        let owner = Some(acl::owner(&account));
        Ok(ListBucketsOutput {
            buckets: Some(buckets),
            owner,
            continuation_token: next,
            prefix: input.prefix,
        })
    }

    /// The bucket's region; nothing for us-east-1, and the old name of Ireland where that was asked for. Errors: `NoSuchBucket`.
    pub async fn get_bucket_location(
        &self,
        _: &Context,
        input: GetBucketLocationInput,
    ) -> Result<GetBucketLocationOutput, Error> {
        let bucket = self.expected(&input.bucket, input.expected_bucket_owner.as_deref())?;
        let constraint = match bucket.has(OLD_EUROPE) {
            true => Some("EU".to_owned()),
            false => location_constraint(&bucket.region),
        };
        Ok(GetBucketLocationOutput { location_constraint: constraint })
    }

    /// Changes a bucket's settings in one transaction. Errors: `NoSuchBucket`.
    pub(crate) async fn change(
        &self,
        name: &str,
        owner: Option<&str>,
        mut change: impl FnMut(&mut Bucket) -> Result<()> + Send,
    ) -> Result<()> {
        let expected = self.expected(name, owner)?;
        self.store
            .transact(|tx| -> Result<()> {
                let at = Bucket::key(name);
                let mut bucket = tx.get::<Bucket>(&at)?.ok_or_else(|| crate::errors::no_such_bucket(name))?;
                if bucket.id != expected.id {
                    return Err(conflicting_operation().into());
                }
                change(&mut bucket)?;
                tx.put(&at, &bucket)?;
                Ok(())
            })
            .await
    }
}

/// Whether the bucket lies in the account's own regional namespace, where names end in the account, the region and
/// `-an`, and nowhere else may. Errors: `InvalidBucketName`.
/// Source: S3 User Guide, "Namespaces for general purpose buckets".
fn check_namespace(cx: &Context, input: &CreateBucketInput) -> Result<bool, Error> {
    let asked = input.bucket_namespace.as_deref() == Some("account-regional");
    let own = format!("-{}-{}-an", caller(cx), cx.region);
    let fits = input.bucket.strip_suffix(&own).is_some_and(|prefix| !prefix.is_empty());
    if asked != fits || (!fits && input.bucket.ends_with("-an")) {
        return Err(invalid_bucket(&input.bucket));
    }
    Ok(asked)
}

/// What creating a bucket that exists answers. The first region forgives its owner.
/// Source: S3 API Reference, "Error responses", `BucketAlreadyOwnedByYou`.
fn taken(existing: &Bucket, owner: &str, endpoint: &str) -> Result<()> {
    if existing.owner != owner {
        let message = "The requested bucket name is not available. The bucket namespace is shared by all users of the \
                       system. Please select a different name and try again.";
        return Err(Error::new("BucketAlreadyExists", 409, message)
            .with("BucketName", existing.name.clone())
            .into());
    }
    if endpoint == "us-east-1" && existing.region == "us-east-1" {
        return Ok(());
    }
    let message = "Your previous request to create the named bucket succeeded and you already own it.";
    Err(Error::new("BucketAlreadyOwnedByYou", 409, message).with("BucketName", existing.name.clone()).into())
}

/// `x-amz-object-ownership`; ACLs are off where it is not said. Errors: `InvalidArgument`.
pub(crate) fn ownership(given: Option<&str>) -> Result<Ownership, Error> {
    match given {
        None | Some("BucketOwnerEnforced") => Ok(Ownership::BucketOwnerEnforced),
        Some("BucketOwnerPreferred") => Ok(Ownership::BucketOwnerPreferred),
        Some("ObjectWriter") => Ok(Ownership::ObjectWriter),
        Some(other) => {
            let message = format!("Invalid x-amz-object-ownership header: {other}");
            Err(invalid_argument(message, "x-amz-object-ownership", other))
        }
    }
}
