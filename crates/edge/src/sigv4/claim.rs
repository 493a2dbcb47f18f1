//! Reading who a request says has signed it: the `Authorization` header or the query parameters.

use super::canonical::query_value;
use super::flaw::Flaw;
use super::time;
use cloudlet_service::Error;
use http::header::{AUTHORIZATION, DATE};
use http::{HeaderMap, HeaderName};
use std::borrow::Cow;

/// The longest access key id we look up. Source: IAM API Reference, AccessKey, 16 to 128 characters.
const LONGEST_KEY_ID: usize = 128;

/// The most headers that a signature may name: as many as a request may have. Each may be repeated in the
/// canonical request, so that an endless list would grow it without bound.
const MOST_SIGNED_HEADERS: usize = 100;

/// The only algorithm of Signature Version 4 that is served.
pub(crate) const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// The claim of a request about its signer.
#[derive(Debug)]
pub enum Claim<'a> {
    /// It makes none.
    None,
    /// Signature Version 4.
    V4(V4<'a>),
    /// Signature Version 2, as boto3 still presigns S3 URLs by default.
    V2(V2<'a>),
}

/// A claim of Signature Version 4.
#[derive(Debug)]
pub struct V4<'a> {
    /// `AKIA…`.
    pub access_key_id: Cow<'a, str>,
    /// `date/region/service/aws4_request`.
    pub scope: Scope<'a>,
    /// The header names that were signed, lower case, separated by `;`.
    pub signed_headers: Cow<'a, str>,
    /// 64 hexadecimal digits, if the client is honest.
    pub signature: Cow<'a, str>,
    /// The time in the form that is signed, `20150830T123600Z`.
    pub timestamp: Cow<'a, str>,
    /// The same in seconds since the epoch.
    pub time: i64,
    /// Seconds that a presigned request lives; `None` in the header form.
    pub expires: Option<i64>,
    /// Whether the claim is in the query.
    pub presigned: bool,
    /// The session token.
    pub token: Option<Cow<'a, str>>,
}

/// A claim of Signature Version 2.
#[derive(Debug)]
pub struct V2<'a> {
    /// `AKIA…`.
    pub access_key_id: Cow<'a, str>,
    /// Base64 of an HMAC-SHA1.
    pub signature: Cow<'a, str>,
    /// When a presigned request ends, in seconds since the epoch; `None` in the header form.
    pub expires: Option<i64>,
    /// The session token.
    pub token: Option<Cow<'a, str>>,
}

impl V4<'_> {
    /// The day, `20150830`.
    pub fn date(&self) -> &str {
        self.scope.part(0)
    }

    /// The region.
    pub fn region(&self) -> &str {
        self.scope.part(1)
    }

    /// The service's signing name.
    pub fn service(&self) -> &str {
        self.scope.part(2)
    }
}

/// A credential scope, `date/region/service/aws4_request`, and where its parts end.
#[derive(Debug, Clone)]
pub struct Scope<'a> {
    text: Cow<'a, str>,
    ends: [usize; 4],
}

impl<'a> Scope<'a> {
    /// Finds the parts. `None` unless there are four and none is empty.
    pub fn new(text: Cow<'a, str>) -> Option<Self> {
        let mut ends = [text.len(); 4];
        let mut slashes = text.bytes().enumerate().filter(|(_, b)| *b == b'/').map(|(at, _)| at);
        for end in &mut ends[..3] {
            *end = slashes.next()?;
        }
        let ordered = ends[0] > 0 && ends.windows(2).all(|pair| pair[1] > pair[0] + 1);
        (ordered && slashes.next().is_none()).then_some(Self { text, ends })
    }

    /// All of it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    fn part(&self, index: usize) -> &str {
        let start = if index == 0 { 0 } else { self.ends[index - 1] + 1 };
        &self.text[start..self.ends[index]]
    }
}

impl<'a> Claim<'a> {
    /// Reads the claim. Errors: a claim that is there but cannot be read.
    pub fn read(headers: &'a HeaderMap, query: &'a str) -> Result<Self, Flaw> {
        if let Some(header) = headers.get(AUTHORIZATION) {
            let text = header.to_str().map_err(|_| {
                Flaw::BadHeader("Authorization header requires printable ASCII characters.".to_owned())
            })?;
            let (v2, v4) = (text.strip_prefix("AWS "), text.starts_with("AWS4-"));
            if (v2.is_some() || v4) && (headers.get_all(AUTHORIZATION).iter().count() > 1 || in_query(query))
            {
                return Err(Flaw::Twice);
            }
            if let Some(v2) = v2 {
                return v2_header(v2, headers);
            }
            if v4 {
                return v4_header(text, headers).map(Self::V4);
            }
            // `Basic`, `Bearer` and the like mean something to some services, not to us.
            return Ok(Self::None);
        }
        if query.is_empty() {
            return Ok(Self::None);
        }
        if in_query(query) {
            return v4_query(query, headers).map(Self::V4);
        }
        if query.contains("AWSAccessKeyId") && has(query, "Signature") {
            return v2_query(query);
        }
        Ok(Self::None)
    }
}

/// Whether the query claims a signer in version 4's way.
fn in_query(query: &str) -> bool {
    !query.is_empty()
        && query.contains("X-Amz-")
        && (has(query, "X-Amz-Algorithm") || has(query, "X-Amz-Signature"))
}

fn has(query: &str, name: &str) -> bool {
    query.split('&').any(|pair| pair.split_once('=').map_or(pair, |(n, _)| n) == name)
}

const X_AMZ_DATE: HeaderName = HeaderName::from_static("x-amz-date");
const X_AMZ_SECURITY_TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");

fn header<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn v4_header<'a>(text: &'a str, headers: &'a HeaderMap) -> Result<V4<'a>, Flaw> {
    let (algorithm, rest) = text.split_once(' ').unwrap_or((text, ""));
    if algorithm != ALGORITHM {
        return Err(Flaw::Algorithm(algorithm.chars().take(64).collect()));
    }
    let (mut credential, mut signed, mut signature) = (None, None, None);
    let mut rest = rest;
    while !rest.is_empty() {
        // Bytes, because this is done for every request; commas and equal signs are never inside a character.
        let end = rest.bytes().position(|b| b == b',').unwrap_or(rest.len());
        let part = rest[..end].trim_ascii();
        rest = rest.get(end + 1..).unwrap_or_default();
        if part.is_empty() {
            continue;
        }
        let Some(equals) = part.bytes().position(|b| b == b'=') else {
            let part: String = part.chars().take(256).collect();
            let why = format!(
                "'{part}' not a valid key=value pair (missing equal-sign) in Authorization header: '{}'.",
                shown(text)
            );
            return Err(Flaw::BadComponent { why, part });
        };
        let (name, value) = (&part[..equals], &part[equals + 1..]);
        match name {
            "Credential" => credential = Some(value),
            "SignedHeaders" => signed = Some(value),
            "Signature" => signature = Some(value),
            _ => {}
        }
    }
    let iso = header(headers, &X_AMZ_DATE);
    let date = header(headers, &DATE);
    let (Some(credential), Some(signed), Some(signature), true) =
        (credential, signed, signature, iso.is_some() || date.is_some())
    else {
        let why = lacking(text, credential, signed, signature, iso.or(date));
        let all_else = credential.is_some() && signed.is_some() && signature.is_some();
        return Err(if all_else { Flaw::BadDate(why) } else { Flaw::Lacking(why) });
    };
    let (timestamp, at) = match (iso, date) {
        (Some(iso), _) => (Cow::Borrowed(iso), time::parse(iso)),
        (None, Some(date)) => {
            let at = time::parse(date).or_else(|| time::parse_http(date));
            (Cow::Owned(at.map(time::basic).unwrap_or_default()), at)
        }
        (None, None) => return Err(Flaw::NoDate),
    };
    let at = at.ok_or_else(|| {
        let given: String = iso.or(date).unwrap_or_default().chars().take(64).collect();
        Flaw::BadDate(format!(
            "Date must be in ISO-8601 'basic format'. Got '{given}'. See http://en.wikipedia.org/wiki/ISO_8601"
        ))
    })?;
    let (access_key_id, scope) = split_credential(credential)?;
    let claim = V4 {
        access_key_id: access_key_id.into(),
        scope: Scope::new(scope.into()).ok_or_else(|| bad_credential(credential))?,
        signed_headers: signed.into(),
        signature: signature.into(),
        timestamp,
        time: at,
        expires: None,
        presigned: false,
        token: header(headers, &X_AMZ_SECURITY_TOKEN).map(Cow::Borrowed),
    };
    checked(claim)
}

/// AWS names everything that is lacking in one message.
fn lacking(
    text: &str,
    credential: Option<&str>,
    signed: Option<&str>,
    signature: Option<&str>,
    date: Option<&str>,
) -> String {
    let mut out = String::new();
    for (name, value) in [("Credential", credential), ("Signature", signature), ("SignedHeaders", signed)] {
        if value.is_none() {
            out.push_str(&format!("Authorization header requires '{name}' parameter. "));
        }
    }
    if date.is_none() {
        out.push_str("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. ");
    }
    out.push_str(&format!("Authorization={}", shown(text)));
    out
}

/// A header as an error may repeat it: bounded, and without its signature.
fn shown(text: &str) -> String {
    text.split("Signature=").next().unwrap_or_default().chars().take(1024).collect()
}

fn bad_credential(credential: &str) -> Flaw {
    Flaw::BadCredential(credential.chars().take(256).collect())
}

/// Splits `key/date/region/service/aws4_request`; a key id may itself hold slashes.
fn split_credential(credential: &str) -> Result<(&str, &str), Flaw> {
    let mut slashes = credential.bytes().enumerate().rev().filter(|(_, b)| *b == b'/').map(|(at, _)| at);
    let cut = slashes.nth(3).ok_or_else(|| bad_credential(credential))?;
    let (key, scope) = (&credential[..cut], &credential[cut + 1..]);
    if key.is_empty() || key.len() > LONGEST_KEY_ID {
        return Err(bad_credential(credential));
    }
    Ok((key, scope))
}

/// The checks that both forms share.
fn checked(claim: V4<'_>) -> Result<V4<'_>, Flaw> {
    if claim.signed_headers.bytes().filter(|b| *b == b';').count() >= MOST_SIGNED_HEADERS {
        let why = format!("SignedHeaders must name at most {MOST_SIGNED_HEADERS} headers.");
        return Err(if claim.presigned { Flaw::BadQuery(why) } else { Flaw::BadHeader(why) });
    }
    if claim.scope.part(3) != "aws4_request" {
        let term = claim.scope.part(3).chars().take(64).collect();
        return Err(Flaw::ScopeTerm { term, presigned: claim.presigned });
    }
    if claim.timestamp.get(..8) != Some(claim.date()) {
        return Err(Flaw::ScopeDate {
            scope: claim.date().chars().take(64).collect(),
            date: claim.timestamp.to_string(),
            presigned: claim.presigned,
        });
    }
    Ok(claim)
}

fn v4_query<'a>(query: &'a str, headers: &'a HeaderMap) -> Result<V4<'a>, Flaw> {
    let value = |name| query_value(query, name);
    if let Some(algorithm) = value("X-Amz-Algorithm").filter(|a| a != ALGORITHM) {
        return Err(if algorithm.starts_with("AWS4-") {
            Flaw::Algorithm(algorithm.chars().take(64).collect())
        } else {
            Flaw::BadQuery(
                "X-Amz-Algorithm only supports \"AWS4-HMAC-SHA256 and AWS4-ECDSA-P256-SHA256\"".to_owned(),
            )
        });
    }
    let (Some(_), Some(credential), Some(signature), Some(timestamp), Some(signed_headers)) = (
        value("X-Amz-Algorithm"),
        value("X-Amz-Credential"),
        value("X-Amz-Signature"),
        value("X-Amz-Date"),
        value("X-Amz-SignedHeaders"),
    ) else {
        return Err(Flaw::BadQuery(
            "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, \
             X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters."
                .to_owned(),
        ));
    };
    let bad_credential = || {
        Flaw::BadQuery(
            "Error parsing the X-Amz-Credential parameter; the Credential is mal-formed; expecting \
             \"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request\"."
                .to_owned(),
        )
    };
    let (access_key_id, scope) = match &credential {
        Cow::Borrowed(text) => {
            let (key, scope) = split_credential(text).map_err(|_| bad_credential())?;
            (Cow::Borrowed(key), Scope::new(scope.into()).ok_or_else(bad_credential)?)
        }
        Cow::Owned(text) => {
            let (key, scope) = split_credential(text).map_err(|_| bad_credential())?;
            (Cow::Owned(key.to_owned()), Scope::new(scope.to_owned().into()).ok_or_else(bad_credential)?)
        }
    };
    let at = time::parse(&timestamp).ok_or_else(|| {
        Flaw::BadQuery("X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"".to_owned())
    })?;
    let expires = value("X-Amz-Expires").map(|text| lifetime(&text)).transpose()?;
    let token =
        value("X-Amz-Security-Token").or_else(|| header(headers, &X_AMZ_SECURITY_TOKEN).map(Cow::Borrowed));
    let claim = V4 {
        access_key_id,
        scope,
        signed_headers,
        signature,
        timestamp,
        time: at,
        expires,
        presigned: true,
        token,
    };
    checked(claim)
}

/// `X-Amz-Expires`: 0 to 604800 seconds. Source: S3 API Reference, "Authenticating Requests: Using Query
/// Parameters".
fn lifetime(text: &str) -> Result<i64, Flaw> {
    let number: i64 =
        text.parse().map_err(|_| Flaw::BadQuery("X-Amz-Expires should be a number".to_owned()))?;
    match number {
        ..0 => Err(Flaw::BadQuery("X-Amz-Expires must be non-negative".to_owned())),
        604_801.. => Err(Flaw::BadQuery(
            "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than \
             604800 seconds"
                .to_owned(),
        )),
        seconds => Ok(seconds),
    }
}

fn v2_header<'a>(text: &'a str, headers: &'a HeaderMap) -> Result<Claim<'a>, Flaw> {
    let (key, signature) = text.trim().rsplit_once(':').unwrap_or_default();
    if key.is_empty() || key.len() > LONGEST_KEY_ID || signature.is_empty() {
        return Err(Flaw::BadAuthorization {
            why: "AWS authorization header is invalid.  Expected AwsAccessKeyId:signature",
            given: format!("AWS {}", text.chars().take(128).collect::<String>()),
        });
    }
    Ok(Claim::V2(V2 {
        access_key_id: key.into(),
        signature: signature.into(),
        expires: None,
        token: header(headers, &X_AMZ_SECURITY_TOKEN).map(Cow::Borrowed),
    }))
}

/// Version 2 is S3's alone, so that its words are.
fn denied(why: &str) -> Flaw {
    Flaw::Other(Error::new("AccessDenied", 403, why))
}

fn v2_query(query: &str) -> Result<Claim<'_>, Flaw> {
    let value = |name| query_value(query, name);
    let (Some(access_key_id), Some(signature), Some(expires)) =
        (value("AWSAccessKeyId"), value("Signature"), value("Expires"))
    else {
        return Err(denied(
            "Query-string authentication requires the Signature, Expires and AWSAccessKeyId parameters",
        ));
    };
    let expires = expires.parse().map_err(|_| {
        let given: String = expires.chars().take(64).collect();
        denied(&format!("Invalid date (should be seconds since epoch): {given}"))
    })?;
    let token = value("x-amz-security-token");
    Ok(Claim::V2(V2 { access_key_id, signature, expires: Some(expires), token }))
}
