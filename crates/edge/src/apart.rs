//! Large documents keep a thread busy for milliseconds: they are parsed, checked and written in one go. On threads that are as
//! many as the processors, everybody else would wait for that; on a thread of its own it is the system that shares the time.

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::Semaphore;

/// A body of so many bytes is large.
pub(crate) const LARGE: usize = 64 << 10;

/// How many work apart at once. Some, such as calls of functions, take long, and threads are not for waiting.
static PLACES: Semaphore = Semaphore::const_new(4);

/// Does the work apart if there is a place, else like any other.
pub(crate) async fn apart<T>(work: impl Future<Output = T>) -> T {
    let runtime = Handle::current();
    if runtime.runtime_flavor() != RuntimeFlavor::MultiThread {
        return work.await;
    }
    let Ok(_place) = PLACES.try_acquire() else { return work.await };
    tokio::task::block_in_place(|| runtime.block_on(work))
}
