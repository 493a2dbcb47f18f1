//! AWS's words for requests that cannot be read.

use crate::expected::{self, Expected};
use crate::{codec, s3};
use aws_smithy_schema::serde::SerdeError;
use cloudlet_service::{Api, Error, Protocol};

/// An operation that the API does not have.
pub(crate) fn unknown_operation(protocol: Protocol, operation: &str) -> Error {
    match protocol {
        Protocol::AwsQuery | Protocol::Ec2Query => unknown_action(operation, None),
        Protocol::RestXml => {
            Error::new("MethodNotAllowed", 405, "The specified method is not allowed against this resource.")
        }
        Protocol::RestJson1 | Protocol::RpcV2Cbor => Error::new(
            "UnknownOperationException",
            404,
            format!("The operation {operation} is not known to this service."),
        ),
        Protocol::AwsJson10 | Protocol::AwsJson11 => Error::sender(
            "UnknownOperationException",
            format!("The operation {operation} is not known to this service."),
        ),
    }
}

/// An action that an API does not have in the version asked for.
pub(crate) fn unknown_action(action: &str, version: Option<&str>) -> Error {
    let version = version.unwrap_or("NO_VERSION_SPECIFIED");
    Error::sender("InvalidAction", format!("Could not find operation {action} for version {version}"))
}

/// An operation that DynamoDB does not have. It says nothing but the code.
pub(crate) fn unknown_to_dynamodb() -> Error {
    Error::sender("UnknownOperationException", "")
}

/// A request to a service of the RPC protocols that names no operation.
pub(crate) fn missing_action(protocol: Protocol) -> Error {
    match protocol {
        Protocol::AwsQuery | Protocol::Ec2Query => Error::sender(
            "MissingAction",
            "The request is missing an action or a required parameter: give Action.",
        ),
        _ => Error::sender(
            "UnknownOperationException",
            "The request names no operation: give it in the X-Amz-Target header.",
        ),
    }
}

/// A form that cannot be split into parameters.
pub(crate) fn malformed_form(why: &str) -> Error {
    Error::sender("MalformedInput", format!("The query string could not be read: {why}."))
}

/// A parameter given twice with different values.
pub(crate) fn duplicate_parameter(name: &str) -> Error {
    Error::sender("MalformedInput", format!("The parameter {name} is given more than once. Give it once."))
}

/// A value outside the body that cannot be read: what it was called and what stood there.
#[derive(Debug)]
pub(crate) struct BadValue {
    pub(crate) name: String,
    pub(crate) value: String,
}

/// A value in a header, the query string or the path that is not of its member's type.
pub(crate) fn bad_value(api: &Api, protocol: Protocol, bad: BadValue, why: &SerdeError) -> Error {
    let BadValue { name, value } = bad;
    if s3::is(api) {
        return s3::bad_value(&name, value);
    }
    let why = words(why);
    match protocol {
        Protocol::RestXml => Error::sender("InvalidArgument", format!("{name}: {why}")),
        _ => Error::sender("SerializationException", format!("{name}: {why}")),
    }
}

/// A body of DynamoDB's that cannot be read, in its own words. It does not say what is wrong with a text that is no JSON.
/// What nests deeper than can be read, though it is well formed, is an attribute's value: nothing else in its calls nests.
pub(crate) fn bad_dynamodb_body(
    why: &SerdeError,
    expected: Option<Expected>,
    body: &[u8],
    rest: &[u8],
) -> Error {
    if codec::is_too_deep(why) && codec::is_closed(body) {
        return Error::validation(
            "Nesting Levels have exceeded supported limits: Attributes in the item have nested levels beyond supported \
             limit",
        );
    }
    // Of other mistakes of form the codec says something else.
    let about_a_type = ["expected ", "invalid number", "only `Infinity`", "invalid base64"];
    let wrong_type = match why {
        SerdeError::TypeMismatch { .. } => true,
        SerdeError::InvalidInput { message, .. } => about_a_type.iter().any(|said| message.starts_with(said)),
        _ => false,
    };
    let said = expected.filter(|_| wrong_type).and_then(|expected| expected::words(expected, rest));
    Error::sender("SerializationException", said.unwrap_or_default())
}

/// A body that cannot be read. `rest` is what stands where the codec stopped.
pub(crate) fn bad_body(protocol: Protocol, why: &SerdeError, rest: &[u8]) -> Error {
    match protocol {
        Protocol::RestXml => Error::sender(
            "MalformedXML",
            "The XML you provided was not well-formed or did not validate against our published schema",
        ),
        Protocol::AwsQuery | Protocol::Ec2Query => Error::sender("MalformedInput", words(why)),
        Protocol::RpcV2Cbor => Error::sender("SerializationException", words(why)),
        Protocol::AwsJson10 | Protocol::AwsJson11 => {
            Error::sender("SerializationException", json_words(why, rest).unwrap_or_else(|| words(why)))
        }
        Protocol::RestJson1 => {
            let why = json_words(why, rest).unwrap_or_else(|| words(why));
            Error::sender("SerializationException", format!("Could not parse request body into json: {why}"))
        }
    }
}

/// The codec's message without its own classification.
pub(crate) fn words(why: &SerdeError) -> String {
    match why {
        SerdeError::TypeMismatch { message, .. }
        | SerdeError::InvalidInput { message, .. }
        | SerdeError::Custom { message, .. } => message.clone(),
        other => other.to_string(),
    }
}

/// What AWS's JSON services say where a token is of the wrong kind: `NUMBER_VALUE can not be converted to a
/// String`. Source: the answers of SQS and CloudWatch Logs.
fn json_words(why: &SerdeError, rest: &[u8]) -> Option<String> {
    let (SerdeError::TypeMismatch { message, .. } | SerdeError::InvalidInput { message, .. }) = why else {
        return None;
    };
    let first = *rest.iter().find(|b| !b.is_ascii_whitespace())?;
    let wanted = match message.as_str() {
        "expected string" => "String",
        "expected boolean" => "Boolean",
        // The codec does not say which kind of number it wanted.
        "invalid number" if first != b'-' && !first.is_ascii_digit() => "Integer",
        m if m.starts_with("only `Infinity`") => "Double",
        "expected timestamp" => "Date",
        "expected object" | "expected array" => "",
        _ => return None,
    };
    let token = match first {
        b'{' => return Some("Start of structure or map found where not expected.".to_owned()),
        b'[' if wanted.is_empty() => return Some("Start of list found where not expected".to_owned()),
        b'[' => return Some(format!("Unrecognized collection type class java.lang.{wanted}")),
        first => expected::token(first, rest)?,
    };
    if wanted.is_empty() {
        return Some("Unexpected field type".to_owned());
    }
    let article = if wanted == "Integer" { "an" } else { "a" };
    Some(format!("{token} can not be converted to {article} {wanted}"))
}
