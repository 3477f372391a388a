//! Values that columns hold as numbers, the same in both stores.

use crate::{ChosenStatus, EntryKind, RecordKind, RecordState, ReportState, Role, RoomKind, SanctionKind};

/// A sequence number or position as a column holds it. Columns are signed, so a number beyond their range,
/// which only a client can make up, becomes the largest one.
pub(crate) fn column(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A value that a column holds as its index in a list. A list only ever grows at its end.
pub(crate) trait Numbered: Copy + PartialEq + 'static {
    const ALL: &'static [Self];

    fn number(self) -> i64 {
        let index = Self::ALL.iter().position(|one| *one == self);
        // Each list below is complete.
        index
            .and_then(|index| i64::try_from(index).ok())
            .unwrap_or_default()
    }

    fn of_number(number: i64) -> Option<Self> {
        let index = usize::try_from(number).ok()?;
        Self::ALL.get(index).copied()
    }
}

impl Numbered for EntryKind {
    const ALL: &'static [Self] = &[
        Self::Message,
        Self::Edit,
        Self::Delete,
        Self::Reaction { removed: false },
        Self::Reaction { removed: true },
        Self::Control,
    ];
}

impl Numbered for RoomKind {
    const ALL: &'static [Self] = &[Self::Public, Self::Private];
}

impl Numbered for Role {
    const ALL: &'static [Self] = &[Self::Member, Self::Moderator, Self::Owner];
}

impl Numbered for ChosenStatus {
    const ALL: &'static [Self] = &[Self::Online, Self::Away, Self::Busy, Self::Invisible];
}

impl Numbered for RecordKind {
    const ALL: &'static [Self] = &Self::ALL;
}

impl Numbered for RecordState {
    const ALL: &'static [Self] = &Self::ALL;
}

impl Numbered for ReportState {
    const ALL: &'static [Self] = &Self::ALL;
}

impl Numbered for SanctionKind {
    const ALL: &'static [Self] = &Self::ALL;
}
