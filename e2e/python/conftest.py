"""Fixtures: the programs under test, each on a free port, and tokens made with the standard library."""

import base64
import hashlib
import hmac
import json
import os
import pathlib
import subprocess
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SECRET = "python-secret-0123456789-abcdefghijkl"
API_KEY = "python-api-key-0123456789-abcdefghijkl"
PATIENCE = 20


def binary(variable, name):
    """The path in `variable`, or the debug or release build."""
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    given = os.environ.get(variable)
    candidates = [pathlib.Path(given)] if given else [target / "debug" / name, target / "release" / name]
    for path in candidates:
        if path.exists():
            return path
    pytest.fail(f"no {name} at {' or '.join(map(str, candidates))}: build it, or set {variable}")


def running(folder, command, env):
    """Starts `command`, yields its URL once it listens, kills it afterwards."""
    port_file = folder / "port"
    own = {name: value for name, value in os.environ.items() if not name.startswith("ROOMFUL_")}
    own |= env | {"ROOMFUL_PORT_FILE": str(port_file)}
    log = folder / "log"
    with (
        log.open("w") as output,
        subprocess.Popen(command, env=own, stdout=output, stderr=output) as process,
    ):
        try:
            deadline = time.monotonic() + PATIENCE
            while not (port_file.exists() and port_file.read_text().endswith("\n")):
                assert process.poll() is None, f"{command[0]} ended at once: {log.read_text()}"
                assert time.monotonic() < deadline, f"{command[0]} does not listen: {log.read_text()}"
                time.sleep(0.01)
            yield f"http://{port_file.read_text().strip()}"
        finally:
            process.kill()


@pytest.fixture(scope="session")
def conformance(tmp_path_factory):
    """The conformance example of roomful-socket: echoes, acks, two namespaces."""
    folder = tmp_path_factory.mktemp("conformance")
    yield from running(folder, [binary("CONFORMANCE_BIN", "examples/conformance"), "127.0.0.1:0"], {})


@pytest.fixture(scope="session")
def roomful(tmp_path_factory):
    """The real server."""
    folder = tmp_path_factory.mktemp("roomful")
    command = [
        binary("ROOMFUL_BIN", "roomful"),
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--data",
        folder / "data",
    ]
    variables = {
        "ROOMFUL_AUTH_SECRET": SECRET,
        "ROOMFUL_API_KEY": API_KEY,
        # Generated requests try many wrong keys. Each one is to be answered by 401.
        "ROOMFUL__API__FAILURES_PER_MINUTE": "1000000",
    }
    yield from running(folder, command, variables)


def token_for(user, **claims):
    """A JWT for `user`, HS256, valid for an hour."""

    def part(data):
        return base64.urlsafe_b64encode(data).rstrip(b"=")

    claims = {"sub": user, "name": user, "exp": int(time.time()) + 3600} | claims
    message = b".".join(part(json.dumps(one).encode()) for one in ({"alg": "HS256", "typ": "JWT"}, claims))
    return (message + b"." + part(hmac.digest(SECRET.encode(), message, hashlib.sha256))).decode()
