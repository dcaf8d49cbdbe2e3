"""A token service and a registry of few words, for tests/integration/registry.bats.

    registry_peer.py tokens ADDRESS PORT DIRECTORY
        The Docker token flow over TLS. DIRECTORY holds tls.pem (certificates and key), sign.pem and
        sign.key (what tokens are signed with), and accounts: a line "basic NAME:PASSWORD may" or
        "identity TOKEN may", where "may" is "yes" if the account may pull.
    registry_peer.py answers ADDRESS PORT DIRECTORY
        /v2/NAME/... is answered with the lines of DIRECTORY/NAME: the status, then headers; with
        404 where there is no such file. Over TLS where DIRECTORY holds tls.pem.

Prints "ready" when it listens.
"""

import base64
import http.server
import json
import pathlib
import ssl
import subprocess
import sys
import time
import urllib.parse


CODES = {"403": "DENIED", "404": "MANIFEST_UNKNOWN", "429": "TOOMANYREQUESTS"}


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Peer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    directory = pathlib.Path()

    def log_message(self, *arguments):
        pass

    def answer(self, status, body=b"", headers=()):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


class Answers(Peer):
    def do_GET(self):
        parts = self.path.split("/")
        if len(parts) < 4:
            return self.answer(200, b"{}")
        told = self.directory / parts[2]
        status, *headers = told.read_text().splitlines() if told.exists() else ["404"]
        words = {"errors": [{"code": CODES.get(status, "UNKNOWN"), "message": "as it was told"}]}
        return self.answer(
            int(status), json.dumps(words).encode(), [line.split(": ", 1) for line in headers]
        )

    do_HEAD = do_GET


class Tokens(Peer):
    def do_GET(self):
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
        proof = self.headers.get("Authorization", "")
        if not proof:
            return self.grant(query, False)
        pair = base64.b64decode(proof.removeprefix("Basic ")).decode()
        return self.judge(query, "basic", pair)

    def do_POST(self):
        length = int(self.headers.get("Content-Length", "0"))
        form = urllib.parse.parse_qs(self.rfile.read(length).decode())
        return self.judge(form, "identity", form.get("refresh_token", [""])[0])

    def judge(self, wanted, kind, proof):
        for line in (self.directory / "accounts").read_text().splitlines():
            its_kind, its_proof, may = line.split(" ")
            if (its_kind, its_proof) == (kind, proof):
                return self.grant(wanted, may == "yes")
        return self.answer(401, b'{"errors":[{"code":"UNAUTHORIZED"}]}')

    def grant(self, wanted, may):
        access = []
        for scope in wanted.get("scope", []) if may else []:
            kind, name, actions = scope.split(":")
            access.append({"type": kind, "name": name, "actions": actions.split(",")})
        now = int(time.time())
        claims = {
            "iss": "tokens",
            "sub": "",
            "aud": wanted.get("service", [""])[0],
            "exp": now + 300,
            "nbf": now - 10,
            "iat": now,
            "jti": str(time.time_ns()),
            "access": access,
        }
        certificate = ssl.PEM_cert_to_DER_cert((self.directory / "sign.pem").read_text())
        header = {"typ": "JWT", "alg": "RS256", "x5c": [base64.b64encode(certificate).decode()]}
        text = ".".join(base64url(json.dumps(part).encode()) for part in (header, claims))
        signature = subprocess.run(
            ["openssl", "dgst", "-sha256", "-sign", self.directory / "sign.key"],
            input=text.encode(),
            stdout=subprocess.PIPE,
            check=True,
        ).stdout
        token = text + "." + base64url(signature)
        body = json.dumps({"token": token, "access_token": token, "expires_in": 300})
        self.answer(200, body.encode(), [("Content-Type", "application/json")])


def main():
    kind, address, port, directory = sys.argv[1:]
    handler = {"tokens": Tokens, "answers": Answers}[kind]
    handler.directory = pathlib.Path(directory)
    server = http.server.ThreadingHTTPServer((address, int(port)), handler)
    certificate = handler.directory / "tls.pem"
    if certificate.exists():
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    print("ready", flush=True)
    server.serve_forever()


main()
