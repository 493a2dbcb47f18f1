//! What is let go because nobody has needed it for long.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use super::Pool;
use super::state::{Key, State};

impl Pool {
    /// Lets go of what has been idle for long. Called now and then.
    pub(crate) fn reap(self: &Arc<Self>) {
        let config = &self.machine.config;
        let mut gone = Vec::new();
        let mut blanks_gone = Vec::new();
        {
            let mut state = self.state.lock();
            let now = Instant::now();
            let spare: HashMap<Key, usize> =
                state.idle.keys().map(|key| (key.clone(), state.spare(key))).collect();
            for (key, list) in &mut state.idle {
                let mut spare = spare.get(key).copied().unwrap_or(usize::MAX);
                let is_kept = spare < usize::MAX;
                let mut stay = Vec::with_capacity(list.len());
                for mut sandbox in list.drain(..) {
                    // What is kept ready is replaced once it is of no more use.
                    let unfit = is_kept && !sandbox.is_fit();
                    let old = now.duration_since(sandbox.idle_since) > config.idle_timeout && spare > 0;
                    spare -= usize::from(old && is_kept);
                    if unfit || old { gone.push(sandbox) } else { stay.push(sandbox) }
                }
                *list = stay;
            }
            state.idle.retain(|_, list| !list.is_empty());
            let size = |state: &State| -> u64 {
                state.idle.values().flatten().map(|sandbox| u64::from(sandbox.spec.memory_mb)).sum()
            };
            while size(&state) > config.idle_memory_mb
                && let Some(oldest) = state.take_oldest_idle()
            {
                gone.push(oldest);
            }
            // Runtimes that nobody has started anything on for a while.
            for blanks in state.blanks.values_mut() {
                if now.duration_since(blanks.last_use) > config.idle_timeout {
                    blanks_gone.append(&mut blanks.ready);
                }
                let wanted = blanks.wanted(config.pool_size);
                blanks_gone.extend(blanks.ready.drain(wanted.min(blanks.ready.len())..));
            }
        }
        drop(gone);
        drop(blanks_gone);
        let keeps = !self.state.lock().kept.is_empty();
        if keeps {
            self.pump();
        }
    }
}
