//! Tables whose rows expire by age alone. Rows are removed in small commits, between which other writes get
//! their turn.

/// Rows that one commit looks at and deletes at most. The statements have the same number in their text.
pub(crate) const ROWS_PER_COMMIT: u64 = 1_000;
