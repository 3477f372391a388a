//! Ports for those who have to be told one, such as Redis, for which 0 means none, or a node that others are told of before
//! it starts.
//!
//! A port that was free a moment ago may be taken before whoever it is for gets to it: by any connection that goes out, or
//! any listener on port 0, as long as it is one of those that the system gives away. So these are none of them.

use std::{
    net::{Ipv4Addr, TcpListener},
    ops::Range,
    process,
    sync::atomic::{AtomicU32, Ordering},
};

use crate::Error;

/// Below what systems give away by themselves.
const PORTS: Range<u16> = 12_000..32_000;

/// A port of 127.0.0.1 that nobody listens on. This process is never given it again, until it has been through all.
///
/// # Errors
/// [`Error::Io`] if all are taken.
pub fn free_port() -> Result<u16, Error> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Processes that run at the same time begin at different places.
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
    outcome.map_err(Error::io("looking for a free port"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Those that the system gives away by itself, where it says so.
    fn given_away() -> Option<Range<u16>> {
        let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok()?;
        let mut ends = range.split_whitespace().map(str::parse);
        Some(ends.next()?.ok()?..ends.next()?.ok()?)
    }

    #[test]
    fn a_port_is_given_once_and_by_nobody_else() {
        let mut ports: Vec<_> = (0..100).map(|_| free_port().unwrap()).collect();
        let given_away = given_away().unwrap_or(32_768..61_000);
        assert!(!ports.iter().any(|port| given_away.contains(port)), "{ports:?}");
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), 100);
    }
}
