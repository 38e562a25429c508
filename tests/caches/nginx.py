"""Find nginx, and run it on loopback as a cache in front of an app."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_PLACES = "/usr/sbin:/usr/local/sbin"
CONFIGURATION = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 64; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  proxy_cache_path {folder}/cache keys_zone=pages:1m inactive=60m;
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://127.0.0.1:{upstream};
      proxy_set_header Host $http_host;
      proxy_cache pages;
      proxy_cache_key $uri$is_args$args;
      proxy_cache_revalidate on;
      {more}
      add_header X-Cache-Status $upstream_cache_status always;
    }}
  }}
}}
"""


def find_nginx() -> str:
    """Return the path of nginx: CONSENT_NGINX, or one on the PATH. Raises FileNotFoundError where there is none."""
    named = os.environ.get("CONSENT_NGINX")
    if named:
        if not Path(named).exists():
            raise FileNotFoundError(f"CONSENT_NGINX names {named!r}, which does not exist")
        return named
    search = os.pathsep.join((os.environ.get("PATH", ""), _PLACES))
    path = shutil.which("nginx", path=search)
    if not path:
        raise FileNotFoundError(
            "there is no nginx: install one (apt-get install nginx-light), or name one in CONSENT_NGINX"
        )
    return path


def is_there() -> bool:
    """Tell whether there is an nginx: where nobody may install one, the README names its tests as optional."""
    try:
        find_nginx()
    except FileNotFoundError:
        return False
    return True


def fetch_nginx() -> None:
    """Fetch Debian's package as root where there is no nginx, without starting the service that it brings."""
    if is_there() or os.geteuid() != 0 or not shutil.which("apt-get"):
        return
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    for command in (
        ["apt-get", "update", "-qq"],
        ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "nginx-light"],
    ):
        subprocess.run(command, env=environment)


@contextmanager
def cache(upstream: int, *, folder: Path, more: str = "") -> Iterator[int]:
    """Run nginx as a cache in front of a port; yield its own. `more` are directives for its `location`."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    configuration = folder / "nginx.conf"
    configuration.write_text(CONFIGURATION.format(folder=folder, port=port, upstream=upstream, more=more))
    log = folder / "nginx.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [find_nginx(), "-p", str(folder), "-e", "stderr", "-c", str(configuration)], stdout=out, stderr=out
        )
    try:
        deadline = time.monotonic() + 20
        while True:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, "nginx did not answer in 20 seconds"
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait(10)


if __name__ == "__main__":
    fetch_nginx()
    sys.stdout.write(
        f"the tests put {find_nginx()} before a site\n"
        if is_there()
        else "NO NGINX HERE: the tests with its cache are left out; install nginx, or name one in CONSENT_NGINX\n"
    )
