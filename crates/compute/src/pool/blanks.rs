//! Interpreters that are up and isolated before their code is known.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Pool;
use crate::machine::Blank;
use crate::runtimes::Runtime;

/// Interpreters kept ready beyond the configured number, while many are taken.
const MOST_EXTRA: usize = 6;
/// How long a taken interpreter counts as demand.
const DEMAND: Duration = Duration::from_secs(2);

/// Those of one runtime.
pub(super) struct Blanks {
    pub(super) ready: Vec<Blank>,
    coming: usize,
    pub(super) last_use: Instant,
    /// When interpreters were taken lately.
    taken: VecDeque<Instant>,
}

impl Blanks {
    fn new() -> Self {
        Self { ready: Vec::new(), coming: 0, last_use: Instant::now(), taken: VecDeque::new() }
    }

    /// How many to keep ready: the more, the more have been taken lately.
    pub(super) fn wanted(&mut self, configured: usize) -> usize {
        while self.taken.front().is_some_and(|at| at.elapsed() > DEMAND) {
            self.taken.pop_front();
        }
        configured + (self.taken.len() / 4).min(MOST_EXTRA)
    }
}

impl Pool {
    /// Makes sure that interpreters of this runtime are on their way.
    pub(crate) async fn warm(self: &Arc<Self>, runtime: &Arc<Runtime>) {
        if self.keeps_blanks(runtime).await {
            self.refill(runtime);
        }
    }

    pub(super) async fn keeps_blanks(&self, runtime: &Runtime) -> bool {
        self.machine.config.pool_size > 0 && self.machine.can_start_ahead(runtime).await
    }

    /// A waiting interpreter, if there is one.
    pub(super) fn take_blank(&self, runtime: &Runtime) -> Option<Blank> {
        let mut state = self.state.lock();
        let blanks = state.blanks.entry(runtime.key.clone()).or_insert_with(Blanks::new);
        blanks.last_use = Instant::now();
        blanks.taken.push_back(blanks.last_use);
        while let Some(mut candidate) = blanks.ready.pop() {
            if candidate.events.try_recv().is_err() {
                return Some(candidate);
            }
        }
        None
    }

    /// Orders as many interpreters as are missing.
    pub(super) fn refill(self: &Arc<Self>, runtime: &Arc<Runtime>) {
        let missing = {
            let mut state = self.state.lock();
            if state.closed {
                return;
            }
            let blanks = state.blanks.entry(runtime.key.clone()).or_insert_with(Blanks::new);
            let have = blanks.ready.len() + blanks.coming;
            let missing = blanks.wanted(self.machine.config.pool_size).saturating_sub(have);
            blanks.coming += missing;
            missing
        };
        for _ in 0..missing {
            let (pool, runtime) = (self.clone(), runtime.clone());
            tokio::spawn(async move {
                let raised = pool.machine.raise(&runtime, true).await;
                let mut state = pool.state.lock();
                let closed = state.closed;
                if let Some(blanks) = state.blanks.get_mut(&runtime.key) {
                    blanks.coming = blanks.coming.saturating_sub(1);
                    match raised {
                        Ok(blank) if !closed => blanks.ready.push(blank),
                        Ok(blank) => {
                            drop(state);
                            drop(blank);
                        }
                        Err(error) => tracing::warn!(%error, "an interpreter could not be started ahead"),
                    }
                }
            });
        }
    }
}
