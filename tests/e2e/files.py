"""Serves a folder with TLS to whoever has a token, and prints the port.

    files.py FOLDER ADDRESS TOKEN

The folder holds `tls.crt` and `tls.key` beside the files.
"""

import functools
import http.server
import ssl
import sys


class Files(http.server.SimpleHTTPRequestHandler):
    def do_GET(self):
        if self.headers.get("Authorization") == f"Bearer {token}":
            super().do_GET()
        else:
            self.send_error(401)

    def log_message(self, *_):
        pass


folder, address, token = sys.argv[1:]
tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
tls.load_cert_chain(f"{folder}/tls.crt", f"{folder}/tls.key")
server = http.server.ThreadingHTTPServer((address, 0), functools.partial(Files, directory=folder))
server.socket = tls.wrap_socket(server.socket, server_side=True)
print(server.server_port, flush=True)
server.serve_forever()
