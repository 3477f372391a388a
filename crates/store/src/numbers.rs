//! Values that stand for numbers in a column, alike in every engine.

use crate::{ChosenStatus, EntryKind, RecordKind, RecordState, Role, RoomKind};

/// A value whose number is its place in a list. A list only ever grows at its end.
pub(crate) trait Numbered: Copy + PartialEq + 'static {
    const ALL: &'static [Self];

    fn number(self) -> i64 {
        let place = Self::ALL.iter().position(|one| *one == self);
        // Each list below is complete.
        place
            .and_then(|place| i64::try_from(place).ok())
            .unwrap_or_default()
    }

    fn of_number(number: i64) -> Option<Self> {
        let place = usize::try_from(number).ok()?;
        Self::ALL.get(place).copied()
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
    const ALL: &'static [Self] = &[Self::Member, Self::Moderator];
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
