"""Metrics, as Prometheus and its node exporter would read them."""

import signal
import subprocess
import sys

import promtool
from harness import MIB, Skip, expect, live_vm, run


def parse(text):
    """{family: {labels: value}} of OpenMetrics text, by the strict parser of Prometheus's Python client."""
    sys.path.append("/usr/lib/python3/dist-packages")  # where Debian has it, if the python that runs this is not Debian's
    try:
        from prometheus_client.openmetrics.parser import text_string_to_metric_families
    except ImportError:
        raise Skip("there is no python3-prometheus-client") from None
    return {family.name: {tuple(sorted(s.labels.items())): s.value for s in family.samples} for family in text_string_to_metric_families(text)}


def metrics_are_openmetrics(context):
    live_vm(context)
    live_vm(context, "web-2", "512M", "size=0", 100)
    families = parse(run(context, "metrics").out)

    def value(family, vm, **labels):
        return families[f"vmm_balloon_{family}"][tuple(sorted({"vm": vm, **labels}.items()))]

    expect(value("up", "web-1") == value("up", "web-2") == value("running", "web-1") == 1, "up, running")
    expect(value("ram_bytes", "web-1") == 256 * MIB and value("ram_bytes", "web-2") == 512 * MIB, "ram")
    expect(value("actual_bytes", "web-1") == value("target_bytes", "web-1") == 64 * MIB and value("left_bytes", "web-1") == 192 * MIB, "balloon")
    expect(value("queue_pages", "web-1", queue="inflate") == 64 * 256, "pages")
    expect(value("queue_discarded_bytes", "web-1", queue="inflate") == 64 * MIB, "discarded")
    expect(100 * MIB < value("ram_resident_bytes", "web-1") < 200 * MIB, "resident")
    # The first answer stems from the start, when nothing was touched: the guest was asked again.
    expect(0 < value("guest_free_bytes", "web-1") < 100 * MIB < value("guest_memory_bytes", "web-1"), "guest's memory")
    families = parse(run(context, "metrics", "web-2").out)
    expect(len(families["vmm_balloon_up"]) == 1, f"web-2 alone: {families['vmm_balloon_up']}")


def metrics_pass_promtool(context):
    checker = promtool.find()
    live_vm(context)
    if not checker:
        raise Skip("there is no promtool, and Debian's package prometheus cannot be had")
    text = run(context, "metrics", "--format", "prometheus").raw_out
    done = subprocess.run([checker, "check", "metrics"], input=text, capture_output=True, check=False)
    expect(done.returncode == 0 and not done.stderr and not done.stdout, f"promtool: {done.stdout} {done.stderr}")
    wrong = text.replace(b"# TYPE vmm_balloon_oom_deflations_total counter", b"# TYPE vmm_balloon_oom_deflations_total gauge")
    expect(subprocess.run([checker, "check", "metrics"], input=wrong, capture_output=True, check=False).returncode, "promtool finds nothing wrong with anything")


def metrics_of_silent_vms(context):
    live_vm(context)
    silent = [live_vm(context, f"silent-{i}", "64M", "size=16M", 16) for i in range(3)]
    for vm in silent:
        vm.process.send_signal(signal.SIGSTOP)
    try:
        result = run(context, "metrics")
    finally:
        for vm in silent:
            vm.process.send_signal(signal.SIGCONT)
    expect(result.seconds < 10, f"three silent VMs: {result.seconds} s")
    up = {dict(labels)["vm"]: value for labels, value in parse(result.out)["vmm_balloon_up"].items()}
    expect(up == {"web-1": 1, "silent-0": 0, "silent-1": 0, "silent-2": 0}, f"{up}")
    expect(parse(run(context, "metrics", "nobody").out)["vmm_balloon_up"] == {(("vm", "nobody"),): 0}, "a VM that does not run")
    run(context, "metrics", "--format", "xml", status=2)


CASES = [metrics_are_openmetrics, metrics_pass_promtool, metrics_of_silent_vms]
