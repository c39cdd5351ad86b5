"""
Answers to what is not accepted as a request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from .answers import Answer, head_too_large, malformed, unsupported_coding, unsupported_version

if TYPE_CHECKING:
    from .reading import Refused


def answer_to(refused: Refused) -> Answer:
    """
    Make the answer that tells why.
    """
    if refused.code == 501:
        return unsupported_coding()
    if refused.code == 505:
        return unsupported_version()
    if refused.limit:
        return head_too_large(refused.limit)
    return attrs.evolve(malformed(refused.reason), code=refused.code)
