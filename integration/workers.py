"""
Has Synapse's own parser read the worker example of C{docs/gateway_synapse.rst}.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from base64 import b64encode
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import dedent

from matrix_federation_agent.testing import Certificates

from ._environment import synapse_python

PAGE = Path(__file__).parent.parent / "docs" / "gateway_synapse.rst"
TITLE = "Workers, without nginx"

# The files that the example names are in there.
_DIRECTORY = "/etc/matrix-synapse/"
_PROXIES = r"InstanceTcpLocationConfig\(host='127\.0\.0\.1', port=8009, tls=False\).*gateway2\.internal.*tls=True"
_EXPECTED = {
    "worker.outbound_federation_restricted_to": rf"instances=\['fedproxy1', 'fedproxy2'\].*{_PROXIES}",
    "worker.federation_shard_config": r"instances=\['sender1', 'sender2'\]",
    "worker.worker_replication_secret": "of-the-example$",
}
_SENDS = "worker.send_federation"


def example(page: str) -> list[str]:
    """
    Find the files of the example: that of all processes, and that of a worker.
    """
    section = page.partition(f"\n{TITLE}\n")[2].partition("\n---")[0]
    found = re.findall(r"\.\. code-block:: yaml\n\n((?:    .*\n|\n)+)", section)
    return [dedent(block) for block in found]


def write(directory: Path, files: Sequence[str]) -> list[Path]:
    """
    Write the files of the example, what they name, and before them the usual settings of a homeserver.
    """
    certificate = Certificates().issue("example.org")
    (directory / "tls.pem").write_bytes(certificate.certificate_pem)
    (directory / "tls.key").write_bytes(certificate.private_key_pem)
    (directory / "signing.key").write_text(f"ed25519 a_1 {b64encode(bytes(32)).decode().rstrip('=')}\n", "ascii")
    (directory / "replication_secret").write_text("of-the-example\n", "ascii")
    usual = {
        "server_name": "example.org",
        "report_stats": False,
        "signing_key_path": str(directory / "signing.key"),
        "media_store_path": str(directory / "media"),
        "database": {"name": "sqlite3", "args": {"database": ":memory:"}},
        "macaroon_secret_key": "of-the-example",
        "form_secret": "of-the-example",
        "trusted_key_servers": [],
    }
    # JSON is YAML.
    texts = [json.dumps(usual), *(text.replace(_DIRECTORY, f"{directory}/") for text in files)]
    paths = [directory / f"{number}.yaml" for number in range(len(texts))]
    for path, text in zip(paths, texts, strict=True):
        path.write_text(text, "utf-8")
    return paths


def read(python: str, key: str, paths: Sequence[Path]) -> str:
    """
    Have Synapse read files, and tell what it makes of one key.

    @raise CalledProcessError: when they are not usable.
    """
    files = [part for path in paths for part in ("-c", str(path))]
    command = [python, "-m", "synapse.config", "read", key, *files]
    told = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    return told.rpartition(f"{key}: ")[2].strip()


def problems(python: str, directory: Path) -> list[str]:
    """
    List what Synapse does not read as the page says it.
    """
    files = example(PAGE.read_text("utf-8"))
    if len(files) != 2:
        return [f"the page has {len(files)} files in the place of 2"]
    main, worker = (write(directory, files[:number]) for number in (1, 2))
    expected = [(key, paths, pattern) for paths in (main, worker) for key, pattern in _EXPECTED.items()]
    # Only the worker sends transactions.
    expected += [(_SENDS, main, "False"), (_SENDS, worker, "True")]
    found = [(key, read(python, key, paths), pattern) for key, paths, pattern in expected]
    return [f"{key}: {text}" for key, text, pattern in found if not re.search(pattern, text)]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m integration.workers", description=__doc__)
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--synapse-python", metavar="PATH", help="the interpreter of an environment that has Synapse")
    where.add_argument("--venv", metavar="PATH", help="an environment for Synapse, which is made if it is not there")
    return parser.parse_args()


def main() -> int:
    """
    Tell what is wrong, and whether anything is.
    """
    python = synapse_python(_arguments())
    with TemporaryDirectory(prefix="workers-") as directory:
        found = problems(python, Path(directory))
    for problem in found:
        print(f"FAILED  {problem}")
    if not found:
        print("Synapse reads the example as the page says")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
