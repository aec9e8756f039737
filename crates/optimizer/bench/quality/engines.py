"""Serves one model file with an engine of slipway-server, and asks it over the inference protocol."""

import http.client
import json
import os
import re
import subprocess
import time

import numpy as np

NAMES = {
    np.dtype(np.float32): "FP32",
    np.dtype(np.int64): "INT64",
    np.dtype(np.int32): "INT32",
}
TYPES = {name: kind for kind, name in NAMES.items()}


class Refused(Exception):
    """The engine does not load the model, or cannot compute with it."""


class Served:
    """A running server with one model; `ask` gives its outputs by name, and the seconds until they came."""

    def __init__(self, program, backend, model):
        command = [
            program, "--log-format", "json", "serve", "--model", model, "--name", "m", "--address", "127.0.0.1",
            "--http-port", "0", "--metrics-port", "0", "--backend", backend, "--termination-log", os.devnull,
        ]  # fmt: skip
        self._process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        address, ready, last = None, False, "the server said nothing"
        for line in self._process.stderr:
            last = line.strip()
            fields = json.loads(line)["fields"]
            address = fields.get("addr", address)
            ready = ready or fields.get("state") == "ready"
            if address and ready:
                break
        else:
            self.close()
            raise Refused(last)
        self._connection = http.client.HTTPConnection(address, timeout=300)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self._process.terminate()
        self._process.wait()
        self._process.stderr.close()

    def memory_mib(self):
        """Returns the resident memory, by the kernel's count, of what the process holds itself."""
        with open(f"/proc/{self._process.pid}/status") as status:
            return int(re.search(r"RssAnon:\s+(\d+) kB", status.read())[1]) / 1024

    def ask(self, feeds):
        tensors = [
            {
                "name": name,
                "datatype": NAMES[array.dtype],
                "shape": list(array.shape),
                "parameters": {"binary_data_size": array.nbytes},
            }
            for name, array in feeds.items()
        ]
        header = json.dumps({"inputs": tensors, "parameters": {"binary_data_output": True}}).encode()
        body = header + b"".join(np.ascontiguousarray(array).tobytes() for array in feeds.values())
        length = {"Inference-Header-Content-Length": str(len(header))}
        try:
            answer, content, seconds = self._post(body, length)
        except ConnectionError:
            # The server closes connections that say nothing for a minute; the next request opens another.
            self._connection.close()
            answer, content, seconds = self._post(body, length)
        if answer.status != 200:
            raise Refused(content.decode(errors="replace").strip())
        return outputs(content, int(answer.headers["Inference-Header-Content-Length"])), seconds

    def _post(self, body, headers):
        start = time.perf_counter()
        self._connection.request("POST", "/v2/models/m/infer", body, headers)
        answer = self._connection.getresponse()
        return answer, answer.read(), time.perf_counter() - start


def outputs(content, header):
    values, place = {}, header
    for tensor in json.loads(content[:header])["outputs"]:
        size = tensor["parameters"]["binary_data_size"]
        values[tensor["name"]] = np.frombuffer(
            content[place : place + size], TYPES[tensor["datatype"]]
        ).reshape(tensor["shape"])
        place += size
    return values
