//! GetServiceSetting, UpdateServiceSetting, ResetServiceSetting: what an account sets for its Parameter Store.
//!
//! Source: API Reference, `ServiceSetting`; User Guide, "Managing parameter tiers", "Increasing throughput".

use crate::Ssm;
use crate::errors::{Failure, stored, validation};
use crate::shown::when;
use crate::state::{Setting, place};
use cloudlet_api_ssm::*;

pub(super) const DEFAULT_TIER: &str = "/ssm/parameter-store/default-parameter-tier";
/// There is no lower throughput here; the setting is kept for those who read it.
const THROUGHPUT: &str = "/ssm/parameter-store/high-throughput-enabled";

/// Settings of parts of Systems Manager that are not served.
const OTHERS: &[&str] = &[
    "/ssm/appmanager/appmanager-enabled",
    "/ssm/automation/customer-script-log-destination",
    "/ssm/automation/customer-script-log-group-name",
    "/ssm/automation/enable-adaptive-concurrency",
    "/ssm/documents/console/public-sharing-permission",
    "/ssm/managed-instance/activation-tier",
    "/ssm/managed-instance/default-ec2-instance-management-role",
    "/ssm/opsinsights/opscenter",
];

impl Ssm {
    /// Errors: `ServiceSettingNotFound`; 501 for settings of what is not served.
    pub async fn get_service_setting(
        &self,
        cx: &Context,
        input: GetServiceSettingInput,
    ) -> Result<GetServiceSettingOutput, Error> {
        let id = known(&input.setting_id)?;
        let setting = self.setting(cx, id)?;
        Ok(GetServiceSettingOutput { service_setting: Some(shown(cx, id, setting)), ..Default::default() })
    }

    /// Errors: `ServiceSettingNotFound`, `ValidationException`; 501 for settings of what is not served.
    pub async fn update_service_setting(
        &self,
        cx: &Context,
        input: UpdateServiceSettingInput,
    ) -> Result<UpdateServiceSettingOutput, Error> {
        let id = known(&input.setting_id)?;
        let values: &[&str] = match id {
            DEFAULT_TIER => &["Standard", "Advanced", "Intelligent-Tiering"],
            _ => &["true", "false"],
        };
        if !values.contains(&input.setting_value.as_str()) {
            return Err(validation(format!(
                "The value {} is not valid for setting {id}. Valid values include: [{}].",
                input.setting_value,
                values.join(", ")
            )));
        }
        let at = place(cx).text(id);
        let setting = Setting { value: input.setting_value, modified: cx.millis(), user: cx.principal.arn() };
        self.store.transact(|tx| Ok::<_, Failure>(tx.put(&at, &setting)?)).await?;
        Ok(UpdateServiceSettingOutput::default())
    }

    /// Errors: `ServiceSettingNotFound`; 501 for settings of what is not served.
    pub async fn reset_service_setting(
        &self,
        cx: &Context,
        input: ResetServiceSettingInput,
    ) -> Result<ResetServiceSettingOutput, Error> {
        let id = known(&input.setting_id)?;
        let at = place(cx).text(id);
        self.store.transact(|tx| Ok::<_, Failure>(tx.delete::<Setting>(&at)?)).await?;
        Ok(ResetServiceSettingOutput { service_setting: Some(shown(cx, id, None)), ..Default::default() })
    }

    /// The tier of parameters that ask for none; `None` where the account has not said.
    pub(super) fn default_tier(&self, cx: &Context) -> Result<Option<String>, Error> {
        Ok(self.setting(cx, DEFAULT_TIER)?.map(|setting| setting.value))
    }

    fn setting(&self, cx: &Context, id: &str) -> Result<Option<Setting>, Error> {
        self.store.table::<Setting>().get(&place(cx).text(id)).map_err(stored)
    }
}

/// The setting that an id or an ARN names.
fn known(id: &str) -> Result<&'static str, Error> {
    let id = match id.split_once(":servicesetting") {
        Some((arn, rest)) if arn.starts_with("arn:") => rest,
        _ => id,
    };
    if OTHERS.contains(&id) {
        return Err(Error::not_implemented_part(format_args!("ssm service setting {id}")));
    }
    [DEFAULT_TIER, THROUGHPUT].into_iter().find(|known| *known == id).ok_or_else(|| {
        ServiceSettingNotFound::error(
            "The specified service setting wasn't found. Either the service name or the setting hasn't been \
             provisioned by the Amazon Web Services service team.",
        )
    })
}

fn shown(cx: &Context, id: &str, setting: Option<Setting>) -> ServiceSetting {
    let default = if id == DEFAULT_TIER { "Standard" } else { "false" };
    let status = if setting.is_some() { "Customized" } else { "Default" };
    let setting = setting.unwrap_or_else(|| Setting {
        value: default.to_owned(),
        modified: crate::public::MODIFIED,
        user: "System".to_owned(),
    });
    ServiceSetting {
        setting_id: Some(id.to_owned()),
        setting_value: Some(setting.value),
        last_modified_date: Some(when(setting.modified)),
        last_modified_user: Some(setting.user),
        arn: Some(cx.arn("ssm", format_args!("servicesetting{id}"))),
        status: Some(status.to_owned()),
        ..Default::default()
    }
}
