"""
The type-only test of the public API.

mypy checks C{typing_samples} with everything else (C{.ci/run}); here we only make sure that there is something to
check, and that its imports work.
"""

from __future__ import annotations

import ast
from pathlib import Path

import matrix_federation_agent
from tests import typing_samples

from .case import TestCase


class SampleTests(TestCase):
    """C{typing_samples}."""

    def test_the_whole_public_api_is_used(self) -> None:
        """Every exported name occurs in the samples."""
        path = Path(typing_samples.__file__)
        used = {node.id for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Name)}
        self.assertEqual(set(matrix_federation_agent.__all__) - used, set())
