//! Compaction of the store after erasures: once for all that wait.
//!
//! It rewrites the database file while other writes wait, so it must not follow every erasure of many. A
//! compaction waits its turn among the erasures and then serves all that have ended before it, while their
//! callers wait.

use std::sync::atomic::{AtomicU64, Ordering};

use roomful_store::StoreError;
use tokio::sync::Mutex;

use crate::error::ChatError;

/// Which erasures the store has been compacted after. They are numbered as they end.
#[derive(Default)]
pub(crate) struct Compaction {
    ended: AtomicU64,
    /// The last erasure that a compaction has served.
    served: Mutex<u64>,
}

impl Compaction {
    /// Returns when `compact` has run after the erasure that has just ended. Each erasure holds `erasures`;
    /// the caller holds it no more.
    ///
    /// # Errors
    /// `unavailable`, `internal`: the store failed.
    pub(super) async fn after_erasure(
        &self,
        erasures: &Mutex<()>,
        compact: impl AsyncFnOnce() -> Result<bool, StoreError>,
    ) -> Result<(), ChatError> {
        let own = self.ended.fetch_add(1, Ordering::SeqCst) + 1;
        let mut served = self.served.lock().await;
        if *served >= own {
            return Ok(());
        }
        // First come, first served: the erasures that wait by now end before.
        let turn = erasures.lock().await;
        let ended = self.ended.load(Ordering::SeqCst);
        let compacted = compact().await?;
        drop(turn);
        *served = ended;
        if !compacted {
            tracing::warn!(
                "the database file is larger than store.compact_up_to, so unused parts of it may still hold \
                 copies of erased data; stop the server and run VACUUM on the file"
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;

    use super::*;

    #[tokio::test]
    async fn one_compaction_serves_all_erasures_that_wait_for_each_other() {
        let (compaction, erasures, runs) = (Compaction::default(), Mutex::default(), AtomicU64::new(0));
        let compact = async || {
            runs.fetch_add(1, Ordering::SeqCst);
            Ok(true)
        };
        let erase = async || {
            drop(erasures.lock().await);
            compaction.after_erasure(&erasures, compact).await.unwrap();
        };
        let running = erasures.lock().await;
        let waiting = join_all([erase(), erase(), erase()]);
        // They are polled first, so all three queue up.
        tokio::join!(waiting, async { drop(running) });
        assert_eq!(runs.load(Ordering::SeqCst), 1);
        erase().await;
        assert_eq!(
            runs.load(Ordering::SeqCst),
            2,
            "it ended after the first compaction"
        );
    }

    #[tokio::test]
    async fn a_failed_compaction_serves_nobody() {
        let (compaction, erasures) = (Compaction::default(), Mutex::default());
        let failed = compaction.after_erasure(&erasures, async || Err(StoreError::Internal("full".into())));
        assert!(failed.await.is_err());
        assert_eq!(*compaction.served.lock().await, 0);
    }
}
