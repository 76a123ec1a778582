"""Imports point one way."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = {"models", "signaling", "peer_local", "peer_remote", "deploy", "tests"}
ALLOWED = {
    "models": {"models"},
    "signaling": {"signaling"},
    "peer_local": {"peer_local", "models", "signaling"},
    "peer_remote": {"peer_remote", "models", "signaling"},
    "deploy": {"deploy", "models", "peer_local", "peer_remote", "signaling"},
}
HEAVY = {"av", "aiortc", "ctranslate2", "cv2", "faster_whisper", "llama_cpp", "onnxruntime", "skia", "torch"}


def imports(file: Path) -> set[str]:
    """Top-level names that `file` imports anywhere."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {name.name.partition(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found


@pytest.mark.parametrize("package", sorted(ALLOWED))
def test_a_package_imports_only_what_it_may(package: str) -> None:
    for file in (ROOT / package).rglob("*.py"):
        strangers = imports(file) & PACKAGES - ALLOWED[package]
        assert not strangers, f"{file.relative_to(ROOT)} imports {strangers}"


def test_of_the_performer_deployment_knows_only_the_services() -> None:
    """Which processes a machine has is described beside the performer; what a performer does is its own business."""
    for file in (ROOT / "deploy").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("peer_remote"):
                assert node.module.startswith("peer_remote.services"), f"{file.relative_to(ROOT)}: {node.module}"


@pytest.mark.parametrize(
    "file", ["models/interfaces.py", "models/errors.py", "models/settings.py", "models/registry.py", "models/worker.py"]
)
def test_what_everybody_imports_is_light(file: str) -> None:
    assert not imports(ROOT / file) & HEAVY


def test_torch_is_nowhere_on_the_way_to_a_cpu_machine() -> None:
    for package in ALLOWED:
        for file in (ROOT / package).rglob("*.py"):
            assert "torch" not in imports(file) or "musetalk" in file.parts, file
