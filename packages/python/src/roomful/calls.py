"""Calls of the HTTP API, for both clients: the request, how to read the answer, and when to try again."""

from __future__ import annotations

import asyncio
import base64
import json
import random
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from enum import Enum
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import quote

import httpx

from .errors import RoomfulError

TRANSIENT = frozenset({429, 503})
"""Statuses after which the same request can succeed."""
LOST = frozenset({0, 502, 504})
"""No answer, or one of a proxy that got none: the server may have carried out the request."""
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
    at_least: float = 0
    """Seconds that an attempt gets at least, for calls that the server works on for long."""


def path(template: str, *names: str | int) -> str:
    """The path with its names encoded."""
    return template.format(*(_segment(str(name)) for name in names))


def _segment(name: str) -> str:
    # HTTP clients rewrite the segments `.` and `..`, so these names take the server's other form, and so do
    # names that look like it.
    if name in (".", "..") or name.startswith("~"):
        return "~" + base64.urlsafe_b64encode(name.encode()).decode().rstrip("=")
    return quote(name, safe="")


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

    def __post_init__(self) -> None:
        if not self.url.lower().startswith(("http://", "https://")):
            raise ValueError(f"the server's address starts with http:// or https://, unlike {self.url!r}")
        if not self.key:
            raise ValueError("the API key is empty; is the variable ROOMFUL_API_KEY set?")

    def request(self, call: Call) -> dict[str, Any]:
        """The arguments of httpx."""
        query = {
            name: value for name, value in call.query.items() if value is not UNSET and value is not None
        }
        timeout = max(self.timeout, call.at_least)
        return {
            "method": call.method,
            "url": f"{self.url.rstrip('/')}/api/v1/{call.path}",
            # A list repeats its parameter.
            "params": query,
            "json": call.body,
            "headers": {"authorization": f"Bearer {self.key}"},
            "timeout": httpx.Timeout(self.timeout, read=timeout),
        }

    def pause(self, call: Call, attempt: int, error: RoomfulError) -> float | None:
        """Seconds to wait before the next attempt; `None` if the error is final."""
        transient = error.status in TRANSIENT or (call.repeatable and error.status in LOST)
        if attempt >= self.attempts or not transient:
            return None
        if error.retry_after is not None:
            return error.retry_after if error.retry_after <= LONGEST_WAIT else None
        back_off: float = min(FIRST_BACK_OFF * 2.0 ** (attempt - 1), LONGEST_BACK_OFF)
        return back_off * random.uniform(0.5, 1)


def problem(answer: httpx.Response) -> RoomfulError:
    """The error for an answer with another status than 2xx, whose text has been read."""
    try:
        error = json.loads(answer.text)["error"]
        code, message = str(error["code"]), str(error["message"])
    except (ValueError, KeyError, TypeError):
        # A proxy answered instead of the server.
        return _unexpected(answer)
    return RoomfulError(code, answer.status_code, message, _retry_after(answer))


def read(answer: httpx.Response) -> Any:
    """The JSON of an answer with status 2xx. Raises `RoomfulError` if it has none."""
    try:
        return answer.json()
    except ValueError as error:
        raise _unexpected(answer) from error


def _unexpected(answer: httpx.Response) -> RoomfulError:
    message = f"HTTP {answer.status_code}: {answer.text[:200]}"
    return RoomfulError("unexpected_answer", answer.status_code, message, _retry_after(answer))


class LineBuffer:
    """Cuts the parts of an answer into lines of JSON."""

    def __init__(self) -> None:
        self._rest = b""

    def push(self, part: bytes) -> Iterator[dict[str, Any]]:
        """The lines that end in this part, each parsed. Raises `ValueError` for one that is not JSON.

        Only a line feed ends a line: JSON may contain all other line separators.
        """
        *lines, self._rest = (self._rest + part).split(b"\n")
        for line in lines:
            yield json.loads(line)

    def end(self) -> None:
        """Raises `ValueError` if the last line has no end."""
        if self._rest:
            raise ValueError("the last line has no end")


def unreachable(call: Call, error: Exception, what: str = "no answer") -> RoomfulError:
    """The error for an answer that did not come, or not to its end."""
    return RoomfulError("unreachable", 0, f"{what} to {call.method} /{call.path}: {error!r}")


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


class SyncCaller:
    """Sends calls, and repeats them after transient failures."""

    def __init__(
        self, url: str, key: str, *, timeout: float = 10, attempts: int = 4, http: httpx.Client | None = None
    ) -> None:
        """`url` is the server's address, such as `https://chat.example.com`. `key` is the value of
        `ROOMFUL_API_KEY`.

        `timeout` is in seconds for each of the `attempts`. `http` is a client of your own, which you close.
        Raises `ValueError` for an address without `http://` or `https://`, and for an empty key.
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
        """The JSON of the answer."""
        return read(self._answer(call, stream=False))

    def _lines(self, call: Call) -> Iterator[dict[str, Any]]:
        """The lines of the answer, each parsed. Once lines have come, failures are final."""
        answer = self._answer(call, stream=True)
        try:
            lines = LineBuffer()
            for part in answer.iter_bytes():
                yield from lines.push(part)
            lines.end()
        except (httpx.TransportError, ValueError) as error:
            raise unreachable(call, error, "incomplete answer") from error
        finally:
            answer.close()

    def _answer(self, call: Call, *, stream: bool) -> httpx.Response:
        attempt = 1
        while True:
            try:
                return self._attempt(call, stream=stream)
            except RoomfulError as error:
                pause = self._settings.pause(call, attempt, error)
                if pause is None:
                    raise
            time.sleep(pause)
            attempt += 1

    def _attempt(self, call: Call, *, stream: bool) -> httpx.Response:
        request = self._http.build_request(**self._settings.request(call))
        try:
            answer = self._http.send(request, stream=stream)
            if answer.is_success:
                return answer
            answer.read()
        except httpx.TransportError as error:
            raise unreachable(call, error) from error
        raise problem(answer)


class AsyncCaller:
    """Sends calls with asyncio, and repeats them after transient failures."""

    def __init__(
        self,
        url: str,
        key: str,
        *,
        timeout: float = 10,
        attempts: int = 4,
        http: httpx.AsyncClient | None = None,
    ) -> None:
        """`url` is the server's address, such as `https://chat.example.com`. `key` is the value of
        `ROOMFUL_API_KEY`.

        `timeout` is in seconds for each of the `attempts`. `http` is a client of your own, which you close.
        Raises `ValueError` for an address without `http://` or `https://`, and for an empty key.
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
        """The JSON of the answer."""
        return read(await self._answer(call, stream=False))

    async def _lines(self, call: Call) -> AsyncIterator[dict[str, Any]]:
        """The lines of the answer, each parsed. Once lines have come, failures are final."""
        answer = await self._answer(call, stream=True)
        try:
            lines = LineBuffer()
            async for part in answer.aiter_bytes():
                for line in lines.push(part):
                    yield line
            lines.end()
        except (httpx.TransportError, ValueError) as error:
            raise unreachable(call, error, "incomplete answer") from error
        finally:
            await answer.aclose()

    async def _answer(self, call: Call, *, stream: bool) -> httpx.Response:
        attempt = 1
        while True:
            try:
                return await self._attempt(call, stream=stream)
            except RoomfulError as error:
                pause = self._settings.pause(call, attempt, error)
                if pause is None:
                    raise
            await asyncio.sleep(pause)
            attempt += 1

    async def _attempt(self, call: Call, *, stream: bool) -> httpx.Response:
        request = self._http.build_request(**self._settings.request(call))
        try:
            answer = await self._http.send(request, stream=stream)
            if answer.is_success:
                return answer
            await answer.aread()
        except httpx.TransportError as error:
            raise unreachable(call, error) from error
        raise problem(answer)
