"""A small front end of a run, over its socket: for gpu_check.py."""

import json
import socket
import struct
import time


def socket_of(run):
    """Where a run that is being painted can be reached; none before it says so."""
    try:
        return json.loads((run / "socket.json").read_text())["socket"]
    except FileNotFoundError:
        return None


class Client:
    """A front end of a run, over its socket: as `crates/impasto-service/src/ipc/frame.rs` has it."""

    HELLO, COMMAND, EVENT, PREVIEW = 1, 2, 18, 19
    VERSION = 2

    def __init__(self, path, deadline):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self.socket.settimeout(max(1.0, deadline - time.monotonic()))
            self.socket.connect(path)
            self.reader = self.socket.makefile("rb")
            self.send(self.HELLO, {"impasto": self.VERSION, "role": "steer"})
        except OSError:
            self.close()
            raise

    def close(self):
        self.socket.close()

    def send(self, kind, value):
        payload = json.dumps(value).encode()
        self.socket.sendall(struct.pack("<IB", len(payload), kind) + payload)

    def receive(self):
        header = self.reader.read(5)
        if len(header) < 5:
            raise RuntimeError("the run closed its socket")
        length, kind = struct.unpack("<IB", header)
        return kind, self.reader.read(length)

    def event(self, name):
        """The next event of this name."""
        while True:
            kind, payload = self.receive()
            if kind == self.EVENT:
                event = json.loads(payload)
                if event["event"] == name:
                    return event

    def steer(self, preset):
        """Seconds from sending a preset to the first picture that it has moved."""
        began = time.monotonic()
        self.send(self.COMMAND, {"change": preset})
        changed = self.event("changed")["iteration"]
        while True:
            self.send(self.COMMAND, {"preview": {"width": 240, "height": 240}})
            kind, payload = self.receive()
            while kind != self.PREVIEW:
                kind, payload = self.receive()
            # The optimizer moves the picture after the first evaluation.
            if struct.unpack_from("<I", payload)[0] > changed + 1:
                return time.monotonic() - began
