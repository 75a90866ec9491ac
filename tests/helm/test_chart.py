"""The Helm chart without a cluster: rendered from several files of values, held to the schemas of Kubernetes, of KEDA
and of Prometheus' operator, and to what its processes accept."""

import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from cloudcoil.models.keda import v1alpha1 as keda
from cloudcoil.models.prometheus_operator import v1 as prometheus
from support.certificates import Pki, issued

from waystation_api.settings import ApiSettings
from waystation_core.broker.topology import Topology
from waystation_core.identity.keys_file import digest_of_key, new_key
from waystation_core.identity.signatures import SigningKey
from waystation_core.rpc.settings import Settings, read_settings
from waystation_router.settings import RouterSettings

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "deploy" / "helm" / "waystation"
VALUES = sorted((ROOT / "deploy" / "helm" / "values").glob("*.yaml"))
VERSIONS = ("1.27", "1.34", "1.37")
"""Of Kubernetes: the oldest that the chart admits, one between, and the newest."""
CUSTOM = {
    "ScaledObject": keda.ScaledObject,
    "TriggerAuthentication": keda.TriggerAuthentication,
    "ServiceMonitor": prometheus.ServiceMonitor,
    "PrometheusRule": prometheus.PrometheusRule,
}
Resource = dict[str, Any]


@dataclass
class Chart:
    """The chart, rendered with the real helm."""

    helm: str
    _kept: dict[str, list[Resource]] = field(default_factory=dict)

    def run(self, values: Path, *settings: str) -> subprocess.CompletedProcess[str]:
        """As `helm template`, with further `--set` settings."""
        return subprocess.run(
            [self.helm, "template", "shop", CHART, "--kube-version", VERSIONS[0], "-f", values]
            + [part for setting in settings for part in ("--set", setting)],
            capture_output=True,
            text=True,
            check=False,
        )

    def rendered(self, name: str) -> list[Resource]:
        """All resources of a file of values."""
        if name not in self._kept:
            done = self.run(next(path for path in VALUES if path.stem == name))
            assert done.returncode == 0, done.stderr
            self._kept[name] = [each for each in yaml.safe_load_all(done.stdout) if each]
        return self._kept[name]


@pytest.fixture(scope="module")
def chart(helm: str) -> Chart:
    return Chart(helm)


@pytest.fixture(params=[path.stem for path in VALUES])
def resources(request: pytest.FixtureRequest, chart: Chart) -> list[Resource]:
    return chart.rendered(request.param)


def of_kind(resources: list[Resource], *kinds: str) -> dict[str, Resource]:
    """Those of these kinds, by name."""
    return {each["metadata"]["name"]: each for each in resources if each["kind"] in kinds}


def labels_of_pods(resources: list[Resource]) -> dict[str, dict[str, str]]:
    return {
        name: each["spec"]["template"]["metadata"]["labels"]
        for name, each in of_kind(resources, "Deployment").items()
    }


def selected(selector: dict[str, str], resources: list[Resource]) -> set[str]:
    """The deployments whose pods a selector finds."""
    assert selector
    return {
        name
        for name, labels in labels_of_pods(resources).items()
        if selector.items() <= labels.items()
    }


def pods(resources: list[Resource]) -> Iterator[Resource]:
    for each in of_kind(resources, "Deployment", "Job").values():
        yield each["spec"]["template"]["spec"]


def test_what_is_rendered_fits_the_schemas(resources: list[Resource]) -> None:
    for each in resources:
        kind = CUSTOM.get(each["kind"])
        if kind is None:
            for version in VERSIONS:
                kubernetes_validate.validate(each, version, strict=True)
        else:
            # What the kind does not know is lost on the way.
            read = kind.model_validate(each).model_dump(
                by_alias=True, exclude_unset=True, mode="json"
            )
            assert read == each
    names = [(each["kind"], each["metadata"]["name"]) for each in resources]
    assert len(set(names)) == len(names)
    assert all(len(name) <= 63 for _, name in names)


def test_the_chart_is_linted(chart: Chart) -> None:
    for values in VALUES:
        done = subprocess.run(
            [chart.helm, "lint", "--strict", "--quiet", "-f", values, CHART],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout


def test_every_pod_is_confined_and_ends_in_order(resources: list[Resource]) -> None:
    for pod in pods(resources):
        assert pod["securityContext"]["runAsNonRoot"]
        assert pod["automountServiceAccountToken"] is False
        (container,) = pod["containers"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert {"cpu", "memory"} <= set(container["resources"]["requests"])
        assert "memory" in container["resources"]["limits"]
    for each in of_kind(resources, "Deployment").values():
        pod = each["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        given = {each["name"]: each.get("value") for each in container["env"]}
        assert (
            pod["terminationGracePeriodSeconds"] > int(given["WAYSTATION_STOP_GRACE_SECONDS"]) + 3
        )
        # Nothing is restarted because Postgres is away.
        assert "tcpSocket" in container["livenessProbe"]
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        program, script, address = container["readinessProbe"]["exec"]["command"]
        assert (program, Path(script).name) == ("python", "health_check.py")
        assert script == "/opt/waystation/health_check.py"
        assert address == f"127.0.0.1:{ports['grpc']}"
        mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
        assert set(mounts) == {volume["name"] for volume in pod["volumes"]}


def test_secrets_are_named_and_never_written(resources: list[Resource]) -> None:
    assert not of_kind(resources, "Secret")
    for pod in pods(resources):
        (container,) = pod["containers"]
        for variable in container["env"]:
            if variable["name"] in ("WAYSTATION_DATABASE_URL", "WAYSTATION_BROKER_URL"):
                assert set(variable["valueFrom"]["secretKeyRef"]) == {"name", "key"}
        for volume in pod["volumes"]:
            assert volume["name"] == "tmp" or volume["secret"]["defaultMode"] == 0o440


@pytest.mark.parametrize("name", [path.stem for path in VALUES])
def test_the_processes_accept_what_they_are_given(name: str, chart: Chart, tmp_path: Path) -> None:
    write_secrets(tmp_path)
    for each in of_kind(chart.rendered(name), "Deployment").values():
        (container,) = each["spec"]["template"]["spec"]["containers"]
        given = {
            variable["name"]: str(variable.get("value", "")).replace("/security", str(tmp_path))
            for variable in container["env"]
        }
        given["WAYSTATION_DATABASE_URL"] = "postgresql://somebody@postgres/waystation"
        given["WAYSTATION_BROKER_URL"] = "amqp://somebody@rabbitmq/"
        kinds: dict[str, type[Settings]] = {
            "waystation-api": ApiSettings,
            "waystation-router": RouterSettings,
        }
        settings = read_settings(kinds[container["command"][0]], given)
        assert settings.insecure is (name == "trial")


def write_secrets(folder: Path) -> None:
    """What the pods would find in their secrets."""
    pki = Pki(folder)
    for place in ("tls", "keys", "handlers", "signing"):
        (folder / place).mkdir()
    certificate, key = pki.pair("ours", issued("ours", "api"))
    (folder / "tls/tls.crt").write_bytes(certificate.read_bytes())
    (folder / "tls/tls.key").write_bytes(key.read_bytes())
    for place in ("tls", "handlers"):
        (folder / place / "ca.crt").write_bytes(pki.ca("ours").read_bytes())
    digest = digest_of_key(new_key())
    keys = {"keys": [{"name": "ops", "sha256": digest, "grants": {"*": ["admin"]}}]}
    (folder / "keys/keys.json").write_text(json.dumps(keys))
    signing = folder / "signing/signing.pem"
    signing.write_bytes(SigningKey.new().pem())
    signing.chmod(0o440)


def test_budgets_services_and_policies_find_their_pods(resources: list[Resource]) -> None:
    deployments = set(labels_of_pods(resources))
    for name, budget in of_kind(resources, "PodDisruptionBudget").items():
        assert selected(budget["spec"]["selector"]["matchLabels"], resources) == {name}
    for name, service in of_kind(resources, "Service").items():
        part = "api" if "-api" in name else "router"
        found = selected(service["spec"]["selector"], resources)
        assert found == {each for each in deployments if f"-{part}" in each}, name
    policed: set[str] = set()
    for policy in of_kind(resources, "NetworkPolicy").values():
        policed |= selected(policy["spec"]["podSelector"]["matchLabels"], resources)
        assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
        assert all(rule["ports"] and rule["from"] for rule in policy["spec"]["ingress"])
    assert policed in (set(), deployments)
    for monitor in of_kind(resources, "ServiceMonitor").values():
        wanted = monitor["spec"]["selector"]["matchLabels"]
        found = [
            service
            for service in of_kind(resources, "Service").values()
            if wanted.items() <= service["metadata"]["labels"].items()
        ]
        (service,) = found
        # The alarm WaystationTargetDown knows the jobs by this name.
        assert service["metadata"]["labels"][monitor["spec"]["jobLabel"]].startswith("waystation")
        assert monitor["spec"]["endpoints"][0]["port"] == service["spec"]["ports"][0]["name"]


def test_autoscaling_counts_as_rabbitmq_allows(chart: Chart) -> None:
    resources = chart.rendered("everything")
    deployments = of_kind(resources, "Deployment")
    pools = set()
    for name, scaled in of_kind(resources, "ScaledObject").items():
        assert scaled["spec"]["scaleTargetRef"]["name"] == name
        assert scaled["spec"]["minReplicaCount"] >= 1
        queue = scaled["spec"]["triggers"][0]
        # A passive declare, as over AMQP, would keep the queue of a pool that has no routers.
        assert queue["metadata"]["protocol"] == "http"
        assert queue["authenticationRef"]["name"] in of_kind(resources, "TriggerAuthentication")
        pool = labels_of_pods(resources)[name]["waystation.dev/pool"]
        assert queue["metadata"]["queueName"] == Topology().pool(pool)
        pools.add(pool)
    assert pools == {"default", "fraud"}
    (hpa,) = of_kind(resources, "HorizontalPodAutoscaler").values()
    assert hpa["spec"]["scaleTargetRef"]["name"] == "shop-waystation-api"
    # Who scales says how many; an upgrade must not say it again.
    assert not any("replicas" in each["spec"] for each in deployments.values())


def test_alarms_and_dashboards_are_those_of_the_repository(chart: Chart) -> None:
    resources = chart.rendered("everything")
    (rule,) = of_kind(resources, "PrometheusRule").values()
    text = (ROOT / "deploy/prometheus/waystation.rules.yml").read_text()
    text = text.replace("docs/operations.md", "https://example.com/waystation/operations.md")
    assert rule["spec"] == yaml.safe_load(text)
    pages = {}
    for page in of_kind(resources, "ConfigMap").values():
        pages |= page["data"]
    assert pages == {path.name: path.read_text() for path in (ROOT / "deploy/grafana").iterdir()}


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("database.secret.name=", "/database/secret"),
        ("broker.secret.name=", "/broker/secret"),
        ("tls.secretName=", "/tls/secretName"),
        ("callers.keysSecret.name=", "/callers"),
        ("callers.jwt.issuer=https://login.example.com", "/callers/jwt"),
        ("handlers.allowlist=null", "allowlist"),
        ("keda.enabled=true", "/keda/managementSecret"),
        ("api.replica=3", "replica"),
        ("settings.WAYSTATION_MAX_BACKLOG=5", "WAYSTATION_MAX_BACKLOG"),
        ("callers.anybody=true", "does not go with keys"),
        ("pools[0].name=fraud", "one of them must be `default`"),
        ("pools[0].bindings={a.#}", "`default` has no bindings"),
        ("pools[1].name=default,pools[1].replicas=1", "a name of its own"),
        ("pools[1].name=fraud,pools[1].replicas=1", "fraud needs bindings"),
        ("settings.WAYSTATION_DATABASE_URL=x", "may hold a secret"),
    ],
)
def test_what_is_missing_or_unsafe_is_refused_before_anything_is_installed(
    setting: str, says: str, chart: Chart
) -> None:
    smallest = next(path for path in VALUES if path.stem == "smallest")
    pools = ["pools[0].name=default", "pools[0].replicas=1"] if "pools" in setting else []
    done = chart.run(smallest, *pools, setting)
    assert done.returncode != 0
    assert re.search(re.escape(says), done.stderr), done.stderr
