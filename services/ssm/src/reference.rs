//! Secrets Manager's secrets by way of Parameter Store: `/aws/reference/secretsmanager/NAME`.
//!
//! Source: User Guide, "Referencing AWS Secrets Manager secrets from Parameter Store parameters".

use crate::Ssm;
use crate::errors::validation;
use crate::shown::when;
use cloudlet_api_secretsmanager as secrets;
use cloudlet_api_ssm::*;

/// What names of secrets begin with.
pub(crate) const PREFIX: &str = "/aws/reference/secretsmanager/";

impl Ssm {
    /// A secret as a parameter, with the caller's permissions on it. Behind a colon may stand a version or a label.
    ///
    /// Errors: `ParameterNotFound`, `ValidationException`, `AccessDeniedException`.
    pub(crate) async fn secret(&self, cx: &Context, text: &str, decrypt: bool) -> Result<Parameter, Error> {
        if !decrypt {
            return Err(validation(
                "WithDecryption flag must be True for retrieving a Secret Manager secret.",
            ));
        }
        let (name, selector) = match text.split_once(':') {
            Some((name, selector)) => (name, Some(selector)),
            None => (text, None),
        };
        // Versions are named by tokens of at least 32 characters, labels rarely so.
        let by_id = selector.filter(|selector| selector.len() >= 32).map(str::to_owned);
        let by_stage = selector.filter(|selector| selector.len() < 32).map(str::to_owned);
        let there = cx.through("ssm.amazonaws.com");
        let input = secrets::GetSecretValueInput {
            secret_id: name.to_owned(),
            version_id: by_id,
            version_stage: by_stage,
            ..Default::default()
        };
        let got = cx.cloud.call::<secrets::operations::GetSecretValue>(&there, input).await;
        let got = got.map_err(|error| {
            if !error.is("ResourceNotFoundException") {
                return error;
            }
            ParameterNotFound::error(format!(
                "An error occurred (ParameterNotFound) when referencing Secrets Manager: Secret {PREFIX}{text} not \
                 found."
            ))
        })?;
        let input = secrets::DescribeSecretInput { secret_id: name.to_owned(), ..Default::default() };
        let described = cx.cloud.call::<secrets::operations::DescribeSecret>(&there, input).await.ok();
        let source = serde_json::json!({
            "ARN": got.arn,
            "Name": got.name,
            "VersionId": got.version_id,
            "VersionStages": got.version_stages,
            "VersionIdsToStages": described.as_ref().and_then(|d| d.version_ids_to_stages.clone()),
            "SecretString": got.secret_string,
            "CreatedDate": got.created_date.and_then(|at| at.to_millis().ok()),
        });
        let value = match (got.secret_string, got.secret_binary) {
            (Some(text), _) => text,
            (None, Some(bytes)) => String::from_utf8_lossy(bytes.as_ref()).into_owned(),
            (None, None) => String::new(),
        };
        Ok(Parameter {
            name: Some(name.to_owned()),
            r#type: Some("SecureString".to_owned()),
            value: Some(value),
            version: Some(0),
            selector: selector.map(|selector| format!(":{selector}")),
            source_result: Some(source.to_string()),
            last_modified_date: Some(got.created_date.unwrap_or_else(|| when(cx.millis()))),
            arn: got.arn,
            data_type: Some("text".to_owned()),
            ..Default::default()
        })
    }
}
