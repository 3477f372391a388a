"""Checks of the deploy/ files that the tests cannot run: structure, settings and references."""

import ipaddress
import json
import os
import pathlib
import re
import shutil
import subprocess

import pytest
import yaml

from conftest import API_KEY, ROOT, SECRET, binary

DEPLOY = ROOT / "deploy"
CHART = DEPLOY / "helm" / "roomful"
UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}


def seconds(text):
    number, unit = re.fullmatch(r"(\d+)([a-z]+)", str(text)).groups()
    return int(number) * UNITS[unit]


def accepted(settings):
    """Fails unless the server accepts each variable as a setting with a valid value."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("ROOMFUL_")}
    command = [binary("ROOMFUL_BIN", "roomful"), "check-config"]
    done = subprocess.run(command, env=own | settings, capture_output=True, text=True, timeout=20)
    assert done.returncode == 0, done.stderr
    assert "means nothing" not in done.stdout, done.stdout


def time_to_stop(settings):
    """The longest shutdown of a node with these settings, in seconds."""
    defaults = {"DELAY": "0s", "SPREAD": "5s", "TIMEOUT": "20s"}
    return sum(
        seconds(settings.get(f"ROOMFUL__SHUTDOWN__{name}", default)) for name, default in defaults.items()
    )


def test_compose():
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    services = compose["services"]
    assert set(services) == {"node1", "node2", "postgres", "redis", "proxy"}
    for name, service in services.items():
        assert ("image" in service) and service["restart"] == "unless-stopped", name
        assert set(service.get("depends_on", [])) <= set(services), name
        for network in service["networks"]:
            assert network in compose["networks"], name
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert source in compose["volumes"] or (DEPLOY / source).is_file(), f"{name}: {volume}"
    secrets = {
        "ROOMFUL_AUTH_SECRET": SECRET,
        "ROOMFUL_API_KEY": API_KEY,
        "POSTGRES_PASSWORD": "0123456789abcdef",
    }
    shown = re.compile(r"\$\{(\w+):\?[^}]*\}")
    for name in ("node1", "node2"):
        node = services[name]
        settings = {
            key: shown.sub(lambda match: secrets[match[1]], value)
            for key, value in node["environment"].items()
        }
        assert "${" not in "".join(settings.values())
        accepted(settings)
        assert time_to_stop(settings) < seconds(node["stop_grace_period"])
        assert settings["ROOMFUL__CLUSTER__NODE"] == name
        assert (
            DEPLOY / node["build"]["context"] / node["build"]["dockerfile"]
        ).resolve() == DEPLOY / "Dockerfile"
    trusted = services["node1"]["environment"]["ROOMFUL__HTTP__TRUSTED_PROXIES"]
    assert trusted == services["proxy"]["networks"]["chat"]["ipv4_address"] + "/32"
    # Docker gives the services that start first any address of the range, and the fixed ones must stay free.
    (pool,) = compose["networks"]["chat"]["ipam"]["config"]
    subnet, dynamic = (ipaddress.ip_network(pool[key]) for key in ("subnet", "ip_range"))
    assert dynamic.subnet_of(subnet)
    fixed = [
        ipaddress.ip_address(service["networks"]["chat"]["ipv4_address"])
        for service in services.values()
        if isinstance(service["networks"], dict)
    ]
    assert len(set(fixed)) == 3
    assert all(address in subnet and address not in dynamic for address in fixed)
    # The recipe uses this file's node names, for sessions and for new connections.
    recipe = (DEPLOY / "nginx" / "roomful.conf").read_text()
    assert re.findall(r"^\s*server (\w+):3000", recipe, re.M) == 2 * ["node1", "node2"]


def dockerfile():
    """The instructions, with continuation lines joined."""
    text = (DEPLOY / "Dockerfile").read_text().replace("\\\n", " ")
    lines = [line.strip() for line in text.splitlines()]
    return [line.split(None, 1) for line in lines if line and not line.startswith("#")]


def test_dockerfile():
    instructions = dockerfile()
    known = {
        "FROM",
        "WORKDIR",
        "COPY",
        "RUN",
        "USER",
        "ENV",
        "VOLUME",
        "EXPOSE",
        "STOPSIGNAL",
        "HEALTHCHECK",
        "ENTRYPOINT",
        "CMD",
    }
    assert {name for name, _ in instructions} <= known
    stages = [rest.split()[-1] for name, rest in instructions if name == "FROM" and " AS " in rest]
    for name, rest in instructions:
        if name == "COPY" and rest.startswith("--from="):
            assert rest.split()[0].removeprefix("--from=") in stages
        elif name == "COPY":
            for source in rest.split()[:-1]:
                assert (ROOT / source).exists(), source
    # The last stage: an unprivileged user, and settings that exist.
    last = instructions[max(n for n, (name, _) in enumerate(instructions) if name == "FROM") :]
    assert ["USER", "10001"] in last
    environment = dict(pair.split("=", 1) for name, rest in last if name == "ENV" for pair in rest.split())
    accepted(environment | {"ROOMFUL_AUTH_SECRET": SECRET})
    # The build copies everything that the workspace's members need.
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text().split()
    copied = {
        source
        for name, rest in instructions
        if name == "COPY" and "--from" not in rest
        for source in rest.split()[:-1]
    }
    assert {source.split("/")[0] for source in copied} <= {
        line.removeprefix("!") for line in ignored if line.startswith("!")
    }


def test_the_image_knows_whether_it_is_healthy(roomful):
    [(_, health)] = [one for one in dockerfile() if one[0] == "HEALTHCHECK"]
    [program, *arguments] = json.loads(health[health.index("CMD") + 3 :])
    assert program == "roomful"
    port = roomful.rsplit(":", 1)[1]

    def check(listen):
        command = [binary("ROOMFUL_BIN", "roomful"), *arguments]
        settings = os.environ | {"ROOMFUL_LISTEN": listen}
        return subprocess.run(command, env=settings, capture_output=True, timeout=10).returncode == 0

    assert check(f"127.0.0.1:{port}")
    assert check(f"0.0.0.0:{port}"), "a wildcard address is asked on the loopback"
    assert not check("127.0.0.1:1")


def test_systemd_unit(tmp_path):
    unit = (DEPLOY / "systemd" / "roomful.service").read_text()
    settings = dict(line.split("=", 1) for line in re.findall(r"^Environment=(.*)$", unit, re.M))
    # systemd puts each credential into a file of its own, in the folder that %d names.
    secrets = {"auth-secret": SECRET, "api-key": API_KEY}
    for name, _ in (line.split(":", 1) for line in re.findall(r"^LoadCredential=(.*)$", unit, re.M)):
        (tmp_path / name).write_text(secrets[name] + "\n")
    accepted({name: value.replace("%d", str(tmp_path)) for name, value in settings.items()})
    assert "Type=notify" in unit.splitlines()
    assert time_to_stop(settings) < seconds(re.search(r"^TimeoutStopSec=(.*)$", unit, re.M)[1])
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not there")
    own = tmp_path / "roomful.service"
    own.write_text(unit.replace("/usr/local/bin/roomful", str(binary("ROOMFUL_BIN", "roomful"))))
    done = subprocess.run(["systemd-analyze", "verify", own], capture_output=True, text=True, timeout=60)
    # systemd-analyze also reports other units of the machine.
    own_complaints = [line for line in done.stderr.splitlines() if "roomful.service" in line]
    assert own_complaints == [], done.stderr


def rendered_free(template):
    """A template with `value` for each expression and without control lines, to check its structure."""
    kept = [line for line in template.splitlines() if not re.fullmatch(r"\s*\{\{-.*\}\}", line)]
    return re.sub(r"\{\{.*?\}\}", "value", "\n".join(kept))


def test_helm_chart():
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert (chart["apiVersion"], chart["name"]) == ("v2", "roomful")
    [version] = re.findall(
        r'(?s)\[workspace\.package\].*?^version = "(.*?)"', (ROOT / "Cargo.toml").read_text(), re.M
    )
    assert chart["appVersion"] == version
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    kinds = []
    for path in sorted((CHART / "templates").iterdir()):
        template = path.read_text()
        assert template.count("{{") == template.count("}}"), path
        opened, closed = (
            len(re.findall(rf"\{{\{{-? ?{word}\b", template)) for word in ("(?:if|range|with)", "end")
        )
        assert opened == closed, path
        for reference in re.findall(r"\.Values((?:\.\w+)+)", template):
            found = values
            for part in reference.removeprefix(".").split("."):
                assert part in found, f"{path.name}: .Values{reference} is not in values.yaml"
                found = found[part]
        for document in yaml.safe_load_all(rendered_free(template)):
            assert {"apiVersion", "kind", "metadata"} <= set(document), path
            kinds.append(document["kind"])
            if document["kind"] == "StatefulSet":
                nodes = document
    assert sorted(kinds) == ["Ingress", "PodDisruptionBudget", "Service", "Service", "StatefulSet"]
    [container] = nodes["spec"]["template"]["spec"]["containers"]
    good = {
        "ROOMFUL__CLUSTER__NODE": "roomful-0",
        "ROOMFUL__CLUSTER__ADVERTISE": values["advertise"].replace("$(POD_IP)", "10.0.0.1"),
        "ROOMFUL_LISTEN": values["listen"],
        "ROOMFUL_STORE_URL": "postgres://roomful:secret@postgres/roomful",
        "ROOMFUL_BUS_URL": "redis://redis",
        "ROOMFUL_AUTH_SECRET": SECRET,
        "ROOMFUL_API_KEY": API_KEY,
        "ROOMFUL__HTTP__TRUSTED_PROXIES": "10.0.0.0/8",
    }
    named = {one["name"]: one.get("value") for one in container["env"]}
    stop = {
        f"ROOMFUL__SHUTDOWN__{name.upper()}": values["shutdown"][name]
        for name in ("delay", "spread", "timeout")
    }
    settings = (
        {name: value for name, value in named.items() if name.startswith("ROOMFUL")}
        | good
        | stop
        | values["settings"]
    )
    assert set(named) - {"POD_IP", "value"} <= set(settings)
    accepted(settings)
    assert time_to_stop(settings) < values["shutdown"]["grace"]


def alert_rules():
    [group] = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yaml").read_text())["groups"]
    return group["rules"]


def test_alerts():
    rules = alert_rules()
    names = [rule["alert"] for rule in rules]
    assert len(names) == len(set(names))
    runbook = (ROOT / "docs" / "runbook.md").read_text()
    assert re.findall(r"^## (\w+)$", runbook, re.M) == names, "one entry for each alert, in the same order"
    for rule in rules:
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}, rule
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert set(rule["annotations"]) == {"summary", "description", "runbook"}
        assert rule["annotations"]["runbook"] == f"docs/runbook.md#{rule['alert'].lower()}"
        assert rule["expr"].count("(") == rule["expr"].count(")")


def test_every_alert_has_a_unit_test_in_which_it_fires():
    tests = yaml.safe_load((DEPLOY / "prometheus" / "alerts_test.yaml").read_text())["tests"]
    expected = [
        sample["labels"]
        for test in tests
        for query in test["promql_expr_test"]
        for sample in query["exp_samples"]
        if "labels" in sample
    ]
    fired = {re.search(r'alertname="(\w+)"', labels)[1] for labels in expected}
    assert fired == {rule["alert"] for rule in alert_rules()}


@pytest.mark.skipif(
    not shutil.which("promtool"), reason="promtool (Debian package prometheus) is not installed"
)
def test_alerts_fire_for_outages_and_stay_silent_for_blips():
    for command in (["check", "rules", "alerts.yaml"], ["test", "rules", "alerts_test.yaml"]):
        run = subprocess.run(
            ["promtool", *command], cwd=DEPLOY / "prometheus", capture_output=True, text=True, timeout=300
        )
        assert run.returncode == 0, run.stdout + run.stderr


def test_dashboard():
    dashboard = json.loads((DEPLOY / "grafana" / "roomful.json").read_text())
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for panel in panels:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        for target in panel.get("targets", []):
            assert target["expr"].count("(") == target["expr"].count(")")


def test_what_is_not_run_says_so():
    for path in (
        "Dockerfile",
        "compose.yaml",
        "systemd/roomful.service",
        "helm/roomful/Chart.yaml",
    ):
        head = "".join((DEPLOY / path).read_text().splitlines(keepends=True)[:20])
        assert re.search(r"tests[^.]* have no ", head), path
