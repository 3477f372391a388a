"""Calls of the HTTP API: what to send, how to read the answer, and when to try again. Shared by both clients."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from enum import Enum
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import quote

import httpx

from .errors import RoomfulError

TRANSIENT = frozenset({429, 502, 503, 504})
"""Statuses after which the same request can succeed."""
FIRST_BACK_OFF, LONGEST_BACK_OFF = 0.25, 5.0
"""The first and the longest back-off between attempts, in seconds."""
LONGEST_WAIT = 60.0
"""The longest `Retry-After` that a client waits for, in seconds."""


class Unset(Enum):
    """The type of `UNSET`."""

    UNSET = "UNSET"


UNSET: Final = Unset.UNSET
"""Marks an argument that is not sent. `None` is sent, as `null`."""


@dataclass(frozen=True)
class Call:
    """One call of the API."""

    method: str
    path: str
    query: Mapping[str, object]
    body: Mapping[str, object] | None
    repeatable: bool
    """Whether the call may be repeated after a lost answer."""


def path(template: str, *names: str) -> str:
    """The path with its names percent-encoded, `.` and `..` too."""
    dots = {".": "%2E", "..": "%2E%2E"}
    return template.format(*(dots.get(name, quote(name, safe="")) for name in names))


def given(**fields: object) -> dict[str, object]:
    """The fields that are set, with their names as in JSON."""
    return {name: value for name, value in fields.items() if value is not UNSET}


@dataclass(frozen=True)
class Settings:
    """What both clients are created with."""

    url: str
    key: str
    timeout: float
    attempts: int

    def request(self, call: Call) -> dict[str, Any]:
        """The arguments of httpx."""
        query = {name: value for name, value in call.query.items() if value is not UNSET and value is not None}
        return {
            "method": call.method,
            "url": f"{self.url.rstrip('/')}/api/v1/{call.path}",
            "params": {name: _text(value) for name, value in query.items()},
            "json": call.body,
            "headers": {"authorization": f"Bearer {self.key}"},
            "timeout": self.timeout,
        }

    def pause(self, call: Call, attempt: int, error: RoomfulError) -> float | None:
        """Seconds to wait before the next attempt; `None` if the error is final."""
        transient = error.status in TRANSIENT or (error.status == 0 and call.repeatable)
        if attempt >= self.attempts or not transient:
            return None
        if error.retry_after is not None:
            return error.retry_after if error.retry_after <= LONGEST_WAIT else None
        back_off: float = min(FIRST_BACK_OFF * 2.0 ** (attempt - 1), LONGEST_BACK_OFF)
        return back_off * random.uniform(0.5, 1)


def read(answer: httpx.Response) -> Any:
    """The JSON of an answer. Raises `RoomfulError` for every status but 2xx."""
    if answer.is_success:
        return answer.json()
    try:
        problem = json.loads(answer.text)["error"]
        code, message = str(problem["code"]), str(problem["message"])
    except (ValueError, KeyError, TypeError):
        # A proxy answered instead of the server.
        code, message = "unexpected_answer", f"HTTP {answer.status_code}: {answer.text[:200]}"
    raise RoomfulError(code, answer.status_code, message, _retry_after(answer))


def unreachable(call: Call, error: httpx.TransportError) -> RoomfulError:
    """The error for a call without an answer."""
    return RoomfulError("unreachable", 0, f"no answer to {call.method} /{call.path}: {error!r}")


def _retry_after(answer: httpx.Response) -> float | None:
    """Seconds, from a number of seconds or a date."""
    value = answer.headers.get("retry-after")
    if value is None:
        return None
    if value.isascii() and value.isdigit():
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return None


def _text(value: object) -> str:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ",".join(str(one) for one in value)
    return str(value)


class SyncCaller:
    """Sends calls, and repeats them after transient failures."""

    def __init__(
        self, url: str, key: str, *, timeout: float = 10, attempts: int = 4, http: httpx.Client | None = None
    ) -> None:
        """`url` is the server's address, such as `https://chat.example.com`, and `key` the value of `ROOMFUL_API_KEY`.

        `timeout` is in seconds for each of the `attempts`. `http` is a client of your own, which you close yourself.
        """
        self._settings = Settings(url, key, timeout, attempts)
        self._http = httpx.Client() if http is None else http
        self._is_own = http is None

    def close(self) -> None:
        """Closes the connections to the server."""
        if self._is_own:
            self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _send(self, call: Call) -> Any:
        attempt = 1
        while True:
            try:
                try:
                    answer = self._http.request(**self._settings.request(call))
                except httpx.TransportError as error:
                    raise unreachable(call, error) from error
                return read(answer)
            except RoomfulError as error:
                pause = self._settings.pause(call, attempt, error)
                if pause is None:
                    raise
            time.sleep(pause)
            attempt += 1


class AsyncCaller:
    """Sends calls with asyncio, and repeats them after transient failures."""

    def __init__(
        self, url: str, key: str, *, timeout: float = 10, attempts: int = 4, http: httpx.AsyncClient | None = None
    ) -> None:
        """`url` is the server's address, such as `https://chat.example.com`, and `key` the value of `ROOMFUL_API_KEY`.

        `timeout` is in seconds for each of the `attempts`. `http` is a client of your own, which you close yourself.
        """
        self._settings = Settings(url, key, timeout, attempts)
        self._http = httpx.AsyncClient() if http is None else http
        self._is_own = http is None

    async def close(self) -> None:
        """Closes the connections to the server."""
        if self._is_own:
            await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _send(self, call: Call) -> Any:
        attempt = 1
        while True:
            try:
                try:
                    answer = await self._http.request(**self._settings.request(call))
                except httpx.TransportError as error:
                    raise unreachable(call, error) from error
                return read(answer)
            except RoomfulError as error:
                pause = self._settings.pause(call, attempt, error)
                if pause is None:
                    raise
            await asyncio.sleep(pause)
            attempt += 1
