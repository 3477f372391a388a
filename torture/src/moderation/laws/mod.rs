//! The checks of the laws. Pure: they take what the clients saw, and return violations.

pub(super) mod erasure;
pub(super) mod sanction;
pub(super) mod secret;
