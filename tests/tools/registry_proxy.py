#!/usr/bin/env python3
"""A registry as if it were far away, or busy: hands GET and HEAD on to another one.

    registry_proxy.py HOST:PORT DIRECTORY

Listens on loopback and writes its port to DIRECTORY/port. Before every answer it waits as many
seconds as DIRECTORY/delay says, and as many requests as DIRECTORY/busy says get 429 with
"Retry-After: 1" first; neither file need be there. DIRECTORY/requests gets a line for each request:
METHOD PATH STATUS CONNECTIONS, the last being how many connections were open then.
"""
import http.client
import os
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

REGISTRY, DIRECTORY = sys.argv[1:]
LOCK = threading.Lock()
PASSED_ON = ("Content-Type", "Content-Length", "Docker-Content-Digest", "ETag",
             "Docker-Distribution-Api-Version")
open_connections = 0


def file_of(name):
    return os.path.join(DIRECTORY, name)


def number_in(name):
    try:
        with open(file_of(name), encoding="ascii") as file:
            return float(file.read())
    except (FileNotFoundError, ValueError):
        return 0


def is_busy():
    """Takes one off DIRECTORY/busy."""
    with LOCK:
        left = int(number_in("busy"))
        if left > 0:
            with open(file_of("busy"), "w", encoding="ascii") as file:
                file.write(str(left - 1))
        return left > 0


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def setup(self):
        global open_connections
        super().setup()
        with LOCK:
            open_connections += 1

    def finish(self):
        global open_connections
        with LOCK:
            open_connections -= 1
        super().finish()

    def answer(self):
        with LOCK:
            connections = open_connections
        time.sleep(number_in("delay"))
        body = b""
        if is_busy():
            status, headers = 429, [("Retry-After", "1"), ("Content-Length", "0")]
        else:
            upstream = http.client.HTTPConnection(REGISTRY)
            # An engine has an Accept header for each kind of manifest, in any order: with one of them
            # alone a registry may answer another manifest, of another digest.
            asked = {name: ", ".join(self.headers.get_all(name))
                     for name in self.headers if name != "Host"}
            upstream.request(self.command, self.path, headers=asked)
            answer = upstream.getresponse()
            body, status = answer.read(), answer.status
            headers = [(name, answer.getheader(name)) for name in PASSED_ON
                       if answer.getheader(name) is not None]
            upstream.close()
        with LOCK, open(file_of("requests"), "a", encoding="ascii") as file:
            file.write(f"{self.command} {self.path} {status} {connections}\n")
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = answer
    do_HEAD = answer

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
with open(file_of("port.new"), "w", encoding="ascii") as port_file:
    port_file.write(str(server.server_address[1]))
os.rename(file_of("port.new"), file_of("port"))
server.serve_forever()
