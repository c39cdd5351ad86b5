"""
Settings of Sphinx.
"""

from __future__ import annotations

from pathlib import Path

# For the version alone; importing the package would need its dependencies.
_version: dict[str, str] = {}
exec((Path(__file__).parent.parent / "matrix_federation_agent" / "_version.py").read_text("utf-8"), _version)  # noqa: S102

project = "matrix_federation_agent"
project_copyright = "the matrix_federation_agent authors"
release = version = _version["__version__"]
exclude_patterns = ["_build"]
default_role = "literal"
highlight_language = "python"
html_theme = "alabaster"
html_theme_options = {
    "description": "An IAgent for requests to other Matrix servers",
    "fixed_sidebar": True,
    "page_width": "1060px",
}
html_show_sourcelink = False
