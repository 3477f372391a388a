//! The ids that a file has used in one room. They are hashes, so that those of millions of messages fit in
//! memory.

use std::collections::HashSet;

use aws_lc_rs::digest;

use super::record::{LastRead, Member, Message};

/// The first 16 bytes of a SHA-256: no two ids of a file share them.
type Hash = [u8; 16];

/// Ids of one room.
#[derive(Default)]
pub(super) struct RoomIds {
    members: HashSet<Hash>,
    /// Ids of messages, each with its user.
    messages: HashSet<Hash>,
    /// The same without the users.
    names: HashSet<Hash>,
    /// Those in `names` that several users have.
    ambiguous: HashSet<Hash>,
    /// The `lastRead` of members.
    marks: Vec<Hash>,
}

impl RoomIds {
    /// Notes a member and the message that they have read. Returns an error for a second line of a user.
    pub(super) fn member(&mut self, member: &Member) -> Result<(), &'static str> {
        if !self.members.insert(hash(&[&member.user_id])) {
            return Err("the user has a line for this room already");
        }
        if let LastRead::Message(id) = &member.last_read {
            self.marks.push(hash(&[id]));
        }
        Ok(())
    }

    /// Notes a message. Returns an error for an id that the user has given another message.
    pub(super) fn message(&mut self, message: &Message) -> Result<(), &'static str> {
        if !self.messages.insert(hash(&[&message.user_id, &message.id])) {
            return Err("the user has a message with this id in the room already; ids must differ");
        }
        let name = hash(&[&message.id]);
        if !self.names.insert(name) {
            self.ambiguous.insert(name);
        }
        Ok(())
    }

    /// Whether messages of several users have the id, so that a reply or a mark cannot tell which it names.
    pub(super) fn is_ambiguous(&self, id: &str) -> bool {
        !self.ambiguous.is_empty() && self.ambiguous.contains(&hash(&[id]))
    }

    /// Read marks that name no message of the room.
    pub(super) fn lost_marks(&self) -> u64 {
        self.marks
            .iter()
            .filter(|mark| !self.names.contains(*mark))
            .count() as u64
    }
}

/// The hash of ids that belong together. Each has its length before it, so that no two lists look the same.
fn hash(ids: &[&str]) -> Hash {
    let mut context = digest::Context::new(&digest::SHA256);
    for id in ids {
        context.update(&(id.len() as u64).to_le_bytes());
        context.update(id.as_bytes());
    }
    let mut hash = Hash::default();
    for (to, from) in hash.iter_mut().zip(context.finish().as_ref()) {
        *to = *from;
    }
    hash
}
