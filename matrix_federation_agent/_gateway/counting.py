"""
What is counted of requests.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._counters import GATEWAY, GATEWAY_STATUS

if TYPE_CHECKING:
    from .._counters import Counters
    from .access_log import Record


def count(counters: Counters, record: Record) -> None:
    """
    Count a request that has ended.
    """
    phase = f".{record.phase}" if record.phase else ""
    counters.add(f"{GATEWAY}.{record.outcome}{phase}")
    if record.code is not None:
        counters.add(f"{GATEWAY_STATUS}.{record.code // 100}xx")
