"""
What is public, is there, is said to be there, and is documented.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import matrix_federation_agent
from matrix_federation_agent import errors, gateway, testing

from .case import TestCase

CHECKOUT = Path(__file__).parent.parent
PACKAGE = CHECKOUT / "matrix_federation_agent"

FACADES: tuple[ModuleType, ...] = (matrix_federation_agent, gateway, testing)

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def parsed(path: Path) -> ast.Module:
    """Read a source."""
    return ast.parse(path.read_text("utf-8"))


def source_of(module: ModuleType) -> ast.Module:
    """Read the source of a module."""
    return parsed(Path(inspect.getfile(module)))


def public_definitions(node: ast.Module | ast.ClassDef) -> Iterator[Definition]:
    """Find the public functions, classes and methods in a source; what is inside a function is not public."""
    for child in node.body:
        if isinstance(child, Definition) and not child.name.startswith("_"):
            yield child
            if isinstance(child, ast.ClassDef):
                yield from public_definitions(child)


def undocumented(tree: ast.Module) -> list[str]:
    """Find what is public and has no docstring, the module among them."""
    found = [one.name for one in public_definitions(tree) if not ast.get_docstring(one)]
    return found if ast.get_docstring(tree) else ["(the module)", *found]


def documented_constants(tree: ast.Module) -> set[str]:
    """Find the names of a module that are followed by a docstring of their own."""
    found: set[str] = set()
    for node, after in zip(tree.body, tree.body[1:], strict=False):
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
            found.update(target.id for target in targets if isinstance(target, ast.Name))
    return found


class ExportTests(TestCase):
    """C{__all__}."""

    def test_facades_list_what_they_import(self) -> None:
        """C{__all__} of a facade is exactly what it imports by a public name, and its version."""
        for module in FACADES:
            nodes = [node for node in source_of(module).body if isinstance(node, ast.ImportFrom)]
            names = {alias.asname or alias.name for node in nodes for alias in node.names}
            self.assertEqual(set(module.__all__), names, module.__name__)

    def test_errors_lists_what_it_defines(self) -> None:
        """C{__all__} of C{errors} is its exceptions, and what they are made of."""
        defined = {name for name, one in vars(errors).items() if getattr(one, "__module__", None) == errors.__name__}
        self.assertEqual(set(errors.__all__), (defined | {"Phase"}) - {"summarised"})

    def test_names_are_listed_once_and_in_order(self) -> None:
        """A reader finds a name where the alphabet has it."""
        for module in (*FACADES, errors):
            self.assertEqual(len(set(module.__all__)), len(module.__all__), module.__name__)

    def test_every_name_is_there(self) -> None:
        """What is listed can be imported."""
        for module in (*FACADES, errors):
            self.assertEqual([name for name in module.__all__ if not hasattr(module, name)], [], module.__name__)

    def test_every_name_is_documented(self) -> None:
        """Classes and functions have a docstring; constants have one below them."""
        trees = [parsed(path) for path in PACKAGE.rglob("*.py")]
        constants = set().union(*map(documented_constants, trees)) | {"__version__"}
        for module in (*FACADES, errors):
            named = [(name, getattr(module, name)) for name in module.__all__ if name not in constants]
            # A constant has the docstring of its type, which says nothing of the constant.
            found = [name for name, one in named if not one.__doc__ or one.__doc__ == type(one).__doc__]
            self.assertEqual(found, [], module.__name__)

    def test_the_version_is_the_package_s(self) -> None:
        """What the package says and what setup.py reads is one number."""
        namespace: dict[str, str] = {}
        exec((PACKAGE / "_version.py").read_text("utf-8"), namespace)
        self.assertEqual(matrix_federation_agent.__version__, namespace["__version__"])


class DocstringTests(TestCase):
    """Docstrings."""

    def test_everything_public_has_a_docstring(self) -> None:
        """Every module, and every function, class and method whose name is public, says what it is."""
        for path in sorted(PACKAGE.rglob("*.py")):
            self.assertEqual(undocumented(parsed(path)), [], str(path.relative_to(CHECKOUT)))

    def test_what_is_missing_is_found(self) -> None:
        """The search itself finds methods, and leaves private and inner names alone."""
        source = "class A:\n  'a'\n  async def b(self): ...\n  def _c(self): ...\ndef d():\n  'd'\n  def e(): ..."
        self.assertEqual(undocumented(ast.parse(source)), ["(the module)", "b"])

    def test_constants_without_a_docstring_are_not_found(self) -> None:
        """Only a text directly below an assignment documents it."""
        source = "A = 1\n'a'\nB: int = 2\n'b'\nC = 3\nD = 4\nprint()\n"
        self.assertEqual(documented_constants(ast.parse(source)), {"A", "B"})


class PackagingTests(TestCase):
    """What setup.py packs."""

    def test_every_package_is_packed(self) -> None:
        """setup.py lists each folder of sources, and the plugin's."""
        call = next(
            node
            for node in ast.walk(parsed(CHECKOUT / "setup.py"))
            if isinstance(node, ast.keyword) and node.arg == "packages"
        )
        folders = {path.parent.relative_to(CHECKOUT) for path in PACKAGE.rglob("*.py")}
        on_disk = {".".join(folder.parts) for folder in folders} | {"twisted.plugins"}
        self.assertEqual(set(ast.literal_eval(call.value)), on_disk)

    def test_every_folder_of_sources_is_a_package(self) -> None:
        """No folder of the package lacks its C{__init__.py}."""
        folders = {path.parent for path in PACKAGE.rglob("*.py")}
        self.assertEqual([str(folder) for folder in folders if not (folder / "__init__.py").is_file()], [])

    def test_twisted_is_left_alone(self) -> None:
        """No C{__init__.py} goes under C{twisted}: it would overwrite Twisted's own."""
        found = sorted(path.name for path in (CHECKOUT / "twisted").rglob("*.py"))
        self.assertEqual(found, ["matrix_federation_agent_dropin.py"])

    def test_types_are_published(self) -> None:
        """The marker of PEP 561 is there."""
        self.assertTrue((PACKAGE / "py.typed").is_file())
