"""Fixtures: the real server, started as the end-to-end tests start it, and both clients."""

import importlib.util
import pathlib
import runpy
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import pytest
import pytest_asyncio

ROOT = pathlib.Path(__file__).resolve().parents[3]
runpy.run_path(str(ROOT / "packages/python/scripts/generate.py"), run_name="__main__")

from receiver import Receiver  # noqa: E402

from roomful import AsyncRoomful, Roomful  # noqa: E402

SECRET = "package-secret-0123456789-abcdefghijkl"
API_KEY = "package-api-key-0123456789-abcdefghijkl"

_spec = importlib.util.spec_from_file_location("starters", ROOT / "e2e/python/conftest.py")
assert _spec and _spec.loader
starters = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(starters)


@dataclass(frozen=True)
class Server:
    """A running server, and the endpoints of its webhooks and hooks."""

    url: str
    receiver: Receiver


def hook(receiver: Receiver, event: str, path: str, rooms: str | None) -> str:
    """The setting of a hook, as TOML."""
    fields = [
        f'name = "{event} {path}", event = "{event}"',
        f'url = "{receiver.url}{path}", secret = "{receiver.secret}"',
        'on_failure = "refuse", timeout = "15s"',
        *([f'rooms = ["{rooms}"]'] if rooms else []),
    ]
    return f"{{ {', '.join(fields)} }}"


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("roomful")
    binary = starters.binary("ROOMFUL_BIN", "roomful")
    command = [binary, "serve", "--listen", "127.0.0.1:0", "--data", folder / "data"]
    with Receiver() as receiver:
        address = f'url = "{receiver.url}/webhook", secret = "{receiver.secret}"'
        # Without `rooms`, a hook is asked about all rooms. Hooks of the guides have routes of their own.
        hooks = [
            ("message.send", "/hook", "hooked-*"),
            ("room.join", "/hook", "hooked-*"),
            ("connect", "/hook", None),
            ("message.send", "/hooks/message", "guide-*"),
            ("room.join", "/hooks/join", "guide-*"),
            ("message.send", "/hooks/text", "readme-*"),
        ]
        variables = {
            "ROOMFUL_AUTH_SECRET": SECRET,
            "ROOMFUL_API_KEY": API_KEY,
            "ROOMFUL_LIMITS": "off",
            "ROOMFUL__WEBHOOKS": f'[{{ {address}, events = ["message.created"] }}]',
            "ROOMFUL__HOOKS": f"[{', '.join(hook(receiver, *one) for one in hooks)}]",
        }
        for url in starters.running(folder, command, variables):
            yield Server(url, receiver)


@pytest.fixture
def api(server: Server) -> Iterator[Roomful]:
    with Roomful(server.url, API_KEY) as client:
        yield client


@pytest_asyncio.fixture
async def async_api(server: Server) -> AsyncIterator[AsyncRoomful]:
    async with AsyncRoomful(server.url + "/", API_KEY) as client:
        yield client
