"""
How much memory another process holds, and how much it did at the most.
"""

from __future__ import annotations

from pathlib import Path


def resident(pid: int) -> int:
    """
    Tell how many bytes a process holds.
    """
    return _status(pid, "VmRSS:")


def highest(pid: int) -> int:
    """
    Tell how many bytes it held at the most, since L{highest_from_now}.
    """
    return _status(pid, "VmHWM:")


def highest_from_now(pid: int) -> int:
    """
    Let the system forget the highest point, see proc(5).

    @return: bytes that the process holds.
    """
    Path(f"/proc/{pid}/clear_refs").write_text("5", "ascii")
    return resident(pid)


def _status(pid: int, field: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text("ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))
