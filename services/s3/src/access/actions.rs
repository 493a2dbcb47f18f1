//! The names of actions: what a named version, an ACL's grant or a written object's headers make of them.

/// Which ACL grant stands for an action: on the object itself or on its bucket, and the permission.
pub(super) fn acl_permission(action: &str) -> Option<(bool, &'static str)> {
    Some(match action {
        "s3:GetObject" | "s3:GetObjectVersion" => (true, "READ"),
        "s3:GetObjectAcl" | "s3:GetObjectVersionAcl" => (true, "READ_ACP"),
        "s3:PutObjectAcl" | "s3:PutObjectVersionAcl" => (true, "WRITE_ACP"),
        "s3:ListBucket" | "s3:ListBucketVersions" | "s3:ListBucketMultipartUploads" => (false, "READ"),
        "s3:PutObject" | "s3:DeleteObject" => (false, "WRITE"),
        "s3:GetBucketAcl" => (false, "READ_ACP"),
        "s3:PutBucketAcl" => (false, "WRITE_ACP"),
        _ => return None,
    })
}

/// Actions that are the object owner's to allow, not the bucket owner's.
pub(super) fn is_object_owners(action: &str) -> bool {
    matches!(
        action,
        "s3:GetObject"
            | "s3:GetObjectVersion"
            | "s3:GetObjectAcl"
            | "s3:GetObjectVersionAcl"
            | "s3:PutObjectAcl"
            | "s3:PutObjectVersionAcl"
            | "s3:GetObjectTagging"
            | "s3:GetObjectVersionTagging"
    )
}

/// What an object is written with that needs permissions of its own.
pub(super) struct Also {
    pub(super) tags: bool,
    pub(super) acl: bool,
    pub(super) retention: bool,
    pub(super) hold: bool,
}

impl Also {
    pub(super) fn from_members(member: &dyn Fn(&str) -> Option<String>) -> Self {
        let has = |name: &str| member(name).is_some_and(|v| !v.is_empty());
        Self {
            tags: has("Tagging"),
            acl: ["ACL", "GrantFullControl", "GrantRead", "GrantReadACP", "GrantWriteACP"]
                .into_iter()
                .any(has),
            retention: has("ObjectLockMode"),
            hold: has("ObjectLockLegalHoldStatus"),
        }
    }
}

/// The action on a named version.
pub(super) fn versioned<'a>(action: &'a str, version: Option<&str>) -> &'a str {
    if version.is_none() {
        return action;
    }
    match action {
        "s3:GetObject" => "s3:GetObjectVersion",
        "s3:GetObjectAttributes" => "s3:GetObjectVersionAttributes",
        "s3:GetObjectAcl" => "s3:GetObjectVersionAcl",
        "s3:PutObjectAcl" => "s3:PutObjectVersionAcl",
        "s3:GetObjectTagging" => "s3:GetObjectVersionTagging",
        "s3:PutObjectTagging" => "s3:PutObjectVersionTagging",
        "s3:DeleteObjectTagging" => "s3:DeleteObjectVersionTagging",
        "s3:DeleteObject" => "s3:DeleteObjectVersion",
        other => other,
    }
}

/// Whether the decision can depend on the object that is there: its owner, its ACL, its tags.
pub(super) fn looks_at_object(action: &str) -> bool {
    is_object_owners(action)
        || matches!(
            action,
            "s3:PutObjectTagging" | "s3:DeleteObjectTagging" | "s3:DeleteObject" | "s3:PutObject"
        )
}
