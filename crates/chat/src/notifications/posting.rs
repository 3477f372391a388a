//! Rules for posted notifications: validation, and ids for notifications without one.

use rand::RngExt as _;

use crate::{
    error::ChatError,
    types::{
        Limits, Notify,
        names::{NOTIFICATION_ID_CHARS, check_id, check_user_id},
    },
};

/// The longest `kind` and `title`, in characters.
const KIND_CHARS: usize = 64;
const TITLE_CHARS: usize = 256;

/// Checks whether a notification is valid.
pub(super) fn check(notify: &Notify, limits: &Limits) -> Result<(), ChatError> {
    let wrong = |what: String| Err(ChatError::InvalidRequest(what));
    let most = limits.notification_users;
    let users = &notify.user_ids;
    if users.is_empty() || users.len() > most || !users.iter().all(|user| check_user_id(user).is_ok()) {
        return wrong(format!(
            "userIds must be a list of 1 to {most} user ids of 1 to 128 characters"
        ));
    }
    let from = notify.from.as_deref();
    if let Some(must) = from.and_then(|from| check_user_id(from).err()) {
        return wrong(format!("from {must}"));
    }
    if !(1..=KIND_CHARS).contains(&notify.kind.chars().count()) {
        return wrong(format!("kind must be 1 to {KIND_CHARS} characters long"));
    }
    if notify.title.chars().count() > TITLE_CHARS {
        return wrong(format!("title must be at most {TITLE_CHARS} characters long"));
    }
    let id = notify.id.as_deref();
    if id
        .is_some_and(|id| !(1..=NOTIFICATION_ID_CHARS).contains(&id.chars().count()) || check_id(id).is_err())
    {
        return wrong(format!(
            "id must be 1 to {NOTIFICATION_ID_CHARS} characters long, none of them a control character"
        ));
    }
    let too_large = |what: &str, most: usize| {
        Err(ChatError::PayloadTooLarge(format!(
            "{what} is larger than {most} bytes"
        )))
    };
    if notify.body.len() > limits.notification_body_bytes {
        return too_large("body", limits.notification_body_bytes);
    }
    let data = notify.data.as_ref().map_or(0, |data| data.to_string().len());
    if data > limits.notification_data_bytes {
        return too_large("data", limits.notification_data_bytes);
    }
    Ok(())
}

/// An id for a notification that was posted without one: 120 random bits in letters and digits.
pub(super) fn new_id() -> String {
    let mut rng = rand::rng();
    (0..24)
        .map(|_| char::from_digit(rng.random_range(0..32), 32).unwrap_or('0'))
        .collect()
}
