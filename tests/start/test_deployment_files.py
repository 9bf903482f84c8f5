"""The files that others read: pinned requirements, Makefile, nginx configuration, compose, Dockerfile."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

from .conftest import BASE_DIR

LOCKS = sorted((BASE_DIR / "requirements").glob("*.txt"))
DEPLOY = BASE_DIR / "nvr" / "deploy"


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_pinned_requirements_contain_no_urls(lock: Path) -> None:
    text = lock.read_text()

    assert not re.search(r"https?:|file:|git\+|--(?:extra-)?index|--find-links|--trusted-host", text)


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_every_requirement_is_pinned_and_hashed(lock: Path) -> None:
    entries = re.split(r"\n(?=[A-Za-z0-9])", lock.read_text().split("\n", 2)[2])

    assert entries
    for entry in entries:
        assert re.match(r"[A-Za-z0-9._-]+(?:\[[a-z,]+\])?==[^\s]+", entry), entry
        assert "--hash=sha256:" in entry, entry


def test_all_declared_dependencies_are_pinned() -> None:
    project = tomllib.loads((BASE_DIR / "pyproject.toml").read_text())["project"]
    declared = {"run": project["dependencies"], "dev": project["optional-dependencies"]["dev"]}

    for name, requirements in declared.items():
        pinned = (BASE_DIR / "requirements" / f"{name}.txt").read_text()
        for requirement in requirements:
            package = re.match(r"[A-Za-z0-9._-]+", requirement)[0]
            assert re.search(rf"^{re.escape(package)}(?:\[.*\])?==", pinned, re.MULTILINE), requirement


def test_tests_and_installations_use_the_same_versions() -> None:
    pins = {
        name: dict(
            re.findall(
                r"^([a-z0-9._-]+)(?:\[.*\])?==(\S+)",
                (BASE_DIR / f"requirements/{name}.txt").read_text(),
                re.M,
            )
        )
        for name in ("run", "dev")
    }

    assert {package: pins["dev"].get(package) for package in pins["run"]} == pins["run"]


def test_make_lists_its_commands() -> None:
    listed = subprocess.run(["make"], cwd=BASE_DIR, capture_output=True, text=True, check=True).stdout

    for command in ("setup", "run", "demo", "test", "check", "format", "bench", "lock"):
        assert f"make {command} " in listed


def rendered(folder: Path) -> Path:
    """The nginx configuration as the container makes it, with paths of ours."""
    values = {
        "NVR_UPSTREAM": "127.0.0.1:8000",
        "NVR_LISTEN": "127.0.0.1:8999",
        "NVR_SCHEME": "http",
        "NVR_CAMERA_ROOT": str(folder / "cameras"),
        "NVR_DATA_DIR": str(folder / "data"),
    }
    site = (DEPLOY / "nginx.conf.template").read_text()
    for name, value in values.items():
        site = site.replace(f"${{{name}}}", value)
    site = site.replace("/etc/nginx/nvr-protected.conf", str(DEPLOY / "nginx-protected.conf"))
    main = (DEPLOY / "nginx-main.conf").read_text().replace("/tmp/nvr-site.conf", "/tmp/site.conf")
    (folder / "site.conf").write_text(site)
    (folder / "nginx.conf").write_text(main.replace("/tmp/", f"{folder}/"))
    return folder / "nginx.conf"


def test_nginx_accepts_the_configuration(tmp_path: Path) -> None:
    configuration = rendered(tmp_path)
    assert "${" not in (tmp_path / "site.conf").read_text()

    answer = subprocess.run(["nginx", "-t", "-c", str(configuration)], capture_output=True, text=True, check=False)

    assert answer.returncode == 0, answer.stderr
    assert "warn" not in answer.stderr.replace('"user" directive', "")


def test_each_accelerated_folder_has_its_nginx_location() -> None:
    compose = yaml.safe_load((BASE_DIR / "compose.yaml").read_text())
    pairs = compose["services"]["web"]["environment"]["NVR_ACCEL_REDIRECT"].split(",")
    template = (DEPLOY / "nginx.conf.template").read_text()

    for pair in pairs:
        prefix = pair.partition("=")[2]
        assert f"location {prefix} {{" in template
    assert template.count("location /_protected/") == len(pairs) == template.count("disable_symlinks on from=")


def test_compose_runs_one_process_of_each_kind_with_health_and_secrets_in_files() -> None:
    compose = yaml.safe_load((BASE_DIR / "compose.yaml").read_text())
    services = compose["services"]

    assert {
        "web",
        "worker-interactive",
        "worker-ingest",
        "worker-bulk",
        "watcher",
        "beat",
        "postgres",
        "redis",
        "nginx",
    } <= set(services)
    assert all("healthcheck" in s or name == "web" for name, s in services.items())
    assert not re.search(r"(?:PASSWORD|SECRET_KEY|DATABASE_URL): ", (BASE_DIR / "compose.yaml").read_text())
    for service in services.values():
        assert set(service.get("secrets", [])) <= set(compose["secrets"])
        for network in service["networks"]:
            assert network in compose["networks"]


def test_every_queue_has_a_worker_in_compose() -> None:
    services = yaml.safe_load((BASE_DIR / "compose.yaml").read_text())["services"]

    commands = [service["command"] for name, service in services.items() if name.startswith("worker-")]

    assert {command[command.index("-Q") + 1] for command in commands} == {"interactive", "ingest", "bulk"}


def test_the_image_installs_hashed_requirements_and_runs_as_an_unprivileged_user() -> None:
    dockerfile = (BASE_DIR / "Dockerfile").read_text()

    assert dockerfile.count("--require-hashes") == 2
    assert "\nUSER nvr\n" in dockerfile
    assert "\nHEALTHCHECK " in dockerfile
