//! Entry points of the fuzz targets: `cargo fuzz` compiles them with `--cfg fuzzing`, and nothing else does.

use roomful_store::{LogHead, LogPosition};

use crate::log::position::LogCursor;

/// A log of which entries up to some position are applied.
pub struct Offsets(LogCursor);

impl Offsets {
    /// A log with this epoch.
    pub fn new(epoch: &str, applied: u64) -> Self {
        let at = LogHead {
            epoch: epoch.to_owned(),
            position: LogPosition(applied),
        };
        Self(LogCursor::starting(at, true))
    }

    /// The offset of a position.
    pub fn write(&self, position: u64) -> Option<String> {
        self.0.offset(LogPosition(position))
    }

    /// The position of an offset.
    pub fn read(&self, offset: &str) -> Option<u64> {
        self.0.parse_offset(offset).map(|position| position.0)
    }
}
