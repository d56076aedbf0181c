#!/usr/bin/env python3
"""Stands in for Cloud Hypervisor or Firecracker, by the name that it is called: serves its REST API, keeps guest RAM, and
is the guest's shell on its terminal. What it was asked for goes to FAKE_VMM_LOG, a line of JSON for each request."""

import http.server
import json
import mmap
import os
import re
import socketserver
import sys
import threading
import tty

MIB = 1 << 20
MAP_NORESERVE = 0x4000  # an area of its own in smaps
IS_FIRECRACKER = os.path.basename(sys.argv[0]) == "firecracker"
state = {"ram": 0, "balloon": 0}


def log(*what):
    with open(os.environ["FAKE_VMM_LOG"], "a") as f:
        f.write(json.dumps(what) + "\n")


def start(ram_bytes):
    """The guest finds its memory and gets to its shell."""
    state["ram"] = ram_bytes
    state["map"] = mmap.mmap(-1, ram_bytes, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | MAP_NORESERVE)
    state["map"][: 8 * MIB] = bytes(8 * MIB)
    threading.Thread(target=shell, daemon=True).start()


def shell():
    """Runs nothing: each command succeeds, and says its own name."""
    print("READY 01234567-89ab-cdef-0123-456789abcdef", flush=True)
    for line in sys.stdin:
        mark, command = re.match(r'echo "BEGIN "(\S+); \{ (.*); \} 2>&1; echo', line).groups()
        print(f"BEGIN {mark}\n{command}\nEND {mark} 0", flush=True)


class Handler(http.server.BaseHTTPRequestHandler):
    def address_string(self):
        return "unix"

    def log_message(self, *_):
        pass

    def answer(self, status, body=None):
        text = json.dumps(body).encode() if body is not None else b""
        self.send_response(status)
        if text:
            self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def serve(self):
        length = int(self.headers.get("Content-Length", 0))
        body = json.loads(self.rfile.read(length)) if length else None
        log(self.command, self.path, body)
        asked = f"{self.command} {self.path}"
        if asked == "GET /api/v1/vm.info" and not IS_FIRECRACKER:
            self.answer(200, {"config": {}, "state": "Running", "memory_actual_size": state["ram"] - state["balloon"]})
        elif asked == "PUT /api/v1/vm.resize" and not IS_FIRECRACKER:
            state["balloon"] = body["desired_balloon"]
            self.answer(204)
        elif asked == "GET /balloon/statistics" and IS_FIRECRACKER:
            self.answer(200, {"target_pages": 0, "actual_pages": state["balloon"] // 4096})
        elif asked in ("PUT /balloon", "PATCH /balloon") and IS_FIRECRACKER:
            state["balloon"] = body["amount_mib"] * MIB
            self.answer(204)
        elif asked == "PUT /machine-config" and IS_FIRECRACKER:
            state["ram"] = body["mem_size_mib"] * MIB
            self.answer(204)
        elif asked == "PUT /boot-source" and IS_FIRECRACKER:
            self.answer(204)
        elif asked == "PUT /actions" and IS_FIRECRACKER:
            start(state["ram"])
            self.answer(204)
        else:
            self.answer(400, {"fault_message": asked})

    do_GET = do_PUT = do_PATCH = serve


def main():
    log(*sys.argv[1:])
    options = dict(zip(sys.argv[1:], sys.argv[2:]))
    tty.setraw(0)
    path = options["--api-sock"] if IS_FIRECRACKER else options["--api-socket"].removeprefix("path=")
    server = socketserver.UnixStreamServer(path, Handler)
    if not IS_FIRECRACKER:
        start(int(re.match(r"size=(\d+),thp=on$", options["--memory"])[1]))
    server.serve_forever()


if __name__ == "__main__":
    main()
