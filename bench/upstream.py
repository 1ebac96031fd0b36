"""An upstream that costs nothing: nginx (Debian's package) with one fixed answer, on a core of its own."""

import contextlib
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from tools.cluster import free_port

# As AimHarder answers a rotation: 66 characters of token, and the two cookies of its load balancer.
TOKEN = "1|1800000000|" + "0123456789abcdef" * 2
STICKY = "k2Jx9fQz" * 14
EXPIRES = "Wed, 01 Dec 2032 10:00:00 GMT"
ANSWER = f'{{"success":true,"newToken":"{TOKEN}","updatedAt":"2026-11-24T10:00:00Z"}}'
COOKIES = (
    f"AWSALB={STICKY}; Expires={EXPIRES}; Path=/",
    f"AWSALBCORS={STICKY}; Expires={EXPIRES}; Path=/; SameSite=None; Secure",
)

_CONFIGURATION = """
daemon off;
{user}
worker_processes 1;
error_log /dev/null emerg;
pid {folder}/pid;
events {{ worker_connections 8192; }}
http {{
  access_log off;
  keepalive_requests 1000000000;
  keepalive_timeout 1h;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    listen 127.0.0.1:{tls_port} ssl backlog=4096;
    ssl_certificate {folder}/leaf.pem;
    ssl_certificate_key {folder}/leaf.key;
    default_type application/json;
    location / {{
      {cookies}
      return 200 '{answer}';
    }}
  }}
}}
"""


@dataclass(frozen=True, slots=True)
class Upstream:
    """
    Where it answers.

    Attributes:
        authority: A certificate file; who trusts it may use `tls_url`.
    """

    url: str
    tls_url: str
    authority: Path


@contextmanager
def free_upstream(core: int | None = 1) -> Iterator[Upstream]:
    """Run it until the block is left; *core* None = wherever the kernel likes."""
    with tempfile.TemporaryDirectory(prefix="aimkeeper-bench-nginx-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # nginx's worker is another user
        _certificates(folder)
        port, tls_port = free_port(), free_port()
        file = folder / "nginx.conf"
        cookies = "\n      ".join(f"add_header Set-Cookie '{cookie}';" for cookie in COOKIES)
        user = "user nobody nogroup;" if Path("/root").owner() == Path(name).owner() else ""
        file.write_text(
            _CONFIGURATION.format(
                folder=folder, port=port, tls_port=tls_port, cookies=cookies, answer=ANSWER, user=user
            )
        )
        pinned = ["taskset", "-c", str(core)] if core is not None else []
        process = subprocess.Popen([*pinned, shutil.which("nginx") or "/usr/sbin/nginx", "-c", file, "-p", folder])
        try:
            url = f"http://127.0.0.1:{port}"
            wait_for(url)
            yield Upstream(url, f"https://localhost:{tls_port}", folder / "authority.pem")
        finally:
            process.terminate()
            process.wait(20)


def _certificates(folder: Path) -> None:
    """A certificate authority and a leaf for `localhost`: rustls refuses an authority used as a server's own."""
    leaf = "subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=CA:FALSE\n"
    (folder / "leaf.ext").write_text(leaf)
    new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    for arguments in (
        ["req", "-x509", *new, "-keyout", "authority.key", "-out", "authority.pem", "-subj", "/CN=bench", "-days", "2"],
        ["req", *new, "-keyout", "leaf.key", "-out", "leaf.csr", "-subj", "/CN=localhost"],
        ["x509", "-req", "-in", "leaf.csr", "-CA", "authority.pem", "-CAkey", "authority.key", "-CAcreateserial",
         "-out", "leaf.pem", "-days", "2", "-extfile", "leaf.ext"],
    ):  # fmt: skip
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


def wait_for(url: str) -> None:
    for _ in range(3000):
        with contextlib.suppress(URLError, OSError), urlopen(url) as answer:  # noqa: S310 (our own)
            answer.read()
            return
        time.sleep(0.01)
    raise TimeoutError(url)
