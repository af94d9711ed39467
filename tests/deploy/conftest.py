"""The rendered manifests, once per session."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(Path(__file__).parent))  # for as_deployed.py


@pytest.fixture(scope="session")
def check_manifests() -> ModuleType:
    """scripts/check_manifests.py as a module."""
    path = ROOT / "scripts/check_manifests.py"
    spec = importlib.util.spec_from_file_location("check_manifests", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["check_manifests"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def rendered(check_manifests: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, Any]]]:
    """Overlay name -> its documents, with secrets made by make_secrets.sh."""
    command = check_manifests.renderer()
    assert command is not None, check_manifests.MISSING
    targets = check_manifests.prepare(tmp_path_factory.mktemp("manifests"))
    overlays = [target for target in targets if target.parent.name == "overlays"]
    return {target.name: check_manifests.render(command, target) for target in overlays}


@pytest.fixture(scope="session")
def dev(rendered: dict[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """The documents of the overlay `dev`."""
    return rendered["dev"]
