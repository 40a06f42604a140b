"""The first process of fresh namespaces: it builds a small root of its own, leaves the old one, sets limits, and starts a command.

Started by walls.py, with an order as JSON. It is a script on purpose, and imports nothing but the standard library: nothing of
what it needs may be out of its reach later. man 7 user_namespaces, man 2 mount and man 2 pivot_root say what the calls do.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import resource
import socket
import struct
import sys

# linux/mount.h
READ_ONLY, NO_SUID, NO_DEVICES, NO_EXEC, REMOUNT, BIND, RECURSIVE, DETACH = 1, 2, 4, 8, 32, 4096, 16384, 2
FLAGS = {"ro": 1, "nosuid": 2, "nodev": 4, "noexec": 8, "nosymfollow": 256, "noatime": 1 << 10, "nodiratime": 1 << 11, "relatime": 1 << 21}
DUMPABLE, CAPABILITIES, NO_NEW_PRIVILEGES = 4, 24, 38  # linux/prctl.h: PR_SET_DUMPABLE, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS
DEVICES = ("null", "zero", "full", "random", "urandom")
# Nobody in here makes namespaces of their own, or keeps memory that belongs to no process.
SETTINGS = {"user/max_user_namespaces": "0", "kernel/shmall": "0"}
FILES = {"passwd": "learner:x:0:0::/home/learner:/bin/sh\n", "group": "learner:x:0:\n", "hosts": "127.0.0.1 localhost\n::1 localhost\n"}
libc = ctypes.CDLL(None, use_errno=True)


def main() -> None:
    order = json.loads(sys.argv[1])
    if order["walls"]:
        loopback_up()
        enter(build(order))
        drop_privileges()
    for name, most in order["limits"].items():
        limit(name, most)
    os.nice(5)
    os.umask(0o077)
    os.chdir(order["folder"])
    silence(0, 1, *(() if order["loud"] else (2,)))
    if order["walls"]:
        stay_first()
    os.execve(order["command"][0], order["command"], order["environ"])


def build(order: dict) -> str:
    """The new root, on a file system of limited size. What is hidden and what is shown may lie within each other: the outer comes first."""
    root = order["root"]
    mount("tmpfs", root, "tmpfs", NO_SUID | NO_DEVICES, f"size={order['disk']},nr_inodes={order['files']},mode=755")
    shown, hidden = {tuple(pair) for pair in order["show"]}, {(None, path) for path in order["hide"]}
    for source, target in sorted(shown | hidden, key=lambda pair: (pair[1].count("/"), pair[1], pair[0] is not None)):
        show(source, root + target) if source else hide(root + target)
    for path in order["folders"]:
        os.makedirs(root + path, exist_ok=True)
    for name, path in order["links"].items():
        os.symlink(path, root + name)
    for name, text in FILES.items():
        write(f"{root}/etc/{name}", text)
    devices(root + "/dev")
    os.makedirs(root + "/proc")
    for name, value in SETTINGS.items():
        write(f"/proc/sys/{name}", value)
    # Read-only: in here nobody has a privilege, but files of /proc that belong to root would be root's to write.
    mount("proc", root + "/proc", "proc", READ_ONLY | NO_SUID | NO_DEVICES | NO_EXEC)
    mount(order["door"], make(root + "/door", True), None, BIND)
    return root


def show(source: str, target: str, without: int = NO_SUID | NO_DEVICES) -> None:
    """Make a file or folder visible, and no part of it writable. Its owner, who may be the one in here, cannot even change its mode."""
    mount(source, make(target, os.path.isdir(source)), None, BIND | RECURSIVE)
    for place, options in mounts():
        if place == target or place.startswith(target + "/"):
            kept = sum(FLAGS.get(option, 0) for option in options)
            mount(None, place, None, REMOUNT | BIND | kept | READ_ONLY | without)


def hide(target: str) -> None:
    """Cover a folder with an empty one, if what is shown so far has it."""
    if os.path.isdir(target):
        mount("tmpfs", target, "tmpfs", NO_SUID | NO_DEVICES, "size=64k,mode=755")


def devices(folder: str) -> None:
    os.makedirs(folder + "/shm")
    for name in DEVICES:
        show(f"/dev/{name}", f"{folder}/{name}", NO_SUID)
    for name, path in {"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2"}.items():
        os.symlink(path, f"{folder}/{name}")


def enter(root: str) -> None:
    """Make this the root, and let go of the old one: what is not mounted here cannot be reached from here."""
    os.chdir(root)
    call(libc.pivot_root, b".", b".")
    call(libc.umount2, b".", DETACH)
    os.chdir("/")


def drop_privileges() -> None:
    """From the next program on: no capability, and none to be had."""
    number = 0
    while libc.prctl(CAPABILITIES, number, 0, 0, 0) == 0:
        number += 1
    call(libc.prctl, NO_NEW_PRIVILEGES, 1, 0, 0, 0)


def stay_first() -> None:
    """Return in a child, and end when it ends. Whatever happens in there cannot touch the first process, and nothing outlives that one."""
    call(libc.prctl, DUMPABLE, 0, 0, 0, 0)
    child = os.fork()
    while child:
        ended, status = os.wait()
        if ended == child:
            code = os.waitstatus_to_exitcode(status)
            os._exit(code if code >= 0 else 128 - code)


def silence(*files: int) -> None:
    """Put nothing in the place of open files: this side's nothing, as one that was opened outside is a hold on something outside."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for file in files:
        os.dup2(nothing, file)
    os.close(nothing)


def limit(name: str, most: int) -> None:
    """Set a limit of resource.setrlimit, or what the system grants of it."""
    number = getattr(resource, name)
    hard = resource.getrlimit(number)[1]
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    try:
        resource.setrlimit(number, (most, most))
    except (OSError, ValueError):  # macOS knows no limit of the address space
        pass


def loopback_up() -> None:
    """Switch on the only network there is: ioctl SIOCSIFFLAGS, with IFF_UP and IFF_RUNNING."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh22x", b"lo", 0x41))


def mount(source: str | None, target: str, kind: str | None, flags: int, options: str = "") -> None:
    source, target, kind = (text and os.fsencode(text) for text in (source, target, kind))
    call(libc.mount, source, target, kind, ctypes.c_ulong(flags), options.encode() or None)


def mounts() -> list[tuple[str, list[str]]]:
    """Where something is mounted, with its options."""
    with open("/proc/self/mountinfo", "rb") as lines:
        rows = [line.split(b" ") for line in lines]
    return [(os.fsdecode(row[4].decode("unicode_escape").encode("latin-1")), row[5].decode().split(",")) for row in rows]


def make(path: str, is_folder: bool) -> str:
    """Make an empty file or folder to mount something on."""
    os.makedirs(path if is_folder else os.path.dirname(path), exist_ok=True)
    if not is_folder and not os.path.exists(path):
        write(path, "")
    return path


def write(path: str, text: str) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as file:
        file.write(text)


def call(function, *arguments) -> None:
    if function(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{function.__name__}: {os.strerror(number)} ({arguments})")


if __name__ == "__main__":
    main()
