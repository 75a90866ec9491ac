"""A real Prometheus reads a small system under load, and every query of every dashboard answers with data."""

from __future__ import annotations

import asyncio
import json
import math
import shutil
import urllib.parse
import urllib.request
from functools import partial
from operator import eq
from pathlib import Path
from typing import Any

import yaml
from support.system import Embedded
from support.waiting import eventually

from localservers.ports import free_port
from localservers.processes import ChildProcess

ROOT = Path(__file__).resolve().parents[2]
SERVICE = Path(__file__).parent / "services/measured.py"
OF_EACH = 10


class Prometheus:
    """It reads these targets twice a second until the block ends."""

    def __init__(self, folder: Path, targets: dict[str, int]) -> None:
        binary = shutil.which("prometheus")
        assert binary, "prometheus is missing: scripts/install-packages prometheus"
        rules = ROOT / "deploy/prometheus/waystation.rules.yml"
        config = {
            "global": {"scrape_interval": "500ms", "scrape_timeout": "500ms"},
            "rule_files": [str(rules)],
            "scrape_configs": [
                {"job_name": job, "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}
                for job, port in targets.items()
            ],
        }
        (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
        self._address = f"127.0.0.1:{free_port()}"
        self._process = ChildProcess(
            [
                binary,
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'prometheus'}",
                f"--web.listen-address={self._address}",
            ],
            name="prometheus",
            log=folder / "prometheus.log",
        )

    def __enter__(self) -> Prometheus:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()

    async def values(self, query: str) -> list[float]:
        """The numbers that a query answers now; none while it does not answer."""
        return await asyncio.to_thread(self._values, query)

    def _values(self, query: str) -> list[float]:
        words = urllib.parse.urlencode({"query": query})
        try:
            with urllib.request.urlopen(
                f"http://{self._address}/api/v1/query?{words}", timeout=5
            ) as answer:
                found: list[dict[str, Any]] = json.load(answer)["data"]["result"]
        except OSError:
            return []
        return [float(each["value"][1]) for each in found]


def panels() -> list[tuple[str, str]]:
    return [
        (f"{file.stem}: {panel['title']}", target["expr"].replace("$__rate_interval", "1m"))
        for file in sorted((ROOT / "deploy/grafana").glob("*.json"))
        for panel in json.loads(file.read_text())["panels"]
        for target in panel["targets"]
    ]


async def test_every_panel_of_the_dashboards_has_data(tmp_path: Path) -> None:
    engine, handlers = free_port(), free_port()
    targets = {"waystation-dev": engine, "waystation-handlers": handlers}
    with (
        Embedded(tmp_path, {"WAYSTATION_METRICS_PORT": str(engine)}) as system,
        Prometheus(tmp_path, targets) as prometheus,
    ):
        environment = {"WAYSTATION_HANDLER_METRICS_PORT": str(handlers)}
        system.start_handlers(SERVICE, environment=environment)

        async def seen(query: str, at_least: int) -> None:
            await eventually(
                lambda: prometheus.values(query),
                until=lambda found: sum(found) >= at_least,
                what=query,
            )

        # Twice: a rate needs numbers that grew while they were read.
        for turn in (1, 2):
            async with system.client() as client:
                for kind, status in (
                    ("measured", "COMPLETED"),
                    ("broken", "FAILED"),
                ):
                    runs = [
                        client.run(kind, workflow_instance_id=f"{kind}-{turn}-{n}")
                        for n in range(OF_EACH)
                    ]
                    assert {run.status for run in await asyncio.gather(*runs)} == {status}
            await seen("sum(waystation_workflows_ended_total)", 2 * OF_EACH * turn)
            await seen("sum(waystation_handler_call_seconds_count)", 3 * OF_EACH * turn)
        for place, query in panels():
            await eventually(
                partial(prometheus.values, query),
                until=lambda found: any(math.isfinite(each) for each in found),
                what=f"{place}: {query}",
            )
        # Eventually: a count and a look at the whole are read by Prometheus later than they change.
        for query, expected in (
            ("sum(waystation_deliveries_total{verdict='failed_final'})", 2 * OF_EACH),
            ("max(waystation_routers)", 1),
        ):
            await eventually(
                partial(prometheus.values, query), until=partial(eq, [expected]), what=query
            )
