"""Installs requirements.lock into the environment whose Python runs this: with uv, or without it with pip, three times as slow.

    .venv/bin/python etc/setup/install.py [uv | pip]

uv comes from the index that pip uses, at the version and with the hashes of uv.lock beside this file, and stays in a folder
of the environment together with its cache, until all is installed. Where there is no uv (for the system, or on the index)
or where it fails, pip goes on; the hashes of requirements.lock are checked either way. Standard library alone.
"""

import ast
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
LOCK = HERE.parent.parent / "requirements.lock"
TOOLS = Path(sys.prefix, ".uv")
# --no-compile: Python compiles a module when it is first imported; to compile all of them now nearly doubles the wait.
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input")
INSTALL = ("install", "--no-compile", "--require-hashes", "--requirement")
# What pip is told of the way to packages, which uv does not read: pip's setting, uv's variable, and what stands between several values.
SETTINGS = {
    "index-url": ("UV_DEFAULT_INDEX", " "),
    "extra-index-url": ("UV_INDEX", " "),
    "find-links": ("UV_FIND_LINKS", ","),
    "no-index": ("UV_NO_INDEX", " "),
    "trusted-host": ("UV_INSECURE_HOST", " "),
    "timeout": ("UV_HTTP_TIMEOUT", " "),
    "cert": ("SSL_CERT_FILE", " "),
    "client-cert": ("SSL_CLIENT_CERT", " "),
    "proxy": ("HTTPS_PROXY", " "),
}
SECTIONS = ("global", "install", ":env:")  # a later one counts


def main(arguments: list[str]) -> int:
    """Install; the exit status."""
    began = time.monotonic()
    if arguments == ["pip"] or not with_uv():
        code = subprocess.call([*PIP, *INSTALL, LOCK])
        if code:
            return code
    print(f"Installed in {time.monotonic() - began:.0f} s.", flush=True)
    return 0


def with_uv() -> bool:
    """Whether uv could be had, and installed everything."""
    try:
        only = ("--only-binary", ":all:", "--retries", "1", "--target", TOOLS)  # to build uv would take an hour
        got = subprocess.run([*PIP, *INSTALL, HERE / "uv.lock", *only], capture_output=True, text=True)
        uv = shutil.which("uv", path=TOOLS / "bin")
        if got.returncode or not uv:
            said = got.stderr.strip().splitlines()
            print(f"uv, which is quicker, is not to be had here{f' ({said[-1]})' if said else ''}: pip installs instead.", flush=True)
            return False
        failed = subprocess.call([uv, "pip", "install", "--python", sys.executable, "--require-hashes", "--requirement", LOCK], env=environment())
        if failed:
            print("uv could not install everything: pip goes on.", flush=True)
        return not failed
    finally:
        shutil.rmtree(TOOLS, ignore_errors=True)


def environment() -> dict[str, str]:
    """The variables for uv: those of the shell, and what pip is told where the shell tells uv nothing."""
    told = subprocess.run([*PIP, "config", "list"], capture_output=True, text=True).stdout
    found = {}
    for section in SECTIONS:
        for line in told.splitlines():
            name, _, value = line.partition("=")
            if name.startswith(f"{section}.") and (setting := name.removeprefix(f"{section}.")) in SETTINGS:
                variable, between = SETTINGS[setting]
                found[variable] = between.join(ast.literal_eval(value).split())
    # As pip does it, the best of all indexes: the hashes say which file that may be.
    ours = {"UV_INDEX_STRATEGY": "unsafe-best-match", "UV_CACHE_DIR": str(TOOLS / "cache"), **link_mode()}
    return {**ours, **found, **os.environ, "UV_CACHE_DIR": ours["UV_CACHE_DIR"]}


def link_mode() -> dict[str, str]:
    """uv links files out of its cache, and warns where the file system cannot: there it is told to copy."""
    try:
        os.link(Path(sys.prefix, "pyvenv.cfg"), TOOLS / "linked")
    except OSError:
        return {"UV_LINK_MODE": "copy"}
    return {}


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
