"""
Settings in a file: TOML, a table for each policy.
"""

from __future__ import annotations

import re
import tomllib
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from ..errors import ConfigurationError
from .configuration import Given
from .kinds import WrongType
from .settings import PATHS, TABLES, Setting

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MAX_BYTES = 256 * 1024
"""
In a file; each error in one is found by parsing many of its beginnings.
"""

_KEY = re.compile(r"\s*([A-Za-z0-9_.-]+)\s*=")


@attrs.frozen(repr=False)
class ConfigFile:
    """
    A file of settings that is TOML.
    """

    path: Path
    text: str
    tables: dict[str, Any]

    @classmethod
    def read(cls, path: str) -> ConfigFile:
        """
        Read and parse a file.

        @raise ConfigurationError: when it cannot be read or is no TOML; names
            the file, the line, and the key if there is one.
        """
        text = _content(path)
        try:
            return cls(Path(path), text, tomllib.loads(text))
        except tomllib.TOMLDecodeError as error:
            raise ConfigurationError.of(f"{path}, {_broken(text)}", str(error)) from error
        except RecursionError:
            raise ConfigurationError.of(path, "it is nested too deeply") from None

    def given(self, settings: Sequence[Setting]) -> dict[Setting, Given]:
        """
        Find the settings that the file has.

        @raise ConfigurationError: when there is something else in it, or a
            value has the wrong type.
        """
        known = {(setting.table, setting.key): setting for setting in settings}
        found = {}
        for table, keys in self.tables.items():
            self._require_table(table, keys)
            for key, value in keys.items():
                setting = known.get((table, key))
                if setting is None:
                    raise self._unknown(table, key, [other for name, other in known if name == table])
                found[setting] = self._given(setting, value)
        return found

    def _require_table(self, table: str, keys: object) -> None:
        if table not in TABLES:
            raise self._error((table,), f"there is no such table{_meant(table, TABLES)}")
        if not isinstance(keys, dict):
            raise self._error((table,), "expected a table")

    def _unknown(self, table: str, key: str, keys: Iterable[str]) -> ConfigurationError:
        return self._error((table, key), f"there is no such setting{_meant(key, keys)}")

    def _given(self, setting: Setting, value: object) -> Given:
        names = (setting.table, setting.key)
        try:
            checked = setting.kind.of_toml(value)
        except WrongType as error:
            raise self._error(names, str(error)) from error
        return Given(self._placed(checked) if setting.key in PATHS else checked, partial(self.place, names))

    def _placed(self, value: Any) -> Any:
        """
        Make paths start from the folder of the file.
        """
        if isinstance(value, list):
            return [self._placed(one) for one in value]
        return str(self.path.parent / value) if value else value

    def _error(self, names: tuple[str, ...], reason: str) -> ConfigurationError:
        return ConfigurationError.of(self.place(names), reason)

    def place(self, names: tuple[str, ...]) -> str:
        """
        Tell where a key is: the file, the line on which it begins, its name.

        @param names: of the table, and of the key in it if that is meant.
        """
        table, *keys = names
        return f"{self.path}, line {line_of(self.text, names)}: {' '.join([f'[{table}]', *keys])}"


def _content(path: str) -> str:
    try:
        with Path(path).open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise ConfigurationError.of(path, f"it is longer than {MAX_BYTES} bytes")
        return content.decode("utf-8")
    except OSError as error:
        raise ConfigurationError.of(path, f"it cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ConfigurationError.of(f"{path}, line {line}", "it is not UTF-8") from error
    except ValueError as error:
        # The path has a null byte, for instance.
        if isinstance(error, ConfigurationError):
            raise
        raise ConfigurationError.of(path, f"it cannot be read: {error}") from error


def _meant(name: str, names: Iterable[str]) -> str:
    close = get_close_matches(name, names, 1)
    return f"; is it {close[0]} that is meant?" if close else ""


def _beginnings(text: str) -> Iterable[tuple[int, dict[str, Any]]]:
    """
    Parse the beginnings of a text that are TOML: after each, with the number
    of its lines, a new statement may begin.
    """
    # As tomllib reads them: the beginning of a line's end would be no TOML.
    lines = text.replace("\r\n", "\n").split("\n")
    for number in range(len(lines) + 1):
        try:
            yield number, tomllib.loads("\n".join(lines[:number]))
        except (tomllib.TOMLDecodeError, RecursionError):
            continue


def line_of(text: str, names: tuple[str, ...]) -> int:
    """
    Find the line on which a key begins.

    @param names: of the tables round it, and of itself; it must be there.
    """
    line = 0
    for number, tables in _beginnings(text):
        found: Any = tables
        for name in names:
            found = found.get(name) if isinstance(found, dict) else None
        if found is not None:
            break
        line = number
    return line + 1


def _broken(text: str) -> str:
    """
    Find the statement that is wrong in a text: the line on which it begins,
    and its key where it plainly has one.
    """
    lines = text.split("\n")
    line = max(number for number, _ in _beginnings(text))
    key = _KEY.match(lines[line])
    return f"line {line + 1}" + (f": {key[1]}" if key else "")
