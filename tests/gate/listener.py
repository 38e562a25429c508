"""Answer for every host on one loopback port, in clear and in TLS, and write down who was asked."""

from __future__ import annotations

import datetime
import hashlib
import socket
import ssl
import threading
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

Answer = Callable[[str, str], tuple[str, bytes] | None]
"""Maps a host and a path to a content type and a body; None is not found."""

_TLS_HANDSHAKE = b"\x16"
_LONGEST_REQUEST = 65_536


def certificate(folder: Path) -> Path:
    """Write a certificate for any name, with its key, and return where."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "loopback")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    path = folder / "loopback.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


def pin(path: Path) -> str:
    """Return how Chromium names the key of a certificate, to take it for a valid one without a complaint."""
    key = x509.load_pem_x509_certificate(path.read_bytes()).public_key()
    spki = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return b64encode(hashlib.sha256(spki).digest()).decode("ascii")


class Listener:
    """Serve `answer` on a loopback port and keep what was asked as host and path, `(connect)` for a bare handshake."""

    def __init__(self, answer: Answer, folder: Path) -> None:
        self.asked: set[tuple[str, str]] = set()
        self._answer = answer
        self.certificate = certificate(folder)
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(self.certificate)
        self._tls.sni_callback = self._greeted
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._socket.getsockname()[1]
        self._closing = False
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Stop accepting."""
        self._closing = True
        with socket.create_connection(("127.0.0.1", self.port)):
            pass
        self._socket.close()

    def _greeted(self, _: ssl.SSLObject, name: str | None, __: ssl.SSLContext) -> None:
        self.asked.add((name or "", "(connect)"))

    def _accept(self) -> None:
        while True:
            connection, _ = self._socket.accept()
            if self._closing:
                connection.close()
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection:
                connection.settimeout(10)
                if connection.recv(1, socket.MSG_PEEK) == _TLS_HANDSHAKE:
                    with self._tls.wrap_socket(connection, server_side=True) as secure:
                        self._respond(secure)
                else:
                    self._respond(connection)
        except OSError:
            return

    def _respond(self, connection: socket.socket) -> None:
        request = b""
        while b"\r\n\r\n" not in request and len(request) < _LONGEST_REQUEST:
            received = connection.recv(4096)
            if not received:
                return
            request += received
        first, *lines = request.decode("latin-1").split("\r\n")
        path = first.split(" ")[1]
        fields = dict(line.lower().split(": ", 1) for line in lines if ": " in line)
        host = fields.get("host", "").partition(":")[0].rstrip(".")
        self.asked.add((host, path))
        # A report that is not taken in would be sent again and again.
        left = int(fields.get("content-length", "0")) - len(request.partition(b"\r\n\r\n")[2])
        while left > 0 and (received := connection.recv(4096)):
            left -= len(received)
        kind, body = self._answer(host, path) or ("text/plain", b"")
        head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
        head += "Access-Control-Allow-Origin: *\r\nAccess-Control-Allow-Headers: *\r\nConnection: close\r\n\r\n"
        connection.sendall(head.encode("latin-1") + body)
