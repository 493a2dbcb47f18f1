//! What `cloudlet start` says when it is ready.

use crate::config::Config;
use crate::{doctor, style};

/// The facts of a start.
pub(crate) struct Ready<'a> {
    pub(crate) config: &'a Config,
    pub(crate) endpoint: &'a str,
    pub(crate) data: &'a str,
    pub(crate) port: u16,
    pub(crate) services: &'a [&'static str],
    pub(crate) millis: u128,
    /// A root key pair, where the well-known ones are off.
    pub(crate) root: Option<(&'a str, &'a str, bool)>,
}

pub(crate) fn print(ready: &Ready<'_>) {
    let Ready { config, .. } = ready;
    println!("{} {}", style::strong("Cloudlet"), env!("CARGO_PKG_VERSION"));
    println!("  {:<10}{}   (http and https, every service)", "endpoint", style::good(ready.endpoint));
    println!("  {:<10}{}", "services", ready.services.join(" "));
    println!("  {:<10}{}", "state", ready.data);
    match ready.root {
        None => println!("  {:<10}access key test, secret test: root of account 000000000000", "keys"),
        Some((id, secret, true)) => {
            println!(
                "  {:<10}this address is beyond loopback: test/test is off. Root key, shown once:",
                "keys"
            );
            println!("  {:<10}AWS_ACCESS_KEY_ID={id} AWS_SECRET_ACCESS_KEY={secret}", "");
        }
        Some((id, _, false)) => println!("  {:<10}root key {id}, as printed at the first start", "keys"),
    }
    for (name, why) in &config.ignored {
        println!("  {:<10}{} means nothing here: {why}", "", style::warning(name));
    }
    let port = if ready.port == crate::config::DEFAULT_PORT {
        String::new()
    } else {
        format!(" --port {}", ready.port)
    };
    println!("  {:<10}eval \"$(cloudlet env{port})\"", "try");
    println!("  {:<10}in {} ms", "started", ready.millis);
    // This line, to the letter, is what Testcontainers' LocalStack modules wait for.
    println!("{}", style::good("Ready."));
}

/// Says which protections this machine lacks. It tries each, which takes longer than the whole start, so it comes after.
pub(crate) fn print_missing_protections() {
    for missing in doctor::capabilities().iter().filter(|c| !c.available) {
        println!("  {:<10}{}: {}", "missing", style::warning(&missing.name), missing.detail);
    }
}
