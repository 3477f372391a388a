"""Tokens: JWTs signed with the server's secret (HS256)."""

from __future__ import annotations

import time
from collections.abc import Sequence

import jwt

MIN_SECRET_BYTES = 32


def mint_token(
    secret: str,
    user: str,
    *,
    name: str | None = None,
    avatar: str | None = None,
    rooms: Sequence[str] | None = None,
    roles: Sequence[str] | None = None,
    ttl: float = 3_600,
) -> str:
    """Signs a token for a user.

    `secret` is the value of `ROOMFUL_AUTH_SECRET`, at least 32 bytes. `rooms` has patterns of the rooms that
    the user may enter, such as `"team-*"`; without it, every public room. The role `"moderator"` makes the
    user a moderator of all their rooms. `avatar` is the URL of a picture. `ttl` is in seconds.

    Raises `ValueError` for a short secret, a user id that is empty or no string, or a lifetime that is not
    positive.
    """
    if len(secret.encode()) < MIN_SECRET_BYTES:
        raise ValueError(f"the secret needs at least {MIN_SECRET_BYTES} bytes")
    if not isinstance(user, str) or not user:
        raise ValueError("the user's id must be a string that is not empty")
    if not ttl > 0:
        raise ValueError("the lifetime must be positive, in seconds")
    now = int(time.time())
    claims: dict[str, object] = {"sub": user, "iat": now, "exp": now + max(1, int(ttl))}
    optional: dict[str, object | None] = {
        "name": name,
        "avatar": avatar,
        "rooms": None if rooms is None else list(rooms),
        "roles": None if roles is None else list(roles),
    }
    claims |= {key: value for key, value in optional.items() if value is not None}
    return jwt.encode(claims, secret, algorithm="HS256")
