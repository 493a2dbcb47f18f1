//! The global condition keys of a request. Source: IAM User Guide, "AWS global condition context keys".

use crate::caller::{Bundle, Caller};
use crate::organization::Above;
use crate::token::Holder;
use aws_smithy_types::date_time::{DateTime, Format};
use cloudlet_access::ConditionContext;
use cloudlet_service::{Access, Context, Principal};

/// The keys of one access: those of the call, and what the service says about it.
pub(crate) fn of_request(
    cx: &Context,
    caller: &Caller,
    bundle: &Bundle,
    access: &Access,
    above: Option<&Above>,
    above_owner: Option<&Above>,
) -> ConditionContext {
    let mut context = of_call(cx, caller, bundle, above);
    let owner = access.resource_account.as_deref().unwrap_or(&cx.account);
    context.set("aws:ResourceAccount", owner.to_owned());
    of_resource_owner(&mut context, above_owner);
    for (key, values) in &access.keys {
        context.set_all(key.clone(), values.iter().cloned());
    }
    context
}

/// The keys that follow from the caller and the connection.
pub(crate) fn of_call(
    cx: &Context,
    caller: &Caller,
    bundle: &Bundle,
    above: Option<&Above>,
) -> ConditionContext {
    let mut context = ConditionContext::for_principal(&caller.who);
    if let Some(above) = above {
        context.set("aws:PrincipalOrgID", above.organization.clone());
        context.set_all("aws:PrincipalOrgPaths", [above.path.clone()]);
    }
    let origin = &cx.origin;
    context.set("aws:CurrentTime", iso(cx.millis()));
    context.set("aws:EpochTime", cx.millis().div_euclid(1000).to_string());
    context.set("aws:RequestedRegion", cx.region.to_string());
    context.set("aws:SecureTransport", if origin.secure() { "true" } else { "false" });
    context.set_some("aws:SourceIp", origin.source_ip.map(|ip| ip.to_string()));
    context.set_some("aws:UserAgent", origin.user_agent().map(str::to_owned));
    context.set_some("aws:Referer", origin.referer().map(str::to_owned));
    context.set("aws:ViaAWSService", if origin.called_via.is_empty() { "false" } else { "true" });
    if let (Some(first), Some(last)) = (origin.called_via.first(), origin.called_via.last()) {
        context.set("aws:CalledViaFirst", first.to_string());
        context.set("aws:CalledViaLast", last.to_string());
        context.set_all("aws:CalledVia", origin.called_via.iter().map(|service| service.to_string()));
    }
    if let Principal::Service { name, source_arn, source_account } = &cx.principal {
        context.set_all("aws:PrincipalServiceNamesList", [name.to_string()]);
        context.set_some("aws:SourceArn", source_arn.as_deref().map(str::to_owned));
        context.set_some("aws:SourceAccount", source_account.as_deref().map(str::to_owned));
    }
    for tag in &bundle.tags {
        context.set(format!("aws:PrincipalTag/{}", tag.key), tag.value.clone());
    }
    let Some(claims) = &caller.claims else { return context };
    context.set("aws:TokenIssueTime", iso(claims.issued * 1000));
    context.set("aws:MultiFactorAuthPresent", if claims.mfa.is_some() { "true" } else { "false" });
    if let Some(shown) = claims.mfa {
        context.set("aws:MultiFactorAuthAge", (cx.millis().div_euclid(1000) - shown).to_string());
    }
    context.set_some("aws:SourceIdentity", claims.source_identity.clone());
    context.set_some("aws:FederatedProvider", claims.provider.clone());
    for (key, value) in &claims.provider_keys {
        context.set(key.clone(), value.clone());
    }
    if claims.task {
        context.set("aws:AssumedRoot", "true");
    }
    if let Holder::Role { session, .. } = &claims.holder {
        context.set("sts:RoleSessionName", session.clone());
    }
    context
}

/// The keys that follow from the organization of the resource's account.
pub(crate) fn of_resource_owner(context: &mut ConditionContext, above: Option<&Above>) {
    if let Some(above) = above {
        context.set("aws:ResourceOrgID", above.organization.clone());
        context.set_all("aws:ResourceOrgPaths", [above.path.clone()]);
    }
}

/// ISO 8601 to the second.
fn iso(millis: i64) -> String {
    DateTime::from_secs(millis.div_euclid(1000)).fmt(Format::DateTime).unwrap_or_default()
}
