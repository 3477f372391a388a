//! Peak resident memory of a process since a reset, which Linux records.

use std::fs;

use roomful_testkit::Error;

/// Resets the peak of the resident memory of process `pid`.
pub(super) fn forget_peak(pid: u32) -> Result<(), Error> {
    fs::write(format!("/proc/{pid}/clear_refs"), "5").map_err(|source| Error::Io {
        doing: "writing /proc/PID/clear_refs",
        source,
    })
}

/// The peak of the resident memory of the process `pid`, in bytes.
pub(super) fn peak(pid: u32) -> Result<u64, Error> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).map_err(|source| Error::Io {
        doing: "reading /proc/PID/status",
        source,
    })?;
    parse(&status).ok_or_else(|| Error::Server(format!("/proc/{pid}/status tells of no peak: {status:?}")))
}

fn parse(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use std::hint::black_box;

    use super::*;

    #[test]
    fn a_peak_is_kept_until_it_is_forgotten() {
        const LARGE: usize = 64 << 20;
        let pid = std::process::id();
        forget_peak(pid).unwrap();
        let before = peak(pid).unwrap();
        drop(black_box(vec![1_u8; LARGE]));
        let most = peak(pid).unwrap();
        assert!(most >= before + (LARGE as u64) / 2, "{before}, {most}");
        forget_peak(pid).unwrap();
        assert!(peak(pid).unwrap() <= most - (LARGE as u64) / 2);
    }

    #[test]
    fn a_process_that_is_no_more_has_no_peak() {
        assert_eq!(
            parse("Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t 4 kB\n"),
            Some(2 << 20)
        );
        assert_eq!(parse("Name:\tx\nState:\tZ (zombie)\n"), None);
    }
}
