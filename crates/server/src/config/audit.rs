//! Section `audit`.

use std::time::Duration;

use serde::Deserialize;

use super::{
    error::{Invalid, within},
    units::Span,
};

/// Section `audit`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Audit {
    pub(crate) keep: Span,
    pub(crate) posts: bool,
}

impl Audit {
    pub(super) fn validate(&self) -> Result<(), Invalid> {
        within(
            "audit.keep",
            self.keep,
            Span(Duration::from_hours(1))..=Span(Duration::from_hours(24 * 3_650)),
        )
    }
}
