"""
Text that is shown to people.
"""

from __future__ import annotations


def escaped(text: str) -> str:
    r"""
    Write whatever is not visible ASCII, or a space, as Python would in a
    literal (C{\x1b}).
    """
    return "".join(one if " " <= one <= "~" else one.encode("unicode_escape").decode("ascii") for one in text)
