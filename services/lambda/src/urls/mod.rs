//! Function URLs: HTTP requests that become invocations, and results that become HTTP answers.
//!
//! Source: Developer Guide, "Invoking Lambda function URLs", "Control access to Lambda function URLs".

mod address;
mod answer;
mod cors;
mod event;

pub(crate) use address::Addresses;

use crate::Lambda;
use crate::names::{LATEST, Named};
use crate::runner::Call;
use crate::state::{UrlConfig, UrlId, url_key};
use bytes::Bytes;
use cloudlet_api_lambda::operations::Invoke;
use cloudlet_service::{
    Access, AccessRequest, BoxFuture, ByteStream, Context, Error, Operation, Principal, Service, Site,
    TypedOperation, Visit,
};
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Response, StatusCode};
use serde_json::json;

impl Site for Lambda {
    fn answer(&self, visit: Visit) -> BoxFuture<'_, Response<ByteStream>> {
        Box::pin(self.visit(visit))
    }
}

impl Lambda {
    async fn visit(&self, visit: Visit) -> Response<ByteStream> {
        let request_id = visit.cx.request_id.to_string();
        let mut response = match self.find(&visit) {
            None => refusal(StatusCode::FORBIDDEN, "AccessDeniedException", &json!({ "Message": null })),
            Some((named, config)) => {
                if let Some(answer) = cors::preflight(&config, &visit) {
                    answer
                } else {
                    let mut response = match self.serve_url(&named, &config, &visit).await {
                        Ok(response) => response,
                        Err(error) => refused(&error),
                    };
                    cors::allow(&config, &visit, response.headers_mut());
                    response
                }
            }
        };
        set(response.headers_mut(), "x-amzn-requestid", &request_id);
        response
    }

    /// The function or alias behind the URL's id.
    fn find(&self, visit: &Visit) -> Option<(Named, UrlConfig)> {
        let id = visit.id.to_ascii_lowercase();
        let owner = self.store.table::<UrlId>().get_arc(&url_key(&id)).ok()??;
        if visit.region.as_deref().is_some_and(|region| region != owner.region) {
            return None;
        }
        let cx = visit.cx.located(&owner.account, &owner.region);
        let qualifier = Some(owner.alias.clone()).filter(|alias| !alias.is_empty());
        let named = Named { cx, name: owner.function.clone(), qualifier };
        let config = self.function(&named).ok()?.urls.get(&owner.alias)?.clone();
        Some((named, config))
    }

    async fn serve_url(
        &self,
        named: &Named,
        config: &UrlConfig,
        visit: &Visit,
    ) -> Result<Response<ByteStream>, Error> {
        let signed = self.authorize_url(named, config, visit)?;
        let event = event::of(visit, &config.id, signed);
        let payload = Bytes::from(event.to_string());
        // The function sees the URL's owner as the account, whoever calls.
        let target = self.target(named.clone())?;
        let trace_id = event["headers"]["x-amzn-trace-id"].as_str().map(str::to_owned);
        let call = Call { payload, trace_id, ..Call::new(visit.cx.request_id.to_string()) };
        if config.mode == "RESPONSE_STREAM" && target.version.settings.durable.is_none() {
            return answer::streamed(self.run_streaming(target, call).await?).await;
        }
        let result = self.run_to_end(&target, call).await?;
        if result.function_error.is_some() {
            return Ok(answer::failed());
        }
        Ok(answer::of(result.payload))
    }

    /// Whether the visitor may; gives whether a signature made it so.
    ///
    /// Errors: `AccessDeniedException`, and what is wrong with a signature.
    fn authorize_url(&self, named: &Named, config: &UrlConfig, visit: &Visit) -> Result<bool, Error> {
        let iam = config.auth == "AWS_IAM";
        let caller = if iam {
            match &visit.caller {
                Some(Ok(caller)) => caller.clone(),
                Some(Err(error)) => return Err(error.clone()),
                None => return Err(forbidden()),
            }
        } else {
            Context { principal: Principal::Anonymous, session: None, ..visit.cx.clone() }
        };
        let function = self.function(named)?;
        let qualifier = named.qualifier.as_deref().filter(|q| *q != LATEST).unwrap_or_default();
        let policy = function.policies.get(qualifier).and_then(|p| self.policies.compiled(p));
        // An URL without AWS_IAM is open only as far as the function's own policy says so.
        if !iam && policy.is_none() {
            return Err(forbidden());
        }
        let operation: &'static Operation = self.api().operations.get(Invoke::INDEX).ok_or_else(forbidden)?;
        let caller = Context { account: named.cx.account.clone(), region: named.cx.region.clone(), ..caller };
        let mut actions =
            vec![("lambda:InvokeFunctionUrl", "lambda:FunctionUrlAuthType", config.auth.clone())];
        if self.limits.read().url_needs_invoke {
            actions.push(("lambda:InvokeFunction", "lambda:InvokedViaFunctionUrl", "true".to_owned()));
        }
        for (action, key, value) in actions {
            let mut access = Access::new(action, named.qualified_arn());
            access.resource_account = Some(named.cx.account.to_string());
            access.resource_policy.clone_from(&policy);
            access.keys.push((key.to_owned(), vec![value]));
            let request = AccessRequest { access: &access, operation, service: self.api() };
            self.cloud.identity()?.authorize(&caller, &request).map_err(|_| forbidden())?;
        }
        Ok(iam)
    }
}

fn forbidden() -> Error {
    Error::new(
        "AccessDeniedException",
        403,
        "Forbidden. For troubleshooting Function URL authorization issues, see: \
         https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html",
    )
}

/// An error of Lambda's own, in the form that URLs give it.
fn refused(error: &Error) -> Response<ByteStream> {
    let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    match error.code() {
        "AccessDeniedException" => refusal(status, error.code(), &json!({ "Message": error.message() })),
        "TooManyRequestsException" => {
            let reason = error
                .detail()
                .and_then(|d| d.as_any().downcast_ref::<cloudlet_api_lambda::TooManyRequestsException>())
                .and_then(|d| d.reason.clone());
            refusal(
                status,
                error.code(),
                &json!({ "Reason": reason, "Type": "User", "message": error.message() }),
            )
        }
        // A function that is there and cannot run is a bad gateway.
        "InvalidRuntimeException" | "ServiceException" | "InvalidZipFileException" => answer::failed(),
        _ => refusal(status, error.code(), &json!({ "message": error.message() })),
    }
}

fn refusal(status: StatusCode, code: &str, body: &serde_json::Value) -> Response<ByteStream> {
    let mut response = Response::new(ByteStream::from(Bytes::from(body.to_string())));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    set(response.headers_mut(), "x-amzn-errortype", code);
    response
}

/// Sets a header whose value may have come from outside; one that no header can carry is left out.
fn set(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}
