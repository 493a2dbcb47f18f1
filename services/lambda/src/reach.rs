//! What a function's role may send to: asked when a destination is named, so that a missing right is told at once.
//!
//! Source: the answers of CreateFunction and PutFunctionEventInvokeConfig to roles without the right; Developer Guide,
//! "Capturing records of Lambda asynchronous invocations", permissions.

use crate::Lambda;
use crate::errors::invalid;
use crate::names::Named;
use crate::runner::cannot_assume;
use cloudlet_api_lambda::operations::Invoke;
use cloudlet_service::{Access, AccessRequest, Arn, Error, Operation, Service, TypedOperation};

/// What sending to a target of one service is: the action as IAM knows it and as Lambda calls it in its words.
struct Sending {
    action: &'static str,
    call: &'static str,
}

/// `None` for a service that is never sent to.
fn sending(service: &str) -> Option<Sending> {
    Some(match service {
        "sqs" => Sending { action: "sqs:SendMessage", call: "SendMessage" },
        "sns" => Sending { action: "sns:Publish", call: "Publish" },
        "events" => Sending { action: "events:PutEvents", call: "PutEvents" },
        "lambda" => Sending { action: "lambda:InvokeFunction", call: "InvokeFunction" },
        "s3" => Sending { action: "s3:PutObject", call: "PutObject" },
        _ => return None,
    })
}

impl Lambda {
    /// Whether events that are given up can go there: to a queue or a topic that the role may send to.
    ///
    /// Errors: `InvalidParameterValueException`.
    pub(crate) async fn check_dead_letter(
        &self,
        named: &Named,
        role: &str,
        target: &str,
    ) -> Result<(), Error> {
        let service = Arn::parse(target).map(|arn| arn.service).filter(|s| matches!(*s, "sqs" | "sns"));
        let Some((service, sending)) = service.and_then(|s| Some((s, sending(s)?))) else {
            return Err(invalid(format!("The provided dead letter target ARN {target} is invalid.")));
        };
        if self.role_may(named, role, sending.action, target).await? {
            return Ok(());
        }
        Err(invalid(format!(
            "The provided execution role does not have permissions to call {} on {}",
            sending.call,
            service.to_ascii_uppercase()
        )))
    }

    /// Whether the role may send records to a destination. Errors: `InvalidParameterValueException`.
    pub(crate) async fn check_destination(
        &self,
        named: &Named,
        role: &str,
        destination: &str,
    ) -> Result<(), Error> {
        let Some(arn) = Arn::parse(destination) else { return Ok(()) };
        let Some(sending) = sending(arn.service) else { return Ok(()) };
        let resource = if arn.service == "s3" { format!("{destination}/*") } else { destination.to_owned() };
        if self.role_may(named, role, sending.action, &resource).await? {
            return Ok(());
        }
        Err(invalid(format!(
            "The function's execution role does not have permissions to call {} on {destination}",
            sending.call
        )))
    }

    /// The first of the actions that the role may not do, without its service.
    pub(crate) async fn missing_right(
        &self,
        named: &Named,
        role: &str,
        actions: &[&'static str],
        resource: &str,
    ) -> Result<Option<&'static str>, Error> {
        for action in actions {
            if !self.role_may(named, role, action, resource).await? {
                return Ok(Some(action.split_once(':').map_or(*action, |(_, call)| call)));
            }
        }
        Ok(None)
    }

    /// Whether the role's own policies, or those of a function that is the resource, let it.
    async fn role_may(
        &self,
        named: &Named,
        role: &str,
        action: &'static str,
        resource: &str,
    ) -> Result<bool, Error> {
        let cx = &named.cx;
        let session = self.sink.roles().session(&cx.account, &cx.region, role, &named.name).await;
        let session = session.map_err(|_| cannot_assume())?;
        let mut access = Access::new(action, resource);
        access.resource_account = Some(cx.account.to_string());
        if action == "lambda:InvokeFunction"
            && let Ok(target) = Named::read(cx, resource, None)
        {
            access.resource_account = Some(target.cx.account.to_string());
            access.resource_policy = self.policy_of(&target);
        }
        let operation: &'static Operation = self
            .api()
            .operations
            .get(Invoke::INDEX)
            .ok_or_else(|| Error::internal("Invoke is not served"))?;
        let request = AccessRequest { access: &access, operation, service: self.api() };
        Ok(self.cloud.identity()?.authorize(&session.cx, &request).is_ok())
    }
}
