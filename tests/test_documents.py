"""
Tests of what the documents say about the tree.
"""

from __future__ import annotations

import re
from pathlib import Path

from tests.case import TestCase

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("matrix_federation_agent", "twisted", "examples", "benchmarks", "integration")
DOCUMENTS = (ROOT / "README.rst", ROOT / "SECURITY.md", *sorted((ROOT / "docs").glob("*.rst")))

_MODULE = re.compile(r"[`\s(]((?:\w+/)*\w+\.py)\b")


def modules(document: Path) -> set[str]:
    """
    Find the modules that a document names, with as much of their path as it tells.
    """
    return set(_MODULE.findall(document.read_text("utf-8")))


def is_there(module: str) -> bool:
    """
    Tell whether there is such a module in the tree.
    """
    found = [path for folder in FOLDERS for path in (ROOT / folder).rglob(Path(module).name)]
    return any(str(path).endswith(f"/{module}") for path in found)


class ModuleTests(TestCase):
    """
    Modules move; what is written about them has to follow.
    """

    def test_modules_exist(self) -> None:
        """
        Every module that a document names is there.
        """
        named = {(document.name, module) for document in DOCUMENTS for module in modules(document)}
        self.assertEqual([], sorted(pair for pair in named if not is_there(pair[1])))

    def test_modules_are_found(self) -> None:
        """
        The documents do name modules, with and without their folders.
        """
        self.assertLessEqual({"_tls/verification.py", "_policies/proxy_urls.py"}, modules(ROOT / "SECURITY.md"))
        self.assertIn("dialer.py", modules(ROOT / "docs" / "design.rst"))
