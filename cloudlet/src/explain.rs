//! `cloudlet why-denied` and `cloudlet iam`: what the decisions of the running cloud rest on.

use crate::cli::{GeneratePolicyOptions, IamCommand, WhyDeniedOptions};
use crate::config::File;
use crate::control::{Answer, Ask, ask};
use crate::{Failure, logs};
use cloudlet_identity::Identities;
use std::fmt::Write;
use std::process::ExitCode;

/// How many refusals are listed where no request is named.
const LATEST: usize = 10;

/// `cloudlet why-denied [REQUEST_ID]`
pub(crate) fn why(options: &WhyDeniedOptions, file: &File) -> Result<ExitCode, Failure> {
    show(&options.target.resolve(file)?.running()?, &Ask::WhyDenied { request: options.request_id.clone() })
}

/// `cloudlet iam …`
pub(crate) fn iam(command: &IamCommand, file: &File) -> Result<ExitCode, Failure> {
    match command {
        IamCommand::GeneratePolicy(options) => generate(options, file),
    }
}

fn generate(options: &GeneratePolicyOptions, file: &File) -> Result<ExitCode, Failure> {
    let since = match &options.since {
        Some(text) => logs::since(text)?,
        None => 0,
    };
    let name = options.role.clone();
    let account = match name.split(':').nth(4) {
        Some(account) if name.starts_with("arn:") => account.to_owned(),
        _ => options.account.clone(),
    };
    show(&options.target.resolve(file)?.running()?, &Ask::LeastPolicy { account, name, since })
}

fn show(instance: &crate::instance::Instance, question: &Ask) -> Result<ExitCode, Failure> {
    if let Answer::Text { text } = ask(instance, question)? {
        println!("{}", text.trim_end());
    }
    Ok(ExitCode::SUCCESS)
}

/// The explanation of one request's refusals, or of the latest ones.
pub(crate) fn why_denied(identities: &Identities, request: Option<&str>) -> String {
    let denials = match request {
        Some(id) => identities.why_denied(id),
        None => identities.latest_denials(LATEST),
    };
    if denials.is_empty() {
        return match request {
            Some(id) => format!(
                "No refusal is remembered for request {id}. The latest thousand are; SDKs show the id of a request in \
                 its error (RequestId)."
            ),
            None => "Nothing has been refused.".to_owned(),
        };
    }
    let mut out = String::new();
    for denial in denials {
        // Writing into a text cannot fail.
        let _ = writeln!(out, "request   {}", denial.request_id);
        let _ = writeln!(out, "caller    {}", denial.principal);
        let _ = writeln!(out, "action    {}", denial.action);
        let _ = writeln!(out, "resource  {}", denial.resource);
        let _ = writeln!(out, "refused   {}", denial.message);
        if let Some((policy, place)) = &denial.statement {
            let policy = if policy.is_empty() { "a session policy" } else { policy };
            let _ = writeln!(out, "by        {policy}, {place}");
        }
        for found in &denial.considered {
            let policy = if found.policy.is_empty() { "passed with the session" } else { &found.policy };
            let _ = writeln!(out, "  {:<5}   {}, {} ({})", found.effect, policy, found.place, found.layer);
        }
        if denial.considered.is_empty() {
            let _ = writeln!(out, "  no statement of any policy speaks about this action on this resource");
        }
        out.push('\n');
    }
    out
}
