"""The package as a whole: types, and the wheel in an empty environment."""

import pathlib
import subprocess
import sys
import venv

HERE = pathlib.Path(__file__).resolve().parents[1]
USE = """
from roomful import Roomful, mint_token

def first_room(api: Roomful) -> str:
    return next(api.list_rooms())["room"]

token: str = mint_token("s" * 32, "alice")
"""


def run(*command: object, cwd: pathlib.Path = HERE) -> None:
    done = subprocess.run([str(one) for one in command], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_types_are_strict() -> None:
    run(sys.executable, "-m", "mypy", "--cache-dir", "/dev/null")


def test_the_wheel_works_in_an_empty_environment(tmp_path: pathlib.Path) -> None:
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", tmp_path)
    (wheel,) = tmp_path.glob("*.whl")
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv/bin/python"
    run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", wheel)
    (tmp_path / "use.py").write_text(USE)
    run(python, "use.py", cwd=tmp_path)
    # The marker py.typed is in the wheel: mypy takes the package's own types.
    check = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", "/dev/null"]
    run(*check, "--python-executable", python, "use.py", cwd=tmp_path)
