"""
Tests of C{matrix_federation_agent._tls.log_list}.
"""

from __future__ import annotations

import json
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from matrix_federation_agent._tls.log_list import MAX_BYTES, Interval, Log, LogList
from matrix_federation_agent.errors import ConfigurationError
from tests.case import TestCase

from .logs import SigningLog, encoded, log_list

hostile = settings(deadline=None, database=None, derandomize=True, max_examples=300)

ALPHA = SigningLog()
SPRING = datetime(2026, 4, 1, 12, 30, tzinfo=UTC)


def alpha(**settings: object) -> Log:
    """
    Make what is read of the log.
    """
    described = {"description": "Alpha", "operator": "Example", "state": "usable", **settings}
    return Log(ALPHA.log_id, encoded(ALPHA.key), **described)  # type: ignore[arg-type]


def with_member(name: str, value: object) -> bytes:
    """
    Make a list of the one log, with one more member.
    """
    return log_list({**ALPHA.entry(), name: value})


def without(name: str) -> bytes:
    """
    Make a list of the one log, without one of its members.
    """
    return log_list({key: value for key, value in ALPHA.entry().items() if key != name})


class ParseTests(TestCase):
    """
    L{LogList.parse}, of what is a list.
    """

    def test_both_kinds(self) -> None:
        """
        Logs of both kinds count, those of every operator, in the order of the list.
        """
        names = [("one", "logs"), ("two", "tiled_logs")]
        logs = {name: SigningLog(name) for name, _ in names}
        operators = [{"name": name.upper(), kind: [logs[name].entry()]} for name, kind in names]
        found = LogList.parse(json.dumps({"operators": [*operators, {"name": "nobody"}]}).encode())
        self.assertEqual([(log.description, log.operator) for log in found.logs], [("one", "ONE"), ("two", "TWO")])

    def test_states(self) -> None:
        """
        Each state is read; when it began only where that matters.
        """
        states = ("usable", "qualified", "readonly", "retired", "pending", "rejected")
        found = [LogList.parse(log_list(ALPHA.entry(state, SPRING))).logs for state in states]
        retired = {"retired": SPRING}
        self.assertEqual(found, [(alpha(state=state, retired_at=retired.get(state)),) for state in states])

    def test_without_a_state(self) -> None:
        """
        A log may have no state.
        """
        self.assertEqual(LogList.parse(without("state")).logs, (alpha(state=None),))

    def test_without_a_description(self) -> None:
        """
        A log without a name is called by its ID.
        """
        self.assertEqual(LogList.parse(without("description")).logs, (alpha(description=ALPHA.log_id.hex()),))

    def test_interval(self) -> None:
        """
        The interval is read, with time zones, and with or without fractions of seconds.
        """
        content = with_member(
            "temporal_interval",
            {"start_inclusive": "2026-04-01T14:30:00+02:00", "end_exclusive": "2026-04-01T12:30:00.25Z"},
        )
        interval = Interval(SPRING, SPRING + timedelta(milliseconds=250))
        self.assertEqual(LogList.parse(content).logs, (alpha(interval=interval),))

    def test_unknown_members(self) -> None:
        """
        What else is said of a log does not matter.
        """
        content = with_member("previous_operators", [{"name": "Other", "end_time": 5}])
        self.assertEqual(LogList.parse(content).logs, (alpha(),))

    def test_a_key_of_any_kind(self) -> None:
        """
        A key of a kind that is not known here does not make the list unusable: the log just never counts.
        """
        entry = {"key": b64encode(b"new").decode(), "log_id": b64encode(sha256(b"new").digest()).decode()}
        self.assertEqual([log.key for log in LogList.parse(log_list(entry)).logs], [b"new"])

    def test_get(self) -> None:
        """
        A log is found by its ID.
        """
        beta = SigningLog("Beta")
        logs = LogList.parse(log_list(ALPHA.entry(), beta.entry()))
        self.assertEqual(
            [logs.get(one) for one in (beta.log_id, ALPHA.log_id, b"")], [logs.logs[1], logs.logs[0], None]
        )

    def test_the_largest(self) -> None:
        """
        A list may have as many bytes as are read.
        """
        content = log_list(ALPHA.entry())
        self.assertEqual(len(LogList.parse(content + b" " * (MAX_BYTES - len(content))).logs), 1)


class BrokenTests(TestCase):
    """
    L{LogList.parse}, of what is none.
    """

    def refused(self, content: bytes) -> str:
        """
        Parse what is no list.
        """
        return str(self.assertRaises(ValueError, LogList.parse, content))

    def test_documents(self) -> None:
        """
        The error says which part is wrong.
        """
        documents = {
            b"[]": "the document is no object",
            b"{}": "the document has no operators",
            b'{"operators": {}}': "the document.operators is no array",
            b'{"operators": []}': "it holds no log",
            b'{"operators": [5]}': "operators[0] is no object",
            b'{"operators": [{}]}': "operators[0] has no name",
            b'{"operators": [{"name": 5}]}': "operators[0].name is no string",
            b'{"operators": [{"name": "a", "logs": []}, {"name": "b", "logs": null}]}': "operators[1].logs is no array",
            b'{"operators": [{"name": "a", "tiled_logs": [null]}]}': "operators[0].tiled_logs[0] is no object",
        }
        self.assertEqual({document: self.refused(document) for document in documents}, documents)

    def test_missing_members(self) -> None:
        """
        A log has an ID and a key.
        """
        found = [self.refused(without(name)) for name in ("log_id", "key")]
        self.assertEqual(found, ["operators[0].logs[0] has no log_id", "operators[0].logs[0] has no key"])

    def test_members(self) -> None:
        """
        So it does for a log.
        """
        wrong: list[tuple[str, object, str]] = [
            ("log_id", 5, ".log_id is no string"),
            ("log_id", "a", ".log_id is no base64"),
            ("key", "AA==!", ".key is no base64"),
            ("key", "AA==", ".log_id is not the SHA-256 of its key"),
            ("description", 5, ".description is no string"),
            ("state", "usable", ".state is no object"),
            ("state", {"usable": 5}, ".state.usable is no object"),
            ("state", {"retired": {}}, ".state.retired has no timestamp"),
            ("state", {"retired": {"timestamp": 5}}, ".state.retired.timestamp is no string"),
            ("temporal_interval", [], ".temporal_interval is no object"),
            ("temporal_interval", {}, ".temporal_interval has no start_inclusive"),
        ]
        found = [self.refused(with_member(name, value)) for name, value, _ in wrong]
        self.assertEqual(found, [f"operators[0].logs[0]{text}" for _, _, text in wrong])

    def test_states(self) -> None:
        """
        A log has one state, and one that is known.
        """
        states: tuple[dict[str, object], ...] = (
            {},
            {"usable": {}, "retired": {"timestamp": "2026-04-01T12:30:00Z"}},
            {"perfect": {}},
            {"": {}},
        )
        found = {self.refused(with_member("state", state)) for state in states}
        words = "pending, qualified, readonly, rejected, retired, usable"
        self.assertEqual(found, {f"operators[0].logs[0].state is not one of {words}"})

    def test_moments(self) -> None:
        """
        A moment has a date, a time and a zone.
        """
        moments = ("", "yesterday", "2026-04-01", "2026-04-01T12:30:00", "2026-02-30T12:30:00Z", "2026-04-01T12:61:00Z")
        state = [self.refused(with_member("state", {"retired": {"timestamp": moment}})) for moment in moments]
        fault = "operators[0].logs[0].state.retired.timestamp is no date and time with a time zone"
        self.assertEqual(state, [fault] * len(moments))

    def test_the_end_of_an_interval(self) -> None:
        """
        An interval has two moments.
        """
        start = {"start_inclusive": "2026-04-01T12:30:00Z"}
        intervals = (start, {**start, "end_exclusive": "never"})
        found = [self.refused(with_member("temporal_interval", interval)) for interval in intervals]
        where = "operators[0].logs[0].temporal_interval"
        fault = f"{where}.end_exclusive is no date and time with a time zone"
        self.assertEqual(found, [f"{where} has no end_exclusive", fault])

    def test_a_log_twice(self) -> None:
        """
        A log is there once, or it would not be known which of its states counts.
        """
        again = ALPHA.entry(state="retired", description="Again\n")
        self.assertEqual(self.refused(log_list(ALPHA.entry(), again)), "'Alpha' and 'Again\\n' are the same log")

    def test_a_member_twice(self) -> None:
        """
        So is a member of an object.
        """
        content = log_list(ALPHA.entry()).replace(b'"state"', b'"state": {"rejected": {}}, "state"')
        self.assertEqual(self.refused(content), "an object has two members of the same name")

    def test_too_large(self) -> None:
        """
        What is too large is not parsed.
        """
        self.assertEqual(self.refused(b" " * (MAX_BYTES + 1)), f"it is larger than {MAX_BYTES} bytes")

    def test_deeply_nested(self) -> None:
        """
        Nesting does not exhaust the stack.
        """
        self.assertEqual([self.refused(one * 500_000) for one in (b"[", b'{"a":')], ["it is nested too deeply"] * 2)

    def test_no_json(self) -> None:
        """
        Nor does what is no JSON, or no text.
        """
        for content in (b"", b"{", b"\xff\xfe\x00", b"\x80", b"<html>", b"9" * 5000, b"NaN"):
            self.assertNotEqual(self.refused(content), "", repr(content[:9]))

    @hostile
    @given(st.binary(max_size=200))
    def test_any_bytes(self, content: bytes) -> None:
        """
        Whatever the bytes, nothing else is raised.
        """
        self.assertNotEqual(self.refused(content), "")

    def test_any_json(self) -> None:
        """
        Whatever stands for any member of a list: it is read, or refused by a L{ValueError}.
        """
        names = st.sampled_from(["usable", "retired", "timestamp", "start_inclusive", "end_exclusive"]) | st.text()
        values = st.recursive(
            st.none() | st.booleans() | st.floats() | st.integers() | st.text() | st.datetimes().map(str),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
            max_leaves=8,
        )
        members = st.sampled_from(["log_id", "key", "description", "state", "temporal_interval", "else"])

        @hostile
        @given(st.dictionaries(members, values, min_size=1, max_size=2), st.sampled_from(["logs", "tiled_logs", "x"]))
        def read_or_refused(changes: dict[str, object], kind: str) -> None:
            try:
                found = LogList.parse(log_list({**ALPHA.entry(), **changes}, kind=kind))
            except ValueError:
                return
            self.assertEqual([log.log_id for log in found.logs], [ALPHA.log_id])

        read_or_refused()


class ReadTests(TestCase):
    """
    L{LogList.read}.
    """

    def refused(self, path: str) -> str:
        """
        Read what cannot be used.
        """
        return str(self.assertRaises(ConfigurationError, LogList.read, path))

    def test_a_file(self) -> None:
        """
        The file is read.
        """
        path = Path(self.mktemp())
        path.write_bytes(log_list(ALPHA.entry()))
        self.assertEqual(LogList.read(str(path)).logs, (alpha(),))

    def test_not_found(self) -> None:
        """
        A file that is not there is a fault of the setting.
        """
        path = self.mktemp()
        self.assertEqual(self.refused(path), f"ct_log_list: {path} cannot be read: No such file or directory")

    def test_a_directory(self) -> None:
        """
        So is a directory.
        """
        path = Path(self.mktemp())
        path.mkdir()
        self.assertEqual(self.refused(str(path)), f"ct_log_list: {path} is no regular file")

    def test_broken(self) -> None:
        """
        What is wrong with the content is told with the file.
        """
        path = Path(self.mktemp())
        path.write_bytes(b"{}")
        fault = f"ct_log_list: {path} is no list of logs: the document has no operators"
        self.assertEqual(self.refused(str(path)), fault)
