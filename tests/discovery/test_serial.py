"""
Tests of C{matrix_federation_agent._discovery.serial}: the form in which
stores keep what is remembered.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from matrix_federation_agent import ServerName
from matrix_federation_agent._discovery.delegation import DelegationEntry
from matrix_federation_agent._discovery.records import RecordsEntry
from matrix_federation_agent._discovery.routing import ServiceRecord
from matrix_federation_agent._discovery.serial import (
    dump_addresses,
    dump_delegation,
    dump_services,
    load_addresses,
    load_delegation,
    load_services,
)

from ..case import TestCase
from .kit import HypothesisTestCase, hostile

Form = tuple[Callable[[Any], str], Callable[[str], Any]]

DELEGATION: Form = (dump_delegation, load_delegation)
SERVICES: Form = (dump_services, load_services)
ADDRESSES: Form = (dump_addresses, load_addresses)

# Form, entry, and its text.  These never change: files of today must be read
# tomorrow.  A form that changes needs another version.
VERSION_1: list[tuple[Form, Any, str]] = [
    (
        DELEGATION,
        DelegationEntry(ServerName("m.ex.com:443"), "delegates to m.ex.com:443", 1.5, 801.5, 1001.5, 2, doubted=True),
        (
            '{"v":1,"to":"m.ex.com:443","summary":"delegates to m.ex.com:443","fetched":1.5,"next_try":801.5,'
            '"expires":1001.5,"failures":2,"doubted":true}'
        ),
    ),
    (
        DELEGATION,
        DelegationEntry(None, "no delegation: status 404", 0.0, 60.0, 3600.0, 1),
        (
            '{"v":1,"to":null,"summary":"no delegation: status 404","fetched":0.0,"next_try":60.0,"expires":3600.0,'
            '"failures":1,"doubted":false}'
        ),
    ),
    (
        SERVICES,
        RecordsEntry((ServiceRecord(10, 5, 8443, b"a.ex.com"), ServiceRecord(0, 0, 0, b"")), 1.5, 61.5, 61.5),
        (
            '{"v":1,"records":[[10,5,8443,"a.ex.com"],[0,0,0,""]],"fetched":1.5,"expires":61.5,"next_try":61.5,'
            '"failures":0,"failure":""}'
        ),
    ),
    (
        SERVICES,
        RecordsEntry(None, 1.5, 31.5, 31.5, 1, "silence"),
        '{"v":1,"records":null,"fetched":1.5,"expires":31.5,"next_try":31.5,"failures":1,"failure":"silence"}',
    ),
    (
        ADDRESSES,
        RecordsEntry(("192.0.2.1", "2001:db8::1"), 1.5, 61.5, 61.5),
        (
            '{"v":1,"records":["192.0.2.1","2001:db8::1"],"fetched":1.5,"expires":61.5,"next_try":61.5,'
            '"failures":0,"failure":""}'
        ),
    ),
    (
        ADDRESSES,
        RecordsEntry((), 1.5, 61.5, 61.5),
        '{"v":1,"records":[],"fetched":1.5,"expires":61.5,"next_try":61.5,"failures":0,"failure":""}',
    ),
]

WHOLE: dict[Form, dict[str, Any]] = {form: json.loads(text) for form, _, text in reversed(VERSION_1)}

HUGE = 10**400

# Form, a field, and what may not stand there.
DAMAGES: list[tuple[Form, str, list[Any]]] = [
    (DELEGATION, "v", [0, 2, "1", None, [1]]),
    (DELEGATION, "to", ["", "a b", "a/b", "a:99999", 7, ["m.ex.com"], {}, False]),
    (DELEGATION, "summary", [None, 7, []]),
    (DELEGATION, "fetched", [None, "1", True, [], HUGE, float("nan"), float("inf")]),
    (DELEGATION, "next_try", [None, "1", False, -HUGE]),
    (DELEGATION, "expires", [None, "1", HUGE, float("-inf")]),
    (DELEGATION, "failures", [None, "1", 1.0, -1, True]),
    (SERVICES, "v", [0, 2]),
    (SERVICES, "records", [7, "abcd", {}, True, [7], ["abcd"], [[]], [[1, 2, 3]], [[1, 2, 3, "a", 5]]]),
    (SERVICES, "records", [[[1, 2, 3, 4]], [["1", 2, 3, "a"]], [[1, -2, 3, "a"]], [[1, 2, 3, "\u20ac"]]]),
    (SERVICES, "records", [[[65536, 2, 3, "a"]], [[1, HUGE, 3, "a"]], [[1, 2, 65536, "a"]], [[1, 2, 3.0, "a"]]]),
    (SERVICES, "expires", [None, HUGE]),
    (SERVICES, "failures", [None, -1]),
    (ADDRESSES, "v", [0, 2]),
    (ADDRESSES, "records", ["", "1.2.3.4", {}, 7, [7], ["m.ex.com"], ["1.2.3"], [None], [["1.2.3.4"]]]),
    (ADDRESSES, "next_try", [None, HUGE]),
    (ADDRESSES, "failure", [None, 7]),
]

TEXTS = ["", " ", "{", "null", "7", '"v"', "[]", '["v"]', "{}", '{"v":1}', "[" * 100_000, "\ud800", "\0", '{"v":1' * 9]

names = st.sampled_from(["a", "M.ex.com", "m.ex.com:00443", "1.2.3.4", "[::1]:80", "xn--bcher-kva.com"]).map(ServerName)
times = st.floats(allow_nan=False, allow_infinity=False)
counts = st.integers(0, 10**6)
uint16 = st.integers(0, 65535)
texts = st.text(max_size=200)
delegations = st.builds(DelegationEntry, st.none() | names, texts, times, times, times, counts, st.booleans())
services = st.builds(ServiceRecord, uint16, uint16, uint16, st.binary(max_size=20))
addresses = st.ip_addresses().map(str)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.just(HUGE)
json_values = scalars | st.lists(scalars | st.lists(scalars, max_size=4), max_size=3)


def entries(records: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Make entries of some kind of records."""
    some = st.lists(records, max_size=4).map(tuple)
    return st.builds(RecordsEntry, st.none() | some, times, times, times, counts, texts)


class FormTests(TestCase):
    """The form of version 1."""

    def test_version_1_is_written(self) -> None:
        """Entries become these very texts."""
        for (dump, _), entry, text in VERSION_1:
            self.assertEqual(dump(entry), text, text)

    def test_version_1_is_read(self) -> None:
        """These very texts become entries."""
        for (_, load), entry, text in VERSION_1:
            self.assertEqual(load(text), entry, text)

    def test_unknown_fields_are_ignored(self) -> None:
        """What else stands in a text changes nothing."""
        for (_, load), entry, text in VERSION_1:
            self.assertEqual(load(text.replace("{", '{"other":[{}],', 1)), entry, text)

    def test_whole_numbers_are_times(self) -> None:
        """JSON of other writers may have no fractions."""
        form = WHOLE[DELEGATION] | {"fetched": 5, "next_try": 6, "expires": 7}
        found = load_delegation(json.dumps(form))
        assert found is not None
        self.assertEqual((found.fetched, found.next_try, found.expires), (5.0, 6.0, 7.0))


class DamageTests(TestCase):
    """Texts that are no entry of version 1."""

    def test_damaged_fields_are_not_known(self) -> None:
        """A field of the wrong type, out of range or of another version spoils the whole."""
        for form, field, values in DAMAGES:
            for value in values:
                text = json.dumps(WHOLE[form] | {field: value})
                self.assertEqual(form[1](text), None, text[:200])

    def test_missing_fields_are_not_known(self) -> None:
        """Every field has to be there."""
        for (_, load), form in WHOLE.items():
            for field in form:
                text = json.dumps({name: value for name, value in form.items() if name != field})
                self.assertEqual(load(text), None, text)

    def test_truncated_texts_are_not_known(self) -> None:
        """A text is whole or nothing."""
        for (_, load), _, text in VERSION_1:
            found = [load(text[:end]) for end in range(len(text))]
            self.assertEqual(found, [None] * len(text), text)

    def test_other_texts_are_not_known(self) -> None:
        """Other JSON, and what is no JSON, is nothing to any kind."""
        for _, load in WHOLE:
            found = [load(text) for text in TEXTS]
            self.assertEqual(found, [None] * len(TEXTS))

    def test_long_texts_are_cut(self) -> None:
        """A summary and a failure fit into a log line, and records are bounded."""
        delegation = load_delegation(json.dumps(WHOLE[DELEGATION] | {"summary": "a" * 10**6}))
        found = load_addresses(json.dumps(WHOLE[ADDRESSES] | {"failure": "a" * 10**6, "records": ["1.2.3.4"] * 10**5}))
        assert delegation is not None
        assert found is not None
        assert found.records is not None
        self.assertEqual([len(delegation.summary), len(found.failure), len(found.records)], [1000, 1000, 1000])


class HostileTextTests(HypothesisTestCase):
    """Anything written, and anything read."""

    @hostile
    @given(delegations, entries(services), entries(addresses))
    def test_round_trips(self, delegation: DelegationEntry, srv: RecordsEntry[Any], known: RecordsEntry[Any]) -> None:
        """What was written is read as it was."""
        for (dump, load), entry in ((DELEGATION, delegation), (SERVICES, srv), (ADDRESSES, known)):
            self.assertEqual(load(dump(entry)), entry)

    @hostile
    @given(st.text() | json_values.map(json.dumps))
    @example("9" * 5000)
    def test_any_text_is_read(self, text: str) -> None:
        """Any text is nothing, without an exception."""
        self.assertEqual([load(text) for _, load in WHOLE], [None] * 3)

    @hostile
    @given(st.sampled_from(list(WHOLE)), st.data())
    def test_any_field_is_read(self, form: Form, data: st.DataObject) -> None:
        """With anything in one field, a text is nothing, or an entry that can be written again."""
        dump, load = form
        field = data.draw(st.sampled_from(sorted(WHOLE[form])))
        found = load(json.dumps(WHOLE[form] | {field: data.draw(json_values)}))
        self.assertEqual(found, found and load(dump(found)))
