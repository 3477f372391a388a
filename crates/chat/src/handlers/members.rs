//! The handler for lists of a room's members.

use std::collections::HashMap;

use roomful_store::{Member, RoomId, Sanction};

use crate::{
    app::Context,
    error::ChatError,
    events::{
        chat::{GetMembers, MemberView, MembersPage},
        presence::Status,
        standing::Muted,
    },
    middleware::price,
    profiles::FoundProfiles,
    reply::Reply,
    standing::{is_moderator, mutes_among},
};

/// The size of a listed member without id and name, in bytes.
const MEMBER_BYTES: usize = 96;

/// The data of a page.
struct Found {
    members: Vec<Member>,
    more: bool,
    profiles: FoundProfiles,
    statuses: HashMap<String, Status>,
    /// Empty for users who do not moderate the room.
    mutes: HashMap<String, Sanction>,
}

/// `chat:get_members`: a page of members in the byte order of their ids.
pub(crate) async fn members(context: &Context, ask: &GetMembers, reply: Reply) {
    let found = match look_up(context, ask).await {
        Ok(found) => found,
        Err(error) => return reply.fail(&error),
    };
    let page = MembersPage {
        room: &ask.room,
        members: found.members.iter().map(|member| view(member, &found)).collect(),
        next: found
            .members
            .last()
            .filter(|_| found.more)
            .map(|member| member.user_id.as_str()),
    };
    let bytes = |member: &MemberView<'_>| {
        let texts = [member.name, member.avatar].into_iter().flatten();
        MEMBER_BYTES + member.user_id.len() + texts.map(str::len).sum::<usize>()
    };
    let bytes = page.members.iter().map(bytes).sum();
    context.me.add_debt(price::of_answer(bytes));
    reply.succeed(&page);
}

async fn look_up(context: &Context, ask: &GetMembers) -> Result<Found, ChatError> {
    let Context { app, me, .. } = context;
    let room = context.my_room(&ask.room).await?;
    let limit = ask.limit as usize;
    let mut members = app
        .store
        .members(room.id, ask.after.as_deref(), ask.limit + 1)
        .await?;
    let more = members.len() > limit;
    members.truncate(limit);
    let ids: Vec<_> = members.iter().map(|member| member.user_id.clone()).collect();
    let profiles = app.profiles.of(ids.iter().map(String::as_str)).await?;
    let mutes = mutes(context, room.id, &ids).await?;
    let states = app.presence.states(ids, Some(&me.user)).await?;
    Ok(Found {
        members,
        more,
        profiles,
        statuses: states
            .into_iter()
            .map(|state| (state.user_id, state.status))
            .collect(),
        mutes,
    })
}

/// The mutes of these members, if the user who asks moderates the room.
async fn mutes(
    context: &Context,
    room: RoomId,
    members: &[String],
) -> Result<HashMap<String, Sanction>, ChatError> {
    let Context { app, me, .. } = context;
    if !is_moderator(app, me, room).await? {
        return Ok(HashMap::new());
    }
    mutes_among(app, room, members).await
}

fn view<'a>(member: &'a Member, found: &'a Found) -> MemberView<'a> {
    let profile = found.profiles.get(member.user_id.as_str());
    MemberView {
        user_id: &member.user_id,
        name: profile.and_then(|profile| profile.name.as_deref()),
        avatar: profile.and_then(|profile| profile.avatar.as_deref()),
        role: member.role.into(),
        read_seq: member.read_seq,
        delivered_seq: member.delivered_seq,
        status: found
            .statuses
            .get(&member.user_id)
            .copied()
            .unwrap_or(Status::Offline),
        muted: found.mutes.get(&member.user_id).map(|mute| Muted {
            until: mute.until,
            reason: mute.reason.clone(),
        }),
    }
}
