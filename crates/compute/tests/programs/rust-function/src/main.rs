//! A function as people write them in Rust.

use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use serde_json::{Value, json};

async fn handler(event: LambdaEvent<Value>) -> Result<Value, Error> {
    println!("saw {}", event.payload);
    if event.payload == "fail" {
        return Err("not today".into());
    }
    if event.payload == "panic" {
        panic!("at the disco");
    }
    let context = event.context;
    Ok(json!({
        "got": event.payload,
        "id": context.request_id,
        "arn": context.invoked_function_arn,
        "deadline": context.deadline,
        "function": context.env_config.function_name,
        "memory": context.env_config.memory,
        "trace": context.xray_trace_id,
    }))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    run(service_fn(handler)).await
}
