"""A small OpenID provider on loopback: as much of the Hub's as signing in uses, for whoever `user` names.

A code is good once and for the client's secret only; ID tokens are signed with RS256. It can refuse, and it can sign
with a key that is not its own.
"""

import base64
import json
import secrets
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey

CLIENT, SECRET = "the-space", "the-space's secret"
TOKEN = "hf_oauth_standin"  # what the Hub would take for the user


class Provider(ThreadingHTTPServer):
    """user: who is signed in at the provider; None: says no. forges: signs with another key."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.user: str | None = None
        self.forges = False
        self.keys = [RSAKey.generate_key(2048, {"kid": "one", "alg": "RS256"}) for _ in range(2)]
        self.given: dict[str, dict] = {}  # code -> what it was asked for

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def id_token(self, nonce: str) -> str:
        now = int(time.time())
        claims = {"iss": self.url, "aud": CLIENT, "iat": now, "exp": now + 60, "nonce": nonce, "sub": "1906"}
        claims |= {"preferred_username": self.user, "name": "A name", "profile": "p", "picture": "p"}
        return jwt.encode({"alg": "RS256", "kid": "one"}, claims, self.keys[self.forges])


@contextmanager
def running_provider():
    provider = Provider()
    threading.Thread(target=provider.serve_forever, daemon=True).start()
    try:
        yield provider
    finally:
        provider.shutdown()
        provider.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        at, provider = urlsplit(self.path), self.server
        if at.path == "/.well-known/openid-configuration":
            places = {"authorization_endpoint": "authorize", "token_endpoint": "token", "jwks_uri": "jwks"}
            self._json({"issuer": provider.url} | {name: f"{provider.url}/{place}" for name, place in places.items()})
        elif at.path == "/jwks":
            self._json(KeySet([provider.keys[0]]).as_dict(private=False))
        else:
            asked = {name: values[0] for name, values in parse_qs(at.query).items()}
            assert asked["client_id"] == CLIENT and asked["response_type"] == "code"
            answer = {"error": "access_denied"}
            if provider.user:
                answer = {"code": secrets.token_hex(8)}
                provider.given[answer["code"]] = asked
            back = f"{asked['redirect_uri']}&{urlencode(answer | {'state': asked['state']})}"
            self._json({}, 302, Location=back)

    def do_POST(self):
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        client = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        asked = self.server.given.pop(form["code"][0], None)
        if not asked or self.headers["Authorization"] != f"Basic {client}":
            self._json({"error": "invalid_grant"}, 400)
            return
        token = {"access_token": TOKEN, "token_type": "bearer", "expires_in": 60, "scope": asked["scope"]}
        self._json(token | {"id_token": self.server.id_token(asked["nonce"])})

    def _json(self, content, status=200, **headers):
        body = json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
