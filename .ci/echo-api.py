"""An API behind the guard: says what reached it. Usage: echo-api.py PORT"""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Echo(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Every target that was meant to get here unseen by the proxy.
    smuggled = []

    def answer(self):
        if "smuggled" in self.path:
            self.smuggled.append(self.path)
        said = {"method": self.command, "target": self.path, "headers": self.headers.items(), "body_bytes": self.body_bytes()}
        text = json.dumps({**said, "smuggled": self.smuggled}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("X-Echo", "yes")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text)

    def body_bytes(self):
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return len(self.rfile.read(int(self.headers.get("Content-Length") or 0)))
        total = 0
        while size := int(self.rfile.readline().split(b";")[0], 16):
            total += len(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return total

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = answer

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    def handle_error(self, *_):
        """A proxy closed its connection."""


Server(("127.0.0.1", int(sys.argv[1])), Echo).serve_forever()
