//! Folders that run as functions while their owner works on them: the cloud's side of `cloudlet lambda run`.
//!
//! What a command makes here is gone when its connection is, however it ended.

use crate::Failure;
use crate::control::Answer;
use cloudlet_api_iam as iam;
use cloudlet_api_lambda as api;
use cloudlet_lambda::Lambda;
use cloudlet_service::{Cloud, Context, Principal};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// A package that is never run: the folder takes its place. An empty file named `empty` in a zip.
const PLACEHOLDER: &[u8] = b"PK\x03\x04\x14\x00\x00\x00\x00\x00\x00\x00!\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x05\x00\x00\x00emptyPK\x01\x02\x14\x03\x14\x00\x00\x00\x00\x00\x00\x00!\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x05\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x80\x01\x00\x00\x00\x00emptyPK\x05\x06\x00\x00\x00\x00\x01\x00\x01\x003\x00\x00\x00#\x00\x00\x00\x00\x00";
const TRUST: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"}]}"#;
const LOGS: &str = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole";

/// What is to run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Bench {
    pub(crate) account: String,
    pub(crate) region: String,
    pub(crate) name: String,
    pub(crate) runtime: String,
    pub(crate) handler: String,
    pub(crate) folder: PathBuf,
    pub(crate) timeout: i32,
    pub(crate) memory: i32,
    pub(crate) environment: BTreeMap<String, String>,
    /// Managed policies of the function's role, beside the one for logs.
    pub(crate) policies: Vec<String>,
}

/// What one connection made.
pub(crate) struct Workbench {
    cloud: Arc<Cloud>,
    lambda: Arc<Lambda>,
    open: Option<(Context, Bench, String)>,
}

impl Workbench {
    pub(crate) fn new(cloud: Arc<Cloud>, lambda: Arc<Lambda>) -> Self {
        Self { cloud, lambda, open: None }
    }

    /// Makes the function with a role and an address of its own.
    pub(crate) async fn run(&mut self, bench: Bench) -> Result<Answer, Failure> {
        self.end().await;
        let root = Principal::Root { account: bench.account.as_str().into() };
        let cx = self.cloud.context(root, &bench.account, &bench.region);
        let arn = cx.arn("lambda", format_args!("function:{}", bench.name));
        let role = role_name(&bench.name);
        // From here on the end of the connection takes everything back.
        self.open = Some((cx.clone(), bench.clone(), arn.clone()));
        let shown = api::GetFunctionInput { function_name: bench.name.clone(), ..Default::default() };
        if self.cloud.call::<api::operations::GetFunction>(&cx, shown).await.is_ok() {
            self.open = None;
            return Err(format!(
                "there is a function named {} already; give another with --name",
                bench.name
            )
            .into());
        }
        let make = iam::CreateRoleRequest {
            role_name: role.clone(),
            assume_role_policy_document: TRUST.to_owned(),
            ..Default::default()
        };
        match self.cloud.call::<iam::operations::CreateRole>(&cx, make).await {
            Ok(_) => {}
            Err(error) if error.is("EntityAlreadyExists") || error.is("EntityAlreadyExistsException") => {}
            Err(error) => return Err(error.into()),
        }
        for policy_arn in std::iter::once(LOGS.to_owned()).chain(bench.policies.iter().cloned()) {
            let attach =
                iam::AttachRolePolicyRequest { role_name: role.clone(), policy_arn, ..Default::default() };
            self.cloud.call::<iam::operations::AttachRolePolicy>(&cx, attach).await?;
        }
        let create = api::CreateFunctionInput {
            function_name: bench.name.clone(),
            runtime: Some(bench.runtime.clone()),
            handler: Some(bench.handler.clone()),
            role: format!("arn:aws:iam::{}:role/{role}", bench.account),
            code: api::FunctionCode { zip_file: Some(api::Blob::new(PLACEHOLDER)), ..Default::default() },
            timeout: Some(bench.timeout),
            memory_size: Some(bench.memory),
            environment: Some(api::Environment { variables: Some(bench.environment.clone()) }),
            ..Default::default()
        };
        self.lambda.serve_folder(&arn, Some(bench.folder.clone()));
        self.cloud.call::<api::operations::CreateFunction>(&cx, create).await?;
        let url = api::CreateFunctionUrlConfigInput {
            function_name: bench.name.clone(),
            auth_type: "NONE".to_owned(),
            ..Default::default()
        };
        let url = self.cloud.call::<api::operations::CreateFunctionUrlConfig>(&cx, url).await?;
        let visit = api::AddPermissionInput {
            function_name: bench.name.clone(),
            statement_id: "everybody".to_owned(),
            action: "lambda:InvokeFunctionUrl".to_owned(),
            principal: "*".to_owned(),
            function_url_auth_type: Some("NONE".to_owned()),
            ..Default::default()
        };
        let call = api::AddPermissionInput {
            statement_id: "everybody-calls".to_owned(),
            action: "lambda:InvokeFunction".to_owned(),
            function_url_auth_type: None,
            invoked_via_function_url: Some(true),
            ..visit.clone()
        };
        for open in [visit, call] {
            self.cloud.call::<api::operations::AddPermission>(&cx, open).await?;
        }
        Ok(Answer::Running { arn, url: url.function_url })
    }

    /// The folder has changed: the next call starts from what is there now.
    pub(crate) fn reload(&self) -> Result<Answer, Failure> {
        let (_, bench, arn) = self.open.as_ref().ok_or("nothing runs")?;
        self.lambda.serve_folder(arn, Some(bench.folder.clone()));
        Ok(Answer::Done)
    }

    /// Calls the function once.
    pub(crate) async fn invoke(&self, payload: String) -> Result<Answer, Failure> {
        let (cx, bench, _) = self.open.as_ref().ok_or("nothing runs")?;
        let input = api::InvokeInput {
            function_name: bench.name.clone(),
            payload: Some(api::Blob::new(payload.into_bytes())),
            ..Default::default()
        };
        let output = self.cloud.call::<api::operations::Invoke>(cx, input).await?;
        let payload = output.payload.map(api::Blob::into_inner).unwrap_or_default();
        Ok(Answer::Invoked {
            failed: output.function_error.is_some(),
            payload: String::from_utf8_lossy(&payload).into_owned(),
        })
    }

    /// Takes back what was made.
    pub(crate) async fn end(&mut self) {
        let Some((cx, bench, arn)) = self.open.take() else { return };
        let role = role_name(&bench.name);
        let delete = api::DeleteFunctionInput { function_name: bench.name.clone(), ..Default::default() };
        let deleted = self.cloud.call::<api::operations::DeleteFunction>(&cx, delete).await.map(|_| ());
        self.lambda.serve_folder(&arn, None);
        let mut ends = vec![deleted];
        for policy_arn in std::iter::once(LOGS.to_owned()).chain(bench.policies) {
            let detach =
                iam::DetachRolePolicyRequest { role_name: role.clone(), policy_arn, ..Default::default() };
            ends.push(self.cloud.call::<iam::operations::DetachRolePolicy>(&cx, detach).await.map(|_| ()));
        }
        let delete = iam::DeleteRoleRequest { role_name: role, ..Default::default() };
        ends.push(self.cloud.call::<iam::operations::DeleteRole>(&cx, delete).await.map(|_| ()));
        for error in ends.into_iter().filter_map(Result::err) {
            tracing::debug!(%error, "something that a folder needed was not taken back");
        }
    }
}

fn role_name(function: &str) -> String {
    format!("cloudlet-run-{}", function.chars().take(48).collect::<String>())
}
