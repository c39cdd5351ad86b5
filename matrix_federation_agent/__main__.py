"""
C{matrix-federation}, and C{python -m matrix_federation_agent}.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from ._cli.running import INTERRUPTED, run

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """
    Run one command and end the process with its status.

    @param arguments: without the name of the program; by default those of the
        process.
    """
    try:
        run(sys.argv[1:] if arguments is None else arguments)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
