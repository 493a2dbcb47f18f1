//! Errors are values: AWS's code and message, the HTTP status, and what else the answer carries.

use crate::shape::Structure;
use std::borrow::Cow;
use std::fmt;

/// Whose fault an error is, which AWS's protocols spell out and SDKs use to decide on a retry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The caller's: another try would fail alike.
    Sender,
    /// Ours.
    Receiver,
}

/// What an operation answers when it cannot do what was asked.
pub struct Error(Box<Inner>);

struct Inner {
    code: Cow<'static, str>,
    query_code: Option<Cow<'static, str>>,
    message: String,
    status: u16,
    fault: Fault,
    fields: Vec<(&'static str, String)>,
    headers: Vec<(&'static str, String)>,
    detail: Option<Box<dyn Structure>>,
}

impl Error {
    /// An error with its HTTP status; below 500 it is the sender's fault.
    pub fn new(code: impl Into<Cow<'static, str>>, status: u16, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            code: code.into(),
            query_code: None,
            message: message.into(),
            status,
            fault: if status < 500 { Fault::Sender } else { Fault::Receiver },
            fields: Vec::new(),
            headers: Vec::new(),
            detail: None,
        }))
    }

    /// The caller's fault, HTTP status 400.
    pub fn sender(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self::new(code, 400, message)
    }

    /// A call whose input breaks the model's constraints. The message is AWS's; the code is the one that most
    /// services use, which `wire` replaces for those that differ.
    pub fn validation(message: impl Into<String>) -> Self {
        Self::new("ValidationException", 400, message)
    }

    /// Something of ours failed. What it was goes to the log, not to the caller.
    pub fn internal(why: impl fmt::Display) -> Self {
        tracing::error!(%why, "internal error");
        Self::new(
            "InternalFailure",
            500,
            "The request processing has failed because of an unknown error, exception or failure.",
        )
    }

    /// The operation is in AWS's model but not served here: said so, never faked.
    pub fn not_implemented(service: &str, operation: &str) -> Self {
        Self::new("NotImplemented", 501, format!("not implemented: {service}:{operation}"))
    }

    /// A parameter or behaviour of a served operation that is not served yet.
    pub fn not_implemented_part(what: impl fmt::Display) -> Self {
        Self::new("NotImplemented", 501, format!("not implemented: {what}"))
    }

    /// Adds an element beside code and message, such as S3's `<BucketName>`.
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.0.fields.push((name, value.into()));
        self
    }

    /// Adds an HTTP header to the answer.
    pub fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.0.headers.push((name, value.into()));
        self
    }

    /// Gives the modeled error structure, whose members are written beside code and message.
    pub fn with_detail(mut self, detail: impl Structure) -> Self {
        self.0.detail = Some(Box::new(detail));
        self
    }

    /// The code that the query protocol's clients know, where it differs (`awsQueryError`).
    pub fn with_query_code(mut self, code: impl Into<Cow<'static, str>>) -> Self {
        self.0.query_code = Some(code.into());
        self
    }

    /// Replaces the code and keeps everything else.
    pub fn with_code(mut self, code: impl Into<Cow<'static, str>>) -> Self {
        self.0.code = code.into();
        self
    }

    /// Replaces the HTTP status.
    pub fn with_status(mut self, status: u16) -> Self {
        self.0.status = status;
        self.0.fault = if status < 500 { Fault::Sender } else { Fault::Receiver };
        self
    }

    /// AWS's error code, such as `NoSuchBucket`.
    pub fn code(&self) -> &str {
        &self.0.code
    }

    /// The code in the query protocol.
    pub fn query_code(&self) -> &str {
        self.0.query_code.as_deref().unwrap_or(&self.0.code)
    }

    /// AWS's message.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The HTTP status.
    pub fn status(&self) -> u16 {
        self.0.status
    }

    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        self.0.fault
    }

    /// Elements beside code and message.
    pub fn fields(&self) -> &[(&'static str, String)] {
        &self.0.fields
    }

    /// HTTP headers of the answer.
    pub fn headers(&self) -> &[(&'static str, String)] {
        &self.0.headers
    }

    /// The modeled structure, if the error has one.
    pub fn detail(&self) -> Option<&dyn Structure> {
        self.0.detail.as_deref()
    }

    /// Whether the code is this one.
    pub fn is(&self, code: &str) -> bool {
        self.0.code == code
    }
}

impl Clone for Error {
    /// Everything but the modeled structure, which only the first answer needs.
    fn clone(&self) -> Self {
        Self(Box::new(Inner {
            code: self.0.code.clone(),
            query_code: self.0.query_code.clone(),
            message: self.0.message.clone(),
            status: self.0.status,
            fault: self.0.fault,
            fields: self.0.fields.clone(),
            headers: self.0.headers.clone(),
            detail: None,
        }))
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): {}", self.0.code, self.0.status, self.0.message)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.code, self.0.message)
    }
}

impl std::error::Error for Error {}
