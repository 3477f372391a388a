//! The backend call that lists the rooms of a user.

use roomful_store::{Member, RoomRow};

use super::user_id;
use crate::{error::ChatError, server::ChatServer};

/// A room of a user, and their membership of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// The room.
    pub room: RoomRow,
    /// The user's role and marks.
    pub member: Member,
}

impl ChatServer {
    /// The rooms of a user, the latest joined first: `limit` at most, without the first `skip`. Also returns
    /// whether there are more.
    ///
    /// # Errors
    /// `invalid_request` for an invalid id, `unavailable` if the store fails.
    pub async fn memberships(
        &self,
        user: &str,
        skip: u32,
        limit: u32,
    ) -> Result<(Vec<Membership>, bool), ChatError> {
        let (store, user) = (&self.app.store, user_id(user)?);
        let most = skip.saturating_add(limit).saturating_add(1);
        let mut rooms = store.rooms_of(&user, most).await?;
        rooms.drain(..rooms.len().min(skip as usize));
        let has_more = rooms.len() > limit as usize;
        rooms.truncate(limit as usize);
        let ids: Vec<_> = rooms.iter().map(|room| room.id).collect();
        let members = store.memberships(&user, &ids).await?;
        // Without those that ended meanwhile.
        let both = rooms.into_iter().zip(members);
        let memberships = both.filter_map(|(room, member)| {
            Some(Membership {
                room,
                member: member?,
            })
        });
        Ok((memberships.collect(), has_more))
    }
}
