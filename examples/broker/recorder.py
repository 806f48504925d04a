"""Passes each request on to a broker, and keeps it in a folder: for the demonstration of a replay."""

import http.server
import pathlib
import sys
import urllib.error
import urllib.request

port, broker, folder = int(sys.argv[1]), sys.argv[2], pathlib.Path(sys.argv[3])


class Recorder(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        (folder / "path").write_text(self.path)
        (folder / "body").write_bytes(body)
        request = urllib.request.Request(broker + self.path, body, {"content-type": "application/json"})
        try:
            status, answer = 200, urllib.request.urlopen(request).read()
        except urllib.error.HTTPError as error:
            status, answer = error.code, error.read()
        self.send_response(status)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


http.server.HTTPServer(("127.0.0.1", port), Recorder).serve_forever()
