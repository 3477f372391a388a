//! Handlers for read and delivered marks.
//!
//! Each member's marks change one at a time, so that others see them grow in order.

use crate::{
    app::Context,
    cluster::UserMessage,
    error::ChatError,
    events::chat::{DeliveredMark, MESSAGE_DELIVERED, MESSAGE_READ, Mark, MarkedBy, ReadMark},
    room::Room,
};

/// `chat:message_read`: raises the mark. If it grew, the room's other sockets get an event, including the
/// reader's own other devices.
pub(crate) async fn read<'a>(context: &Context, ask: &'a Mark) -> Result<ReadMark<'a>, ChatError> {
    let Context { app, me, .. } = context;
    let room = context.my_room(&ask.room).await?;
    let at = app.clock.now_ms();
    let _one_change = app.one_membership_change(&me.user, &room).await;
    let marked = app
        .store
        .mark_read(room.id, &me.user, ask.seq, at)
        .await?
        .ok_or(ChatError::Forbidden)?;
    if marked.advanced {
        emit_mark(context, &room, MESSAGE_READ, marked.read_seq, at);
        app.unread.user_read(&me.user, room.id, &room.name).await;
        if let Some(cluster) = &app.cluster {
            let (room, name) = (room.id, room.name.as_str().into());
            cluster.publish_to_user(&me.user, &UserMessage::Read { room, name });
        }
    }
    app.metrics.client_checked(ask.laws.as_ref());
    Ok(ReadMark {
        room: &ask.room,
        read_seq: marked.read_seq,
        unread: marked.unread.messages,
        mentions: marked.unread.mentions,
    })
}

/// `chat:message_delivered`: raises the delivered mark. A read mark raises it too, without a second event.
pub(crate) async fn delivered<'a>(context: &Context, ask: &'a Mark) -> Result<DeliveredMark<'a>, ChatError> {
    let Context { app, me, .. } = context;
    let room = context.my_room(&ask.room).await?;
    let _one_change = app.one_membership_change(&me.user, &room).await;
    let marked = app
        .store
        .mark_room_delivered(room.id, &me.user, ask.seq)
        .await?
        .ok_or(ChatError::Forbidden)?;
    if marked.advanced {
        emit_mark(
            context,
            &room,
            MESSAGE_DELIVERED,
            marked.delivered_seq,
            app.clock.now_ms(),
        );
    }
    app.metrics.client_checked(ask.laws.as_ref());
    Ok(DeliveredMark {
        room: &ask.room,
        delivered_seq: marked.delivered_seq,
    })
}

fn emit_mark(context: &Context, room: &Room, event: &'static str, seq: u64, at: i64) {
    let Context { app, socket, me } = context;
    let data = MarkedBy {
        room: &room.name,
        user_id: &me.user,
        seq,
        at,
    };
    app.emit_to_room(room, event, &data, Some((&me.user, seq)), |subscriber| {
        subscriber.socket != *socket
    });
}
