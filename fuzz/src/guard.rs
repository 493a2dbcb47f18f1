//! What an input may cost: memory and processor time, measured for the whole process, because the code under test has
//! threads of its own.

use nix::time::{ClockId, clock_gettime};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// All memory that the process may hold at one time, in bytes. Beyond it allocations fail, which ends the process.
const MOST: usize = 2 << 30;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

/// The system's allocator, counting.
pub(crate) struct Counting;

impl Counting {
    fn take(size: usize) -> bool {
        let live = LIVE.fetch_add(size, Ordering::Relaxed) + size;
        if live > MOST {
            LIVE.fetch_sub(size, Ordering::Relaxed);
            return false;
        }
        PEAK.fetch_max(live, Ordering::Relaxed);
        true
    }
}

// SAFETY: every request is handed unchanged to the system's allocator, whose contract is the same; a null pointer, which
// the contract allows at any time, is returned where the count says no. Counting allocates nothing.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if !Self::take(layout.size()) {
            return std::ptr::null_mut();
        }
        // SAFETY: the caller keeps the contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if !Self::take(layout.size()) {
            return std::ptr::null_mut();
        }
        // SAFETY: as above. Untouched pages cost nothing, but are counted.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the pointer came from `System` with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// Begins to measure.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Meter {
    live: usize,
    time: Duration,
}

impl Meter {
    pub(crate) fn start() -> Self {
        let live = LIVE.load(Ordering::Relaxed);
        PEAK.store(live, Ordering::Relaxed);
        Self { live, time: processor_time() }
    }

    /// The most bytes that were held at one time beyond those of the start.
    pub(crate) fn memory(&self) -> usize {
        PEAK.load(Ordering::Relaxed).saturating_sub(self.live)
    }

    /// The processor time since the start.
    pub(crate) fn time(&self) -> Duration {
        processor_time().saturating_sub(self.time)
    }
}

/// Wall time would blame an input for what else runs on the machine.
fn processor_time() -> Duration {
    clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID).map_or(Duration::ZERO, Into::into)
}

/// Held by tests that measure, because what is measured is the whole process.
#[cfg(test)]
pub(crate) static ALONE: std::sync::Mutex<()> = std::sync::Mutex::new(());

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sees_memory_and_time() {
        let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let meter = Meter::start();
        let held = std::hint::black_box(vec![1u8; 50 << 20]);
        drop(held);
        let mut sum = 0u64;
        for i in 0..20_000_000u64 {
            sum = std::hint::black_box(sum.wrapping_add(i));
        }
        // Other tests of this process may give a little back meanwhile.
        assert!(meter.memory() >= 49 << 20, "{}", meter.memory());
        assert!(meter.time() > Duration::from_millis(1), "{:?}", meter.time());
    }
}
