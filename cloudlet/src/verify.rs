//! `cloudlet doctor --verify`: every stored object's bytes against its checksum.
//!
//! A running cloud checks its own; without one the data directory is opened for the time it takes.

use crate::cloud::{open_store, verified};
use crate::config::{Config, Place};
use crate::control::{Answer, Ask, ask};
use crate::{Failure, instance, style};
use std::io::{IsTerminal, Write};
use std::process::ExitCode;

/// Exit code 1 where something is damaged.
pub(crate) fn run(config: &Config) -> Result<ExitCode, Failure> {
    if let Some(running) = instance::all().into_iter().find(|i| i.port == config.port) {
        println!("checking what the cloud on port {} holds", running.port);
        return walk(|after| ask(&running, &Ask::Verify { after }));
    }
    let Place::Data(dir) = &config.place else {
        return Err("no cloud runs on that port, and a temporary state is forgotten with its cloud".into());
    };
    if !dir.exists() {
        return Err(format!("{} holds nothing yet", dir.display()).into());
    }
    println!("checking {}", dir.display());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let _inside = runtime.enter();
    let store = open_store(config)?;
    let code = walk(|after| Ok(verified(runtime.block_on(cloudlet_s3::verify(&store, after.as_deref()))?)));
    store.close();
    code
}

/// Batch after batch, with a line that says how far it is.
fn walk(mut batch: impl FnMut(Option<String>) -> Result<Answer, Failure>) -> Result<ExitCode, Failure> {
    let (mut objects, mut all_bytes, mut all_sealed, mut flaws) = (0, 0, 0, 0);
    let mut after = None;
    let shows = std::io::stdout().is_terminal();
    loop {
        let Answer::Verified { checked, bytes, sealed, damaged, next } = batch(after)? else {
            return Err("the cloud gave another answer than what it found".into());
        };
        objects += checked;
        all_bytes += bytes;
        all_sealed += sealed;
        flaws += damaged.len();
        if shows {
            print!("\r\x1b[K");
        }
        for (object, why) in damaged {
            println!("{} {object}: {why}", style::error("✗"));
        }
        if shows && next.is_some() {
            print!("  {objects} objects, {} MiB", all_bytes >> 20);
            std::io::stdout().flush()?;
        }
        if next.is_none() {
            break;
        }
        after = next;
    }
    let sealed = match all_sealed {
        0 => String::new(),
        n => format!(
            "; {n} were encrypted before sums of encrypted bytes were kept, so only their length was checked"
        ),
    };
    if flaws == 0 {
        println!("{} {objects} objects with {all_bytes} bytes are what they were{sealed}", style::good("✓"));
        return Ok(ExitCode::SUCCESS);
    }
    println!("{} {flaws} of {objects} objects are damaged{sealed}", style::error("✗"));
    Ok(ExitCode::FAILURE)
}
