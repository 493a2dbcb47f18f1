//! The description of an API, generated from AWS's model, and the trait its behaviour implements.

use crate::BoxFuture;
use crate::condition_keys::ConditionKeys;
use crate::context::Context;
use crate::error::Error;
use crate::rules::{Violation, Violations};
use crate::shape::Structure;
use aws_smithy_schema::Schema;
use aws_smithy_schema::serde::{SerdeError, ShapeDeserializer};
use std::borrow::Cow;

/// The protocols that AWS's services speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// `X-Amz-Target` and JSON, `application/x-amz-json-1.0`.
    AwsJson10,
    /// The same, `application/x-amz-json-1.1`.
    AwsJson11,
    /// JSON bodies on REST paths.
    RestJson1,
    /// XML bodies on REST paths.
    RestXml,
    /// Forms in, XML out.
    AwsQuery,
    /// EC2's variant of it.
    Ec2Query,
    /// CBOR on `/service/{name}/operation/{name}`.
    RpcV2Cbor,
}

/// Where the payload of an input or an output travels, beyond what the schema's bindings say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Payload {
    /// In the members' own places.
    None,
    /// A streaming blob: the member of this index.
    Stream(usize),
    /// An event stream: the member of this index.
    Events(usize),
}

/// One API of AWS, with the operations that are served and the names of those that are not.
#[derive(Debug)]
pub struct Api {
    /// Our name for it, that of its crate and of botocore's folder: `s3`, `logs`.
    pub name: &'static str,
    /// `serviceId` as in the model: `CloudWatch Logs`.
    pub service_id: &'static str,
    /// The name in a signature's credential scope.
    pub signing_name: &'static str,
    /// The first label of AWS's host names.
    pub endpoint_prefix: &'static str,
    /// The model's version, such as `2006-03-01`.
    pub version: &'static str,
    /// Before the dot of `X-Amz-Target`; empty for protocols without one.
    pub target_prefix: &'static str,
    /// What it speaks, the preferred first.
    pub protocols: &'static [Protocol],
    /// The XML namespace of its answers; empty for none.
    pub xml_namespace: &'static str,
    /// Whether JSON answers carry the query protocol's error codes too.
    pub query_compatible: bool,
    /// The version of JSON-protocol namespaces, such as `com.amazonaws.dynamodb.v20120810`; empty for none.
    pub error_namespace: &'static str,
    /// What is served.
    pub operations: &'static [Operation],
    /// What AWS has and we do not serve yet.
    pub unserved: &'static [Unserved],
}

/// Reads a structure of one type and forgets the type.
pub type ReadStructure = fn(&mut dyn ShapeDeserializer) -> Result<Box<dyn Structure>, SerdeError>;

/// One served operation.
pub struct Operation {
    /// AWS's name: `PutObject`.
    pub name: &'static str,
    /// The HTTP method of the REST protocols.
    pub method: &'static str,
    /// The model's `requestUri`, labels and literal query included: `/{Bucket}/{Key+}?tagging`.
    pub uri: &'static str,
    /// The HTTP status of success.
    pub status: u16,
    /// The host prefix, such as `{AccountId}.`; empty for none.
    pub host_prefix: &'static str,
    /// The element around the members in a query answer; empty for none.
    pub result_wrapper: &'static str,
    /// The schema of the input.
    pub input: &'static Schema<'static>,
    /// The schema of the output.
    pub output: &'static Schema<'static>,
    /// Reads an input of this operation from a codec.
    pub read_input: ReadStructure,
    /// Reads an output of this operation from a codec: how tests and tools make one out of text.
    pub read_output: ReadStructure,
    /// Whether the input's payload is a stream.
    pub input_payload: Payload,
    /// Whether the output's payload is a stream.
    pub output_payload: Payload,
    /// Whether a checksum of the request's body must come with it.
    pub checksum_required: bool,
    /// The actions and resources that IAM is asked for; see `apis/*/operations.txt`.
    pub access: &'static [AccessRule],
    /// Whether anybody may call it without a signature.
    pub public: bool,
    /// The modeled errors, as shape name and HTTP status.
    pub errors: &'static [(&'static str, u16)],
}

impl std::fmt::Debug for Operation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// One line of what an operation needs: an action on resources named by a template such as
/// `arn:{partition}:s3:::{Bucket}/{Key}`, whose braces name input members, `partition`, `region` and `account`.
#[derive(Debug)]
pub struct AccessRule {
    /// `s3:GetObject`.
    pub action: &'static str,
    /// The template; `*` where the action has no resource.
    pub resource: &'static str,
}

/// An operation that AWS has and we answer with 501: where it would be.
#[derive(Debug)]
pub struct Unserved {
    /// AWS's name.
    pub name: &'static str,
    /// The HTTP method of the REST protocols.
    pub method: &'static str,
    /// The model's `requestUri`.
    pub uri: &'static str,
    /// The query parameters that a REST request must have to mean this operation.
    pub required_query: &'static [&'static str],
    /// The headers likewise.
    pub required_headers: &'static [&'static str],
}

/// One access that IAM is asked for.
#[derive(Debug, Clone)]
pub struct Access {
    /// `s3:GetObject`.
    pub action: Cow<'static, str>,
    /// The resource's ARN, or `*`.
    pub resource: String,
    /// The resource's own policy, where it has one.
    pub resource_policy: Option<cloudlet_access::Policy>,
    /// The account that owns the resource, where that is not the context's.
    pub resource_account: Option<String>,
    /// The service's own condition keys, such as `s3:prefix`. Whether anybody asks says [`Context::asks_keys`].
    pub keys: ConditionKeys,
}

impl Access {
    /// An access without resource policy and keys.
    pub fn new(action: impl Into<Cow<'static, str>>, resource: impl Into<String>) -> Self {
        Self {
            action: action.into(),
            resource: resource.into(),
            resource_policy: None,
            resource_account: None,
            keys: Vec::new(),
        }
    }

    /// The same under another action: what an operation needs beside its own, such as the tagging of what it makes.
    #[must_use]
    pub fn also(&self, action: impl Into<Cow<'static, str>>) -> Self {
        Self { action: action.into(), ..self.clone() }
    }
}

/// What [`crate::Identity::authorize`] is asked.
#[derive(Debug, Clone, Copy)]
pub struct AccessRequest<'a> {
    /// The access.
    pub access: &'a Access,
    /// The operation that needs it.
    pub operation: &'a Operation,
    /// Its API.
    pub service: &'a Api,
}

/// The behaviour of one AWS service. The generated `serve!` macro of its API crate writes [`Service::api`] and
/// [`Service::invoke`]; the rest has defaults that fit most services.
pub trait Service: Send + Sync + 'static {
    /// What it serves.
    fn api(&self) -> &'static Api;

    /// Runs an operation whose input has been checked and whose caller has been authorized.
    fn invoke<'a>(
        &'a self,
        operation: usize,
        cx: &'a Context,
        input: Box<dyn Structure>,
    ) -> BoxFuture<'a, Result<Box<dyn Structure>, Error>>;

    /// What IAM must allow before the operation runs. The default fills the templates of the operation's
    /// [`AccessRule`]s; a service adds resource policies and condition keys.
    fn access<'a>(
        &'a self,
        op: &'static Operation,
        cx: &'a Context,
        input: &'a dyn Structure,
    ) -> BoxFuture<'a, Result<Vec<Access>, Error>> {
        Box::pin(async move { Ok(default_access(op, cx, input)) })
    }

    /// Words for an input that breaks the model's constraints. The default is what most JSON services say.
    fn invalid_input(&self, _op: &'static Operation, violations: Violations) -> Error {
        Error::validation(violations.message())
    }

    /// Whether AWS lets a value through that its own model forbids.
    fn lets_through(&self, _op: &'static Operation, _violation: &Violation) -> bool {
        false
    }

    /// What web pages reach directly, beside the operations: S3 alone has that.
    fn web(&self) -> Option<&dyn crate::web::Web> {
        None
    }

    /// The addresses of the service's own resources, beside the operations: function URLs.
    fn site(&self) -> Option<&dyn crate::web::Site> {
        None
    }

    /// Gives a refusal the error code and the status of the service's family. What speaks JSON says
    /// `AccessDeniedException`, with status 400 where the operation is no path; XML says `AccessDenied`.
    fn access_denied(&self, _op: &'static Operation, denied: Error) -> Error {
        // Credentials that are good for nothing here are another thing than a refusal.
        if denied.code() == "InvalidClientTokenId" {
            return match self.api().protocols.first() {
                Some(Protocol::AwsJson10 | Protocol::AwsJson11 | Protocol::RpcV2Cbor) => {
                    denied.with_code("UnrecognizedClientException").with_status(400)
                }
                Some(Protocol::RestJson1) => denied.with_code("UnrecognizedClientException").with_status(403),
                _ => denied,
            };
        }
        match self.api().protocols.first() {
            Some(Protocol::AwsJson10 | Protocol::AwsJson11 | Protocol::RpcV2Cbor) => {
                denied.with_code("AccessDeniedException").with_status(400)
            }
            Some(Protocol::RestJson1) => denied.with_code("AccessDeniedException").with_status(403),
            Some(Protocol::RestXml | Protocol::AwsQuery | Protocol::Ec2Query) | None => {
                denied.with_code("AccessDenied").with_status(403)
            }
        }
    }
}

/// The accesses that the operation's templates name, filled from the input's members.
pub fn default_access(op: &'static Operation, cx: &Context, input: &dyn Structure) -> Vec<Access> {
    op.access.iter().map(|rule| Access::new(rule.action, fill(rule.resource, cx, input))).collect()
}

/// Fills `{partition}`, `{region}`, `{account}` and `{Member}` in a resource template. A member that is itself
/// an ARN stands for the whole resource.
fn fill(template: &str, cx: &Context, input: &dyn Structure) -> String {
    let mut out = String::with_capacity(template.len() + 32);
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        out.push_str(before);
        let Some((name, tail)) = after.split_once('}') else { break };
        match name {
            "partition" => out.push_str(cx.partition()),
            "region" => out.push_str(&cx.region),
            "account" => out.push_str(&cx.account),
            member => {
                let value = crate::rules::text_member(input, member).unwrap_or_else(|| "*".to_owned());
                if value.starts_with("arn:") {
                    return value;
                }
                out.push_str(&value);
            }
        }
        rest = tail;
    }
    out.push_str(rest);
    out
}

/// An operation known by type: how one service calls another.
pub trait TypedOperation {
    /// The service's name.
    const SERVICE: &'static str;
    /// The operation's name.
    const NAME: &'static str;
    /// Its place in [`Api::operations`].
    const INDEX: usize;
    /// What it takes.
    type Input: Structure;
    /// What it gives.
    type Output: Structure;
}
