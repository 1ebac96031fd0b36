"""The Kubernetes manifest: commands, probes, ports and names fit together and exist."""

import re

import pytest

from aimkeeper.web.app import HEALTH_ROUTES

from .conftest import SETTINGS, documents, invoked

PATHS = {path for route in HEALTH_ROUTES for path in route.paths}


@pytest.fixture
def kinds() -> dict[str, list[dict]]:
    found: dict[str, list[dict]] = {}
    for document in documents("deploy/kubernetes.yaml"):
        found.setdefault(document["kind"], []).append(document)
    return found


@pytest.fixture(params=[0, 1], ids=["worker", "server"])
def pods(request, kinds) -> dict:
    return kinds["StatefulSet"][request.param]


def container(pods) -> dict:
    [only] = pods["spec"]["template"]["spec"]["containers"]
    return only


def test_two_workers_keep_and_one_server_answers(kinds):
    workers, server = kinds["StatefulSet"]

    assert (invoked(container(workers)["args"]).name, workers["spec"]["replicas"]) == ("worker", 2)
    assert (invoked(container(server)["args"]).name, server["spec"]["replicas"]) == ("serve", 1)


def test_probes_ask_what_is_answered_where_it_listens(pods):
    here = container(pods)
    port = invoked(here["args"]).port

    probes = {name: here[name]["httpGet"] for name in ("startupProbe", "livenessProbe", "readinessProbe")}

    assert {probe["port"] for probe in probes.values()} == {port}
    assert [one["containerPort"] for one in here["ports"]] == [port]
    assert {probe["path"] for probe in probes.values()} <= PATHS
    # A database that is away must not restart what holds fresh tokens.
    assert (probes["livenessProbe"]["path"], probes["readinessProbe"]["path"]) == ("/healthz", "/readyz")


def test_what_it_is_given_are_settings_and_a_name_that_its_own_command_uses(root, pods):
    here = container(pods)
    head = (root / "deploy/kubernetes.yaml").read_text("utf-8").partition("apiVersion")[0]

    secret = set(re.findall(r"--from-literal=(\w+)", head))

    assert secret <= SETTINGS
    assert {"AIMKEEPER_DATABASE_URL", "AIMKEEPER_SECRET_KEYS", "AIMKEEPER_API_KEY"} == secret
    assert {one["name"] for one in here.get("env", [])} == set(re.findall(r"\$\((\w+)\)", " ".join(here["args"])))
    assert f"secret generic {here['envFrom'][0]['secretRef']['name']} " in head


def test_it_runs_without_rights_and_its_spool_outlives_it(root, pods):
    spec = pods["spec"]["template"]["spec"]
    [user] = re.findall(r"^USER (\d+):", (root / "Dockerfile").read_text("utf-8"), re.MULTILINE)
    [folder] = re.findall(r"^VOLUME (\S+)$", (root / "Dockerfile").read_text("utf-8"), re.MULTILINE)
    mounts = {mount["name"]: mount["mountPath"] for mount in container(pods)["volumeMounts"]}
    [kept] = [claim["metadata"]["name"] for claim in pods["spec"]["volumeClaimTemplates"]]

    assert (spec["securityContext"]["runAsNonRoot"], spec["securityContext"]["runAsUser"]) == (True, int(user))
    assert container(pods)["securityContext"]["readOnlyRootFilesystem"]
    assert mounts[kept] == folder
    assert set(mounts) - {kept} == {volume["name"] for volume in spec["volumes"]}
    assert spec["terminationGracePeriodSeconds"] >= 60


def test_services_and_the_budget_choose_the_pods_they_mean(kinds):
    labels = {pods["metadata"]["name"]: pods["spec"]["template"]["metadata"]["labels"] for pods in kinds["StatefulSet"]}
    [budget] = kinds["PodDisruptionBudget"]
    chosen = {
        service["metadata"]["name"]: [
            name for name, has in labels.items() if service["spec"]["selector"].items() <= has.items()
        ]
        for service in kinds["Service"]
    }

    assert chosen == {"aimkeeper": ["aimkeeper-server"], "aimkeeper-worker": ["aimkeeper-worker"]}
    assert budget["spec"]["selector"]["matchLabels"] == labels["aimkeeper-worker"]
    assert {pods["spec"]["serviceName"] for pods in kinds["StatefulSet"]} == set(chosen)
    for pods in kinds["StatefulSet"]:
        assert pods["spec"]["selector"]["matchLabels"] == pods["spec"]["template"]["metadata"]["labels"]


def test_a_services_port_leads_to_one_that_is_open(kinds):
    open_ports = {
        pods["spec"]["serviceName"]: {one["name"]: one["containerPort"] for one in container(pods)["ports"]}
        for pods in kinds["StatefulSet"]
    }

    for service in kinds["Service"]:
        [port] = service["spec"]["ports"]
        ports = open_ports[service["metadata"]["name"]]
        assert port.get("targetPort", port["port"]) in {*ports, *ports.values()}
