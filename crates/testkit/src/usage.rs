//! Memory and processor time of a process, read from Linux's `/proc`.

use std::fs;
use std::time::Duration;

use crate::Error;

/// A reading of one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Resident memory in bytes.
    pub rss: u64,
    /// User and kernel time of all its threads, including ended ones.
    pub cpu: Duration,
}

impl Usage {
    /// Reads the usage of the process.
    pub fn of(pid: u32) -> Result<Self, Error> {
        let stat =
            fs::read_to_string(format!("/proc/{pid}/stat")).map_err(Error::io("reading /proc/PID/stat"))?;
        let status = fs::read_to_string(format!("/proc/{pid}/status"))
            .map_err(Error::io("reading /proc/PID/status"))?;
        Self::parse(&stat, &status)
            .ok_or_else(|| Error::Server(format!("failed to parse /proc/{pid}: {stat:?}, {status:?}")))
    }

    fn parse(stat: &str, status: &str) -> Option<Self> {
        let kib: u64 = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))?
            .trim()
            .strip_suffix(" kB")?
            .parse()
            .ok()?;
        // The name may contain spaces and parentheses, so fields count after the last parenthesis.
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
        let ticks = fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?;
        let per_second = rustix::param::clock_ticks_per_second().max(1);
        Some(Self {
            rss: kib * 1024,
            cpu: Duration::from_millis(ticks * 1000 / per_second),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_name_does_not_shift_the_fields() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 1 0 0 0 150 50 0 0 20 0 1 0 1 1 1";
        let usage = Usage::parse(stat, "Name:\tx\nVmRSS:\t    2048 kB\n").unwrap();
        assert_eq!(usage.rss, 2 << 20);
        assert_eq!(
            usage.cpu,
            Duration::from_millis(200 * 1000 / rustix::param::clock_ticks_per_second())
        );
    }

    #[test]
    fn this_process_can_be_read() {
        assert!(Usage::of(std::process::id()).unwrap().rss > 0);
    }
}
