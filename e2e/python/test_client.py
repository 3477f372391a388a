"""The stock python-socketio clients, threaded and asyncio, over polling, WebSocket and the upgrade."""

import asyncio
import queue

import engineio
import pytest
import socketio

from conftest import PATIENCE, token_for

WAYS = [["polling"], ["websocket"], ["polling", "websocket"]]
ways = pytest.mark.parametrize("transports", WAYS, ids=["polling", "websocket", "upgrade"])

# This client refuses polling answers with more packets than this. Its documentation says to raise the limit
# for servers that send more at once. A server cannot know the limit.
engineio.payload.Payload.max_decode_packets = 500


class Threaded:
    """A threaded client that keeps every event until a test asks for it."""

    def __init__(self, url, transports, auth=None, namespaces=("/",), events=()):
        self.client = socketio.Client(reconnection=False)
        self.kept = queue.Queue()
        for namespace in namespaces:
            for event in events:
                keep = lambda *args, event=event, namespace=namespace: self.kept.put(
                    (namespace, event, list(args))
                )
                self.client.on(event, keep, namespace=namespace)
        self.client.connect(
            url, transports=transports, auth=auth, namespaces=list(namespaces), wait_timeout=PATIENCE
        )

    def next(self):
        return self.kept.get(timeout=PATIENCE)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.client.disconnect()


@ways
def test_echo_in_two_namespaces(conformance, transports):
    events = ["auth", "message-back"]
    with Threaded(conformance, transports, {"token": "grüße"}, ["/", "/custom"], events) as one:
        greetings = sorted([one.next(), one.next()])
        assert greetings == [("/", "auth", [{"token": "grüße"}]), ("/custom", "auth", [{"token": "grüße"}])]
        for namespace in ["/", "/custom"]:
            one.client.emit("message", (1, "zwei", {"drei": [None, True]}), namespace=namespace)
            assert one.next() == (namespace, "message-back", [1, "zwei", {"drei": [None, True]}])
            one.client.emit("message", (b"\x00\x01\xff", {"deep": b"x"}), namespace=namespace)
            assert one.next() == (namespace, "message-back", [b"\x00\x01\xff", {"deep": b"x"}])
        assert one.client.get_sid("/") != one.client.get_sid("/custom")


@ways
def test_acks_with_text_and_binary(conformance, transports):
    with Threaded(conformance, transports) as one:
        # No larger text: this client checks UTF-8 in Python, and must answer pings within 200 ms
        # meanwhile.
        for data in [
            "text",
            7,
            {"a": [1, 2]},
            b"\x01\x02",
            {"deep": b"\x03"},
            "é" * 5_000,
            b"\x04" * 200_000,
        ]:
            assert one.client.call("message-with-ack", data, timeout=PATIENCE) == data
        assert one.client.call("message-with-ack", (1, b"2", "3"), timeout=PATIENCE) == (1, b"2", "3")


@ways
def test_heartbeats_keep_a_silent_client(conformance, transports):
    with Threaded(conformance, transports) as one:
        # Three times as long as the server waits for a pong.
        one.client.sleep(1.5)
        assert one.client.connected
        assert one.client.call("message-with-ack", "still here", timeout=PATIENCE) == "still here"


@ways
def test_a_bad_token_is_refused_with_its_code(roomful, transports):
    client = socketio.Client(reconnection=False)
    refusals = queue.Queue()
    client.on("connect_error", refusals.put)
    with pytest.raises(socketio.exceptions.ConnectionError):
        client.connect(roomful, transports=transports, auth={"token": "none"}, wait_timeout=PATIENCE)
    refusal = refusals.get(timeout=PATIENCE)
    assert refusal["data"]["code"] == "unauthorized"
    assert refusal["data"]["retryable"] is False


@ways
def test_two_people_chat(roomful, transports):
    room = f"python-{'-'.join(transports)}"
    events = ["session", "chat:receive_message", "chat:typing_start"]
    with (
        Threaded(roomful, transports, {"token": token_for("alice")}, events=events) as alice,
        Threaded(roomful, transports, {"token": token_for("bob")}, events=events) as bob,
    ):
        assert alice.next()[2][0]["userId"] == "alice"
        assert bob.next()[2][0]["userId"] == "bob"
        for person in [alice, bob]:
            ack = person.client.call("chat:join", {"room": room}, timeout=PATIENCE)
            assert ack["ok"] is True, ack
        alice.client.emit("chat:typing_start", {"room": room})
        assert bob.next()[1:] == ("chat:typing_start", [{"room": room, "userId": "alice"}])
        message = {"room": room, "text": "hello from Python", "clientId": "1"}
        ack = alice.client.call("chat:send_message", message, timeout=PATIENCE)
        assert (ack["ok"], ack["data"]["seq"]) == (True, 1), ack
        for person in [alice, bob]:
            received = person.next()
            while received[1] != "chat:receive_message":
                received = person.next()
            assert (received[2][0]["text"], received[2][0]["userId"]) == ("hello from Python", "alice")
        refused = bob.client.call("chat:send_message", {"room": "elsewhere", "text": "x"}, timeout=PATIENCE)
        assert (refused["ok"], refused["error"]["code"]) == (False, "forbidden")


@pytest.mark.asyncio
@ways
async def test_asyncio_client_echoes_and_acks(conformance, transports):
    client = socketio.AsyncClient(reconnection=False)
    kept = asyncio.Queue()
    client.on("message-back", lambda *args: kept.put_nowait(list(args)))
    await client.connect(conformance, transports=transports, wait_timeout=PATIENCE)
    try:
        for i in range(50):
            await client.emit("message", (i, b"\x00" * i))
        for i in range(50):
            assert await asyncio.wait_for(kept.get(), PATIENCE) == [i, b"\x00" * i]
        calls = (client.call("message-with-ack", i, timeout=PATIENCE) for i in range(20))
        assert await asyncio.gather(*calls) == list(range(20))
    finally:
        await client.disconnect()


@pytest.mark.asyncio
@ways
async def test_asyncio_client_chats(roomful, transports):
    room = f"asyncio-{'-'.join(transports)}"
    client = socketio.AsyncClient(reconnection=False)
    kept = asyncio.Queue()
    client.on("chat:receive_message", kept.put_nowait)
    await client.connect(
        roomful, transports=transports, auth={"token": token_for("carol")}, wait_timeout=PATIENCE
    )
    try:
        # A bare room name works like the object.
        ack = await client.call("chat:join", room, timeout=PATIENCE)
        assert (ack["ok"], ack["data"]["head"]) == (True, 0), ack
        for i in range(1, 11):
            ack = await client.call("chat:send_message", {"room": room, "text": f"m{i}"}, timeout=PATIENCE)
            assert ack["data"]["seq"] == i, ack
        received = [(await asyncio.wait_for(kept.get(), PATIENCE))["seq"] for _ in range(10)]
        assert received == list(range(1, 11))
    finally:
        await client.disconnect()
