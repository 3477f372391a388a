"""A chat user over HTTP long-polling, without a client library."""

import itertools
import json
from types import TracebackType
from typing import Any, Self

import httpx


class Refused(Exception):
    """The `connect_error` of a connection."""


class ChatUser:
    """One connection to the server. It waits for `session`, and raises `Refused` if the server refuses it."""

    def __init__(self, url: str, token: str) -> None:
        self._http = httpx.Client(base_url=url, timeout=30)
        polling = "/socket.io/?EIO=4&transport=polling"
        sid = json.loads(self._http.get(polling).text[1:])["sid"]
        self._session = f"{polling}&sid={sid}"
        self._numbers = itertools.count()
        self._packets: list[str] = []
        self._send("40" + json.dumps({"token": token}))
        answer = self._next('42["session"', "44")
        if answer.startswith("44"):
            raise Refused(answer[2:])

    def ask(self, event: str, payload: dict[str, Any]) -> dict[str, Any]:
        """Emits an event and returns its ack."""
        number = next(self._numbers)
        self._send(f"42{number}" + json.dumps([event, payload]))
        start = f"43{number}"
        ack: dict[str, Any] = json.loads(self._next(start + "[")[len(start) :])[0]
        return ack

    def _send(self, packet: str) -> None:
        self._http.post(self._session, content=packet)

    def _next(self, *starts: str) -> str:
        while True:
            for packet in self._packets:
                if packet.startswith(starts):
                    return packet
            self._packets = self._http.get(self._session).text.split("\x1e")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()
