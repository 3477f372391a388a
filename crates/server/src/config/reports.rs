//! Section `reports`.

use std::time::Duration;

use serde::Deserialize;

use super::{
    error::{Invalid, within},
    units::Span,
};

/// Section `reports`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Reports {
    pub(crate) per_day: u32,
    pub(crate) keep: Span,
}

impl Reports {
    pub(super) fn validate(&self) -> Result<(), Invalid> {
        within("reports.per_day", self.per_day, 1..=100_000)?;
        within(
            "reports.keep",
            self.keep,
            Span(Duration::from_hours(24))..=Span(Duration::from_hours(24 * 3_650)),
        )
    }
}
