//! `cloudlet logs`: what a function printed.

use crate::Failure;
use crate::cli::LogsOptions;
use crate::config::File;
use crate::control::{Answer, Ask, ask};
use crate::instance::Instance;
use std::io::Write;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How often new events are looked for.
const PAUSE: Duration = Duration::from_millis(500);

pub(crate) fn run(options: &LogsOptions, file: &File) -> Result<ExitCode, Failure> {
    let instance = options.target.resolve(file)?.running()?;
    if options.trace {
        return traces(options, &instance);
    }
    let group = match options.name.as_str() {
        name if name.starts_with('/') => name.to_owned(),
        name => format!("/aws/lambda/{name}"),
    };
    let mut since = since(&options.since)?;
    // Events of one millisecond may come in several looks: those printed are remembered until time has moved on.
    let mut printed: Vec<String> = Vec::new();
    loop {
        let mut token = None;
        loop {
            let query = Ask::Logs {
                account: options.account.clone(),
                region: options.region.clone().unwrap_or_else(|| instance.region.clone()),
                group: group.clone(),
                since,
                token: token.take(),
            };
            let Answer::Logs { events, next } = ask(&instance, &query)? else {
                return Err("the cloud gave another answer than logs".into());
            };
            let mut out = std::io::stdout().lock();
            for (at, message) in events {
                if at > since {
                    since = at;
                    printed.clear();
                } else if printed.contains(&message) {
                    continue;
                }
                writeln!(out, "{}", message.trim_end_matches('\n'))?;
                printed.push(message);
            }
            out.flush()?;
            token = next;
            if token.is_none() {
                break;
            }
        }
        if !options.follow {
            return Ok(ExitCode::SUCCESS);
        }
        std::thread::sleep(PAUSE);
    }
}

/// The time that lies this far back, in milliseconds since the epoch.
pub(crate) fn since(text: &str) -> Result<i64, Failure> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(i64::try_from(now.saturating_sub(span(text)?).as_millis()).unwrap_or(0))
}

/// Where the time of a function's invocations went.
fn traces(options: &LogsOptions, instance: &Instance) -> Result<ExitCode, Failure> {
    let function = options.name.strip_prefix("/aws/lambda/").unwrap_or(&options.name);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let since = now.saturating_sub(span(&options.since)?);
    let mut after = i64::try_from(since.as_millis()).unwrap_or(0);
    loop {
        let query = Ask::Traces {
            account: options.account.clone(),
            region: options.region.clone().unwrap_or_else(|| instance.region.clone()),
            function: function.to_owned(),
            after,
        };
        let Answer::Traces { lines } = ask(instance, &query)? else {
            return Err("the cloud gave another answer than traces".into());
        };
        let mut out = std::io::stdout().lock();
        for (at, line) in lines {
            after = after.max(at);
            writeln!(out, "{line}")?;
        }
        out.flush()?;
        drop(out);
        if !options.follow {
            return Ok(ExitCode::SUCCESS);
        }
        std::thread::sleep(PAUSE);
    }
}

/// `30s`, `10m`, `2h`, `1d`.
fn span(text: &str) -> Result<Duration, Failure> {
    let wrong = || format!("'{text}' is not a span of time; write 30s, 10m, 2h or 1d");
    let unit = text.chars().last().ok_or_else(wrong)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86400,
        _ => return Err(wrong().into()),
    };
    let number: u64 = text[..text.len() - 1].parse().map_err(|_| wrong())?;
    Ok(Duration::from_secs(number.saturating_mul(seconds)))
}

#[cfg(test)]
mod tests {
    use super::span;

    #[test]
    fn spans() {
        assert_eq!(span("2h").unwrap().as_secs(), 7200);
        for bad in ["", "h", "10", "10x", "-1s", "1é"] {
            assert!(span(bad).is_err(), "{bad}");
        }
    }
}
