"""
Synapse's own worker in the place of a gateway: a generic worker that the main process would send its federation to.

A worker needs a main process, which has a database of SQLite, and Redis between the two (C{redis-server} on the path).
What is not its job here is turned off. It logs as Synapse's own configuration has it: a line a request, to a file.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs

from ._running import free_port, running

NAME = "fedproxy"

_LOG = {
    "version": 1,
    "formatters": {
        "precise": {"format": "%(asctime)s - %(name)s - %(lineno)d - %(levelname)s - %(request)s - %(message)s"}
    },
    "root": {"level": "INFO", "handlers": ["buffer"]},
    "disable_existing_loggers": False,
}


@attrs.frozen
class MainProcess:
    """
    A homeserver's main process, which runs.

    @ivar python: the interpreter that has Synapse.
    @ivar settings: of every process of the homeserver.
    """

    python: str
    directory: Path
    settings: Path


@contextmanager
def main_process(python: str, directory: Path, root_file: str, secret: str) -> Iterator[MainProcess]:
    """
    Run Redis, and the main process of a homeserver.

    @param python: an interpreter that has Synapse with its extra C{redis}.
    @param root_file: the certificate authority of the far side.
    @param secret: what requests to the worker carry.
    """
    redis, replication = free_port(), free_port()
    settings = _written(directory / "homeserver.yaml", _homeserver(directory, root_file, secret, redis, replication))
    log = _logging(directory / "main")
    command = ["redis-server", "--bind", "127.0.0.1", "--port", str(redis), "--save", "", "--appendonly", "no"]
    with running(command, redis, directory / "redis.out"):
        own = _written(directory / "main.yaml", {"log_config": str(log)})
        begin = [python, "-m", "synapse.app.homeserver", "-c", str(settings), "-c", str(own)]
        with running(begin, replication, directory / "main.out"):
            yield MainProcess(python, directory, settings)


@contextmanager
def worker(main: MainProcess) -> Iterator[tuple[int, int]]:
    """
    Run a worker.

    @return: its port, and the id of its process.
    """
    port = free_port()
    described = {
        "worker_app": "synapse.app.generic_worker",
        "worker_name": NAME,
        "worker_listeners": [_listener(port)],
        "worker_log_config": str(_logging(main.directory / NAME)),
        "worker_pid_file": str(main.directory / f"{NAME}.pid"),
    }
    settings = _written(main.directory / f"{NAME}.yaml", described)
    command = [main.python, "-m", "synapse.app.generic_worker", "-c", str(main.settings), "-c", str(settings)]
    with running(command, port, main.directory / f"{NAME}.out") as process:
        yield port, process.pid


def _homeserver(directory: Path, root_file: str, secret: str, redis: int, replication: int) -> dict[str, Any]:
    return {
        "server_name": "here.example",
        "pid_file": str(directory / "main.pid"),
        "signing_key_path": str(directory / "signing.key"),
        "media_store_path": str(directory / "media"),
        "macaroon_secret_key": "m" * 32,
        "form_secret": "f" * 32,
        "listeners": [_listener(replication)],
        "database": {"name": "sqlite3", "args": {"database": str(directory / "homeserver.db")}},
        "redis": {"enabled": True, "host": "127.0.0.1", "port": redis},
        "instance_map": {"main": {"host": "127.0.0.1", "port": replication}},
        "worker_replication_secret": secret,
        "federation_custom_ca_list": [root_file],
        # The far side is on this machine.
        "ip_range_blacklist": [],
        "trusted_key_servers": [],
        "suppress_key_server_warning": True,
        "report_stats": False,
        "enable_metrics": False,
        "presence": {"enabled": False},
    }


def _listener(port: int) -> dict[str, Any]:
    return {"type": "http", "port": port, "bind_addresses": ["127.0.0.1"], "resources": [{"names": ["replication"]}]}


def _logging(stem: Path) -> Path:
    handlers = {
        "file": {
            "class": "logging.handlers.TimedRotatingFileHandler",
            "formatter": "precise",
            "filename": f"{stem}.log",
            "when": "midnight",
            "encoding": "utf8",
        },
        "buffer": {
            "class": "synapse.logging.handlers.PeriodicallyFlushingMemoryHandler",
            "target": "file",
            "capacity": 10,
            "flushLevel": 30,
            "period": 5,
        },
    }
    return _written(stem.with_suffix(".log.yaml"), {**_LOG, "handlers": handlers})


def _written(path: Path, settings: Mapping[str, Any]) -> Path:
    # JSON is YAML.
    path.write_text(json.dumps(settings, indent=1), "utf-8")
    return path
