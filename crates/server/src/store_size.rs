//! The gauge of the database's size.

use std::{sync::Arc, time::Duration};

use metrics::gauge;
use roomful_store::{Outage, Store, StoreError};
use tokio::time::sleep;

/// How often the size is measured.
const INTERVAL: Duration = Duration::from_mins(1);

/// Measures the size at intervals until the store closes.
pub(crate) async fn watch(store: Arc<dyn Store>) {
    loop {
        match store.size().await {
            #[expect(clippy::cast_precision_loss, reason = "exact for any real database")]
            Ok(bytes) => gauge!("roomful_store_bytes").set(bytes as f64),
            Err(StoreError::Unavailable(Outage::Closed)) => return,
            Err(error) => tracing::debug!(%error, "failed to measure the database, retrying"),
        }
        sleep(INTERVAL).await;
    }
}
