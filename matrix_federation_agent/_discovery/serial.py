"""
The serial form of what is remembered: JSON, versioned, and read with the same
distrust as anything that comes from outside.

A form never changes under its version.  An entry of another version, or a
damaged one, is "not known".
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from ipaddress import ip_address
from typing import Any, TypeVar

from .._server_name import ServerName
from .delegation import DelegationEntry
from .records import RecordsEntry
from .routing import ServiceRecord

VERSION = 1

L = TypeVar("L")

_SUMMARY = 1000
_RECORDS = 1000


def dump_delegation(entry: DelegationEntry) -> str:
    """
    Write what is remembered of a C{.well-known}.
    """
    form = {
        "v": VERSION,
        "to": None if entry.delegation is None else str(entry.delegation),
        "summary": entry.summary,
        "fetched": entry.fetched,
        "next_try": entry.next_try,
        "expires": entry.expires,
        "failures": entry.failures,
        "doubted": entry.doubted,
    }
    return json.dumps(form, separators=(",", ":"))


def load_delegation(text: str) -> DelegationEntry | None:
    """
    Read what L{dump_delegation} wrote.

    @return: L{None} for anything else.
    """
    return _loaded(text, _delegation)


def _delegation(form: dict[str, Any]) -> DelegationEntry:
    return DelegationEntry(
        delegation=None if form["to"] is None else ServerName.parse(_text(form["to"])),
        summary=_text(form["summary"])[:_SUMMARY],
        fetched=_time(form["fetched"]),
        next_try=_time(form["next_try"]),
        expires=_time(form["expires"]),
        failures=_count(form["failures"]),
        doubted=form["doubted"] is True,
    )


def dump_services(entry: RecordsEntry[ServiceRecord]) -> str:
    """
    Write what is remembered of SRV records.
    """
    return _dump_records(entry, lambda one: [one.priority, one.weight, one.port, one.target.decode("latin-1")])


def load_services(text: str) -> RecordsEntry[ServiceRecord] | None:
    """
    Read what L{dump_services} wrote.

    @return: L{None} for anything else.
    """
    return _loaded(text, lambda form: _records(form, _service))


def _service(form: Any) -> ServiceRecord:
    priority, weight, port, target = form
    return ServiceRecord(_uint16(priority), _uint16(weight), _uint16(port), _text(target).encode("latin-1"))


def dump_addresses(entry: RecordsEntry[str]) -> str:
    """
    Write what is remembered of addresses.
    """
    return _dump_records(entry, str)


def load_addresses(text: str) -> RecordsEntry[str] | None:
    """
    Read what L{dump_addresses} wrote.

    @return: L{None} for anything else.
    """
    return _loaded(text, lambda form: _records(form, lambda one: str(ip_address(_text(one)))))


def _dump_records(entry: RecordsEntry[Any], write: Callable[[Any], object]) -> str:
    form = {
        "v": VERSION,
        "records": None if entry.records is None else [write(record) for record in entry.records],
        "fetched": entry.fetched,
        "expires": entry.expires,
        "next_try": entry.next_try,
        "failures": entry.failures,
        "failure": entry.failure,
    }
    return json.dumps(form, separators=(",", ":"))


def _records(form: dict[str, Any], read: Callable[[Any], Any]) -> RecordsEntry[Any]:
    records = form["records"]
    return RecordsEntry(
        records=None if records is None else tuple(read(one) for one in _list(records)[:_RECORDS]),
        fetched=_time(form["fetched"]),
        expires=_time(form["expires"]),
        next_try=_time(form["next_try"]),
        failures=_count(form["failures"]),
        failure=_text(form["failure"])[:_SUMMARY],
    )


def _loaded(text: str, read: Callable[[dict[str, Any]], L]) -> L | None:
    """
    Read a form, or nothing.
    """
    try:
        form = json.loads(text)
        return read(form) if form["v"] == VERSION else None
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return None


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError(value)
    return value


def _time(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise TypeError(value)
    return float(value)


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise TypeError(value)
    return value


def _uint16(value: Any) -> int:
    # As wide as on the wire (RFC 2782).
    if _count(value) >= 2**16:
        raise ValueError(value)
    return int(value)
