//! `cloudlet start`: from a configuration to a running cloud, and to its orderly end.

use crate::cloud::Running;
use crate::config::{Config, Place};
use crate::instance::{self, Instance};
use crate::{Failure, banner, detach, doctor, paths};
use std::process::ExitCode;
use std::time::Instant;
use tokio::signal::unix::{SignalKind, signal};

/// Runs the cloud until it is told to end.
pub(crate) fn run(config: Config) -> Result<ExitCode, Failure> {
    if config.detach {
        return detach::run(&config);
    }
    let begun = Instant::now();
    log(&config.log)?;
    let files = cloudlet_compute::raise_file_limit();
    tracing::debug!(files, "so many files may be open at once");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().thread_name("cloudlet").build()?;
    runtime.block_on(serve(config, begun))?;
    // What is left are connections of clients that do not let go; they have been given their time.
    runtime.shutdown_background();
    Ok(ExitCode::SUCCESS)
}

async fn serve(config: Config, begun: Instant) -> Result<(), Failure> {
    instance::prepare()?;
    // From here on a first Ctrl-C is an orderly end.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let running = match Running::start(&config).await {
        Ok(running) => running,
        Err(why) => return Err(explain(why)),
    };
    let keys = running.keys();
    let announced = Instance {
        pid: i32::try_from(std::process::id())?,
        port: running.port(),
        endpoint: running.endpoint().to_owned(),
        data: running.place(),
        region: config.region.clone(),
        access_key_id: keys.access_key_id.clone(),
        secret_access_key: keys.secret.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started: running.millis() / 1000,
    };
    let control = running.take_commands()?;
    let guard = instance::announce(&announced)?;
    banner::print(&banner::Ready {
        config: &config,
        endpoint: running.endpoint(),
        data: &announced.data,
        port: announced.port,
        services: &running.services(),
        millis: begun.elapsed().as_millis(),
        root: keys.made.map(|created| (keys.access_key_id.as_str(), keys.secret.as_str(), created)),
    });
    std::thread::spawn(banner::print_missing_protections);
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        println!("Finishing what has begun …");
    };
    running.serve_until(stop).await;
    control.abort();
    drop(guard);
    Ok(())
}

/// Adds to a failed start what the user can do about it.
fn explain(why: Failure) -> Failure {
    match why.downcast_ref::<cloudlet_edge::EdgeError>() {
        Some(cloudlet_edge::EdgeError::PortTaken(address)) => {
            let port = address.port();
            let holder = doctor::holder(port);
            format!("port {port} is taken{holder}; stop that program or choose another port with --port")
                .into()
        }
        _ => why,
    }
}

fn log(filter: &str) -> Result<(), Failure> {
    let filter = tracing_subscriber::EnvFilter::try_new(filter).map_err(|e| {
        format!("--log {filter} is not understood: {e}; write for example info or warn,cloudlet_s3=debug")
    })?;
    let terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let ansi = terminal && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(ansi).init();
    Ok(())
}

/// `cloudlet ca`: prints the local authority's certificate, making it where there is none yet.
pub(crate) fn print_ca(config: &Config) -> Result<ExitCode, Failure> {
    print!("{}", cloudlet_edge::ca_pem(&authority(&config.place))?);
    Ok(ExitCode::SUCCESS)
}

/// Where the local certificate authority is kept. A cloud that forgets uses the user's own, so that a client has to
/// trust it only once.
pub(crate) fn authority(place: &Place) -> std::path::PathBuf {
    match place {
        Place::Data(dir) => dir.join("ca"),
        Place::Ephemeral => paths::data().join("ca"),
    }
}
