"""Measures the operator with many objects on a real API server: memory, time to Ready, writes, and rest.

Pods are made ready by kwok. Objects name their model by digest and have no stages and no gate, so that the figures are
the operator's alone. Standard library only; every loop is bounded.
"""

import argparse
import collections
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

MOST_SECONDS = 600
REST_SECONDS = 60
DIGEST = "sha256:" + "ab" * 32


def boot(binaries, audit):
    """Boots etcd, API server, controllers and kwok; the process and what it says of itself."""
    command = [binaries / "slipway-cluster", "up", "--level", "api", "--kwok", "20", "--audit", str(audit)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    return process, json.loads(process.stdout.readline())


def kubectl(binaries, kubeconfig, *args, text=None):
    """Runs kubectl; what it prints."""
    command = [binaries / "kubectl", "--kubeconfig", kubeconfig, *args]
    return subprocess.run(command, input=text, check=True, capture_output=True, text=True).stdout


def objects(count):
    """So many model deployments as one list."""
    def one(index):
        source = {"uri": f"oci://registry.bench/models/net@{DIGEST}"}
        return {
            "apiVersion": "slipway.dev/v1alpha1",
            "kind": "ModelDeployment",
            "metadata": {"name": f"net-{index:03}", "namespace": "bench"},
            "spec": {"model": {"source": source}},
        }

    return json.dumps({"apiVersion": "v1", "kind": "List", "items": [one(index) for index in range(count)]})


def ready(listing):
    """How many objects say that they are ready."""
    conditions = (item.get("status", {}).get("conditions", []) for item in json.loads(listing)["items"])
    return sum(any(c["type"] == "Ready" and c["status"] == "True" for c in each) for each in conditions)


def requests(audit, since=0):
    """The operator's requests from a place of the audit file on: verb and resource, counted; and the file's end."""
    counted = collections.Counter()
    with open(audit, encoding="utf-8") as lines:
        lines.seek(since)
        for line in lines:
            event = json.loads(line)
            # Controllers have users of their own; of those who come as the administrator only kubectl names itself.
            administrator = event["user"]["username"] == "kubernetes-admin"
            if administrator and not event.get("userAgent", "").startswith("kubectl"):
                reference = event.get("objectRef", {})
                resource = "/".join(filter(None, [reference.get("resource"), reference.get("subresource")]))
                counted[(event["verb"], resource)] += 1
        return counted, lines.tell()


def memory(pid):
    """Resident memory of a process in MB."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    kilobytes = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
    return kilobytes * 1024 / 1e6


def wait_ready(binaries, kubeconfig, count, began):
    """Seconds until all objects are ready, from a moment on."""
    while time.monotonic() - began < MOST_SECONDS:
        listing = kubectl(binaries, kubeconfig, "get", "modeldeployments.slipway.dev", "-n", "bench", "-o", "json")
        if ready(listing) == count:
            return time.monotonic() - began
        time.sleep(0.5)
    sys.exit(f"not all of {count} objects are ready after {MOST_SECONDS} s")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binaries", type=pathlib.Path, required=True)
    parser.add_argument("--operator", type=pathlib.Path, required=True)
    parser.add_argument("--crd", required=True)
    parser.add_argument("--objects", type=int, default=500)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        audit = pathlib.Path(folder) / "audit.log"
        cluster, said = boot(args.binaries, audit)
        operator = None
        try:
            kubeconfig = said["kubeconfig"]
            kubectl(args.binaries, kubeconfig, "apply", "-f", args.crd)
            kubectl(args.binaries, kubeconfig, "wait", "--for=condition=Established", "crd/modeldeployments.slipway.dev")
            kubectl(args.binaries, kubeconfig, "create", "namespace", "bench")
            command = [args.operator, "--server-image=server:1", "--job-image=job:1", "--registry=registry.bench", "--listen=127.0.0.1:0"]
            with open(pathlib.Path(folder) / "operator.log", "w", encoding="utf-8") as log:
                operator = subprocess.Popen(command, env={**os.environ, "KUBECONFIG": kubeconfig}, stdout=log, stderr=log)
            began = time.monotonic()
            kubectl(args.binaries, kubeconfig, "create", "-f", "-", text=objects(args.objects))
            created = time.monotonic()
            seconds = wait_ready(args.binaries, kubeconfig, args.objects, began)
            settle = time.monotonic() + 20
            while time.monotonic() < settle:
                time.sleep(1)
            counted, end = requests(audit)
            writes = sum(n for (verb, _), n in counted.items() if verb in {"create", "update", "patch", "delete"})
            time.sleep(REST_SECONDS)
            rest, _ = requests(audit, end)
            quiet = {f"{verb} {what}": n for (verb, what), n in rest.items() if verb != "watch" and what != "leases"}
            print(f"objects                 {args.objects}")
            print(f"all Ready after         {seconds:.1f} s (from the first object's creation; the last took until {created - began:.1f} s)")
            print(f"API writes an object    {writes / args.objects:.1f}")
            for (verb, what), n in sorted(counted.items(), key=lambda pair: -pair[1]):
                print(f"    {verb:7} {what:32} {n}")
            print(f"resident memory         {memory(operator.pid):.1f} MB")
            print(f"in {REST_SECONDS} s at rest         {quiet or '0 reads, 0 writes'}")
        finally:
            for process in (operator, cluster):
                if process:
                    process.terminate()
                    process.wait(timeout=30)


if __name__ == "__main__":
    main()
