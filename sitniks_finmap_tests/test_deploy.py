"""What is shipped for servers: who has the keys, what is open to the network, and what each file takes for granted."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from sitniks_finmap import __version__
from sitniks_finmap.defs.launch import LOCATION

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
COMPOSE = yaml.safe_load((DEPLOY / "compose" / "compose.yaml").read_text("utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: one for name, one in SERVICES.items() if name != "postgres"}
DOCKERFILE = (DEPLOY / "compose" / "Dockerfile").read_text("utf-8")
UNITS = {path.stem: path.read_text("utf-8") for path in (DEPLOY / "systemd").glob("*.service")}


def mounts(service: dict[str, Any]) -> dict[str, str]:
    return {source: rest for source, _, rest in (one.partition(":") for one in service["volumes"])}


def test_only_the_code_server_has_the_keys() -> None:
    assert [name for name, one in SERVICES.items() if "./keys" in mounts(one)] == ["code"]
    hidden = {name for name, unit in UNITS.items() if "TemporaryFileSystem=/srv/sitniks_finmap:ro," in unit}
    assert hidden == {"sitniks-finmap-daemon", "sitniks-finmap-webserver"}


def test_only_the_code_server_and_the_watcher_have_the_data() -> None:
    assert {name for name, one in SERVICES.items() if "data" in mounts(one)} == {"code", "watch"}
    assert mounts(SERVICES["watch"])["./config"].endswith(":ro")


def test_code_server_and_watcher_know_the_same_recipients() -> None:
    """If only the watcher knew one, the daemon's sensor would decide nothing, and it would call the sensor dead."""
    assert SERVICES["code"]["env_file"] == SERVICES["watch"]["env_file"] == ["alerts.env"]


def test_nothing_is_open_but_the_ui_to_this_machine() -> None:
    ports = [port for one in SERVICES.values() for port in one.get("ports", [])]
    assert ports == ["127.0.0.1:${UI_PORT:-3000}:3000"]
    assert COMPOSE["networks"]["inside"] == {"internal": True}
    assert SERVICES["postgres"]["networks"] == ["inside"]
    assert "docker.sock" not in (DEPLOY / "compose" / "compose.yaml").read_text("utf-8")
    assert "-h 127.0.0.1" in UNITS["sitniks-finmap-webserver"]


@pytest.mark.parametrize("name", SERVICES)
def test_services_restart_stop_gently_and_rotate_their_logs(name: str) -> None:
    service = SERVICES[name]
    assert service["restart"] == "unless-stopped"
    assert service["stop_grace_period"]
    assert service["logging"]["options"] == {"max-size": "10m", "max-file": "5"}
    assert "healthcheck" in service or name == "watch"


@pytest.mark.parametrize("name", OURS)
def test_our_containers_may_do_little(name: str) -> None:
    service = OURS[name]
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["image"] == f"sitniks_finmap:{__version__}"
    assert mounts(service)["../dagster.postgres.yaml"] == "/dagster/dagster.yaml:ro"


def test_images_are_pinned_and_run_as_an_ordinary_user() -> None:
    images = [SERVICES["postgres"]["image"], *re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)]
    assert [one for one in images if not re.fullmatch(r"[a-z]+:\d+\.\d+(\.\d+)?-[a-z-]+", one)] == []
    assert "USER 10001:10001" in DOCKERFILE


def test_the_image_is_made_of_files_that_are_there() -> None:
    copied = [
        one for line in re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE) for one in line.split()
    ]
    allowed = re.findall(r"^!(.+)$", (DEPLOY / "compose" / "Dockerfile.dockerignore").read_text("utf-8"), re.MULTILINE)
    assert sorted(copied) == sorted(allowed)
    assert [one for one in copied if not (ROOT / one).exists()] == []


@pytest.mark.parametrize("folder", ["compose", "systemd"])
def test_the_location_has_the_name_that_runs_of_commands_have(folder: str) -> None:
    workspace = yaml.safe_load((DEPLOY / folder / "workspace.yaml").read_text("utf-8"))
    assert [one["grpc_server"]["location_name"] for one in workspace["load_from"]] == [LOCATION]


@pytest.mark.parametrize("name", UNITS)
def test_units_are_hardened(name: str) -> None:
    lines = UNITS[name].splitlines()
    for wanted in ("ProtectSystem=strict", "UMask=0077", "NoNewPrivileges=yes", "User=sitniks_finmap"):
        assert wanted in lines
    assert "Environment=DAGSTER_HOME=/srv/sitniks_finmap/data/dagster" in lines


def test_the_daemon_and_the_webserver_do_not_look_for_keys() -> None:
    """Dagster reads .env in its working directory, and ends if it may not."""
    for name in ("sitniks-finmap-daemon", "sitniks-finmap-webserver"):
        assert "WorkingDirectory=/srv/sitniks_finmap/data/dagster" in UNITS[name]


# -- Several hosts --

HOSTS = DEPLOY / "hosts"
HELM = yaml.safe_load((HOSTS / "helm-values.yaml").read_text("utf-8"))
PODS = HELM["dagster-user-deployments"]["deployments"]


def test_each_host_is_an_entry_of_the_workspace() -> None:
    workspace = yaml.safe_load((HOSTS / "workspace.yaml").read_text("utf-8"))
    servers = [one["grpc_server"] for one in workspace["load_from"]]
    assert len({one["location_name"] for one in servers}) == len({one["host"] for one in servers}) == 2


def test_no_limit_counts_the_runs_of_all_hosts_together() -> None:
    """The runs of a dead host stay "started", and would hold up those of the others."""
    ours = yaml.safe_load((DEPLOY / "dagster.postgres.yaml").read_text("utf-8"))
    shipped = yaml.safe_load((HOSTS / "dagster.yaml").read_text("utf-8"))
    runs = shipped["concurrency"]["runs"]
    assert runs["max_concurrent_runs"] == -1
    of_each = {"applyLimitPerUniqueValue": True}
    assert runs["tag_concurrency_limits"].pop(0) == {"key": "dagster/code_location", "value": of_each, "limit": 10}
    runs["max_concurrent_runs"] = ours["concurrency"]["runs"]["max_concurrent_runs"]
    assert shipped == ours


def test_the_chart_starts_runs_in_the_code_servers() -> None:
    launcher = HELM["runLauncher"]
    assert launcher["type"] == "CustomRunLauncher"
    assert launcher["config"]["customRunLauncher"]["class"] == "DefaultRunLauncher"
    queue = HELM["dagsterDaemon"]["runCoordinator"]["config"]["queuedRunCoordinator"]
    runs = yaml.safe_load((HOSTS / "dagster.yaml").read_text("utf-8"))["concurrency"]["runs"]
    assert queue["maxConcurrentRuns"] == runs["max_concurrent_runs"]
    by_key = {one["key"]: one for one in queue["tagConcurrencyLimits"]}
    assert by_key == {one["key"]: one for one in runs["tag_concurrency_limits"]}


@pytest.mark.parametrize("pod", PODS, ids=[one["name"] for one in PODS])
def test_a_pod_has_its_own_disk_shops_and_keys(pod: dict[str, Any]) -> None:
    name = pod["name"]
    assert pod["deploymentStrategy"] == {"type": "Recreate"}
    assert pod["image"]["tag"] == __version__
    assert {one["name"]: next(v for k, v in one.items() if k != "name") for one in pod["volumes"]} == {
        "data": {"claimName": f"data-{name}"},
        "config": {"name": f"shops-{name}"},
        "keys": {"secretName": f"keys-{name}", "defaultMode": 0o440},
    }
    [watch] = pod["sidecarContainers"]
    assert "keys" not in {one["name"] for one in watch["volumeMounts"]}
    assert watch["image"].endswith(f":{__version__}")
