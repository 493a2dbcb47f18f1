//! Time and randomness come from here only, so that a test can own both.

use aws_smithy_types::DateTime;
use rand::{Rng, RngExt, SeedableRng};
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Where the time comes from.
pub trait Clock: Send + Sync + 'static {
    /// Milliseconds since the Unix epoch.
    fn millis(&self) -> i64;

    /// Seconds since the Unix epoch.
    fn seconds(&self) -> i64 {
        self.millis().div_euclid(1000)
    }

    /// The same instant as the type that generated shapes carry, with millisecond precision.
    fn now(&self) -> DateTime {
        DateTime::from_millis(self.millis())
    }
}

/// The machine's clock, which an operator may move forward (`advance`) to see what time does.
#[derive(Default)]
pub struct SystemClock {
    offset: AtomicI64,
}

impl SystemClock {
    /// Moves the clock forward; state that depends on the time follows at its next look.
    pub fn advance(&self, by: Duration) {
        self.offset.fetch_add(by.as_millis() as i64, Ordering::Relaxed);
    }
}

impl Clock for SystemClock {
    fn millis(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        since.as_millis() as i64 + self.offset.load(Ordering::Relaxed)
    }
}

/// A clock that stands still until a test moves it.
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// Starts at this many milliseconds since the Unix epoch.
    pub fn at(millis: i64) -> Self {
        Self(AtomicI64::new(millis))
    }

    /// Moves the clock.
    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(by.as_millis() as i64, Ordering::Relaxed);
    }
}

impl Clock for ManualClock {
    fn millis(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Where randomness comes from.
pub trait Randomness: Send + Sync + 'static {
    /// Fills the buffer; the system source is fit for keys.
    fn fill(&self, buffer: &mut [u8]);
}

impl dyn Randomness {
    /// `len` characters drawn from `alphabet` (at most 256 of them), without bias.
    pub fn text(&self, len: usize, alphabet: &[u8]) -> String {
        let mut out = String::with_capacity(len);
        if alphabet.is_empty() || alphabet.len() > 256 {
            return out;
        }
        let fair = 256 - 256 % alphabet.len();
        let mut buffer = [0u8; 64];
        while out.len() < len {
            self.fill(&mut buffer);
            for byte in buffer {
                if out.len() < len && usize::from(byte) < fair {
                    out.push(char::from(alphabet[usize::from(byte) % alphabet.len()]));
                }
            }
        }
        out
    }

    /// A random (version 4) UUID in its usual form.
    pub fn uuid(&self) -> String {
        let mut b = [0u8; 16];
        self.fill(&mut b);
        b[6] = (b[6] & 0x0f) | 0x40;
        b[8] = (b[8] & 0x3f) | 0x80;
        let h = hex::encode(b);
        format!("{}-{}-{}-{}-{}", &h[..8], &h[8..12], &h[12..16], &h[16..20], &h[20..])
    }

    /// A unique id as IAM makes them: a four-letter prefix and 17 of `A-Z2-7`.
    /// Source: IAM User Guide, "IAM identifiers", unique identifiers.
    pub fn unique_id(&self, prefix: &str) -> String {
        format!("{prefix}{}", self.text(17, b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"))
    }
}

/// The thread's cryptographic generator, seeded by the operating system.
pub struct SystemRandomness;

impl Randomness for SystemRandomness {
    fn fill(&self, buffer: &mut [u8]) {
        rand::rng().fill_bytes(buffer);
    }
}

/// Reproducible randomness for tests.
pub struct Seeded(Mutex<rand::rngs::StdRng>);

impl Seeded {
    /// The same seed gives the same bytes.
    pub fn new(seed: u64) -> Self {
        Self(Mutex::new(rand::rngs::StdRng::seed_from_u64(seed)))
    }
}

impl Randomness for Seeded {
    fn fill(&self, buffer: &mut [u8]) {
        let mut rng = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        rng.fill(buffer);
    }
}
