//! Who may: bucket policies, public access block, ownership of objects.

use crate::S3;
use crate::bucket_policy;
use crate::errors::{Result, invalid_request, malformed_xml, method_not_allowed, no_such_configuration};
use crate::names::caller;
use crate::public::{self, is_public};
use crate::state::{Acl, Bucket, Grantee, Ownership, PublicAccessBlock};
use cloudlet_api_s3::{self as api, NoMembers};
use cloudlet_service::{Context, Error};

impl S3 {
    /// The bucket's policy. Errors: `NoSuchBucketPolicy`.
    pub async fn get_bucket_policy(
        &self,
        cx: &Context,
        input: api::GetBucketPolicyInput,
    ) -> Result<api::GetBucketPolicyOutput, Error> {
        let bucket = self.expected(&input.bucket, input.expected_bucket_owner.as_deref())?;
        own_account(cx, &bucket, "GET")?;
        match &bucket.policy {
            Some(policy) => Ok(api::GetBucketPolicyOutput { policy: Some(policy.clone()) }),
            None => Err(no_policy(&bucket)),
        }
    }

    /// Replaces it. Errors: `MalformedPolicy`, `AccessDenied` for a public policy where those are blocked.
    pub async fn put_bucket_policy(
        &self,
        cx: &Context,
        input: api::PutBucketPolicyInput,
    ) -> Result<NoMembers, Error> {
        let bucket = self.expected(&input.bucket, input.expected_bucket_owner.as_deref())?;
        own_account(cx, &bucket, "PUT")?;
        let text = input.policy;
        bucket_policy::check(cx, &bucket, &text)?;
        if bucket.block.is_some_and(|b| b.block_policy) && is_public(&text) {
            return Err(public::prevented_policy(cx, &bucket));
        }
        self.change(&input.bucket, input.expected_bucket_owner.as_deref(), |bucket| {
            bucket.policy = Some(text.clone());
            Ok(())
        })
        .await?;
        Ok(NoMembers)
    }

    /// Removes it. Errors: `NoSuchBucket`.
    pub async fn delete_bucket_policy(
        &self,
        cx: &Context,
        input: api::DeleteBucketPolicyInput,
    ) -> Result<NoMembers, Error> {
        own_account(cx, &*self.expected(&input.bucket, input.expected_bucket_owner.as_deref())?, "DELETE")?;
        self.change(&input.bucket, input.expected_bucket_owner.as_deref(), |bucket| {
            bucket.policy = None;
            Ok(())
        })
        .await?;
        Ok(NoMembers)
    }

    /// Whether the policy is public. Errors: `NoSuchBucketPolicy`.
    pub async fn get_bucket_policy_status(
        &self,
        _: &Context,
        input: api::GetBucketPolicyStatusInput,
    ) -> Result<api::GetBucketPolicyStatusOutput, Error> {
        let bucket = self.expected(&input.bucket, input.expected_bucket_owner.as_deref())?;
        let acl = bucket.acl.as_ref().filter(|_| !bucket.acls_disabled()).is_some_and(Acl::is_public);
        let public = match &bucket.policy {
            Some(policy) => is_public(policy) && !bucket.block.is_some_and(|b| b.restrict),
            None if acl => !bucket.block.is_some_and(|b| b.ignore_acls),
            None => return Err(no_policy(&bucket)),
        };
        Ok(api::GetBucketPolicyStatusOutput {
            policy_status: Some(api::PolicyStatus { is_public: Some(public) }),
        })
    }

    /// What public access is blocked. Errors: `NoSuchPublicAccessBlockConfiguration`.
    pub async fn get_public_access_block(
        &self,
        _: &Context,
        input: api::GetPublicAccessBlockInput,
    ) -> Result<api::GetPublicAccessBlockOutput, Error> {
        let bucket = self.expected(&input.bucket, input.expected_bucket_owner.as_deref())?;
        let Some(block) = bucket.block else {
            return Err(no_such_configuration(
                "NoSuchPublicAccessBlockConfiguration",
                "The public access block configuration was not found",
                &bucket.name,
            ));
        };
        Ok(api::GetPublicAccessBlockOutput {
            public_access_block_configuration: Some(api::PublicAccessBlockConfiguration {
                block_public_acls: Some(block.block_acls),
                ignore_public_acls: Some(block.ignore_acls),
                block_public_policy: Some(block.block_policy),
                restrict_public_buckets: Some(block.restrict),
            }),
        })
    }

    /// Replaces it; what is not said is off. Errors: `InvalidRequest` where nothing is.
    pub async fn put_public_access_block(
        &self,
        _: &Context,
        input: api::PutPublicAccessBlockInput,
    ) -> Result<NoMembers, Error> {
        let given = input.public_access_block_configuration;
        let said = [
            given.block_public_acls,
            given.ignore_public_acls,
            given.block_public_policy,
            given.restrict_public_buckets,
        ];
        if said.iter().all(Option::is_none) {
            return Err(invalid_request("Must specify at least one configuration."));
        }
        let block = PublicAccessBlock {
            block_acls: given.block_public_acls == Some(true),
            ignore_acls: given.ignore_public_acls == Some(true),
            block_policy: given.block_public_policy == Some(true),
            restrict: given.restrict_public_buckets == Some(true),
        };
        self.change(&input.bucket, input.expected_bucket_owner.as_deref(), |bucket| {
            bucket.block = Some(block);
            Ok(())
        })
        .await?;
        Ok(NoMembers)
    }

    /// Blocks nothing any more. Errors: `NoSuchBucket`.
    pub async fn delete_public_access_block(
        &self,
        _: &Context,
        input: api::DeletePublicAccessBlockInput,
    ) -> Result<NoMembers, Error> {
        self.change(&input.bucket, input.expected_bucket_owner.as_deref(), |bucket| {
            bucket.block = None;
            Ok(())
        })
        .await?;
        Ok(NoMembers)
    }

    /// Who owns new objects. Errors: `OwnershipControlsNotFoundError`.
    pub async fn get_bucket_ownership_controls(
        &self,
        _: &Context,
        input: api::GetBucketOwnershipControlsInput,
    ) -> Result<api::GetBucketOwnershipControlsOutput, Error> {
        let bucket = self.expected(&input.bucket, input.expected_bucket_owner.as_deref())?;
        let ownership = match bucket.ownership {
            None => {
                return Err(no_such_configuration(
                    "OwnershipControlsNotFoundError",
                    "The bucket ownership controls were not found",
                    &bucket.name,
                ));
            }
            Some(Ownership::BucketOwnerEnforced) => "BucketOwnerEnforced",
            Some(Ownership::BucketOwnerPreferred) => "BucketOwnerPreferred",
            Some(Ownership::ObjectWriter) => "ObjectWriter",
        };
        let rule =
            api::OwnershipControlsRule { object_ownership: ownership.to_owned(), ..Default::default() };
        Ok(api::GetBucketOwnershipControlsOutput {
            ownership_controls: Some(api::OwnershipControls { rules: vec![rule], ..Default::default() }),
        })
    }

    /// Replaces it. Errors: `MalformedXML`, `InvalidBucketAclWithObjectOwnership` while an ACL lets others in.
    pub async fn put_bucket_ownership_controls(
        &self,
        _: &Context,
        input: api::PutBucketOwnershipControlsInput,
    ) -> Result<NoMembers, Error> {
        let [rule] = &input.ownership_controls.rules[..] else { return Err(malformed_xml()) };
        let ownership =
            super::buckets::ownership(Some(&rule.object_ownership)).map_err(|_| malformed_xml())?;
        self.change(&input.bucket, input.expected_bucket_owner.as_deref(), |bucket| {
            let others = bucket.acl.as_ref().is_some_and(|acl| {
                acl.grants.iter().any(|g| !matches!(&g.to, Grantee::Account(a) if *a == bucket.owner))
            });
            if ownership == Ownership::BucketOwnerEnforced && others {
                let message =
                    "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting";
                return Err(Error::sender("InvalidBucketAclWithObjectOwnership", message).into());
            }
            bucket.ownership = Some(ownership);
            bucket.ownership_unsaid = false;
            Ok(())
        })
        .await?;
        Ok(NoMembers)
    }

    /// Whether the bucket's tags take part in decisions. Errors: `NoSuchBucket`.
    pub async fn get_bucket_abac(
        &self,
        _: &Context,
        input: api::GetBucketAbacInput,
    ) -> Result<api::GetBucketAbacOutput, Error> {
        let bucket = self.expected(&input.bucket, input.expected_bucket_owner.as_deref())?;
        let status = if bucket.abac { "Enabled" } else { "Disabled" };
        Ok(api::GetBucketAbacOutput {
            abac_status: Some(api::AbacStatus { status: Some(status.to_owned()) }),
        })
    }

    /// Lets them, or not. Errors: `MalformedXML`.
    pub async fn put_bucket_abac(
        &self,
        _: &Context,
        input: api::PutBucketAbacInput,
    ) -> Result<NoMembers, Error> {
        let abac = match input.abac_status.status.as_deref() {
            Some("Enabled") => true,
            Some("Disabled") => false,
            _ => return Err(malformed_xml()),
        };
        self.change(&input.bucket, input.expected_bucket_owner.as_deref(), |bucket| {
            bucket.abac = abac;
            Ok(())
        })
        .await?;
        Ok(NoMembers)
    }

    /// Removes it: objects are their writers' again. Errors: `NoSuchBucket`.
    pub async fn delete_bucket_ownership_controls(
        &self,
        _: &Context,
        input: api::DeleteBucketOwnershipControlsInput,
    ) -> Result<NoMembers, Error> {
        self.change(&input.bucket, input.expected_bucket_owner.as_deref(), |bucket| {
            bucket.ownership = None;
            Ok(())
        })
        .await?;
        Ok(NoMembers)
    }
}

/// A bucket's policy is its own account's to see and to change, whatever it says of others.
/// Errors: `MethodNotAllowed`. Source: S3 API Reference, PutBucketPolicy.
fn own_account(cx: &Context, bucket: &Bucket, method: &str) -> Result<(), Error> {
    if caller(cx) == bucket.owner {
        return Ok(());
    }
    Err(method_not_allowed(method, "BUCKETPOLICY"))
}

fn no_policy(bucket: &Bucket) -> Error {
    no_such_configuration("NoSuchBucketPolicy", "The bucket policy does not exist", &bucket.name)
}
