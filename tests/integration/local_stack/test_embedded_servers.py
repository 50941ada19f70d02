"""The embedded servers keep acknowledged data, also on another port."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient, WriteConcern
from redis import Redis

from local_stack import embedded_servers
from runtime import processes


def test_mongodb_keeps_a_journaled_write_through_a_kill_and_a_new_port(
    tmp_path: Path,
) -> None:
    server = embedded_servers.mongo(tmp_path, processes.free_port())
    first = processes.start(server.command, environment=os.environ, log=server.log)
    try:
        assert processes.wait_until(server.ready, seconds=embedded_servers.START_WAIT)
        with MongoClient[dict[str, Any]](server.url) as client:
            _kept(client).insert_one({"_id": "kept"})
    finally:
        processes.kill_session(first)

    with embedded_servers.running(
        embedded_servers.mongo(tmp_path, processes.free_port())
    ) as url:
        assert url != server.url
        with MongoClient[dict[str, Any]](url) as client:
            assert _kept(client).find_one() == {"_id": "kept"}
            _kept(client).insert_one({"_id": "and takes more"})


def test_redis_keeps_its_data_and_refuses_writes_when_full(tmp_path: Path) -> None:
    port = processes.free_port()
    with embedded_servers.running(embedded_servers.redis(tmp_path, port)) as url:
        with Redis.from_url(url, decode_responses=True) as client:
            client.set("kept", "yes")
            assert client.config_get("maxmemory-policy") == {
                "maxmemory-policy": "noeviction"
            }
            assert client.config_get("bind") == {"bind": "127.0.0.1"}
    with embedded_servers.running(embedded_servers.redis(tmp_path, port)) as url:
        with Redis.from_url(url, decode_responses=True) as client:
            assert client.get("kept") == "yes"


def test_a_server_on_the_path_takes_precedence_over_the_wheels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = _program(tmp_path / "mongod", "exit 0")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert embedded_servers.mongo(tmp_path, 1).command[0] == str(own)


def test_a_server_that_does_not_run_here_is_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = _program(tmp_path / "mongod", "exit 127")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert embedded_servers.mongo(tmp_path, 1).command[0] != str(broken)


def test_a_server_with_unreadable_data_fails_with_its_own_message(
    tmp_path: Path,
) -> None:
    server = embedded_servers.redis(tmp_path, processes.free_port())
    manifest = tmp_path / "redis" / "appendonlydir" / "appendonly.aof.manifest"
    manifest.parent.mkdir()
    manifest.write_text("neither file nor sequence\n")
    with pytest.raises(processes.ProcessFailed, match="(?s)code 1.*AOF manifest"):
        with embedded_servers.running(server):
            pytest.fail("it cannot be ready")


def _program(path: Path, line: str) -> Path:
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(0o755)
    return path


def _kept(client: MongoClient[dict[str, Any]]) -> Any:
    durable = WriteConcern("majority", j=True)
    return client.get_database("kept", write_concern=durable).rows
