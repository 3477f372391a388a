"""Errors of the package."""

from __future__ import annotations


class RoomfulError(Exception):
    """A call that failed."""

    def __init__(self, code: str, status: int, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.code = code
        """The server's code, such as `not_found`; `unreachable` if no answer came, or only a part of it."""
        self.status = status
        """The HTTP status; 0 if no answer came, or only a part of it."""
        self.message = message
        self.retry_after = retry_after
        """Seconds to wait before another attempt, if the server named them."""

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


class WebhookError(Exception):
    """A request that is not from the server, or was tampered with. Answer it with 401."""
