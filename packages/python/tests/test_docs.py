"""The Python code of the guides and of README, run as scripts/doc-code.mjs writes it to tests/docs."""

import os
import pathlib
import runpy
import subprocess
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from chat_user import ChatUser
from conftest import API_KEY, ROOT, SECRET, Server

from roomful import Roomful, RoomfulError, mint_token

DOCS = pathlib.Path(__file__).resolve().parent / "docs"
subprocess.run(["node", ROOT / "scripts/doc-code.mjs", "packages/python/"], check=True)

Run = Callable[[str], None]
"""Runs a page's code by its name."""
saved: list[dict[str, Any]] = []


class App:
    """What the code of the guides uses of Flask: routes that return JSON, and `request` within them."""

    def __init__(self, server: Server) -> None:
        self.request = SimpleNamespace()
        self._routes = server.receiver.routes

    def post(self, path: str) -> Callable[[Callable[[], Any]], None]:
        def register(view: Callable[[], Any]) -> None:
            def answer(headers: dict[str, str], body: bytes) -> Any:
                self.request.headers, self.request.get_data = headers, lambda: body
                return view()

            self._routes[path] = answer

        return register


@pytest.fixture
def run(server: Server, api: Roomful, monkeypatch: pytest.MonkeyPatch) -> Run:
    app = App(server)
    for name, value in [
        ("ROOMFUL_URL", server.url),
        ("ROOMFUL_API_KEY", API_KEY),
        ("ROOMFUL_AUTH_SECRET", SECRET),
        ("HOOK_SECRET", server.receiver.secret),
    ]:
        monkeypatch.setenv(name, value)
    # What the reader's own code has.
    own = {"api": api, "app": app, "request": app.request, "save": saved.append, "os": os, "time": time}

    def run_page(name: str) -> None:
        runpy.run_path(str(DOCS / f"{name}.py"), init_globals=own)

    return run_page


def test_rooms_and_profiles(api: Roomful, run: Run) -> None:
    run("guide_rooms")
    assert api.show_room("team-42")["kind"] == "private"
    run("guide_profiles")
    assert api.change_user("alice").get("metadata") == {"team": "red"}


def test_moderation(server: Server, api: Roomful, run: Run) -> None:
    api.put_room("team-42")
    api.put_room("square", kind="public")
    seq = api.post_message("square", user_id="mallory", text="buy this")["seq"]
    with ChatUser(server.url, mint_token(SECRET, "rita")) as rita:
        rita.ask("chat:join", {"room": "square"})
        rita.ask("chat:report", {"room": "square", "seq": seq, "reason": "spam"})
    run("guide_moderation")
    assert [one.get("deleted") for one in api.all_messages("square")] == [True]
    with pytest.raises(RoomfulError, match="banned"):
        api.put_member("team-42", "mallory")
    api.remove_mute("mallory")


@pytest.mark.parametrize("page", ["guide_personal_data", "readme_moderation"])
def test_personal_data(api: Roomful, run: Run, page: str) -> None:
    api.put_room("team")
    api.change_user("alice", name="Alice")
    saved.clear()
    run(page)
    assert "user" in [row["type"] for row in saved]
    assert list(api.export_user("alice")) == []


def test_hooks(server: Server, api: Roomful, run: Run) -> None:
    for room in ("guide-1", "readme-1"):
        api.put_room(room, kind="public")
    for page in ("hooks", "guide_hooks", "readme_hooks"):
        run(page)
    for room in ("guide-1", "readme-1"):
        api.post_message(room, user_id="bot", text="oh, darn")
        with pytest.raises(RoomfulError, match="advertising"):
            api.post_message(room, user_id="bot", text="come to our casino")
    assert [one["text"] for one in api.all_messages("guide-1")] == ["oh, ****"]
    for user, is_allowed in [("guest-1", False), ("bob", True)]:
        with ChatUser(server.url, mint_token(SECRET, user)) as guest:
            assert guest.ask("chat:join", {"room": "guide-1"})["ok"] is is_allowed


def test_no_page_is_forgotten() -> None:
    source = pathlib.Path(__file__).read_text()
    assert [page.stem for page in DOCS.glob("*.py") if f'"{page.stem}"' not in source] == []
