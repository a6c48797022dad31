"""A file whose tests leave something open fails itself, and nobody else does."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LEAKS = """
import gc, socket

def test_leaks():
    gc.disable()
    circle = [socket.socket()]
    circle.append(circle)

def test_is_innocent():
    pass
"""
CLEAN = """
import gc

def test_comes_next():
    gc.collect()
"""


def test_what_a_file_leaves_open_is_an_error_of_that_file(tmp_path):
    for name, text in (("test_1_leaks.py", LEAKS), ("test_2_clean.py", CLEAN)):
        (tmp_path / name).write_text(text)
    settings = ["-c", str(ROOT / "pyproject.toml"), "--rootdir", str(ROOT)]
    command = [sys.executable, "-m", "pytest", *settings, "-p", "tests.support.garbage", "-q"]
    found = subprocess.run(
        [*command, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert "3 passed, 1 error" in found.stdout
    assert "test_1_leaks.py::test_is_innocent" in found.stdout
    assert "unclosed <socket.socket" in found.stdout
