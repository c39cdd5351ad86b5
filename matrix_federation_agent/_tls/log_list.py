"""
The Certificate Transparency logs that count, read from a file.

The format is version 3 of the one that Google publishes
(https://www.gstatic.com/ct/log_list/v3/log_list_schema.json): operators, each
with C{logs} and C{tiled_logs}.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from hashlib import sha256
from typing import Any, Literal, TypeVar, cast, get_args

import attrs

from ..errors import ConfigurationError
from .files import read_file

T = TypeVar("T")

State = Literal["usable", "qualified", "readonly", "retired", "pending", "rejected"]
"""
What a log is to those who publish the list.
"""

_STATES = frozenset(get_args(State))
_JSON: Mapping[type, str] = {dict: "object", list: "array", str: "string"}

MAX_BYTES = 4 * 1024 * 1024
"""
The largest list that is read.  The one that Chromium came with in October 2021
has 25 kB.
"""


@attrs.frozen
class Interval:
    """
    When the certificates expire that a log takes.

    @ivar start: the first moment.
    @ivar end: the moment after the last.
    """

    start: datetime
    end: datetime

    def __contains__(self, moment: datetime) -> bool:
        return self.start <= moment < self.end


@attrs.frozen
class Log:
    """
    A log.

    @ivar log_id: SHA-256 of its key (RFC 6962, section 3.2).
    @ivar key: its public key, as DER of a SubjectPublicKeyInfo; it may be of a
        kind that is not known here.
    @ivar description: its name.
    @ivar operator: who runs it.
    @ivar state: L{None} where the list does not say.
    @ivar retired_at: when it was retired, or L{None} where it was not.
    @ivar interval: L{None} where it takes every certificate.
    """

    log_id: bytes
    key: bytes = attrs.field(repr=False)
    description: str
    operator: str
    state: State | None
    retired_at: datetime | None = None
    interval: Interval | None = None


@attrs.frozen
class LogList:
    """
    Logs, each once.
    """

    logs: tuple[Log, ...]
    _by_id: Mapping[bytes, Log] = attrs.field(init=False, repr=False, eq=False)

    @_by_id.default
    def _index(self) -> Mapping[bytes, Log]:
        return {log.log_id: log for log in self.logs}

    def get(self, log_id: bytes) -> Log | None:
        """
        Find a log.
        """
        return self._by_id.get(log_id)

    @classmethod
    def read(cls, path: str) -> LogList:
        """
        Read a file.

        @raise ConfigurationError: when it cannot be used.
        """
        content = read_file("ct_log_list", path)
        try:
            return cls.parse(content)
        except ValueError as error:
            raise ConfigurationError.of("ct_log_list", f"{path} is no list of logs: {error}") from error

    @classmethod
    def parse(cls, content: bytes) -> LogList:
        """
        Parse the content of a file.

        @raise ValueError: when it is no list; the text says where.
        """
        if len(content) > MAX_BYTES:
            raise ValueError(f"it is larger than {MAX_BYTES} bytes")
        try:
            document = json.loads(content, object_pairs_hook=_object)
        except RecursionError as error:
            raise ValueError("it is nested too deeply") from error
        logs = tuple(_logs(_checked("the document", document, dict)))
        if not logs:
            raise ValueError("it holds no log")
        _refuse_duplicates(logs)
        return cls(logs)


def _refuse_duplicates(logs: tuple[Log, ...]) -> None:
    """
    Refuse a log that is there twice: which of its states would count?
    """
    seen: dict[bytes, Log] = {}
    for log in logs:
        other = seen.setdefault(log.log_id, log)
        if other is not log:
            raise ValueError(f"{other.description!r} and {log.description!r} are the same log")


def _object(members: list[tuple[str, Any]]) -> dict[str, Any]:
    """
    Refuse a member that is there twice, of which readers take the one or the
    other (RFC 8259, section 4).
    """
    read = dict(members)
    if len(read) != len(members):
        raise ValueError("an object has two members of the same name")
    return read


def _logs(document: dict[str, Any]) -> Iterator[Log]:
    for number, value in enumerate(_member("the document", document, "operators", list)):
        where = f"operators[{number}]"
        operator = _checked(where, value, dict)
        name = _member(where, operator, "name", str)
        for kind in ("logs", "tiled_logs"):
            for place, log in enumerate(_checked(f"{where}.{kind}", operator.get(kind, []), list)):
                yield _log(f"{where}.{kind}[{place}]", log, name)


def _log(where: str, value: object, operator: str) -> Log:
    entry = _checked(where, value, dict)
    log_id = _base64(where, entry, "log_id")
    key = _base64(where, entry, "key")
    if sha256(key).digest() != log_id:
        raise ValueError(f"{where}.log_id is not the SHA-256 of its key")
    description = _checked(f"{where}.description", entry.get("description", log_id.hex()), str)
    return Log(log_id, key, description, operator, *_state(where, entry), _interval(where, entry))


def _state(where: str, entry: dict[str, Any]) -> tuple[State | None, datetime | None]:
    """
    Read the state of a log, and when it was retired.
    """
    if "state" not in entry:
        return None, None
    state = _member(where, entry, "state", dict)
    where = f"{where}.state"
    if len(state) != 1 or not _STATES.issuperset(state):
        raise ValueError(f"{where} is not one of {', '.join(sorted(_STATES))}")
    (name,) = state
    details = _member(where, state, name, dict)
    retired_at = _moment(f"{where}.{name}", details, "timestamp") if name == "retired" else None
    return cast("State", name), retired_at


def _interval(where: str, entry: dict[str, Any]) -> Interval | None:
    if "temporal_interval" not in entry:
        return None
    interval = _member(where, entry, "temporal_interval", dict)
    where = f"{where}.temporal_interval"
    return Interval(_moment(where, interval, "start_inclusive"), _moment(where, interval, "end_exclusive"))


def _moment(where: str, entry: dict[str, Any], name: str) -> datetime:
    text = _member(where, entry, name, str)
    fault = f"{where}.{name} is no date and time with a time zone"
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError(fault) from error
    if moment.tzinfo is None:
        raise ValueError(fault)
    return moment


def _base64(where: str, entry: dict[str, Any], name: str) -> bytes:
    text = _member(where, entry, name, str)
    try:
        return base64.b64decode(text, validate=True)
    except ValueError as error:
        raise ValueError(f"{where}.{name} is no base64") from error


def _member(where: str, entry: dict[str, Any], name: str, kind: type[T]) -> T:
    if name not in entry:
        raise ValueError(f"{where} has no {name}")
    return _checked(f"{where}.{name}", entry[name], kind)


def _checked(where: str, value: object, kind: type[T]) -> T:
    if not isinstance(value, kind):
        raise ValueError(f"{where} is no {_JSON[kind]}")  # noqa: TRY004 (a fault of the file, not of the caller)
    return value
