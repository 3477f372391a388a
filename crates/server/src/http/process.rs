//! Figures of the process itself, read from Linux's `/proc`. Other systems do not report them.

use std::fs;

/// A reading of the operating system's figures. `None` where the system does not tell.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Process {
    /// Resident memory, in bytes.
    pub(super) resident_bytes: Option<u64>,
    /// Open files, including connections.
    pub(super) open_files: Option<u64>,
    /// The soft limit on open files.
    pub(super) max_files: Option<u64>,
    /// Processor time used, in hundredths of a second.
    pub(super) cpu_centiseconds: Option<u64>,
    pub(super) threads: Option<u64>,
}

impl Process {
    /// Reads the current figures.
    pub(super) fn read() -> Self {
        let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
        // The second field, the name in brackets, may contain spaces. The field after it is number 3
        // (proc(5)).
        let fields: Vec<&str> = stat
            .rsplit(')')
            .next()
            .unwrap_or_default()
            .split_whitespace()
            .collect();
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        let ticks = rustix::param::clock_ticks_per_second().max(1);
        let cpu = field(14)
            .zip(field(15))
            .map(|(user, system)| (user + system) * 100 / ticks);
        Process {
            resident_bytes: field(24).map(|pages| pages * rustix::param::page_size() as u64),
            open_files: fs::read_dir("/proc/self/fd")
                .ok()
                .map(|files| files.count() as u64),
            max_files: rustix::process::getrlimit(rustix::process::Resource::Nofile).current,
            cpu_centiseconds: cpu,
            threads: field(20),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn figures_are_plausible() {
        let process = Process::read();
        assert!(
            (1 << 20..1 << 36).contains(&process.resident_bytes.unwrap()),
            "{process:?}"
        );
        assert!(
            process.open_files.unwrap() > 2 && process.max_files.unwrap() > 2,
            "{process:?}"
        );
        assert!(
            process.threads.unwrap() > 0 && process.cpu_centiseconds.is_some(),
            "{process:?}"
        );
    }
}
