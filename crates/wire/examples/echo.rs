//! The protocols on standard input and output, a JSON line each; see `cloudlet_wire::echo`.

use std::io::{BufRead, Write};

fn main() -> std::io::Result<()> {
    let mut apis: Vec<&'static cloudlet_service::Api> = cloudlet_test_api::APIS.to_vec();
    apis.extend([
        &cloudlet_api_account::API,
        &cloudlet_api_dynamodb::API,
        &cloudlet_api_dynamodbstreams::API,
        &cloudlet_api_iam::API,
        &cloudlet_api_kms::API,
        &cloudlet_api_lambda::API,
        &cloudlet_api_logs::API,
        &cloudlet_api_organizations::API,
        &cloudlet_api_s3::API,
        &cloudlet_api_secretsmanager::API,
        &cloudlet_api_ssm::API,
        &cloudlet_api_sts::API,
    ]);
    let router = cloudlet_wire::Router::new(&apis);
    let mut out = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        writeln!(out, "{}", cloudlet_wire::echo::answer(&router, &apis, &line?))?;
        out.flush()?;
    }
    Ok(())
}
