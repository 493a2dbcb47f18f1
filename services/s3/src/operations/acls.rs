//! Access control lists of buckets and objects.

use crate::S3;
use crate::access::charged;
use crate::acl::{self, AclRequest, object_acl};
use crate::errors::{Result, invalid_request};
use crate::public::prevented_acl;
use crate::state::{Acl, Bucket};
use cloudlet_api_s3::{
    GetBucketAclInput, GetBucketAclOutput, GetObjectAclInput, GetObjectAclOutput, NoMembers,
    PutBucketAclInput, PutObjectAclInput, PutObjectAclOutput,
};
use cloudlet_service::{Context, Error};

impl S3 {
    /// The bucket's list. Errors: `NoSuchBucket`.
    pub async fn get_bucket_acl(
        &self,
        _: &Context,
        input: GetBucketAclInput,
    ) -> Result<GetBucketAclOutput, Error> {
        let bucket = self.expected(&input.bucket, input.expected_bucket_owner.as_deref())?;
        let acl = bucket.acl.as_ref().filter(|_| !bucket.acls_disabled());
        Ok(GetBucketAclOutput {
            owner: Some(acl::owner(&bucket.owner)),
            grants: Some(acl::to_grants(acl, &bucket.owner)),
        })
    }

    /// Replaces it. Errors: `AccessControlListNotSupported`, `MalformedACLError`, `AccessDenied`, `InvalidArgument`.
    pub async fn put_bucket_acl(
        &self,
        cx: &Context,
        mut input: PutBucketAclInput,
    ) -> Result<NoMembers, Error> {
        let bucket = self.expected(&input.bucket, input.expected_bucket_owner.as_deref())?;
        let request = AclRequest { write: input.grant_write.take(), ..object_acl!(input) };
        let document = input.access_control_policy.take();
        if bucket.acls_disabled() && request.is_empty() && says_nothing(document.as_ref(), &bucket.owner) {
            return Ok(NoMembers);
        }
        let acl = wanted(&bucket, &request, document, &bucket.owner)?;
        if blocks(&bucket, &acl) {
            return Err(prevented_acl(cx, &bucket, "s3:PutBucketAcl", None));
        }
        self.change(&input.bucket, input.expected_bucket_owner.as_deref(), |bucket| {
            bucket.acl = Some(acl.clone());
            Ok(())
        })
        .await?;
        Ok(NoMembers)
    }

    /// The list of an object or a version. Errors: `NoSuchKey`, `NoSuchVersion`, `MethodNotAllowed`.
    pub async fn get_object_acl(
        &self,
        cx: &Context,
        input: GetObjectAclInput,
    ) -> Result<GetObjectAclOutput, Error> {
        let bucket = self.expected(&input.bucket, input.expected_bucket_owner.as_deref())?;
        let version = self.existing(cx, &bucket, &input.key, input.version_id.as_deref(), "GET")?;
        let disabled = bucket.acls_disabled();
        let owner = version.owner.as_deref().filter(|_| !disabled).unwrap_or(&bucket.owner);
        let acl = version.acl.as_ref().filter(|_| !disabled);
        Ok(GetObjectAclOutput {
            owner: Some(acl::owner(owner)),
            grants: Some(acl::to_grants(acl, owner)),
            request_charged: charged(cx, &bucket),
        })
    }

    /// Replaces it. Errors: as of both above.
    pub async fn put_object_acl(
        &self,
        cx: &Context,
        mut input: PutObjectAclInput,
    ) -> Result<PutObjectAclOutput, Error> {
        let bucket = self.expected(&input.bucket, input.expected_bucket_owner.as_deref())?;
        let version = input.version_id.take();
        let existing = self.existing(cx, &bucket, &input.key, version.as_deref(), "PUT")?;
        let owner = existing.owner.as_deref().unwrap_or(&bucket.owner);
        let request = AclRequest { write: input.grant_write.take(), ..object_acl!(input) };
        let full_control = request.canned.as_deref() == Some("bucket-owner-full-control");
        let nothing = request.is_empty() && says_nothing(input.access_control_policy.as_ref(), &bucket.owner);
        if bucket.acls_disabled() && (full_control || nothing) {
            return Ok(PutObjectAclOutput { request_charged: charged(cx, &bucket) });
        }
        let acl = wanted(&bucket, &request, input.access_control_policy.take(), owner)?;
        if blocks(&bucket, &acl) {
            return Err(prevented_acl(cx, &bucket, "s3:PutObjectAcl", Some(&input.key)));
        }
        self.alter(cx, &bucket, &input.key, version.as_deref(), "PUT", &["ObjectAcl:Put"], |v| {
            v.acl = Some(acl.clone());
            Ok(())
        })
        .await?;
        Ok(PutObjectAclOutput { request_charged: charged(cx, &bucket) })
    }
}

/// Whether a document says no more than what holds where ACLs are disabled: that the bucket's owner has full control.
/// Source: S3 User Guide, "Controlling ownership of objects and disabling ACLs".
fn says_nothing(document: Option<&cloudlet_api_s3::AccessControlPolicy>, owner: &str) -> bool {
    let id = crate::names::canonical_id(owner);
    let is_owner = |grant: &cloudlet_api_s3::Grant| {
        grant.permission.as_deref() == Some("FULL_CONTROL")
            && grant.grantee.as_ref().is_some_and(|grantee| grantee.id.as_deref() == Some(id.as_str()))
    };
    document.and_then(|d| d.grants.as_deref()).is_some_and(|grants| matches!(grants, [one] if is_owner(one)))
}

/// The list that a request asks for, out of its document or its headers.
fn wanted(
    bucket: &Bucket,
    request: &AclRequest,
    document: Option<cloudlet_api_s3::AccessControlPolicy>,
    owner: &str,
) -> Result<Acl, Error> {
    if bucket.acls_disabled() {
        return Err(acl::not_supported());
    }
    // An empty document is how some clients send none.
    let document = document.filter(|d| d.owner.is_some() || d.grants.is_some());
    let acl = match (document, request.is_empty()) {
        (Some(_), false) => {
            let message = "Specifying both Canned ACLs and Header Grants is not allowed";
            let content = Error::sender("UnexpectedContent", "This request does not support content");
            return Err(if request.canned.is_some() && request.has_grants() {
                invalid_request(message)
            } else {
                content
            });
        }
        (Some(document), true) => acl::from_document(document, owner)?,
        (None, _) => request.resolve(owner, &bucket.owner)?.ok_or_else(|| {
            let message = "Your request was missing a required header";
            Error::sender("MissingSecurityHeader", message).with("MissingHeaderName", "x-amz-acl")
        })?,
    };
    Ok(acl)
}

/// Whether block public access stops an ACL.
fn blocks(bucket: &Bucket, acl: &Acl) -> bool {
    bucket.block.is_some_and(|b| b.block_acls) && acl.is_public()
}
