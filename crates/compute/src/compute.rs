//! The handle that the rest of the house holds.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use crate::machine::Machine;
use crate::pool::Pool;
use crate::{ComputeError, Config, FunctionSpec, Invocation, InvokeResult, LogSink};

/// How often idle sandboxes are looked through.
const REAP_EVERY: Duration = Duration::from_secs(1);

/// Runs functions. Cheap to clone; starts nothing before the first call. Lives inside of a tokio runtime.
#[derive(Clone)]
pub struct Compute {
    inner: Arc<Inner>,
}

struct Inner {
    machine: Arc<Machine>,
    pool: Arc<Pool>,
    reaping: AtomicBool,
}

/// A point-in-time picture, for status pages and throttling decisions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Sandboxes serving an invocation.
    pub busy: usize,
    /// Warm sandboxes waiting for their function's next call.
    pub idle: usize,
    /// Sandboxes being started for a waiting call.
    pub starting: usize,
    /// Invocations in line.
    pub waiting: usize,
    /// Started interpreters without code.
    pub pooled: usize,
}

impl Compute {
    /// Checks the configuration and clears what an earlier run left in the state directory.
    pub fn new(config: Config, logs: Arc<dyn LogSink>) -> Result<Self, ComputeError> {
        let machine = Arc::new(Machine::new(config, logs)?);
        let pool = Arc::new(Pool::new(machine.clone()));
        Ok(Self { inner: Arc::new(Inner { machine, pool, reaping: AtomicBool::new(false) }) })
    }

    /// Runs one invocation, waiting in line when every sandbox is busy. Dropping the returned future does not
    /// stop the function, as closing the connection does not on AWS.
    pub async fn invoke(
        &self,
        spec: Arc<FunctionSpec>,
        call: Invocation,
    ) -> Result<InvokeResult, ComputeError> {
        self.run(spec, call, true).await
    }

    /// Like [`invoke`](Self::invoke), but answers [`ComputeError::AtCapacity`] when every sandbox is busy.
    pub async fn try_invoke(
        &self,
        spec: Arc<FunctionSpec>,
        call: Invocation,
    ) -> Result<InvokeResult, ComputeError> {
        self.run(spec, call, false).await
    }

    async fn run(
        &self,
        spec: Arc<FunctionSpec>,
        call: Invocation,
        wait: bool,
    ) -> Result<InvokeResult, ComputeError> {
        self.inner.clone().keep_reaping();
        let pool = self.inner.pool.clone();
        let (answer, answered) = tokio::sync::oneshot::channel();
        tokio::spawn(async move {
            let begin = Instant::now();
            let mut sandbox = match pool.acquire(&spec, wait).await {
                Ok(sandbox) => sandbox,
                Err(error) => return drop(answer.send(Err(error))),
            };
            let queued = begin.elapsed().saturating_sub(sandbox.phases.sandbox + sandbox.phases.import);
            let (result, mut reusable) = sandbox.serve(call, queued).await;
            if !reusable || !sandbox.has_extensions() {
                // Before the answer: who asks again right away finds it.
                pool.release(sandbox, reusable);
                return drop(answer.send(Ok(result)));
            }
            // As on AWS, nobody waits for extensions but the sandbox's next call.
            let _ = answer.send(Ok(result));
            reusable = sandbox.finish().await;
            pool.release(sandbox, reusable);
        });
        answered.await.unwrap_or_else(|_| Err(ComputeError::Sandbox("the call was broken off".to_owned())))
    }

    /// Unpacks the code ahead of the first call and checks it and the runtime, as CreateFunction does while
    /// `State` is `Pending`. Also starts the runtime's first interpreters, so that the first call finds one.
    pub async fn prepare(&self, spec: Arc<FunctionSpec>) -> Result<(), ComputeError> {
        let machine = &self.inner.machine;
        machine.code(&spec).await?;
        let runtime = machine.runtime(&spec).await?;
        self.inner.pool.warm(&runtime).await;
        Ok(())
    }

    /// Keeps sandboxes of these versions of a function ready (provisioned concurrency), and of its others none.
    pub fn keep(&self, arn: &str, versions: Vec<(Arc<FunctionSpec>, usize)>) {
        self.inner.clone().keep_reaping();
        self.inner.pool.keep(arn, versions);
    }

    /// How many sandboxes of this version are ready or at work.
    pub fn ready(&self, spec: &FunctionSpec) -> usize {
        self.inner.pool.ready(spec)
    }

    /// Lets go of every warm sandbox of the function (all versions); busy ones finish their call and end then.
    pub fn forget(&self, arn: &str) {
        self.inner.pool.forget(arn);
    }

    /// What is running now.
    pub fn usage(&self) -> Usage {
        self.inner.pool.usage()
    }

    /// Ends every sandbox and the warden. Calls in line get [`ComputeError::Gone`]; calls that run end as if
    /// their sandbox had been killed.
    pub async fn shutdown(&self) {
        self.inner.pool.close();
        self.inner.machine.end().await;
    }
}

impl Inner {
    fn keep_reaping(self: Arc<Self>) {
        if self.reaping.swap(true, Ordering::Relaxed) {
            return;
        }
        let inner: Weak<Self> = Arc::downgrade(&self);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(REAP_EVERY).await;
                let Some(inner) = inner.upgrade() else { return };
                inner.pool.reap();
            }
        });
    }
}
