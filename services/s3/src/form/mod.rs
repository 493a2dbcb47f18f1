//! Browser form uploads: `POST /bucket` with `multipart/form-data` and a signed policy.
//! Source: S3 API Reference, "POST Object" and "Browser-Based Uploads Using POST (AWS Signature Version 4)".

mod multipart;
mod policy;

use crate::S3;
use crate::access::Asked;
use crate::condition_keys::CREATES;
use crate::cors::{element, refuse};
use crate::errors::{Result, invalid_argument};
use crate::names::{location, url_encode};
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use cloudlet_api_s3::{PutObjectInput, PutObjectOutput};
use cloudlet_service::{ByteStream, Cloud, Context, Error, Form, Origin, Principal, Signer};
use hmac::{Hmac, KeyInit, Mac};
use http::header::{ETAG, LOCATION};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use multipart::Fields;
use policy::Policy;
use std::sync::Arc;
use subtle::ConstantTimeEq;

impl S3 {
    /// Stores the file of a form. Always answers: 204, 200, 201 or 303 as the form asks for, or S3's error.
    pub(crate) async fn post_form(&self, request: Form<'_>, body: ByteStream) -> Response<Bytes> {
        match self.store_form(request, body).await {
            Ok(response) => response,
            Err(error) => refuse(&error),
        }
    }

    async fn store_form(&self, request: Form<'_>, body: ByteStream) -> Result<Response<Bytes>, Error> {
        let cloud = request.cloud;
        self.bucket(request.bucket)?;
        let (fields, file) = multipart::read(request.content_type, body).await?;
        let key = match fields.get("key") {
            None => {
                return Err(invalid_argument(
                    "Bucket POST must contain a field named 'key'.  If it is specified, please check the order of the fields.",
                    "key",
                    "",
                ));
            }
            Some("") => {
                return Err(invalid_argument("User key must have a length greater than 0.", "key", ""));
            }
            Some(key) => key.replace("${filename}", &file.name),
        };
        let mut origin = request.origin;
        origin.headers = Some(Arc::new(as_headers(&fields, origin.headers.as_deref())?));
        let Signed { principal, session, policy, signature } = authenticate(cloud, &fields)?;
        let signer = signature.map(|version| Signer {
            principal: principal.clone(),
            signature: if version == V2 { "SigV2" } else { "SigV4" },
        });
        (origin.signature, origin.form) = (signature, signature.is_some());
        let stored = self.store_fields(
            request.bucket,
            cloud,
            origin,
            (principal, session, policy),
            (fields, key, file),
        );
        let mut response = stored.await.unwrap_or_else(|error| refuse(&error));
        if let Some(signer) = signer {
            response.extensions_mut().insert(signer);
        }
        Ok(response)
    }

    /// Stores the file of a form whose signature holds.
    async fn store_fields(
        &self,
        bucket: &str,
        cloud: &Arc<Cloud>,
        origin: Origin,
        (principal, session, policy): (Principal, Session, Option<Policy>),
        (fields, key, file): (Fields, String, multipart::File),
    ) -> Result<Response<Bytes>, Error> {
        let bucket = self.bucket(bucket)?;
        let account = match principal.account() {
            "" => bucket.owner.clone(),
            account => account.to_owned(),
        };
        let mut cx = cloud.context(principal, &account, &bucket.region);
        cx.session = session;
        cx.origin = Arc::new(origin);
        let limits = match &policy {
            Some(policy) => policy.check(&fields, &bucket.name, &key, cx.millis())?,
            None => 0..=u64::MAX,
        };
        crate::access::check_signature(&cx, &bucket)?;
        let asked = Asked { bucket: &bucket, key: Some(&key), version: None };
        let creates = vec![(CREATES.to_owned(), vec!["true".to_owned()])];
        self.allowed_with(&cx, &asked, "s3:PutObject", creates)?;
        for (field, action) in [
            ("acl", "s3:PutObjectAcl"),
            ("tagging", "s3:PutObjectTagging"),
            ("x-amz-object-lock-mode", "s3:PutObjectRetention"),
            ("x-amz-object-lock-legal-hold", "s3:PutObjectLegalHold"),
        ] {
            // Who writes by the bucket's ACL owns what is written.
            let owns = field == "acl" && self.owns_what_it_writes(&cx, &bucket);
            if fields.get(field).is_some() && !owns {
                self.allowed(&cx, &bucket, Some(&key), None, action)?;
            }
        }
        let input = input(&bucket.name, &key, &fields, file.body(*limits.start(), *limits.end()))?;
        let output = self.put_as(&cx, input, "ObjectCreated:Post").await?;
        answer(&cx, &bucket.name, &key, &fields, &output)
    }
}

type Session = Option<Arc<dyn std::any::Any + Send + Sync>>;

/// The signature versions as condition keys name them.
const V2: &str = "AWS";
const V4: &str = "AWS4-HMAC-SHA256";

/// Who signed a form, over which policy.
struct Signed {
    principal: Principal,
    session: Session,
    policy: Option<Policy>,
    signature: Option<&'static str>,
}

/// Who signed the form's policy; nobody where there is none. Errors: `AccessDenied`, `SignatureDoesNotMatch`, …
fn authenticate(cloud: &Arc<Cloud>, fields: &Fields) -> Result<Signed, Error> {
    let v2 = fields.get("awsaccesskeyid");
    let Some(encoded) = fields.get("policy") else {
        if v2.is_some() || fields.get("x-amz-credential").is_some() || fields.get("signature").is_some() {
            return Err(invalid_argument(
                "Bucket POST must contain a field named 'policy'.  If it is specified, please check the order of the fields.",
                "policy",
                "",
            ));
        }
        return Ok(Signed { principal: Principal::Anonymous, session: None, policy: None, signature: None });
    };
    let missing = |name: &str| {
        let message = format!(
            "Bucket POST must contain a field named '{name}'.  If it is specified, please check the order of the fields."
        );
        invalid_argument(message, name, "")
    };
    let token = fields.get("x-amz-security-token");
    let identity = cloud.identity()?;
    let resolved = if let Some(id) = v2 {
        let signature = fields.get("signature").ok_or_else(|| missing("Signature"))?;
        let resolved = identity.resolve(id, token).map_err(|error| named(error, id))?;
        let mut mac = Hmac::<sha1::Sha1>::new_from_slice(resolved.secret.reveal().as_bytes())
            .map_err(crate::errors::internal)?;
        mac.update(encoded.as_bytes());
        check_signature(&STANDARD.encode(mac.finalize().into_bytes()), signature, id, encoded)?;
        resolved
    } else {
        let credential = fields.get("x-amz-credential").ok_or_else(|| missing("X-Amz-Credential"))?;
        let signature = fields.get("x-amz-signature").ok_or_else(|| missing("X-Amz-Signature"))?;
        match fields.get("x-amz-algorithm") {
            None => return Err(missing("X-Amz-Algorithm")),
            Some(V4) => {}
            Some(other) => {
                let message = "X-Amz-Algorithm only supports \"AWS4-HMAC-SHA256\"";
                return Err(invalid_argument(message, "X-Amz-Algorithm", other));
            }
        }
        if fields.get("x-amz-date").is_none() {
            return Err(missing("X-Amz-Date"));
        }
        let parts: Vec<&str> = credential.split('/').collect();
        let [id, day, region, "s3", "aws4_request"] = parts[..] else {
            return Err(invalid_argument(
                "Error parsing the X-Amz-Credential parameter",
                "X-Amz-Credential",
                credential,
            ));
        };
        let resolved = identity.resolve(id, token).map_err(|error| named(error, id))?;
        let mut key = hmac(format!("AWS4{}", resolved.secret.reveal()).as_bytes(), day)?;
        for part in [region, "s3", "aws4_request", encoded] {
            key = hmac(&key, part)?;
        }
        check_signature(&hex::encode(key), signature, id, encoded)?;
        resolved
    };
    let policy = Some(Policy::parse(encoded)?);
    let signature = Some(if v2.is_some() { V2 } else { V4 });
    Ok(Signed { principal: resolved.principal, session: resolved.session, policy, signature })
}

/// The identity service's refusal of a key in S3's words.
fn named(error: Error, id: &str) -> Error {
    match error.code() {
        "InvalidClientTokenId" | "UnrecognizedClientException" | "InvalidAccessKeyId" => {
            let message = "The AWS Access Key Id you provided does not exist in our records.";
            Error::new("InvalidAccessKeyId", 403, message).with("AWSAccessKeyId", id)
        }
        "InvalidToken" => {
            Error::sender("InvalidToken", "The provided token is malformed or otherwise invalid.")
        }
        "ExpiredToken" | "ExpiredTokenException" => {
            Error::sender("ExpiredToken", "The provided token has expired.")
        }
        _ => error,
    }
}

fn hmac(key: &[u8], text: &str) -> Result<Vec<u8>, Error> {
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(key).map_err(crate::errors::internal)?;
    mac.update(text.as_bytes());
    Ok(mac.finalize().into_bytes().to_vec())
}

fn check_signature(computed: &str, given: &str, id: &str, signed: &str) -> Result<(), Error> {
    if bool::from(computed.as_bytes().ct_eq(given.as_bytes())) {
        return Ok(());
    }
    let message = "The request signature we calculated does not match the signature you provided. Check your key and \
                   signing method.";
    let bytes: Vec<String> = signed.bytes().map(|byte| format!("{byte:02x}")).collect();
    Err(Error::new("SignatureDoesNotMatch", 403, message)
        .with("AWSAccessKeyId", id)
        .with("StringToSign", signed)
        .with("SignatureProvided", given.chars().take(256).collect::<String>())
        .with("StringToSignBytes", bytes.join(" ")))
}

/// The fields as the headers that PutObject would have: what conditions of policies look at.
fn as_headers(fields: &Fields, sent: Option<&HeaderMap>) -> Result<HeaderMap, Error> {
    let mut headers = sent.cloned().unwrap_or_default();
    for (name, value) in fields.iter() {
        let (name, value) = match name {
            "acl" => ("x-amz-acl", value.to_owned()),
            "tagging" => ("x-amz-tagging", tagging(value)?),
            name if name.starts_with("x-amz-") => (name, value.to_owned()),
            _ => continue,
        };
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(&value))
        {
            headers.insert(name, value);
        }
    }
    Ok(headers)
}

/// The fields as PutObject knows them. Errors: `InvalidArgument`.
fn input(bucket: &str, key: &str, fields: &Fields, body: ByteStream) -> Result<PutObjectInput, Error> {
    let text = |name: &str| fields.get(name).map(str::to_owned);
    let metadata: std::collections::BTreeMap<String, String> = fields
        .iter()
        .filter_map(|(name, value)| Some((name.strip_prefix("x-amz-meta-")?.to_owned(), value.to_owned())))
        .collect();
    Ok(PutObjectInput {
        bucket: bucket.to_owned(),
        key: key.to_owned(),
        body,
        acl: text("acl").or(text("x-amz-acl")),
        cache_control: text("cache-control"),
        content_disposition: text("content-disposition"),
        content_encoding: text("content-encoding"),
        content_language: text("content-language"),
        content_type: text("content-type"),
        expires: text("expires"),
        storage_class: text("x-amz-storage-class"),
        website_redirect_location: text("x-amz-website-redirect-location"),
        server_side_encryption: text("x-amz-server-side-encryption"),
        ssekms_encryption_context: text("x-amz-server-side-encryption-context"),
        bucket_key_enabled: text("x-amz-server-side-encryption-bucket-key-enabled").map(|v| v == "true"),
        sse_customer_algorithm: text("x-amz-server-side-encryption-customer-algorithm"),
        sse_customer_key: text("x-amz-server-side-encryption-customer-key"),
        sse_customer_key_md5: text("x-amz-server-side-encryption-customer-key-md5"),
        content_md5: text("content-md5"),
        checksum_crc32: text("x-amz-checksum-crc32"),
        checksum_crc32_c: text("x-amz-checksum-crc32c"),
        checksum_crc64_nvme: text("x-amz-checksum-crc64nvme"),
        checksum_sha1: text("x-amz-checksum-sha1"),
        checksum_sha256: text("x-amz-checksum-sha256"),
        checksum_sha512: text("x-amz-checksum-sha512"),
        checksum_md5: text("x-amz-checksum-md5"),
        checksum_xxhash64: text("x-amz-checksum-xxhash64"),
        checksum_xxhash3: text("x-amz-checksum-xxhash3"),
        checksum_xxhash128: text("x-amz-checksum-xxhash128"),
        checksum_algorithm: text("x-amz-checksum-algorithm").or(text("x-amz-sdk-checksum-algorithm")),
        ssekms_key_id: text("x-amz-server-side-encryption-aws-kms-key-id"),
        object_lock_mode: text("x-amz-object-lock-mode"),
        object_lock_retain_until_date: fields
            .get("x-amz-object-lock-retain-until-date")
            .map(date)
            .transpose()?,
        object_lock_legal_hold_status: text("x-amz-object-lock-legal-hold"),
        tagging: fields.get("tagging").map(tagging).transpose()?,
        metadata: (!metadata.is_empty()).then_some(metadata),
        ..Default::default()
    })
}

fn date(text: &str) -> Result<DateTime, Error> {
    DateTime::from_str(text, Format::DateTimeWithOffset).map_err(|_| {
        invalid_argument(
            "The retain until date must be provided in ISO 8601 format",
            "x-amz-object-lock-retain-until-date",
            text,
        )
    })
}

/// The `tagging` field is a document; PutObject takes a query string. Errors: `MalformedXML`.
fn tagging(document: &str) -> Result<String, Error> {
    let mut out = Vec::new();
    let mut rest = document;
    let between = |text: &str, open: &str, close: &str| -> Option<(String, usize)> {
        let start = text.find(open)? + open.len();
        let end = start + text[start..].find(close)?;
        let plain = text[start..end].replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"");
        Some((plain.replace("&apos;", "'").replace("&amp;", "&"), end + close.len()))
    };
    if !document.contains("<TagSet") {
        return Err(crate::errors::malformed_xml());
    }
    while let Some(start) = rest.find("<Tag>") {
        let (tag, after) =
            between(&rest[start..], "<Tag>", "</Tag>").ok_or_else(crate::errors::malformed_xml)?;
        let (key, _) = between(&tag, "<Key>", "</Key>").ok_or_else(crate::errors::malformed_xml)?;
        let (value, _) = between(&tag, "<Value>", "</Value>").unwrap_or_default();
        let encode = |text: &str| url_encode(text).replace('/', "%2F");
        out.push(format!("{}={}", encode(&key), encode(&value)));
        rest = &rest[start + after..];
    }
    Ok(out.join("&"))
}

/// What the form asks for: a redirect, or a status.
fn answer(
    cx: &Context,
    bucket: &str,
    key: &str,
    fields: &Fields,
    output: &PutObjectOutput,
) -> Result<Response<Bytes>, Error> {
    let etag = output.e_tag.clone().unwrap_or_default();
    let location = location(cx, bucket, key);
    let header = |text: &str| HeaderValue::from_str(text).map_err(crate::errors::internal);
    let mut response = Response::new(Bytes::new());
    response.headers_mut().insert(ETAG, header(&etag)?);
    response.headers_mut().insert(LOCATION, header(&location)?);
    for (name, value) in [
        ("x-amz-version-id", &output.version_id),
        ("x-amz-expiration", &output.expiration),
        ("x-amz-server-side-encryption", &output.server_side_encryption),
        ("x-amz-server-side-encryption-customer-algorithm", &output.sse_customer_algorithm),
        ("x-amz-server-side-encryption-customer-key-md5", &output.sse_customer_key_md5),
        ("x-amz-checksum-type", &output.checksum_type),
        ("x-amz-checksum-crc32", &output.checksum_crc32),
        ("x-amz-checksum-crc32c", &output.checksum_crc32_c),
        ("x-amz-checksum-crc64nvme", &output.checksum_crc64_nvme),
        ("x-amz-checksum-sha1", &output.checksum_sha1),
        ("x-amz-checksum-sha256", &output.checksum_sha256),
        ("x-amz-checksum-sha512", &output.checksum_sha512),
        ("x-amz-checksum-md5", &output.checksum_md5),
        ("x-amz-checksum-xxhash64", &output.checksum_xxhash64),
        ("x-amz-checksum-xxhash3", &output.checksum_xxhash3),
        ("x-amz-checksum-xxhash128", &output.checksum_xxhash128),
        ("x-amz-server-side-encryption-aws-kms-key-id", &output.ssekms_key_id),
    ] {
        if let Some(value) = value {
            response.headers_mut().insert(name, header(value)?);
        }
    }
    let redirect = fields.get("success_action_redirect").or(fields.get("redirect"));
    if let Some(to) = redirect.filter(|to| to.starts_with("http://") || to.starts_with("https://")) {
        let join = if to.contains('?') { '&' } else { '?' };
        let etag = format!("%22{}%22", etag.trim_matches('"'));
        let key = url_encode(key).replace('/', "%2F");
        if let Ok(to) = HeaderValue::from_str(&format!("{to}{join}bucket={bucket}&key={key}&etag={etag}")) {
            response.headers_mut().insert(LOCATION, to);
            *response.status_mut() = StatusCode::SEE_OTHER;
            return Ok(response);
        }
    }
    *response.status_mut() = match fields.get("success_action_status") {
        Some("200") => StatusCode::OK,
        Some("201") => {
            let mut body = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<PostResponse>");
            element(&mut body, "Location", &location);
            element(&mut body, "Bucket", bucket);
            element(&mut body, "Key", key);
            element(&mut body, "ETag", &etag);
            body.push_str("</PostResponse>");
            *response.body_mut() = Bytes::from(body);
            response
                .headers_mut()
                .insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/xml"));
            StatusCode::CREATED
        }
        _ => StatusCode::NO_CONTENT,
    };
    Ok(response)
}

/// A form whose policy does not allow it. Source: S3 API Reference, "POST Policy".
pub(crate) fn refused(why: impl std::fmt::Display) -> Error {
    Error::new("AccessDenied", 403, format!("Invalid according to Policy: {why}"))
}

/// A policy that is none.
pub(crate) fn invalid_policy(why: impl std::fmt::Display) -> Error {
    Error::sender("InvalidPolicyDocument", format!("Invalid Policy: {why}"))
}
