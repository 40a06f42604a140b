"""AWS on this machine: moto's server, on loopback, in a process of its own. For services that the gateway does not have, such as Secrets Manager.

The process has none of the kernel's environment, so no key and no proxy, and reaches nothing but this machine. What it is told it
keeps in memory, and it ends with the kernel, however that ends.
"""

from __future__ import annotations

import atexit
import http.client
import importlib.util
import os
import signal
import subprocess
import sys
import threading

from helpers.course import CourseError
from helpers.network import LOOPBACK

HOST, PATIENCE = "127.0.0.1", 10.0  # seconds in which it has to answer
NEEDED = ("moto", "flask", "flask_cors")
# What Python needs to start. A page in a browser may not read what is kept here: moto would allow it to every page.
KEPT = ("LANG", "LD_LIBRARY_PATH", "PATH", "PYTHONPATH", "SYSTEMROOT", "TEMP", "TMP", "TMPDIR")
SETTINGS = {"MOTO_DISABLE_GLOBAL_CORS": "true", "AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
_running: subprocess.Popen[str] | None = None
_port = 0
_starting = threading.Lock()


def start() -> str:
    """The address of an AWS that holds nothing yet, such as http://127.0.0.1:40123. Called again, it begins anew, at the same address if it still answers.

    Give it to boto3 as endpoint_url, with a region and with credentials that are made up. Takes about a second the first time.
    Raises CourseError where moto is not installed or does not start.
    """
    global _running, _port
    with _starting:
        if _running is None or _running.poll() is not None or not _is_emptied(_running, _port):
            _running, _port = _begin()
    return f"http://{HOST}:{_port}"


def _begin() -> tuple[subprocess.Popen[str], int]:
    if missing := [name for name in NEEDED if importlib.util.find_spec(name) is None]:
        raise CourseError(f"moto, which is AWS on this machine, cannot start without {' and '.join(missing)}: run `make setup`, then restart the kernel")
    environ = {name: os.environ[name] for name in KEPT if name in os.environ} | SETTINGS
    process = subprocess.Popen([sys.executable, "-m", "helpers.local_aws"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environ)
    port = process.stdout.readline().strip()
    if not port:
        raise CourseError(f"moto, which is AWS on this machine, did not start: it ended with status {process.wait()}, and the terminal says why")
    atexit.register(process.communicate)  # closes its standard input, and waits
    return process, int(port)


def _is_emptied(process: subprocess.Popen[str], port: int) -> bool:
    """Let it forget everything. One that does not answer is ended, so that another takes its place."""
    connection = http.client.HTTPConnection(HOST, port, timeout=PATIENCE)
    try:
        connection.request("POST", "/moto-api/reset")
        connection.getresponse().read()
    except (OSError, http.client.HTTPException):
        process.kill()
        process.wait()
        return False
    finally:
        connection.close()
    return True


# ---- in the process of its own ------------------------------------------------------
def serve() -> None:
    """Serve on a free port, which is printed, until the other end of standard input is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # meant for a cell of the kernel's
    stay_here()
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
    from werkzeug.serving import make_server

    class Silent(MotoRequestHandler):
        def log(self, *_: object) -> None:
            """Say nothing in the notebook, which shows what its processes print."""

    server = make_server(HOST, 0, DomainDispatcherApplication(create_backend_app), threaded=True, request_handler=Silent)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.port, flush=True)
    sys.stdin.read()


def stay_here() -> None:
    """From now on this process connects to this machine alone, and looks up no other name."""

    def look(event: str, values: tuple) -> None:
        if event == "socket.connect" and isinstance(values[1], tuple):
            host = values[1][0]
        elif event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"):
            host = values[0]
        else:
            return
        if host not in LOOPBACK:
            raise OSError(f"{host} is not this machine, and nothing else is reached from here")

    sys.addaudithook(look)


if __name__ == "__main__":
    serve()
