//! The baseline of every throughput figure: hyper answering the same body to every request, looking at nothing.
//!
//! `baseline [--port N] [--size BYTES] [--workers N] [--s3 1]` listens on 127.0.0.1, prints its address and runs until it is
//! killed. Its runtime has the shape of the front door's, so that a ratio of the two measures only the work between. With
//! `--s3 1` it answers what copying an object to and from S3 asks, and keeps nothing.

mod discard;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::process::ExitCode;
use tokio::net::TcpListener;

/// What the command line says.
struct Options {
    port: u16,
    size: usize,
    workers: usize,
    /// Whether it plays an S3 that keeps nothing.
    s3: bool,
}

fn options() -> Result<Options, String> {
    let mut options = Options { port: 0, size: 1024, workers: 2, s3: false };
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{name} needs a number"))?;
        let wrong = |e| format!("{name} {value}: {e}");
        match name.as_str() {
            "--port" => options.port = value.parse().map_err(wrong)?,
            "--size" => options.size = value.parse().map_err(wrong)?,
            "--workers" => options.workers = value.parse().map_err(wrong)?,
            "--s3" => options.s3 = value == "1",
            _ => return Err(format!("unknown option {name}; know --port, --size, --workers and --s3")),
        }
    }
    Ok(options)
}

fn main() -> ExitCode {
    let run = || -> Result<(), String> {
        let options = options()?;
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(options.workers.max(1)).enable_all().build();
        runtime.map_err(|e| e.to_string())?.block_on(serve(options)).map_err(|e| e.to_string())
    };
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("baseline: {why}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(options: Options) -> std::io::Result<()> {
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], options.port))).await?;
    println!("listening on {}", listener.local_addr()?);
    let size = options.size as u64;
    let body = if options.s3 { discard::zeros() } else { Bytes::from(vec![b'x'; options.size]) };
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let body = body.clone();
        tokio::spawn(async move {
            let answer = service_fn(move |request: Request<Incoming>| {
                let body = body.clone();
                async move {
                    if options.s3 {
                        return Ok(discard::answer(request, size, &body).await);
                    }
                    // A body must be taken off the connection, or it cannot be kept alive.
                    let mut incoming = request.into_body();
                    while let Some(Ok(_)) = incoming.frame().await {}
                    Ok::<_, Infallible>(Response::new(Full::new(body)))
                }
            });
            // A client that leaves is no news here.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
        });
    }
}
