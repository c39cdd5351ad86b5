"""
What a trust generation costs, CPU and memory, beside the context that Twisted makes for each connection.

Each contender is a process that makes twenty of them and keeps them. The file of roots that are asked for is made here.
"""

from __future__ import annotations

import gc
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from trustme import CA
from twisted.internet.ssl import Certificate, CertificateOptions, platformTrust, trustRootFromCertificates

from matrix_federation_agent import TrustPolicy
from matrix_federation_agent._tls.files import marks
from matrix_federation_agent._tls.trust import TrustGeneration

from ._frame import Contender, Cost, Numbers, Report, be_child, finish, in_child, interleaved, options, resident_bytes
from ._frame import table as drawn

TIMES = 20
WARM = 2
KINDS = ("ours", "look", "Twisted")
FILES = ("system", "1 root", "10 roots", "150 roots")


def _ours(path: str | None) -> object:
    files = [] if path is None else [path]
    return TrustGeneration.load(TrustPolicy(ca_files=files, use_system_roots=path is None))


def _look(path: str | None) -> object:
    return marks([] if path is None else [path])


def _twisteds() -> object:
    """
    Make what C{BrowserLikePolicyForHTTPS} makes for each connection.
    """
    return CertificateOptions(trustRoot=platformTrust()).getContext()


def _twisteds_of_a_file(path: str) -> Callable[[], object]:
    """
    The same, with roots that were parsed before, as a program would keep them.
    """
    pems = [
        f"{one}-----END CERTIFICATE-----\n"
        for one in Path(path).read_text("ascii").split("-----END CERTIFICATE-----\n")
    ]
    trusted = trustRootFromCertificates([Certificate.loadPEM(pem.encode("ascii")) for pem in pems if "BEGIN" in pem])
    return lambda: CertificateOptions(trustRoot=trusted).getContext()


def _maker(kind: str, path: str | None) -> Callable[[], object]:
    if kind == "Twisted":
        return _twisteds if path is None else _twisteds_of_a_file(path)
    return partial({"ours": _ours, "look": _look}[kind], path)


async def make(_: Any, given: Any) -> dict[str, Any]:
    """
    Be the child.
    """
    maker = _maker(given["kind"], given["path"])
    kept = [maker() for _ in range(WARM)]
    gc.collect()
    before = resident_bytes()
    with Cost() as cost:
        kept += [maker() for _ in range(TIMES)]
    return {"CPU ms": cost.cpu * 1000 / TIMES, "KiB": (resident_bytes() - before) / 1024 / TIMES}


def _child(kind: str, path: str | None) -> Numbers:
    return in_child("benchmarks.trust_generation", "make", {"kind": kind, "path": path})


def _written(directory: str, roots: list[bytes], count: int) -> str:
    path = Path(directory) / f"{count}.pem"
    path.write_bytes(b"".join(roots[:count]))
    return str(path)


def main() -> None:
    """
    Run it.
    """
    chosen = options(__doc__)
    if chosen.child:
        be_child(make)
        return
    with tempfile.TemporaryDirectory() as directory:
        roots = [CA().cert_pem.bytes() for _ in range(150)]
        paths = [None, *(_written(directory, roots, count) for count in (1, 10, 150))]
        contenders = [
            Contender(f"{kind}: {name}", partial(_child, kind, path))
            for name, path in zip(FILES, paths, strict=True)
            for kind in KINDS
            if kind != "look" or path is not None
        ]
        report = Report("trust_generation", interleaved(contenders, chosen.rounds), chosen.rounds)
    print(drawn(report.samples))
    finish(report, chosen)


if __name__ == "__main__":
    main()
