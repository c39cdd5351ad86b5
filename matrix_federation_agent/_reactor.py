"""
What this package needs of a reactor.
"""

from __future__ import annotations

from typing import Any

IReactor = Any
"""
A reactor that provides C{IReactorTCP}, C{IReactorTime} and C{IReactorUDP};
Python has no type for "all of these interfaces".
"""
