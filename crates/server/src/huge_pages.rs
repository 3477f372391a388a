//! Huge pages, 2 MiB each: the allocator asks the kernel for them. A server with many silent connections touches a little of
//! each, and would hold the rest of it for nothing.

/// Does without them from now on; so it comes first. Where it fails, the process takes more memory.
#[cfg(target_os = "linux")]
pub(crate) fn decline() {
    let _ = rustix::thread::disable_transparent_huge_pages(true);
}

/// Other kernels don't hand them out unasked.
#[cfg(not(target_os = "linux"))]
pub(crate) fn decline() {}
