//! Service-linked roles: roles that a service owns and defines.

use crate::{Iam, errors, shown};
use cloudlet_api_iam::*;
use cloudlet_identity::managed;
use cloudlet_identity::records::{Permissions, Role, named};
use cloudlet_service::Context;
use cloudlet_store::{Key, Record};
use serde::{Deserialize, Serialize};

/// What services call their roles, and the managed policy each gets where we carry it.
/// Source: the services' own guides, "Using service-linked roles".
const NAMES: &[(&str, &str, &str)] = &[
    ("autoscaling", "AutoScaling", "AutoScalingServiceRolePolicy"),
    ("elasticloadbalancing", "ElasticLoadBalancing", "AWSElasticLoadBalancingServiceRolePolicy"),
    ("ecs", "ECS", "AmazonECSServiceRolePolicy"),
    ("rds", "RDS", "AmazonRDSServiceRolePolicy"),
    ("eks", "AmazonEKS", "AmazonEKSServiceRolePolicy"),
    ("trustedadvisor", "TrustedAdvisor", "AWSTrustedAdvisorServiceRolePolicy"),
    ("organizations", "Organizations", "AWSOrganizationsServiceTrustPolicy"),
    ("replication.dynamodb", "DynamoDBReplication", "DynamoDBReplicationServiceRolePolicy"),
    ("elasticache", "ElastiCache", "ElastiCacheServiceRolePolicy"),
    ("opensearchservice", "AmazonOpenSearchService", "AmazonOpenSearchServiceRolePolicy"),
    ("es", "AmazonElasticsearchService", ""),
    ("ops.apigateway", "APIGateway", "APIGatewayServiceRolePolicy"),
    (
        "ecs.application-autoscaling",
        "ApplicationAutoScaling_ECSService",
        "AWSApplicationAutoscalingECSServicePolicy",
    ),
    (
        "dynamodb.application-autoscaling",
        "ApplicationAutoScaling_DynamoDBTable",
        "AWSApplicationAutoscalingDynamoDBTablePolicy",
    ),
    ("lambda.application-autoscaling", "ApplicationAutoScaling_LambdaConcurrency", ""),
    ("replicator.lambda", "LambdaReplicator", "AWSLambdaReplicator"),
    ("spot", "EC2Spot", ""),
    ("spotfleet", "EC2SpotFleet", ""),
    ("ec2fleet", "EC2Fleet", ""),
    ("lex", "LexBots", ""),
    ("kafka", "Kafka", ""),
    ("redshift", "Redshift", ""),
    ("batch", "Batch", "BatchServiceRolePolicy"),
    ("sso", "SSO", ""),
    ("ssm", "AmazonSSM", ""),
    ("cloudtrail", "CloudTrail", ""),
    ("config", "Config", ""),
    ("guardduty", "AmazonGuardDuty", ""),
    ("backup", "Backup", ""),
    ("events", "CloudWatchEvents", ""),
    ("acm", "CertificateManager", "CertificateManagerServiceRolePolicy"),
    ("autoscaling-plans", "AutoScalingPlans_EC2AutoScaling", "AWSAutoScalingPlansEC2AutoScalingPolicy"),
    (
        "cks.kms",
        "KeyManagementServiceCustomKeyStores",
        "AWSKeyManagementServiceCustomKeyStoresServiceRolePolicy",
    ),
    ("connect", "AmazonConnect", "AmazonConnectServiceLinkedRolePolicy"),
    (
        "ec2.application-autoscaling",
        "ApplicationAutoScaling_EC2SpotFleetRequest",
        "AWSApplicationAutoscalingEC2SpotFleetRequestPolicy",
    ),
    ("eks-fargate", "AmazonEKSForFargate", "AmazonEKSForFargateServiceRolePolicy"),
    ("eks-nodegroup", "AmazonEKSNodegroup", "AWSServiceRoleForAmazonEKSNodegroup"),
    ("elasticbeanstalk", "ElasticBeanstalk", "AWSElasticBeanstalkServiceRolePolicy"),
    ("elasticfilesystem", "AmazonElasticFileSystem", "AmazonElasticFileSystemServiceRolePolicy"),
    ("email.cognito-idp", "AmazonCognitoIdpEmailService", "AmazonCognitoIdpEmailServiceRolePolicy"),
    ("imagebuilder", "ImageBuilder", "AWSServiceRoleForImageBuilder"),
    ("lakeformation", "LakeFormationDataAccess", "LakeFormationDataAccessServiceRolePolicy"),
    ("lexv2", "LexV2Bots", "AmazonLexV2BotPolicy"),
    ("mq", "AmazonMQ", "AmazonMQServiceRolePolicy"),
    (
        "mrk.kms",
        "KeyManagementServiceMultiRegionKeys",
        "AWSKeyManagementServiceMultiRegionKeysServiceRolePolicy",
    ),
    ("ram", "ResourceAccessManager", "AWSResourceAccessManagerServiceRolePolicy"),
    ("waf", "WAFLogging", "WAFLoggingServiceRolePolicy"),
    ("wafv2", "WAFV2Logging", "WAFV2LoggingServiceRolePolicy"),
];

/// A deletion that was asked for.
#[derive(Serialize, Deserialize, Clone)]
struct Deletion {
    id: String,
}

impl Record for Deletion {
    const TABLE: &'static str = "iam.role_deletions";
}

impl Iam {
    /// Creates the role of a service.
    ///
    /// Errors: `InvalidInput` for a role that is there and for a service without such roles.
    pub async fn create_service_linked_role(
        &self,
        cx: &Context,
        input: CreateServiceLinkedRoleInput,
    ) -> Result<CreateServiceLinkedRoleOutput, Error> {
        let service = &input.aws_service_name;
        let label = service.strip_suffix(".amazonaws.com").or_else(|| service.strip_suffix(".amazon.com"));
        let known = label.and_then(|label| NAMES.iter().find(|(known, _, _)| *known == label));
        let (_, title, policy) = known.ok_or_else(|| {
            errors::bad_input(format!("Service-linked roles are not supported for the service {service}."))
        })?;
        let mut name = format!("AWSServiceRoleFor{title}");
        if let Some(suffix) = &input.custom_suffix {
            if !matches!(*title, "AutoScaling" | "AmazonConnect" | "LexBots" | "LexV2Bots") {
                return Err(errors::bad_input(format!("Custom suffix is not allowed for {service}")));
            }
            name = format!("{name}_{suffix}");
        }
        if self.find::<Role>(cx, &name)?.is_some() {
            return Err(errors::bad_input(format!(
                "Service role name {name} has been taken in this account, please try a different suffix."
            )));
        }
        let arn = format!("arn:aws:iam::aws:policy/aws-service-role/{policy}");
        let role = Role {
            account: cx.account.to_string(),
            name,
            path: format!("/aws-service-role/{service}/"),
            id: cx.random().unique_id("AROA"),
            created: cx.millis(),
            trust: format!(
                r#"{{"Version":"2012-10-17","Statement":[{{"Action":["sts:AssumeRole"],"Effect":"Allow","Principal":{{"Service":["{service}"]}}}}]}}"#
            ),
            description: input.description,
            max_session: 3_600,
            permissions: Permissions {
                attached: managed::by_arn(&arn).map(|_| arn).into_iter().collect(),
                ..Permissions::default()
            },
            tags: Vec::new(),
            linked_to: Some(service.clone()),
        };
        self.add_role(&role).await?;
        Ok(CreateServiceLinkedRoleOutput { role: Some(shown::role_created(&role)) })
    }

    /// Deletes the role of a service. No service here keeps resources that need one, so that it is done at once.
    ///
    /// Errors: `NoSuchEntity`.
    pub async fn delete_service_linked_role(
        &self,
        cx: &Context,
        input: DeleteServiceLinkedRoleInput,
    ) -> Result<DeleteServiceLinkedRoleOutput, Error> {
        let key = named(&cx.account, &input.role_name);
        let ticket = cx.random().uuid();
        let id = self
            .change(|tx| {
                let role = tx.get::<Role>(&key)?.filter(|role| role.linked_to.is_some());
                let role = role.ok_or_else(|| crate::state::missing::<Role>(&input.role_name))?;
                let id = format!("task{}{}/{ticket}", role.path, role.name);
                tx.delete::<Role>(&key)?;
                tx.put(&Key::new().text(&cx.account).text(&id), &Deletion { id: id.clone() })?;
                Ok(id)
            })
            .await?;
        Ok(DeleteServiceLinkedRoleOutput { deletion_task_id: id })
    }

    /// Tells how a deletion went.
    ///
    /// Errors: `NoSuchEntity`.
    pub async fn get_service_linked_role_deletion_status(
        &self,
        cx: &Context,
        input: GetServiceLinkedRoleDeletionStatusInput,
    ) -> Result<GetServiceLinkedRoleDeletionStatusOutput, Error> {
        let key = Key::new().text(&cx.account).text(&input.deletion_task_id);
        let known = self.store().table::<Deletion>().exists(&key).map_err(Error::internal)?;
        if !known {
            return Err(errors::no_such(format!(
                "Deletion task {} cannot be found.",
                input.deletion_task_id
            )));
        }
        Ok(GetServiceLinkedRoleDeletionStatusOutput { status: "SUCCEEDED".to_owned(), reason: None })
    }
}
