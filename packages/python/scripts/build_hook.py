"""A build hook that generates the client first. An sdist has the generated files already."""

import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class GenerateHook(BuildHookInterface):  # type: ignore[type-arg]
    """Runs scripts/generate.py in a checkout."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        root = Path(self.root)
        if (root / "../../docs/openapi.json").exists():
            subprocess.run([sys.executable, root / "scripts/generate.py"], check=True)
