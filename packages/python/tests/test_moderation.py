"""Profiles, moderation, exports, erasures and the operators' calls against the real server."""

import time

import pytest
from chat_user import ChatUser
from conftest import SECRET, Server

from roomful import AsyncRoomful, Roomful, RoomfulError, mint_token, schemas

ODD_TEXT = "one\u2028two\u0085three\nfour"
"""A text with line separators that JSON leaves as they are."""


def test_a_profile_keeps_the_fields_that_a_change_leaves_out(server: Server, api: Roomful) -> None:
    api.change_user("uma", name="Uma", metadata={"team": "red"})
    profile = api.change_user("uma", avatar="https://img.example/uma.png", metadata=None)
    own = (profile.get("name"), profile.get("avatar"), profile.get("metadata"))
    assert own == ("Uma", "https://img.example/uma.png", None)
    with ChatUser(server.url, mint_token(SECRET, "uma")):
        assert api.show_user("uma").get("name") == "Uma"


def test_bans_and_mutes_of_a_room_come_over_pages(api: Roomful) -> None:
    api.put_room("court", slow_mode=0)
    until = int(time.time() * 1_000) + 3_600_000
    for user in ("m1", "m2", "m3"):
        api.put_room_mute("court", user, until=until, reason="noise")
    with pytest.raises(RoomfulError, match="muted"):
        api.post_message("court", user_id="m1", text="hello")
    assert [one["userId"] for one in api.list_room_mutes("court", limit=2)] == ["m1", "m2", "m3"]
    assert api.remove_room_mute("court", "m1")["reason"] == "noise"
    assert api.put_room_ban("court", "m1")["kind"] == "ban"
    with pytest.raises(RoomfulError, match="banned"):
        api.put_member("court", "m1")
    assert [one["userId"] for one in api.list_room_bans("court")] == ["m1"]
    assert api.remove_room_ban("court", "m1")["userId"] == "m1"


def test_bans_and_mutes_hold_in_all_rooms(api: Roomful) -> None:
    api.put_ban("troll", reason="spam")
    api.put_mute("troll")
    assert [one["userId"] for one in api.list_bans()] == ["troll"]
    assert [one["userId"] for one in api.list_mutes()] == ["troll"]
    kinds = sorted(one["kind"] for one in api.list_user_sanctions("troll")["sanctions"])
    assert kinds == ["ban", "mute"]
    api.remove_ban("troll")
    api.remove_mute("troll")
    assert api.list_user_sanctions("troll")["sanctions"] == []


def test_blocks_come_over_pages(api: Roomful) -> None:
    for blocked in ("b1", "b2", "b3"):
        api.put_block("uma", blocked)
    api.remove_block("uma", "b2")
    assert [one["userId"] for one in api.list_blocks("uma", limit=1)] == ["b1", "b3"]


def test_reports_are_listed_and_resolved(server: Server, api: Roomful) -> None:
    api.put_room("reported", kind="public")
    seq = api.post_message("reported", user_id="rude", text="something rude")["seq"]
    with ChatUser(server.url, mint_token(SECRET, "uma")) as uma:
        uma.ask("chat:join", {"room": "reported"})
        uma.ask("chat:report", {"room": "reported", "seq": seq, "reason": "abuse", "text": "look"})
    (report,) = api.list_reports(state="open")
    assert (report["userId"], report["reporter"], report.get("text")) == ("rude", "uma", "look")
    assert api.resolve_report(report["id"], action="delete")["state"] == "deleted"
    with pytest.raises(RoomfulError, match="not_found"):
        api.resolve_report(report["id"], action="ban")
    assert list(api.list_reports(state="open")) == []
    assert [one.get("deleted") for one in api.all_messages("reported")] == [True]


def test_an_export_has_all_rows_whatever_the_texts_contain(api: Roomful) -> None:
    api.put_room("diary", kind="private", members=["eve"])
    for _ in range(250):
        api.post_message("diary", user_id="eve", text=ODD_TEXT)
    messages = [row for row in api.export_user("eve") if row["type"] == "message"]
    assert len(messages) == 250
    assert messages[0]["body"]["text"] == ODD_TEXT
    # A reader may stop early.
    assert isinstance(next(api.export_user("eve"))["type"], str)
    assert list(api.export_user("nobody")) == []


@pytest.mark.asyncio
async def test_the_async_client_exports_and_erases(async_api: AsyncRoomful) -> None:
    await async_api.put_room("left")
    await async_api.put_member("left", "gone")
    await async_api.post_message("left", user_id="gone", text=ODD_TEXT)
    texts = [row["body"]["text"] async for row in async_api.export_user("gone") if row["type"] == "message"]
    assert texts == [ODD_TEXT]
    assert (await async_api.erase_user("gone", messages="anonymise"))["userId"] == "gone"
    (message,) = [one async for one in async_api.all_messages("left")]
    assert message["userId"].startswith("erased-")
    assert [row async for row in async_api.export_user("gone")] == []
    records = [one async for one in async_api.all_audit(action="DELETE /users/{user}")]
    assert records


def test_the_audit_log_comes_over_pages(api: Roomful) -> None:
    for number in range(60):
        api.put_room(f"audited-{number % 2}", slow_mode=number)
    rooms = [one.get("room", "") for one in api.all_audit(action="PUT /rooms/{room}")]
    assert len([room for room in rooms if room.startswith("audited-")]) == 60
    (newest,) = api.list_audit(limit=1, action="PUT /rooms/{room}")["records"]
    assert newest.get("room") == "audited-1"


def test_operators_see_connections_and_explanations(server: Server, api: Roomful) -> None:
    api.put_room("explained")
    with ChatUser(server.url, mint_token(SECRET, "eric")) as eric:
        eric.ask("chat:join", {"room": "explained"})
        seq = api.post_message("explained", user_id="bot", text="hello")["seq"]
        (connection,) = api.list_connections(user="eric", limit=1)
        assert (connection["userId"], connection["transport"]) == ("eric", "polling")
        explanation = api.explain_message(user="eric", room="explained", seq=seq)
    assert explanation["message"]["author"] == "bot"
    assert len(explanation["devices"]) == 1


def record_about(api: Roomful, room: str) -> schemas.Record:
    """The only record of a webhook about a room."""
    (record,) = [one for one in api.list_records(limit=200)["records"] if one.get("room") == room]
    return record


def test_operators_see_and_repeat_records_of_webhooks(server: Server, api: Roomful) -> None:
    api.put_room("replayed")
    api.post_message("replayed", user_id="bot", text="hello")
    first = server.receiver.next("replayed")
    record = record_about(api, "replayed")
    assert (record["id"], record["event"]) == (first.id, "message.created")
    while record["state"] != "delivered":
        record = record_about(api, "replayed")
    assert api.replay_record(record["id"])["records"] == 1
    assert server.receiver.next("replayed") == first
    assert api.replay_dead_records()["records"] == 0


def test_operators_see_the_key_and_the_figures(api: Roomful) -> None:
    assert "admin" in api.show_key()["scopes"]
    assert api.show_stats_history()["intervalMs"] == 15_000
