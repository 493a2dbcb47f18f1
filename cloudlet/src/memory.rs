//! How the system's allocator shares out the memory.

/// Lets threads share heaps, one for each processor. glibc would give nearly every thread a heap of its own, up to eight per
/// processor, and what one has freed is of no use to another: a fifth of what a busy database holds is such room.
///
/// Source: mallopt(3), `M_ARENA_MAX`. Other C libraries have no such setting.
#[cfg(target_env = "gnu")]
pub(crate) fn share_heaps() {
    use nix::libc;
    let heaps = std::thread::available_parallelism().map_or(2, usize::from).max(2);
    #[allow(unsafe_code)]
    // SAFETY: it takes two numbers and touches nothing of ours; no other thread has been started yet, as it asks for.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, libc::c_int::try_from(heaps).unwrap_or(libc::c_int::MAX));
    }
}

/// Nothing to do.
#[cfg(not(target_env = "gnu"))]
pub(crate) fn share_heaps() {}
