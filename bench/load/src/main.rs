//! The load of every throughput figure: requests signed once and sent again and again over connections that are kept, each as
//! soon as the answer to the one before has come. One thread, so that it leaves the other core to the server.
//!
//! `load --address IP:PORT [--method M] [--target /PATH] [--service s3|sts|lambda|…] [--size BYTES | --body TEXT]
//! [--type MEDIA-TYPE] [--key ID --secret SECRET] [--header TEXT]... [--connections N] [--seconds N | --count N]
//! [--rate N] [--from N]` prints one line of JSON. `{n}`
//! in the target or the body becomes the number of the connection, `{i}` that of the request, counted from `--from`; then each
//! request is signed by itself. With `--rate`, no more than so many are begun a second. Without `--service` nothing is signed. A body beyond 16 MiB is sent in pieces and not signed.

mod request;
mod wire;

use request::Asked;
use serde_json::json;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};
use wire::{Connection, Request};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

struct Options {
    address: SocketAddr,
    asked: Arc<Asked>,
    connections: usize,
    /// The number of the first request.
    from: u64,
    seconds: f64,
    /// Requests in all; without it time decides.
    count: Option<u64>,
    /// Requests a second in all, at most.
    rate: Option<f64>,
}

fn options() -> Outcome<Options> {
    let mut address = None;
    let mut asked = Asked::default();
    let (mut connections, mut seconds, mut count, mut rate, mut from) = (32, 5.0, None, None, 0);
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{name} needs a value"))?;
        match name.as_str() {
            "--address" => address = Some(value.parse()?),
            "--method" => asked.method = value,
            "--target" => asked.target = value,
            "--service" => asked.service = Some(value),
            "--size" => asked.size = value.parse()?,
            "--body" => asked.body = Some(value.into_bytes()),
            "--body-file" => asked.body = Some(std::fs::read(value)?),
            "--type" => asked.media_type = value,
            "--header" => asked.headers.push(value),
            "--key" => asked.key = value,
            "--secret" => asked.secret = value,
            "--from" => from = value.parse()?,
            "--connections" => connections = value.parse()?,
            "--seconds" => seconds = value.parse()?,
            "--count" => count = Some(value.parse()?),
            "--rate" => rate = Some(value.parse()?),
            _ => return Err(format!("unknown option {name}").into()),
        }
    }
    Ok(Options {
        address: address.ok_or("--address is missing")?,
        asked: Arc::new(asked),
        connections,
        from,
        seconds,
        count,
        rate,
    })
}

fn main() -> ExitCode {
    let run = || -> Outcome<()> {
        let options = options()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        println!("{}", runtime.block_on(load(&options))?);
        Ok(())
    };
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("load: {why}");
            ExitCode::FAILURE
        }
    }
}

/// What one connection saw.
#[derive(Default)]
struct Seen {
    /// Microseconds of each answered request.
    times: Vec<u32>,
    bytes: u64,
    /// The first answer that was no success.
    refused: Option<String>,
}

async fn load(options: &Options) -> Outcome<serde_json::Value> {
    let begun = Instant::now();
    let mut tasks = Vec::new();
    for n in 0..options.connections {
        let requests = Requests::new(options, n)?;
        // The count is dealt out evenly; the first connections take what is left over.
        let share = options.count.map(|count| {
            let (all, n) = (options.connections as u64, n as u64);
            count / all + u64::from(n < count % all)
        });
        let end = begun + Duration::from_secs_f64(options.seconds);
        let pace = options.rate.map(|rate| Duration::from_secs_f64(options.connections as f64 / rate));
        tasks.push(tokio::spawn(connection(options.address, requests, share, end, pace)));
    }
    let mut all = Seen::default();
    for task in tasks {
        let seen = task.await??;
        all.times.extend(seen.times);
        all.bytes += seen.bytes;
        all.refused = all.refused.or(seen.refused);
    }
    let seconds = begun.elapsed().as_secs_f64();
    if let Some(why) = all.refused {
        return Err(format!("the server refused: {why}").into());
    }
    all.times.sort_unstable();
    let at = |share: f64| all.times.get((all.times.len() as f64 * share) as usize).copied().unwrap_or(0);
    Ok(json!({
        "requests": all.times.len(),
        "seconds": seconds,
        "per_second": all.times.len() as f64 / seconds,
        "bytes": all.bytes,
        "p50_us": at(0.5),
        "p99_us": at(0.99),
    }))
}

/// The requests of one connection: one and the same, or each another.
enum Requests {
    Same(Request),
    Counted { asked: Arc<Asked>, address: SocketAddr, connection: usize, next: u64, step: u64 },
}

impl Requests {
    fn new(options: &Options, connection: usize) -> Outcome<Self> {
        let (asked, address) = (options.asked.clone(), options.address);
        let next = options.from + connection as u64;
        if !asked.differs() {
            return asked.sign(address, connection, next).map(Self::Same);
        }
        Ok(Self::Counted { asked, address, connection, next, step: options.connections as u64 })
    }

    /// The next one, through a place to keep it in.
    fn next<'a>(&'a mut self, kept: &'a mut Option<Request>) -> std::io::Result<&'a Request> {
        match self {
            Self::Same(request) => Ok(request),
            Self::Counted { asked, address, connection, next, step } => {
                let request = asked.sign(*address, *connection, *next);
                *next += *step;
                Ok(kept.insert(request.map_err(|why| std::io::Error::other(why.to_string()))?))
            }
        }
    }
}

/// Sends the request again and again, `pace` apart: `share` times, or until `end`.
async fn connection(
    address: SocketAddr,
    mut requests: Requests,
    share: Option<u64>,
    end: Instant,
    pace: Option<Duration>,
) -> std::io::Result<Seen> {
    let mut turns = pace.map(tokio::time::interval);
    let mut connection = Connection::open(address).await?;
    let mut seen = Seen::default();
    while share.map_or_else(|| Instant::now() < end, |share| (seen.times.len() as u64) < share) {
        if let Some(turns) = &mut turns {
            turns.tick().await;
        }
        let mut kept = None;
        let request = requests.next(&mut kept)?;
        let begun = Instant::now();
        let answer = connection.ask(request).await?;
        seen.times.push(u32::try_from(begun.elapsed().as_micros()).unwrap_or(u32::MAX));
        seen.bytes += answer.bytes;
        if let Some(why) = answer.refused {
            seen.refused = Some(why);
            break;
        }
    }
    Ok(seen)
}
