//! Free ports for programs that cannot bind port 0, such as Redis, or whose address others need before
//! they start.
//!
//! An outgoing connection or a listener on port 0 could take a free port of the ephemeral range before
//! the program binds it. So these ports lie outside of that range.

use std::{
    net::{Ipv4Addr, TcpListener},
    ops::Range,
    process,
    sync::atomic::{AtomicU32, Ordering},
};

use crate::Error;

/// Below the ephemeral range of common systems.
const PORTS: Range<u16> = 12_000..32_000;

/// A port of 127.0.0.1 without a listener. The process gets each port once until it has used all of them.
///
/// # Errors
/// [`Error::Io`] if all are taken.
pub fn free_port() -> Result<u16, Error> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Concurrent processes start at different ports.
    let (count, start) = (u32::from(PORTS.end - PORTS.start), process::id().wrapping_mul(97));
    let mut outcome = Err(std::io::ErrorKind::AddrInUse.into());
    for _ in 0..count {
        let nth = start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % count;
        let port = PORTS.start + u16::try_from(nth).unwrap_or_default();
        outcome = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map(|_| port);
        if outcome.is_ok() {
            break;
        }
    }
    outcome.map_err(Error::io("finding a free port"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The ephemeral range of this system, if it can be read.
    fn ephemeral_range() -> Option<Range<u16>> {
        let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok()?;
        let mut ends = range.split_whitespace().map(str::parse);
        Some(ends.next()?.ok()?..ends.next()?.ok()?)
    }

    #[test]
    fn ports_are_unique_and_not_ephemeral() {
        let mut ports: Vec<_> = (0..100).map(|_| free_port().unwrap()).collect();
        let ephemeral = ephemeral_range().unwrap_or(32_768..61_000);
        assert!(!ports.iter().any(|port| ephemeral.contains(port)), "{ports:?}");
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), 100);
    }
}
