//! Log lines when the node stops being ready and when it is ready again.

use std::mem::{Discriminant, discriminant};

use tokio::time::Instant;

use super::{Fault, list};

/// The present time of unreadiness, as the log has it.
#[derive(Default)]
pub(super) struct ReadinessLog {
    outage: Option<Outage>,
    /// How many clients the node had sent away when it was last ready.
    disconnected_before: u64,
}

struct Outage {
    since: Instant,
    /// The kinds of faults that the log has.
    logged: Vec<Discriminant<Fault>>,
}

impl ReadinessLog {
    /// Notes the result of a check. `disconnected` counts the clients that the node has disconnected since
    /// its start. Logs the first fault of an outage, each further kind of fault, and the end.
    pub(super) fn note(&mut self, faults: &[Fault], disconnected: u64) {
        if faults.is_empty() {
            if let Some(outage) = self.outage.take() {
                let seconds = outage.since.elapsed().as_secs();
                let clients = disconnected.saturating_sub(self.disconnected_before);
                tracing::info!(
                    seconds,
                    clients,
                    "ready again after {seconds} s, {clients} clients sent away"
                );
            }
            self.disconnected_before = disconnected;
            return;
        }
        let outage = self.outage.get_or_insert_with(|| Outage {
            since: Instant::now(),
            logged: Vec::new(),
        });
        let is_new = |fault: &Fault| !outage.logged.contains(&discriminant(fault));
        if faults.iter().any(is_new) {
            outage.logged.extend(faults.iter().map(discriminant));
            tracing::warn!("not ready: {}", list(faults));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    /// Collects the log in memory.
    #[derive(Clone, Default)]
    struct Log(Arc<parking_lot::Mutex<Vec<u8>>>);

    impl std::io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn the_log_has_the_begin_and_the_end_of_an_outage_but_not_each_check() {
        let log = Log::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        let bus = Fault::Bus("connection refused".to_owned());
        tracing::subscriber::with_default(subscriber, || {
            let mut log = ReadinessLog::default();
            log.note(&[], 5);
            for n in 0..100 {
                log.note(&[Fault::Bus(format!("refused {n}"))], 5);
            }
            for _ in 0..100 {
                log.note(&[bus.clone(), Fault::Lease], 65);
            }
            for _ in 0..100 {
                log.note(&[], 65);
            }
        });
        let text = String::from_utf8(log.0.lock().clone()).unwrap();
        let lines: Vec<_> = text.lines().collect();
        let expected = [
            ("WARN", "not ready: Redis unreachable (refused 0)"),
            (
                "WARN",
                "not ready: Redis unreachable (connection refused); no lease in the cluster",
            ),
            ("INFO", "ready again after 0 s, 60 clients sent away"),
        ];
        assert_eq!(lines.len(), expected.len(), "{text}");
        for (line, (level, message)) in lines.iter().zip(expected) {
            assert!(line.contains(level) && line.contains(message), "{text}");
        }
    }
}
