"""Procfile, compose file and `payments up` have the programs of one table."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from local_stack import container_check
from local_stack.process_table import DRAIN, PROGRAMS
from runtime.settings import Settings

ROOT = Path(__file__).parents[3]
COMPOSE: dict[str, Any] = YAML(typ="safe").load(ROOT / "docker-compose.yml")
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: body for name, body in SERVICES.items() if body["image"] == "payments"}
#: Settings that a container lacks, because it has no servers and no home of its own.
NOT_IN_CONTAINERS = {"home", "database", "web_threads", "worker_slots"}


def test_the_procfile_has_the_programs_of_the_table() -> None:
    lines = (ROOT / "Procfile").read_text().splitlines()
    named = dict(line.split(": ", 1) for line in lines)
    assert named == {one.name: " ".join(one.command) for one in PROGRAMS}


def test_compose_runs_the_programs_of_the_table_and_init() -> None:
    commands = {name: tuple(body["command"]) for name, body in OURS.items()}
    assert commands.pop("init") == ("python", "-m", "cli", "init")
    assert commands == {one.name: one.command for one in PROGRAMS}


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda one: one.name)
def test_compose_checks_each_program_at_the_address_of_the_table(program: Any) -> None:
    asked = SERVICES[program.name]["healthcheck"]["test"]
    paths = (program.ready_path, program.live_path)
    assert asked[-2:] == [f"http://127.0.0.1:9100{path}" for path in paths]


def test_the_check_of_a_container_ends_within_the_timeout_of_compose() -> None:
    """The check makes two requests, after the start of Python."""
    for program in PROGRAMS:
        given = SERVICES[program.name]["healthcheck"]["timeout"]
        assert 2 * container_check.ANSWER < int(given.removesuffix("s"))
        # Otherwise the check would find its own process.
        assert SERVICES[program.name]["init"] is True


def test_compose_gives_every_setting_and_none_that_is_unknown() -> None:
    known = {
        field.metadata["name"]
        for field in dataclasses.fields(Settings)
        if field.name not in NOT_IN_CONTAINERS
    }
    for name, body in OURS.items():
        assert set(body["environment"]) == known, name


def test_compose_has_no_default_for_a_secret() -> None:
    given = OURS["web"]["environment"]
    for field in dataclasses.fields(Settings):
        # The addresses of compose's own servers hold no password.
        if field.metadata["secret"] and not field.name.endswith("_url"):
            name = field.metadata["name"]
            # A proxy is optional; the other settings are required.
            mark = ":-}" if field.name == "provider_proxy" else ":?"
            assert given[name].startswith(f"${{{name}{mark}"), name


def test_every_container_has_limits_a_restart_policy_and_a_health_check() -> None:
    for name, body in SERVICES.items():
        assert body["mem_limit"], name
        assert body["restart"].startswith(("unless-stopped", "on-failure")), name
        assert body["healthcheck"], name
        assert body["cap_drop"] == ["ALL"], name


def test_no_container_runs_as_root() -> None:
    stages = (ROOT / "Dockerfile").read_text().split("\nFROM ")
    for stage in stages:
        if " AS service" in stage or " AS simulators" in stage:
            assert "\nUSER 10001" in stage
    for name, body in SERVICES.items():
        if "build" not in body:
            assert int(body["user"].partition(":")[0]) > 0, name


def test_containers_have_longer_to_stop_than_the_programs_in_them() -> None:
    for name, body in OURS.items():
        assert int(body["stop_grace_period"].removesuffix("s")) > DRAIN, name


def test_prometheus_scrapes_every_program() -> None:
    config = YAML(typ="safe").load(ROOT / "deploy" / "prometheus.yml")
    targets = {
        job["job_name"]: (found["names"], found["port"])
        for job in config["scrape_configs"]
        for found in job["dns_sd_configs"]
    }
    assert targets == {one.name: ([one.name], 9100) for one in PROGRAMS}


def test_the_compose_file_follows_the_published_specification() -> None:
    checked = _tool(
        "check-jsonschema",
        *("--builtin-schema", "vendor.compose-spec", "docker-compose.yml"),
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_dockerfile_passes_hadolint() -> None:
    checked = _tool("hadolint", "Dockerfile")
    assert checked.returncode == 0, checked.stdout + checked.stderr


def _tool(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs a program of this environment at the top of the checkout."""
    program = Path(sys.executable).parent / name
    return subprocess.run(
        [str(program), *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
