"""When the clients repeat a call, with answers made up by a function."""

from collections.abc import Callable, Iterator

import httpx
import pytest
from conftest import API_KEY

from roomful import AsyncRoomful, Roomful, RoomfulError

Answer = Callable[[], httpx.Response]
"""Makes an answer, or raises an error of the connection."""


def status(code: int) -> Answer:
    return lambda: httpx.Response(code, headers={"retry-after": "0"})


def lost() -> httpx.Response:
    raise httpx.ReadError("reset")


class Parts(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A body that comes in parts, and may break off."""

    def __init__(self, *parts: bytes, breaks: bool = False) -> None:
        self.parts = parts
        self.breaks = breaks
        self.is_closed = False

    def __iter__(self) -> Iterator[bytes]:
        yield from self.parts
        if self.breaks:
            raise httpx.ReadError("reset")

    async def __aiter__(self):  # type: ignore[no-untyped-def]
        for part in self:
            yield part

    def close(self) -> None:
        self.is_closed = True

    async def aclose(self) -> None:
        self.is_closed = True


def against(*answers: Answer) -> tuple[Roomful, list[httpx.Request]]:
    """A client that gets these answers in turn, the last one for ever, and the list of its requests."""
    requests: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return answers[min(len(requests), len(answers)) - 1]()

    http = httpx.Client(transport=httpx.MockTransport(answer))
    return Roomful("http://roomful.test", API_KEY, attempts=3, http=http), requests


def test_transient_answers_are_repeated_as_retry_after_says() -> None:
    past = "Thu, 01 Jan 1970 00:00:00 GMT"
    answers = [(429, {"retry-after": "0"}), (503, {"retry-after": past}), (200, {})]
    seen = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.content)
        status, headers = answers[len(seen) - 1]
        body = {"id": "1", "error": {"code": "busy", "message": ""}}
        return httpx.Response(status, headers=headers, json=body)

    with httpx.Client(transport=httpx.MockTransport(answer)) as http:
        api = Roomful("http://roomful.test", API_KEY, http=http)
        assert api.post_message("room", user_id="bot", text="once")["id"] == "1"
    # The same generated id in all attempts.
    assert len(seen) == 3
    assert len(set(seen)) == 1
    assert b"clientId" in seen[0]


def test_a_long_retry_after_and_a_proxys_page_are_errors() -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(503, headers={"retry-after": "3600"}, text="<h1>Maintenance</h1>")

    with httpx.Client(transport=httpx.MockTransport(answer)) as http, pytest.raises(RoomfulError) as refused:
        Roomful("http://roomful.test", API_KEY, http=http).show_stats()
    assert (refused.value.code, refused.value.retry_after) == ("unexpected_answer", 3_600)


def test_no_answer_is_unreachable() -> None:
    with Roomful("http://127.0.0.1:1", API_KEY, attempts=2) as api, pytest.raises(RoomfulError) as refused:
        api.show_stats()
    assert (refused.value.code, refused.value.status) == ("unreachable", 0)


@pytest.mark.parametrize("no_answer", [lost, status(502), status(504)])
def test_only_calls_that_are_safe_to_repeat_are_repeated_after_a_lost_answer(no_answer: Answer) -> None:
    api, requests = against(no_answer, lambda: httpx.Response(200, json={"userId": "mallory"}))
    api.put_ban("mallory")
    assert len(requests) == 2
    api, requests = against(no_answer)
    with pytest.raises(RoomfulError):
        api.resolve_report(1, action="ban")
    with pytest.raises(RoomfulError):
        api.replay_record("evt_1")
    with pytest.raises(RoomfulError):
        api.replay_dead_records()
    assert len(requests) == 3


def test_a_busy_server_is_asked_again_in_any_case() -> None:
    api, requests = against(status(503), lambda: httpx.Response(200, json={"id": 1}))
    api.resolve_report(1, action="ban")
    assert len(requests) == 2


def test_an_answer_that_is_not_json_is_an_error() -> None:
    api, _ = against(lambda: httpx.Response(200, text="<h1>Sign in to the network</h1>"))
    with pytest.raises(RoomfulError) as refused:
        api.show_stats()
    assert (refused.value.code, refused.value.status) == ("unexpected_answer", 200)


def test_an_erasure_gets_more_time() -> None:
    api, requests = against(lambda: httpx.Response(200, json={}))
    api.erase_user("alice", messages="delete")
    api.show_stats()
    assert [request.extensions["timeout"]["read"] for request in requests] == [300, 10]


def test_an_export_begins_again_until_it_has_an_answer() -> None:
    body = Parts(b'{"type":"us', b'er"}\n{"type":"device"}\n')
    api, requests = against(status(503), lost, lambda: httpx.Response(200, stream=body))
    assert [row["type"] for row in api.export_user("alice")] == ["user", "device"]
    assert len(requests) == 3
    assert body.is_closed


@pytest.mark.parametrize(
    "body",
    [Parts(b'{"type":"user"}\n{"ty', breaks=True), Parts(b'{"type":"user"}\n', b'{"type":"device"}')],
)
def test_an_export_that_breaks_off_ends_with_an_error(body: Parts) -> None:
    api, requests = against(lambda: httpx.Response(200, stream=body))
    rows = api.export_user("alice")
    assert next(rows) == {"type": "user"}
    with pytest.raises(RoomfulError, match="incomplete") as broken:
        next(rows)
    assert broken.value.code == "unreachable"
    assert len(requests) == 1


@pytest.mark.asyncio
async def test_the_async_export_does_the_same() -> None:
    body = Parts(b'{"type":"user"}\n{"ty', breaks=True)
    transport = httpx.MockTransport(lambda _: httpx.Response(200, stream=body))
    async with httpx.AsyncClient(transport=transport) as http:
        rows = aiter(AsyncRoomful("http://roomful.test", API_KEY, http=http).export_user("alice"))
        assert await anext(rows) == {"type": "user"}
        with pytest.raises(RoomfulError, match="incomplete"):
            await anext(rows)
    assert body.is_closed
