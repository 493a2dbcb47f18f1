//! The credential report: one line of CSV per user.
//!
//! Source: IAM User Guide, "Generate credential reports for your AWS account", for the columns.

use crate::{Iam, shown};
use cloudlet_api_iam::*;
use cloudlet_identity::records::{AccessKey as Key, RootKey, User, of_account};
use cloudlet_service::Context;
use cloudlet_store::Record;
use serde::{Deserialize, Serialize};
use std::fmt::Write;

/// For how long a report is good, in milliseconds: four hours.
const GOOD_FOR: i64 = 4 * 3_600_000;

const HEADER: &str = "user,arn,user_creation_time,password_enabled,password_last_used,password_last_changed,\
password_next_rotation,mfa_active,access_key_1_active,access_key_1_last_rotated,access_key_1_last_used_date,\
access_key_1_last_used_region,access_key_1_last_used_service,access_key_2_active,access_key_2_last_rotated,\
access_key_2_last_used_date,access_key_2_last_used_region,access_key_2_last_used_service,cert_1_active,\
cert_1_last_rotated,cert_2_active,cert_2_last_rotated";

#[derive(Serialize, Deserialize, Clone)]
struct Report {
    at: i64,
    text: String,
}

impl Record for Report {
    const TABLE: &'static str = "iam.credential_reports";
}

impl Iam {
    /// Makes the report, unless there is one that is still good.
    pub async fn generate_credential_report(
        &self,
        cx: &Context,
        _: GenerateCredentialReportInput,
    ) -> Result<GenerateCredentialReportOutput, Error> {
        let key = of_account(&cx.account);
        let known = self.store().table::<Report>().get(&key).map_err(Error::internal)?;
        if known.is_some_and(|report| cx.millis() - report.at < GOOD_FOR) {
            return Ok(GenerateCredentialReportOutput {
                state: Some("COMPLETE".to_owned()),
                description: None,
            });
        }
        let report = Report { at: cx.millis(), text: self.report(cx)? };
        self.change(|tx| Ok(tx.put(&key, &report)?)).await?;
        Ok(GenerateCredentialReportOutput {
            state: Some("STARTED".to_owned()),
            description: Some("No report exists. Starting a new report generation task".to_owned()),
        })
    }

    /// Gives the report.
    ///
    /// Errors: `ReportNotPresent`, `ReportExpired`.
    pub async fn get_credential_report(
        &self,
        cx: &Context,
        _: GetCredentialReportInput,
    ) -> Result<GetCredentialReportOutput, Error> {
        let report = self.store().table::<Report>().get(&of_account(&cx.account)).map_err(Error::internal)?;
        let report = report.ok_or_else(|| {
            CredentialReportNotPresentException::error(
                "No report exists. Generate one with GenerateCredentialReport.",
            )
        })?;
        if cx.millis() - report.at >= GOOD_FOR {
            return Err(CredentialReportExpiredException::error(
                "The most recent report has expired. Generate one with GenerateCredentialReport.",
            ));
        }
        Ok(GetCredentialReportOutput {
            content: Some(Blob::new(report.text.into_bytes())),
            report_format: Some("text/csv".to_owned()),
            generated_time: shown::date(report.at),
        })
    }

    fn report(&self, cx: &Context) -> Result<String, Error> {
        let mut out = HEADER.to_owned();
        let settings = self.settings(cx)?;
        let max_age = settings.password_policy.as_ref().and_then(|rules| rules.max_age_days);
        let root = self.store().table::<RootKey>().get(&of_account(&cx.account)).map_err(Error::internal)?;
        let root_keys: Vec<String> = root.into_iter().map(|root| root.access_key).collect();
        let _ = write!(
            out,
            "\n<root_account>,arn:aws:iam::{}:root,{},not_supported,no_information,not_supported,not_supported,false",
            cx.account,
            time(0)
        );
        self.key_columns(&mut out, &root_keys)?;
        out.push_str(",false,N/A,false,N/A");
        for user in self.all::<User>(cx)? {
            let _ = write!(out, "\n{},{},{}", user.name, user.arn(), time(user.created));
            match &user.login {
                Some(login) => {
                    let next = match max_age {
                        Some(days) => time(login.changed + i64::from(days) * 86_400_000),
                        None => "N/A".to_owned(),
                    };
                    let _ = write!(out, ",true,no_information,{},{next}", time(login.changed));
                }
                None => out.push_str(",false,N/A,N/A,N/A"),
            }
            let _ = write!(out, ",{}", !user.mfa_devices.is_empty());
            self.key_columns(&mut out, &user.access_keys)?;
            out.push_str(",false,N/A,false,N/A");
        }
        Ok(out)
    }

    fn key_columns(&self, out: &mut String, ids: &[String]) -> Result<(), Error> {
        for place in 0..2 {
            let key: Option<Key> = match ids.get(place) {
                Some(id) => self.access_key(id)?,
                None => None,
            };
            let Some(key) = key else {
                out.push_str(",false,N/A,N/A,N/A,N/A");
                continue;
            };
            let _ = write!(out, ",{},{}", key.active, time(key.created));
            match self.identities.last_use(&key.id) {
                Some(used) => {
                    let _ = write!(out, ",{},{},{}", time(used.at), used.region, used.service);
                }
                None => out.push_str(",N/A,N/A,N/A"),
            }
        }
        Ok(())
    }
}

fn time(millis: i64) -> String {
    let date = DateTime::from_secs(millis.div_euclid(1000));
    date.fmt(aws_smithy_types::date_time::Format::DateTime)
        .map_or_else(|_| "N/A".to_owned(), |t| t.replace('Z', "+00:00"))
}
