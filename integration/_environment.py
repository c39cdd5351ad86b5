"""
The environment of Synapse, which is apart from ours: it is AGPL, and started, never imported.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import venv
from pathlib import Path


def synapse_python(given: argparse.Namespace) -> str:
    """
    Find the interpreter that runs Synapse; with C{--venv} its environment is made first, by pip from PyPI.

    @raise CalledProcessError: when that fails.
    """
    if given.venv is None:
        return str(given.synapse_python or sys.executable)
    directory = Path(given.venv)
    python = directory / "bin" / "python"
    if not python.exists():
        venv.create(directory, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "matrix-synapse[redis]"], check=True)
    return str(python.absolute())
