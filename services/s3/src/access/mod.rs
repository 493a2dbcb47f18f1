//! What IAM is asked before an operation runs: the actions that its parameters need, with the bucket's policy, what
//! ACLs add to it, block public access, and S3's condition keys.
//! Source: Service Authorization Reference, "Actions, resources, and condition keys for Amazon S3"; S3 User Guide,
//! "How Amazon S3 authorizes a request".

mod actions;
mod policies;

pub(crate) use policies::Policies;

use crate::S3;
use crate::condition_keys::{self, header};
use crate::errors::{Result, access_denied};
use crate::names::{CopySource, caller};
use crate::public::is_public;
use crate::state::{Bucket, Version};
use crate::versions::{Which, find};
use actions::{Also, acl_permission, is_object_owners, looks_at_object, versioned};
use cloudlet_api_s3 as api;
use cloudlet_service::rules::text_member;
use cloudlet_service::{Access, AccessRequest, Context, Error, Operation, Principal, Structure};
use policies::{denials, with_statement};

/// What a request is about, as far as its authorization goes.
pub(crate) struct Asked<'a> {
    pub(crate) bucket: &'a Bucket,
    pub(crate) key: Option<&'a str>,
    pub(crate) version: Option<&'a str>,
}

/// A request that was sent to another region than the bucket's. Errors: `PermanentRedirect`.
pub(crate) fn check_region(cx: &Context, bucket: &Bucket) -> Result<(), Error> {
    let signed = !matches!(cx.principal, Principal::Anonymous | Principal::Service { .. });
    if !signed || *cx.region == *bucket.region {
        return Ok(());
    }
    let endpoint = format!("{}.s3.{}.amazonaws.com", bucket.name, bucket.region);
    let message = "The bucket you are attempting to access must be addressed using the specified endpoint. Please send \
                   all future requests to this endpoint.";
    Err(Error::new("PermanentRedirect", 301, message)
        .with("Endpoint", endpoint)
        .with("Bucket", bucket.name.clone())
        .with_header("x-amz-bucket-region", bucket.region.clone()))
}

/// The regions whose S3 has ever known signatures of version 2: those that opened before 2014.
/// Source: S3 API Reference, "Authenticating Requests (AWS Signature Version 4)".
const KNOW_VERSION_2: [&str; 9] = [
    "us-east-1",
    "us-west-1",
    "us-west-2",
    "eu-west-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-northeast-1",
    "sa-east-1",
    "us-gov-west-1",
];

/// Errors: `InvalidRequest` for a signature of version 2 where the bucket's region does not know it.
pub(crate) fn check_signature(cx: &Context, bucket: &Bucket) -> Result<(), Error> {
    if cx.origin.signature == Some("AWS") && !KNOW_VERSION_2.contains(&bucket.region.as_str()) {
        let message =
            "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.";
        return Err(crate::errors::invalid_request(message));
    }
    Ok(())
}

impl S3 {
    /// The accesses of an operation. Errors: `NoSuchBucket`, `PermanentRedirect`, `AccessDenied` for another owner
    /// than expected.
    pub(crate) fn accesses(
        &self,
        op: &'static Operation,
        cx: &Context,
        input: &dyn Structure,
    ) -> Result<Vec<Access>> {
        let mut all = self.needed(op, cx, input)?;
        // Policies can tell what makes an object from what only brings parts of one.
        if let Some(creates) = condition_keys::creates_object(op.name) {
            // Who is trusted is asked for nothing, and so has no keys.
            for access in all.iter_mut().filter(|a| a.action == "s3:PutObject" && !a.keys.is_empty()) {
                access.keys.push((condition_keys::CREATES.to_owned(), vec![creates.to_string()]));
            }
        }
        Ok(all)
    }

    fn needed(&self, op: &'static Operation, cx: &Context, input: &dyn Structure) -> Result<Vec<Access>> {
        // The two hottest are looked at by type; the others by the names of their members.
        if let Some(get) = input.as_any().downcast_ref::<api::GetObjectInput>() {
            return self.one(cx, &get.bucket, Some(&get.key), get.version_id.as_deref(), "s3:GetObject");
        }
        if let Some(put) = input.as_any().downcast_ref::<api::PutObjectInput>() {
            let mut all = self.one(cx, &put.bucket, Some(&put.key), None, "s3:PutObject")?;
            let lock = put.object_lock_mode.is_some() || put.object_lock_retain_until_date.is_some();
            let also = Also {
                tags: put.tagging.as_deref().is_some_and(|t| !t.is_empty()),
                acl: put.acl.as_ref().is_some_and(|acl| !acl.is_empty())
                    || put.grant_full_control.is_some()
                    || put.grant_read.is_some()
                    || put.grant_read_acp.is_some()
                    || put.grant_write_acp.is_some(),
                retention: lock,
                hold: put.object_lock_legal_hold_status.is_some(),
            };
            self.also(cx, &put.bucket, &put.key, &also, &mut all)?;
            if put.if_match.is_some() {
                all.extend(self.one(cx, &put.bucket, Some(&put.key), None, "s3:GetObject")?);
            }
            return Ok(all);
        }
        let member = |name: &str| text_member(input, name);
        match op.name {
            "ListBuckets" | "ListDirectoryBuckets" => {
                return Ok(cloudlet_service::api::default_access(op, cx, input));
            }
            "CreateBucket" => return Ok(create_bucket(cx, input)),
            _ => {}
        }
        let name = member("Bucket").unwrap_or_default();
        let (key, version) = (member("Key"), member("VersionId"));
        let key = key.as_deref();
        let version = version.as_deref();
        let one = |action: &str| self.one(cx, &name, key, version, action);
        match op.name {
            "HeadObject" => one("s3:GetObject"),
            "HeadBucket" => {
                // Whoever may not list is still told where the bucket is.
                let bucket = self.located(cx, &name)?;
                self.allowed(cx, &bucket, None, None, "s3:ListBucket")
                    .map_err(|denied| denied.with_header("x-amz-bucket-region", bucket.region.clone()))?;
                Ok(Vec::new())
            }
            "GetBucketLocation" => {
                let bucket = self.bucket(&name)?;
                let asked = Asked { bucket: &bucket, key: None, version: None };
                Ok(vec![self.access_to(cx, &asked, "s3:GetBucketLocation", Vec::new())?])
            }
            "ListObjects" | "ListObjectsV2" | "ListObjectVersions" | "ListMultipartUploads" => {
                let keys = condition_keys::of_list(input);
                let bucket = self.located(cx, &name)?;
                let action = op.access.first().map_or("s3:ListBucket", |rule| rule.action);
                let asked = Asked { bucket: &bucket, key: None, version: None };
                Ok(vec![self.access_to(cx, &asked, action, keys)?])
            }
            "GetObjectAttributes" => {
                let mut all = one("s3:GetObject")?;
                all.extend(one("s3:GetObjectAttributes")?);
                Ok(all)
            }
            // Every key is asked for by itself when its turn comes.
            "DeleteObjects" => self.located(cx, &name).map(|_| Vec::new()),
            "DeleteObject" => {
                let mut all = one("s3:DeleteObject")?;
                // Who asks what the entity tag is may know it.
                if member("IfMatch").is_some_and(|etag| etag != "*") {
                    all.extend(one("s3:GetObject")?);
                }
                if header(cx, "x-amz-bypass-governance-retention")
                    .is_some_and(|v| v.eq_ignore_ascii_case("true"))
                {
                    all.extend(one("s3:BypassGovernanceRetention")?);
                }
                Ok(all)
            }
            "PutObjectAnnotation" | "DeleteObjectAnnotation" => {
                let action = op.access.first().map_or("s3:PutObjectAnnotation", |rule| rule.action);
                let mut all = one(action)?;
                if header(cx, "x-amz-bypass-governance-retention")
                    .is_some_and(|v| v.eq_ignore_ascii_case("true"))
                {
                    all.extend(one("s3:BypassGovernanceRetention")?);
                }
                Ok(all)
            }
            "CopyObject" | "UploadPartCopy" => self.copy(op, cx, input, &name, key.unwrap_or_default()),
            "CompleteMultipartUpload" => {
                let mut all = one("s3:PutObject")?;
                if member("IfMatch").is_some() {
                    all.extend(one("s3:GetObject")?);
                }
                Ok(all)
            }
            "CreateMultipartUpload" => {
                let mut all = one("s3:PutObject")?;
                let also = Also::from_members(&member);
                self.also(cx, &name, key.unwrap_or_default(), &also, &mut all)?;
                Ok(all)
            }
            "PutBucketReplication" => {
                let mut all = one("s3:PutReplicationConfiguration")?;
                if let Some(put) = input.as_any().downcast_ref::<api::PutBucketReplicationInput>() {
                    all.push(Access::new("iam:PassRole", put.replication_configuration.role.clone()));
                }
                Ok(all)
            }
            "PutBucketInventoryConfiguration" => {
                let bucket = self.located(cx, &name)?;
                let asked = Asked { bucket: &bucket, key: None, version: None };
                let keys = condition_keys::of_document(input);
                Ok(vec![self.access_to(cx, &asked, "s3:PutInventoryConfiguration", keys)?])
            }
            "PutObjectTagging" | "PutObjectLegalHold" => {
                let action = op.access.first().map_or("s3:PutObject", |rule| rule.action);
                let bucket = self.located(cx, &name)?;
                let asked = Asked { bucket: &bucket, key, version };
                Ok(vec![self.access_to(cx, &asked, action, condition_keys::of_document(input))?])
            }
            "PutObjectRetention" => {
                let bucket = self.located(cx, &name)?;
                let asked = Asked { bucket: &bucket, key, version };
                let keys = condition_keys::of_retention(cx, input);
                let mut all = vec![self.access_to(cx, &asked, "s3:PutObjectRetention", keys)?];
                if header(cx, "x-amz-bypass-governance-retention")
                    .is_some_and(|v| v.eq_ignore_ascii_case("true"))
                {
                    all.extend(one("s3:BypassGovernanceRetention")?);
                }
                Ok(all)
            }
            _ => {
                let mut all = Vec::new();
                for rule in op.access {
                    all.extend(one(rule.action)?);
                }
                Ok(all)
            }
        }
    }

    /// The bucket, if the request came to its region.
    fn located(&self, cx: &Context, name: &str) -> Result<std::sync::Arc<Bucket>> {
        let bucket = self.bucket(name)?;
        check_signature(cx, &bucket)?;
        check_region(cx, &bucket)?;
        self.check_accelerated(cx, &bucket)?;
        Ok(bucket)
    }

    fn one(
        &self,
        cx: &Context,
        bucket: &str,
        key: Option<&str>,
        version: Option<&str>,
        action: &str,
    ) -> Result<Vec<Access>> {
        let bucket = self.located(cx, bucket)?;
        let asked = Asked { bucket: &bucket, key, version };
        Ok(vec![self.access_to(cx, &asked, action, Vec::new())?])
    }

    /// What writing an object needs beyond `s3:PutObject`.
    fn also(&self, cx: &Context, bucket: &str, key: &str, also: &Also, all: &mut Vec<Access>) -> Result<()> {
        let bucket_name = bucket;
        let bucket = self.bucket(bucket)?;
        for (needed, action) in [
            (also.tags, "s3:PutObjectTagging"),
            (also.acl && !self.owns_what_it_writes(cx, &bucket), "s3:PutObjectAcl"),
            (also.retention, "s3:PutObjectRetention"),
            (also.hold, "s3:PutObjectLegalHold"),
        ] {
            if needed {
                all.extend(self.one(cx, bucket_name, Some(key), None, action)?);
            }
        }
        Ok(())
    }

    /// Whether the caller writes by the bucket's ACL: what it writes is its own, ACL and all.
    pub(crate) fn owns_what_it_writes(&self, cx: &Context, bucket: &Bucket) -> bool {
        caller(cx) != bucket.owner && self.acl_allows(cx, bucket, None, "s3:PutObject")
    }

    fn copy(
        &self,
        op: &'static Operation,
        cx: &Context,
        input: &dyn Structure,
        bucket: &str,
        key: &str,
    ) -> Result<Vec<Access>> {
        let source = CopySource::parse(&text_member(input, "CopySource").unwrap_or_default())?;
        let mut all = self.one(cx, bucket, Some(key), None, "s3:PutObject")?;
        if op.name == "CopyObject" {
            self.also(cx, bucket, key, &Also::from_members(&|name| text_member(input, name)), &mut all)?;
        }
        let from = self.bucket(&source.bucket)?;
        let asked = Asked { bucket: &from, key: Some(&source.key), version: source.version.as_deref() };
        all.push(self.access_to(cx, &asked, "s3:GetObject", Vec::new())?);
        if op.name == "CopyObject" {
            if text_member(input, "IfMatch").is_some() {
                all.extend(self.one(cx, bucket, Some(key), None, "s3:GetObject")?);
            }
            let copied = text_member(input, "TaggingDirective").as_deref() != Some("REPLACE");
            if copied && self.has_tags(&asked)? {
                all.push(self.access_to(cx, &asked, "s3:GetObjectTagging", Vec::new())?);
                all.extend(self.one(cx, bucket, Some(key), None, "s3:PutObjectTagging")?);
            }
        }
        Ok(all)
    }

    /// Whether the object has tags, which a copy takes along.
    fn has_tags(&self, asked: &Asked<'_>) -> Result<bool> {
        let Ok(which) = Which::parse(asked.version) else { return Ok(false) };
        let found = find(&self.store, asked.bucket.id, asked.key.unwrap_or_default(), which)?;
        Ok(found.is_some_and(|found| !found.version.tags.is_empty()))
    }

    /// One access, with everything that decides it.
    fn access_to(
        &self,
        cx: &Context,
        asked: &Asked<'_>,
        action: &str,
        mut keys: Vec<(String, Vec<String>)>,
    ) -> Result<Access> {
        let bucket = asked.bucket;
        let resource = match asked.key {
            Some(key) => format!("{}/{key}", bucket.arn()),
            None => bucket.arn(),
        };
        let mut access = Access::new(versioned(action, asked.version).to_owned(), resource);
        if self.trusted(cx, bucket) || may_always(cx, bucket, action) {
            return Ok(access);
        }
        self.check_payer(cx, bucket)?;
        let existing = match asked.key {
            Some(key) if looks_at_object(action) => {
                let which = Which::parse(asked.version).unwrap_or(Which::Current);
                find(&self.store, bucket.id, key, which)?.map(|found| found.version)
            }
            _ => None,
        };
        let owner = existing.as_ref().and_then(|v| v.owner.clone()).filter(|_| is_object_owners(action));
        let owner = owner.unwrap_or_else(|| bucket.owner.clone());
        let policy = self.policies.of(bucket)?;
        // A bucket's policy can take away access to objects that are another account's, not give it.
        let policy =
            if owner == bucket.owner { policy } else { policy.map(|p| denials(&p)).transpose()?.flatten() };
        let foreign = caller(cx) != owner || matches!(cx.principal, Principal::Anonymous);
        access.resource_policy = policy;
        if foreign && !matches!(cx.principal, Principal::Service { .. }) {
            if bucket.block.is_some_and(|b| b.restrict) && bucket.policy.as_deref().is_some_and(is_public) {
                access.resource_policy = None;
            }
            if self.acl_allows(cx, bucket, existing.as_ref(), action) {
                access.resource_policy = Some(with_statement(access.resource_policy.as_ref(), &access)?);
            }
        }
        condition_keys::of_request(cx, asked, existing.as_ref(), &mut keys);
        keys.push(("s3:ResourceAccount".to_owned(), vec![bucket.owner.clone()]));
        access.resource_account = Some(owner);
        access.keys = keys;
        Ok(access)
    }

    /// Whether the caller, who is of another account or of none, has the grant.
    fn acl_allows(&self, cx: &Context, bucket: &Bucket, object: Option<&Version>, action: &str) -> bool {
        let Some((on_object, permission)) = acl_permission(action) else { return false };
        if bucket.acls_disabled() {
            return false;
        }
        let public = !bucket.block.is_some_and(|b| b.ignore_acls);
        let account = Some(caller(cx)).filter(|a| !a.is_empty());
        let acl = if on_object { object.and_then(|v| v.acl.as_ref()) } else { bucket.acl.as_ref() };
        let writes_acl = action == "s3:PutObject" || action == "s3:DeleteObject";
        acl.is_some_and(|acl| acl.grants(account, permission, public))
            || (on_object
                && object.is_none()
                && !writes_acl
                && bucket.acl.as_ref().is_some_and(|acl| acl.grants(account, "READ", public)))
    }

    /// Strangers say that they pay where the bucket's owner does not. Errors: `AccessDenied`.
    /// Source: S3 User Guide, "Using Requester Pays general purpose buckets".
    fn check_payer(&self, cx: &Context, bucket: &Bucket) -> Result<()> {
        let own = caller(cx) == bucket.owner || matches!(cx.principal, Principal::Service { .. });
        if !bucket.requester_pays || own || charged(cx, bucket).is_some() {
            return Ok(());
        }
        Err(access_denied().into())
    }

    /// Whether the caller is the root of the bucket's account, and nothing there could deny it anything.
    pub(crate) fn trusted(&self, cx: &Context, bucket: &Bucket) -> bool {
        let root = matches!(&cx.principal, Principal::Root { account } if **account == *bucket.owner);
        root && bucket.policy.is_none() && bucket.acls_disabled()
    }

    /// Whether the caller may do that, beside what the operation was allowed for.
    pub(crate) fn allowed(
        &self,
        cx: &Context,
        bucket: &Bucket,
        key: Option<&str>,
        version: Option<&str>,
        action: &str,
    ) -> Result<(), Error> {
        self.allowed_with(cx, &Asked { bucket, key, version }, action, Vec::new())
    }

    /// The same with further condition keys.
    pub(crate) fn allowed_with(
        &self,
        cx: &Context,
        asked: &Asked<'_>,
        action: &str,
        keys: condition_keys::Keys,
    ) -> Result<(), Error> {
        let access = self.access_to(cx, asked, action, keys)?;
        let index = <api::operations::ListObjectsV2 as cloudlet_service::TypedOperation>::INDEX;
        let request =
            AccessRequest { access: &access, operation: &api::API.operations[index], service: &api::API };
        cx.cloud.identity()?.authorize(cx, &request).map_err(|e| e.with_code("AccessDenied").with_status(403))
    }

    /// The error over a key that is not there: who may not list the bucket is not told.
    pub(crate) fn missing(&self, cx: &Context, bucket: &Bucket, error: Error) -> Error {
        if self.trusted(cx, bucket) {
            return error;
        }
        match self.allowed(cx, bucket, None, None, "s3:ListBucket") {
            Ok(()) => error,
            Err(denied) => denied,
        }
    }
}

/// The owner's root user can see, replace and delete the bucket's policy whatever it says, so that nobody is locked out.
/// Source: S3 API Reference, PutBucketPolicy.
fn may_always(cx: &Context, bucket: &Bucket, action: &str) -> bool {
    matches!(&cx.principal, Principal::Root { account } if **account == *bucket.owner)
        && matches!(action, "s3:GetBucketPolicy" | "s3:PutBucketPolicy" | "s3:DeleteBucketPolicy")
}

/// What answers say to those who pay for their requests themselves: `x-amz-request-charged`.
pub(crate) fn charged(cx: &Context, bucket: &Bucket) -> Option<String> {
    let stranger = !matches!(cx.principal, Principal::Anonymous) && caller(cx) != bucket.owner;
    let pays = header(cx, "x-amz-request-payer") == Some("requester");
    (bucket.requester_pays && stranger && pays).then(|| "requester".to_owned())
}

/// CreateBucket and what its parameters need.
fn create_bucket(cx: &Context, input: &dyn Structure) -> Vec<Access> {
    let name = text_member(input, "Bucket").unwrap_or_default();
    let resource = crate::events::bucket_arn(&cx.region, &name);
    let has = |member: &str| text_member(input, member).is_some_and(|value| !value.is_empty());
    let mut all = vec![Access::new("s3:CreateBucket", resource.clone())];
    if let Some(create) = input.as_any().downcast_ref::<api::CreateBucketInput>() {
        let constraint =
            create.create_bucket_configuration.as_ref().and_then(|c| c.location_constraint.clone());
        all[0].keys.extend(constraint.map(|c| ("s3:LocationConstraint".to_owned(), vec![c])));
        let tags = create.create_bucket_configuration.as_ref().and_then(|c| c.tags.as_deref());
        all[0].keys.extend(condition_keys::of_bucket_tags(tags.unwrap_or_default()));
        if tags.is_some_and(|tags| !tags.is_empty()) {
            all.push(all[0].also("s3:TagResource"));
        }
        if create.object_lock_enabled_for_bucket == Some(true) {
            all.push(Access::new("s3:PutBucketObjectLockConfiguration", resource.clone()));
            all.push(Access::new("s3:PutBucketVersioning", resource.clone()));
        }
    }
    if ["ACL", "GrantFullControl", "GrantRead", "GrantReadACP", "GrantWrite", "GrantWriteACP"]
        .into_iter()
        .any(has)
    {
        all.push(Access::new("s3:PutBucketAcl", resource.clone()));
    }
    if has("ObjectOwnership") {
        all.push(Access::new("s3:PutBucketOwnershipControls", resource));
    }
    for access in &mut all {
        condition_keys::of_head(cx, &mut access.keys);
    }
    all
}
