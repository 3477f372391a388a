//! Calls that run to completion although their caller goes away.

use crate::error::ChatError;

/// Runs a call in a task of its own, so that it completes although its caller is dropped: what the call has
/// committed must take effect.
///
/// # Errors
/// Those of the call, and `internal` if it panics.
pub(crate) async fn run_to_completion<T: Send + 'static>(
    call: impl Future<Output = Result<T, ChatError>> + Send + 'static,
) -> Result<T, ChatError> {
    tokio::spawn(call).await.unwrap_or_else(|error| {
        tracing::error!(%error, "failed to complete a call");
        Err(ChatError::Internal)
    })
}
