"""Both clients against the real server."""

import pytest
from conftest import API_KEY, Server

from roomful import AsyncRoomful, Roomful, RoomfulError


def test_rooms_and_members_come_over_pages(api: Roomful) -> None:
    for number in range(5):
        api.put_room(f"page-{number}", kind="public")
    names = [one["room"] for one in api.list_rooms(limit=2) if one["room"].startswith("page-")]
    assert names == [f"page-{number}" for number in range(5)]
    room = "?a/b #%"
    assert api.put_room(room, kind="private")["members"] == 0
    for user in ("alice", "ü,ö"):
        api.put_member(room, user, role="moderator")
    members = [(one["userId"], one["role"]) for one in api.list_members(room, limit=1)]
    assert members == [("alice", "moderator"), ("ü,ö", "moderator")]
    api.remove_member(room, "alice")
    assert api.show_room(room)["members"] == 1
    api.delete_room(room)
    with pytest.raises(RoomfulError) as refused:
        api.show_room(room)
    assert (refused.value.code, refused.value.status) == ("not_found", 404)


def test_names_that_http_clients_rewrite_arrive_as_they_are(api: Roomful) -> None:
    for room in (".", "..", "~Li4"):
        assert api.put_room(room)["room"] == room
        assert api.delete_room(room)["room"] == room


def test_null_differs_from_a_missing_argument(api: Roomful) -> None:
    assert api.put_room("limited", history=5)["history"] == 5
    assert api.put_room("limited", kind="private")["history"] == 5
    assert api.put_room("limited", history=None).get("history") is None


def test_a_message_with_an_id_is_stored_once(api: Roomful) -> None:
    api.put_room("posts")
    first = api.post_message("posts", user_id="bot", text="hello", client_id="1")
    again = api.post_message("posts", user_id="bot", text="hello", client_id="1")
    assert (first["seq"], first["duplicate"], again["seq"], again["duplicate"]) == (1, False, 1, True)
    with pytest.raises(RoomfulError, match="conflict"):
        api.post_message("posts", user_id="bot", text="other", client_id="1")


def test_all_messages_come_over_pages(api: Roomful) -> None:
    api.put_room("long")
    texts = [f"text {number}" for number in range(450)]
    for text in texts:
        api.post_message("long", user_id="bot", text=text)
    assert [one["text"] for one in api.all_messages("long")] == texts
    assert [one["seq"] for one in api.all_messages("long", after=448)] == [449, 450]


def test_notifications_presence_and_users(api: Roomful) -> None:
    posted = api.post_notification(user_ids=["alice"], kind="k", title="t", body="b")
    assert posted["duplicate"] is False
    users = api.show_presence(users="alice,bob")["users"]
    assert [one["status"] for one in users] == ["offline", "offline"]
    users = api.show_presence(user=["alice", "ü,ö"])["users"]
    assert [one["userId"] for one in users] == ["alice", "ü,ö"]
    assert api.disconnect_user("alice")["closed"] == 0
    assert api.revoke_user("alice")["revokedBefore"] > 0
    assert api.show_stats()["nodes"]


@pytest.mark.asyncio
async def test_the_async_client_does_the_same(async_api: AsyncRoomful) -> None:
    await async_api.put_room("async", kind="private")
    await async_api.put_member("async", "alice")
    await async_api.post_message("async", user_id="alice", text="hello")
    assert [one["userId"] async for one in async_api.list_members("async")] == ["alice"]
    assert [one["text"] async for one in async_api.all_messages("async")] == ["hello"]
    with pytest.raises(RoomfulError, match="not_found"):
        await async_api.show_user("nobody")


def test_a_wrong_key_has_the_servers_code(server: Server) -> None:
    with Roomful(server.url, "a-wrong-key-0123456789") as api, pytest.raises(RoomfulError) as refused:
        api.show_stats()
    assert (refused.value.code, refused.value.status) == ("unauthorized", 401)
