//! The opt-out from transparent huge pages of 2 MiB. The allocator asks the kernel for them, but a server
//! with many idle connections uses only a part of each page, so they would raise its memory for nothing.

/// Turns huge pages off for all later allocations, so call it first. A failure only costs memory.
#[cfg(target_os = "linux")]
pub(crate) fn decline() {
    let _ = rustix::thread::disable_transparent_huge_pages(true);
}

/// Other kernels do not use huge pages by default.
#[cfg(not(target_os = "linux"))]
pub(crate) fn decline() {}
