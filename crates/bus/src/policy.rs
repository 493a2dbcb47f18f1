//! How a queue is delivered, and how a delivery ends.

use std::time::Duration;

/// The rules of a queue.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// Deliveries under way at once.
    pub concurrency: usize,
    /// Deliveries under way at once to one group (one function, say).
    pub per_group: usize,
    /// The delay before the second attempt; it doubles with every further one.
    pub first_delay: Duration,
    /// The greatest delay.
    pub max_delay: Duration,
    /// Attempts in all, the first included; `None` for as many as fit the message's age.
    pub max_attempts: Option<u32>,
}

impl Default for Delivery {
    fn default() -> Self {
        Self {
            concurrency: 64,
            per_group: 64,
            first_delay: Duration::from_millis(200),
            max_delay: Duration::from_secs(300),
            max_attempts: None,
        }
    }
}

impl Delivery {
    /// The delay after `attempts` failed ones.
    pub(crate) fn delay(&self, attempts: u32) -> Duration {
        let doubled =
            self.first_delay.saturating_mul(1u32.checked_shl(attempts.saturating_sub(1)).unwrap_or(u32::MAX));
        doubled.min(self.max_delay)
    }
}

/// How a delivery ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Delivered: the message is forgotten.
    Done,
    /// To be tried again, after `after` or the queue's own delay.
    Retry {
        /// How long to wait.
        after: Option<Duration>,
        /// Why, for the log and the dead letter.
        why: String,
    },
    /// As [`Outcome::Retry`], but it does not count as an attempt: the target was busy, not broken.
    Postpone {
        /// How long to wait.
        after: Duration,
        /// Why, for the dead letter should the message grow too old.
        why: String,
    },
    /// Never to be tried again.
    Dead {
        /// Why.
        why: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_limit() {
        let delivery = Delivery {
            first_delay: Duration::from_secs(1),
            max_delay: Duration::from_secs(5),
            ..Delivery::default()
        };
        let delays: Vec<u64> = (1..6).map(|n| delivery.delay(n).as_secs()).collect();
        assert_eq!(delays, [1, 2, 4, 5, 5]);
        assert_eq!(delivery.delay(u32::MAX), Duration::from_secs(5));
    }
}
