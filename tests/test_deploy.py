"""The image and the services: every command of their files runs, on the loopback, without containers."""

import os
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from http.cookiejar import CookieJar
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any
from urllib.request import HTTPCookieProcessor, build_opener

import pytest
import yaml

from vaereg.cluster import ClusterExecutor

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
HAPROXY = shutil.which("haproxy", path=os.environ.get("PATH", "") + ":/usr/sbin")


def script() -> Any:  # noqa: ANN401
    """The module of deploy/loopback.py, which is in no package."""
    spec = spec_from_file_location("loopback", DEPLOY / "loopback.py")
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


LOOPBACK = script()


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory, compose: dict[str, Any]) -> Iterator[Any]:
    """All services, healthy; without the proxy where there is no haproxy."""
    wanted = [name for name in compose["services"] if HAPROXY or name != "proxy"]
    with LOOPBACK.Loopback(tmp_path_factory.mktemp("services"), wanted) as started:
        yield started


def test_the_image_is_for_a_user_without_rights() -> None:
    image = LOOPBACK.Containerfile()
    (user,) = image.all_of("USER")
    assert int(user.split(":")[0]) >= 1000
    assert [name for name, _ in image.steps].index("USER") < [name for name, _ in image.steps].index("CMD")
    assert image.health()[0] == "python"
    for step in image.all_of("COPY"):
        *sources, _ = step.split()
        for source in sources:
            assert (ROOT / source).exists(), source


def test_the_commands_that_build_the_image_run(tmp_path: Path) -> None:
    """What they install is what the tests run with; nothing is fetched."""
    run = LOOPBACK.Containerfile().all_of("RUN")
    assert [step.split()[0] for step in run] == ["pip", "install"]
    install, folder = (shlex.split(step) for step in run)
    install[install.index("$INDEX")] = "https://localhost"
    command = [sys.executable, "-m", *install, "--dry-run", "--no-index", "--quiet"]
    subprocess.run(command, check=True, cwd=ROOT)
    own = {"10001": str(os.getuid()), "/data": str(tmp_path / "data")}
    folder = [own.get(part, part) for part in folder]
    folder[folder.index("-g") + 1] = str(os.getgid())
    subprocess.run(folder, check=True)
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700


def test_the_image_has_the_versions_of_the_tests() -> None:
    pinned = (DEPLOY / "requirements.txt").read_text(encoding="utf-8").split()
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    extras = settings["project"]["optional-dependencies"]
    own = [line for line in pinned if "==" in line]
    assert set(own) <= set(extras["dev"])
    assert {line.split("==")[0] for line in own} == {line.split(">=")[0] for line in extras["cluster"]}


def test_the_services_are_closed_as_far_as_they_can_be(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        assert service["read_only"] and service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert ("ports" in service) == (name == "proxy"), name
        assert ("front" in service["networks"]) == (name == "proxy"), name
    assert compose["networks"]["cluster"] == {"internal": True}
    counts = [sum(name.startswith(kind) for name in compose["services"]) for kind in ("server", "worker")]
    assert counts == [2, 2]


def test_all_services_become_healthy(services: Any) -> None:  # noqa: ANN401
    """Their checks have passed; the workers have joined the scheduler, and the servers share a folder."""
    executor = ClusterExecutor(services.scheduler)
    try:
        assert executor.worker_count == 2
        assert executor.submit(os.getenv, "OMP_NUM_THREADS").result(60) == "1"
    finally:
        executor.shutdown(wait=False, cancel_futures=True)
    for name in ("server-1", "server-2"):
        environment = services.environment(name)
        assert environment["VAEREG_SCHEDULER"] == services.scheduler
        assert Path(environment["VAEREG_RESULTS"]).parent == services.folder / "data"
        assert environment["STREAMLIT_SERVER_COOKIE_SECRET"] and services.is_healthy(name)


@pytest.mark.skipif(HAPROXY is None, reason="haproxy is not installed")
def test_a_browser_stays_at_one_server_until_that_is_gone(services: Any) -> None:  # noqa: ANN401
    def visit(jar: CookieJar) -> str:
        with build_opener(HTTPCookieProcessor(jar)).open(services.address, timeout=60) as reply:
            assert reply.status == 200
        return next(cookie.value or "" for cookie in jar if cookie.name == "VAEREG_SERVER")

    jar = CookieJar()
    seen = {visit(jar) for _ in range(4)}
    assert len(seen) == 1, "it stays"
    assert {visit(CookieJar()) for _ in range(4)} == {"one", "two"}, "others go elsewhere"
    gone = {"one": "server-1", "two": "server-2"}[seen.pop()]
    services.kill(gone)
    assert visit(jar) == {"server-1": "two", "server-2": "one"}[gone]
