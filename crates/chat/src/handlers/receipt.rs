//! Read marks.

use std::hash::BuildHasher;

use roomful_socket::Class;

use super::membership::frame;
use crate::{
    controller::Context,
    error::ChatError,
    events::chat::{MESSAGE_READ, MarkRead, ReadBy, ReadMark},
};

/// `chat:message_read`: the mark grows or stays. Only when it grows the others hear of it, the reader's own other
/// devices included.
pub(crate) async fn read<'a>(context: &Context, ask: &'a MarkRead) -> Result<ReadMark<'a>, ChatError> {
    let Context { chat, socket, me } = context;
    let room = context.my_room(&ask.room).await?;
    let at = chat.clock.now_ms();
    let marked = chat
        .store
        .mark_read(room.id, &me.user, ask.seq, at)
        .await?
        .ok_or(ChatError::Forbidden)?;
    if marked.advanced {
        let event = ReadBy {
            room: &room.name,
            user_id: &me.user,
            seq: marked.read_seq,
            at,
        };
        let class = Class::Latest(chat.keys.hash_one((MESSAGE_READ, room.id, &me.user)));
        if let Some(frame) = frame(chat, MESSAGE_READ, &event, class) {
            room.tell(&frame, |seat| seat.socket != *socket);
        }
    }
    Ok(ReadMark {
        room: &ask.room,
        read_seq: marked.read_seq,
        unread: marked.unread.messages,
    })
}
