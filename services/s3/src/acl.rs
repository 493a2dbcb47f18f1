//! Access control lists: canned ones, grant headers, documents. Source: S3 User Guide, "Access control list (ACL)
//! overview".

use crate::errors::{Result, access_denied, invalid_argument, invalid_request, malformed_acl};
use crate::names::{
    ALL_USERS, AUTHENTICATED_USERS, LOG_DELIVERY, account_of, account_of_email, caller, canonical_id,
};
use crate::public;
use crate::state::{Acl, Bucket, Grant, Grantee};
use cloudlet_api_s3 as api;
use cloudlet_service::{Context, Error};

/// The most grants of one list.
const MOST: usize = 100;

/// What a request says of an ACL: the canned one and the five grant headers.
#[derive(Default)]
pub(crate) struct AclRequest {
    pub(crate) canned: Option<String>,
    pub(crate) full_control: Option<String>,
    pub(crate) read: Option<String>,
    pub(crate) write: Option<String>,
    pub(crate) read_acp: Option<String>,
    pub(crate) write_acp: Option<String>,
}

/// The ACL members of an input on an object.
macro_rules! object_acl {
    ($input:expr) => {
        $crate::acl::AclRequest {
            canned: $input.acl.take().filter(|acl| !acl.is_empty()),
            full_control: $input.grant_full_control.take(),
            read: $input.grant_read.take(),
            write: None,
            read_acp: $input.grant_read_acp.take(),
            write_acp: $input.grant_write_acp.take(),
        }
    };
}
pub(crate) use object_acl;

impl AclRequest {
    fn grants(&self) -> [(&'static str, &'static str, Option<&str>); 5] {
        [
            ("x-amz-grant-full-control", "FULL_CONTROL", self.full_control.as_deref()),
            ("x-amz-grant-read", "READ", self.read.as_deref()),
            ("x-amz-grant-write", "WRITE", self.write.as_deref()),
            ("x-amz-grant-read-acp", "READ_ACP", self.read_acp.as_deref()),
            ("x-amz-grant-write-acp", "WRITE_ACP", self.write_acp.as_deref()),
        ]
    }

    pub(crate) fn has_grants(&self) -> bool {
        self.grants().iter().any(|(_, _, given)| given.is_some())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.canned.is_none() && !self.has_grants()
    }

    /// The list for a resource of `owner`. `bucket_owner` is who owns the bucket an object is in.
    /// Errors: `InvalidRequest`, `InvalidArgument`.
    pub(crate) fn resolve(&self, owner: &str, bucket_owner: &str) -> Result<Option<Acl>, Error> {
        if self.has_grants() {
            if self.canned.is_some() {
                return Err(invalid_request("Specifying both Canned ACLs and Header Grants is not allowed"));
            }
            let mut grants = Vec::new();
            for (header, permission, given) in self.grants() {
                let Some(given) = given else { continue };
                for one in given.split(',').map(str::trim).filter(|g| !g.is_empty()) {
                    grants.push(Grant { to: grantee(header, one)?, permission: permission.to_owned() });
                }
            }
            if grants.len() > MOST {
                return Err(too_many());
            }
            return Ok(Some(Acl { grants }));
        }
        let Some(canned) = self.canned.as_deref() else { return Ok(None) };
        canned_acl(canned, owner, bucket_owner).map(Some)
    }
}

/// The list that a canned ACL means. Errors: `InvalidArgument`.
fn canned_acl(name: &str, owner: &str, bucket_owner: &str) -> Result<Acl, Error> {
    let mut grants = vec![account(owner, "FULL_CONTROL")];
    match name {
        "private" => {}
        "public-read" => grants.push(group(ALL_USERS, "READ")),
        "public-read-write" => grants.extend([group(ALL_USERS, "READ"), group(ALL_USERS, "WRITE")]),
        "authenticated-read" => grants.push(group(AUTHENTICATED_USERS, "READ")),
        "aws-exec-read" => {}
        "bucket-owner-read" if owner != bucket_owner => grants.push(account(bucket_owner, "READ")),
        "bucket-owner-full-control" if owner != bucket_owner => {
            grants.push(account(bucket_owner, "FULL_CONTROL"))
        }
        "bucket-owner-read" | "bucket-owner-full-control" => {}
        "log-delivery-write" => {
            grants.extend([group(LOG_DELIVERY, "WRITE"), group(LOG_DELIVERY, "READ_ACP")])
        }
        other => return Err(invalid_argument("", "x-amz-acl", other)),
    }
    Ok(Acl { grants })
}

fn account(account: &str, permission: &str) -> Grant {
    Grant { to: Grantee::Account(account.to_owned()), permission: permission.to_owned() }
}

fn group(uri: &str, permission: &str) -> Grant {
    Grant { to: Grantee::Group(uri.to_owned()), permission: permission.to_owned() }
}

/// One grantee of a header: `id="…"`, `uri="…"`. Errors: `InvalidArgument`.
fn grantee(header: &str, text: &str) -> Result<Grantee, Error> {
    let malformed = || invalid_argument("Argument format not recognized", header, text);
    let (kind, value) = text.split_once('=').ok_or_else(malformed)?;
    let value = value.trim().trim_matches('"');
    match kind.trim() {
        "id" => by_id(value, "id"),
        "uri" => by_uri(value, "uri"),
        "emailAddress" => by_email(value),
        _ => Err(malformed()),
    }
}

/// `name` is what AWS calls the argument: headers and documents differ.
fn by_id(id: &str, name: &str) -> Result<Grantee, Error> {
    account_of(id).map(Grantee::Account).ok_or_else(|| invalid_argument("Invalid id", name, id))
}

fn by_uri(uri: &str, name: &str) -> Result<Grantee, Error> {
    if [ALL_USERS, AUTHENTICATED_USERS, LOG_DELIVERY].contains(&uri) {
        return Ok(Grantee::Group(uri.to_owned()));
    }
    Err(invalid_argument("Invalid group uri", name, uri))
}

/// A grant by address becomes one by id. Errors: `UnresolvableGrantByEmailAddress`.
fn by_email(address: &str) -> Result<Grantee, Error> {
    account_of_email(address).map(Grantee::Account).ok_or_else(|| {
        Error::sender(
            "UnresolvableGrantByEmailAddress",
            "The e-mail address you provided does not match any account on record.",
        )
        .with("EmailAddress", address)
    })
}

fn too_many() -> Error {
    invalid_request(format!("The ACL has more than {MOST} grants."))
}

/// Reads a document. Errors: `MalformedACLError`, `InvalidArgument`, `AccessDenied` where it names another owner.
pub(crate) fn from_document(document: api::AccessControlPolicy, owner: &str) -> Result<Acl, Error> {
    let malformed = malformed_acl;
    let named = document.owner.and_then(|o| o.id).ok_or_else(malformed)?;
    if account_of(&named).is_none() {
        return Err(invalid_argument("Invalid id", "CanonicalUser/ID", named));
    }
    if named != canonical_id(owner) {
        return Err(access_denied());
    }
    let mut grants = Vec::new();
    for grant in document.grants.unwrap_or_default() {
        let grantee = grant.grantee.ok_or_else(malformed)?;
        let permission = grant.permission.ok_or_else(malformed)?;
        if !["FULL_CONTROL", "READ", "WRITE", "READ_ACP", "WRITE_ACP"].contains(&permission.as_str()) {
            return Err(malformed());
        }
        let to = match grantee.r#type.as_str() {
            "CanonicalUser" => by_id(grantee.id.as_deref().ok_or_else(malformed)?, "CanonicalUser/ID")?,
            "Group" => by_uri(grantee.uri.as_deref().ok_or_else(malformed)?, "Group/URI")?,
            "AmazonCustomerByEmail" => by_email(grantee.email_address.as_deref().ok_or_else(malformed)?)?,
            _ => return Err(malformed()),
        };
        grants.push(Grant { to, permission });
    }
    if grants.len() > MOST {
        return Err(too_many());
    }
    Ok(Acl { grants })
}

/// The owner as answers show it: by its id alone, since S3 has shown no names of accounts from November 2025 on.
/// Source: S3 API Reference, Owner.
pub(crate) fn owner(account: &str) -> api::Owner {
    api::Owner { display_name: None, id: Some(canonical_id(account)) }
}

/// The list as answers show it; without one, the owner has full control.
pub(crate) fn to_grants(acl: Option<&Acl>, owner: &str) -> Vec<api::Grant> {
    let private = Acl { grants: vec![account(owner, "FULL_CONTROL")] };
    let show = |grant: &Grant| {
        let mut grantee = api::Grantee::default();
        match &grant.to {
            Grantee::Account(account) => {
                grantee.r#type = "CanonicalUser".to_owned();
                grantee.id = Some(canonical_id(account));
            }
            Grantee::Group(uri) => {
                grantee.r#type = "Group".to_owned();
                grantee.uri = Some(uri.clone());
            }
        }
        api::Grant { grantee: Some(grantee), permission: Some(grant.permission.clone()) }
    };
    acl.unwrap_or(&private).grants.iter().map(show).collect()
}

impl Acl {
    /// Whether it lets everybody in, or every account.
    pub(crate) fn is_public(&self) -> bool {
        let public = |g: &Grant| matches!(&g.to, Grantee::Group(uri) if uri == ALL_USERS || uri == AUTHENTICATED_USERS);
        self.grants.iter().any(public)
    }

    /// Whether it gives `permission` to the account (`None` is nobody in particular), with public grants or without.
    pub(crate) fn grants(&self, caller: Option<&str>, permission: &str, public: bool) -> bool {
        self.grants.iter().any(|grant| {
            let whom = match &grant.to {
                Grantee::Account(account) => caller == Some(account.as_str()),
                Grantee::Group(uri) if uri == ALL_USERS => public,
                Grantee::Group(uri) if uri == AUTHENTICATED_USERS => public && caller.is_some(),
                Grantee::Group(_) => false,
            };
            whom && (grant.permission == permission || grant.permission == "FULL_CONTROL")
        })
    }
}

/// What the bucket's settings make of a new object's ACL and owner.
/// Errors: `AccessControlListNotSupported`, `AccessDenied` where public access is blocked.
pub(crate) fn for_object(
    cx: &Context,
    request: &AclRequest,
    bucket: &Bucket,
    key: &str,
) -> Result<(Option<Acl>, Option<String>), Error> {
    use crate::state::Ownership::{BucketOwnerEnforced, BucketOwnerPreferred, ObjectWriter};
    let full_control = request.canned.as_deref() == Some("bucket-owner-full-control");
    let owner = match bucket.ownership {
        Some(BucketOwnerEnforced) => {
            // What says no more than what holds anyway is let through.
            let private = request.canned.as_deref() == Some("private") && !request.has_grants();
            let passes = request.is_empty()
                || full_control
                || request.is_owner_full_control(&bucket.owner)
                || (private && bucket.ownership_unsaid);
            return if passes { Ok((None, None)) } else { Err(not_supported()) };
        }
        Some(BucketOwnerPreferred) if full_control => &bucket.owner,
        None | Some(BucketOwnerPreferred | ObjectWriter) => caller(cx),
    };
    let acl = request.resolve(owner, &bucket.owner)?;
    if bucket.block.is_some_and(|b| b.block_acls) && acl.as_ref().is_some_and(Acl::is_public) {
        return Err(public::prevented_acl(cx, bucket, "s3:PutObject", Some(key)));
    }
    Ok((acl, (owner != bucket.owner).then(|| owner.to_owned())))
}

pub(crate) fn not_supported() -> Error {
    Error::sender("AccessControlListNotSupported", "The bucket does not allow ACLs")
}

impl AclRequest {
    /// Whether the grants say no more than that the bucket's owner has full control.
    fn is_owner_full_control(&self, bucket_owner: &str) -> bool {
        let only = self.canned.is_none()
            && [&self.read, &self.write, &self.read_acp, &self.write_acp].iter().all(|g| g.is_none());
        let id = format!("id={}", canonical_id(bucket_owner));
        only && self.full_control.as_deref().is_some_and(|g| g.replace('"', "") == id)
    }
}
