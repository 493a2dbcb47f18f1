//! What a Java function sees and gets, on whatever Java this machine has, with AWS's own runtime interface client.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use cloudlet_compute::*;
use common::*;

const SOURCE: &str = r#"
package example;

import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.RequestHandler;
import java.io.*;
import java.util.*;

public class Handler implements RequestHandler<Map<String, Object>, Object> {
    static int calls = 0;

    public static class Order {
        public String name;
        public int count;
    }

    public Object handleRequest(Map<String, Object> event, Context context) {
        context.getLogger().log("two\nlines");
        System.out.println("printed " + event.get("a"));
        Map<String, Object> out = new TreeMap<>();
        out.put("event", event);
        out.put("calls", ++calls);
        out.put("id", context.getAwsRequestId());
        out.put("name", context.getFunctionName());
        out.put("memory", context.getMemoryLimitInMB());
        out.put("arn", context.getInvokedFunctionArn());
        out.put("left", context.getRemainingTimeInMillis());
        out.put("env", System.getenv("AWS_EXECUTION_ENV") + " " + System.getenv("MINE") + " " + System.getenv("LAMBDA_TASK_ROOT"));
        out.put("heap", Runtime.getRuntime().maxMemory() >> 20);
        out.put("secret", new File("/root/.bashrc").exists());
        return out;
    }

    public String order(Order order) {
        return order.name + "x" + order.count;
    }

    public void stream(InputStream in, OutputStream out, Context context) throws IOException {
        out.write('[');
        for (int b; (b = in.read()) >= 0; ) out.write(b);
        out.write(']');
    }

    public Object fails(Object event) {
        throw new IllegalArgumentException("not like this");
    }

    public Object exits(Object event) {
        System.exit(3);
        return null;
    }

    public Object sleeps(Object event) throws Exception {
        Thread.sleep(60_000);
        return null;
    }
}
"#;

/// A package with the handler, or `None` where this machine cannot make or run one.
fn compiled(lab: &Lab) -> Option<Vec<u8>> {
    let jar = Config::new(lab.state(), EdgeRoute::None)
        .sdk_dir
        .join("java-client-2.10.1/lib/aws-lambda-java-core-1.4.0.jar");
    let folder = lab.state().join("java");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("Handler.java"), SOURCE).unwrap();
    let javac = Command::new("javac")
        .arg("-cp")
        .arg(&jar)
        .arg("-d")
        .arg(&folder)
        .arg(folder.join("Handler.java"))
        .output();
    let Ok(output) = javac else {
        eprintln!("skipped: there is no javac here");
        return None;
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let class = |name: &str| std::fs::read(folder.join("example").join(name)).unwrap();
    let files: Vec<(PathBuf, Vec<u8>)> = ["Handler.class", "Handler$Order.class"]
        .map(|name| (PathBuf::from("example").join(name), class(name)))
        .to_vec();
    let files: Vec<_> =
        files.iter().map(|(name, bytes)| (name.to_str().unwrap(), &bytes[..], 0o644)).collect();
    Some(zip(&files))
}

fn function(lab: &Lab, package: &[u8], handler: &str) -> FunctionSpec {
    let mut spec = lab.package("java17", handler, &[]);
    std::fs::write(&spec.code.path, package).unwrap();
    spec.memory_mb = 512;
    spec.timeout = Duration::from_secs(20);
    spec.env.insert("MINE".into(), "yes".into());
    spec
}

#[tokio::test]
async fn a_java_function_runs_as_on_aws() {
    for lab in both_labs() {
        // Fetches AWS's client, where there is a Java at all.
        let probe = lab.package("java17", "a.B", &[("x", b"", 0o644)]);
        match lab.compute.prepare(Arc::new(probe)).await {
            Err(error @ ComputeError::Runtime(_)) if error.to_string().contains("no Java was found") => {
                return eprintln!("skipped: {error}");
            }
            made => made.unwrap(),
        }
        let Some(package) = compiled(&lab) else { return };
        let spec = Arc::new(function(&lab, &package, "example.Handler"));
        let first = lab.call(&spec, r#"{"a": "ü"}"#).await;
        assert_eq!(first.function_error, None, "{} {:?}", text(&first), lab.logs.all());
        let seen = json(&first);
        assert_eq!((&seen["event"]["a"], &seen["calls"]), (&serde_json::json!("ü"), &serde_json::json!(1)));
        assert_eq!(
            (&seen["name"], &seen["memory"]),
            (&serde_json::json!(spec.name), &serde_json::json!(512))
        );
        assert_eq!(seen["arn"], spec.arn);
        assert!((1..=20_000).contains(&seen["left"].as_u64().unwrap()), "{seen}");
        assert!(seen["env"].as_str().unwrap().starts_with("AWS_Lambda_java17 yes /"), "{seen}");
        // The heap follows the function's memory, not the machine's.
        assert!((300..=512).contains(&seen["heap"].as_u64().unwrap()), "{seen}");
        assert!(lab.logs.all().contains(&"two\nlines".to_owned()), "{:?}", lab.logs.all());
        assert!(lab.logs.has("printed ü"), "{:?}", lab.logs.all());
        let second = lab.call(&spec, "{}").await;
        assert_eq!((&json(&second)["calls"], &second.sandbox), (&serde_json::json!(2), &first.sandbox));

        let call = async |handler: &str, event: &str| {
            lab.call(&Arc::new(function(&lab, &package, handler)), event).await
        };
        let order = call("example.Handler::order", r#"{"name": "tea", "count": 3}"#).await;
        assert_eq!(text(&order), "\"teax3\"", "{:?}", lab.logs.all());
        assert_eq!(text(&call("example.Handler::stream", "1").await), "[1]");
        let failed = call("example.Handler::fails", "1").await;
        let why = json(&failed);
        assert_eq!(failed.function_error, Some(FunctionError::Unhandled));
        assert_eq!(
            (&why["errorType"], &why["errorMessage"]),
            (&"java.lang.IllegalArgumentException".into(), &"not like this".into())
        );
        assert!(why["stackTrace"][0].as_str().unwrap().starts_with("example.Handler.fails("), "{why}");
        let lost = call("example.Missing", "1").await;
        assert_eq!(json(&lost)["errorMessage"], "Class not found: example.Missing", "{}", text(&lost));
        let ended = call("example.Handler::exits", "1").await;
        assert!(text(&ended).contains("Runtime exited with error: exit status 3"), "{}", text(&ended));
        let mut slow = function(&lab, &package, "example.Handler::sleeps");
        slow.timeout = Duration::from_secs(4);
        let late = lab.call(&Arc::new(slow), "1").await;
        assert_eq!(json(&late)["errorType"], "Sandbox.Timedout", "{}", text(&late));
        lab.compute.shutdown().await;
    }
}
