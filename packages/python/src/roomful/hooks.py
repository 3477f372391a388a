"""Hooks: verification of the server's questions before an event happens, and the answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NotRequired, TypedDict

from .errors import WebhookError
from .signatures import verified


class HookMessage(TypedDict):
    """A message that is about to be stored, with the names of the JSON."""

    text: str
    seq: NotRequired[int]
    """The seq of the message that an edit changes. Absent for a new message."""
    clientId: NotRequired[str]
    replyTo: NotRequired[int]
    """The seq of the message that it replies to."""
    mentions: NotRequired[list[str]]
    """The ids of the mentioned users."""
    metadata: NotRequired[dict[str, Any]]
    """The app's own fields. An edit has none."""


@dataclass(frozen=True)
class Hook:
    """The verified question of a hook."""

    id: str
    """The same for all attempts at one question."""
    event: Literal["message.send", "room.join", "connect"]
    user: str
    """The id of the user who causes the event."""
    room: str | None = None
    """The room's name; `None` for `connect`."""
    message: HookMessage | None = None
    """The message or edit; only for `message.send`."""
    claims: dict[str, Any] | None = None
    """All claims of the token; only for `connect`."""


class HookAnswer(TypedDict):
    """An answer to a hook. Send it as JSON, with a status of 2xx."""

    action: Literal["allow", "refuse", "replace"]
    reason: NotRequired[str]
    message: NotRequired[dict[str, Any]]


def verify_hook(secret: str | Sequence[str], headers: Mapping[str, str], body: bytes | str) -> Hook:
    """Verifies the request of a hook and returns its question.

    `body` is the raw request body. `secret` is the hook's `whsec_…`, or several during a rotation. The names
    of `headers` may have any case.

    Raises `WebhookError` if no signature matches, the timestamp is more than five minutes off, or the request
    is not that of a hook.
    """
    hook_id, question = verified(secret, headers, body)
    event, user = question.get("event"), question.get("user")
    if not isinstance(event, str) or not isinstance(user, str):
        raise WebhookError("this is not the request of a hook; verify_webhook reads webhooks")
    details = {name: question.get(name) for name in ("room", "message", "claims")}
    return Hook(hook_id, event, user, **details)  # type: ignore[arg-type]


def allow() -> HookAnswer:
    """The event happens."""
    return {"action": "allow"}


def refuse(reason: str | None = None) -> HookAnswer:
    """The event does not happen. The client gets the error `refused` with this reason as its message."""
    if reason is None:
        return {"action": "refuse"}
    return {"action": "refuse", "reason": reason}


def replace(message: Mapping[str, Any]) -> HookAnswer:
    """The message is stored with this `text` and `metadata`.

    A missing part stays as it is, and `None` removes the metadata. Other fields do not count, so you can pass
    the message with your changes: `replace({**hook.message, "text": text})`.

    Raises `ValueError` if there is neither a text nor metadata.
    """
    parts = {name: message[name] for name in ("text", "metadata") if name in message}
    if not parts:
        raise ValueError("a replacement needs a text or metadata")
    return {"action": "replace", "message": parts}
