"""A program of its own hosts: `python own_hosts.py FOLDER -- COMMAND…` runs it where names are looked up in FOLDER.

1. Leave the machine's mount namespace; who may not needs a user namespace too, in which it stays who it is.
2. Lay FOLDER's files over those in /etc by which names are looked up: nobody outside sees it, and it ends with the
   program. 3. Become the program: same process number, same start time, so that a kill of it stays exact.

Nothing is looked up elsewhere: a name that FOLDER/hosts does not hold does not exist. Only the standard library, since
it is started for each start of a target.
"""

import ctypes
import os
import signal
import sys

FILES = ("hosts", "resolv.conf", "nsswitch.conf")
EXIT_CODE = 78  # EX_CONFIG
CLONE_NEWNS, CLONE_NEWUSER = 0x20000, 0x10000000
MS_REC, MS_PRIVATE, MS_BIND = 0x4000, 0x40000, 0x1000
PR_SET_PDEATHSIG = 1
SENTENCE = (
    "This machine lets no program have hosts of its own ({}): leave [chaos] host_override out, so that HTTPS_PROXY "
    "leads to the cell's broker, or run the portal where mount namespaces may be made"
)
_libc = ctypes.CDLL(None, use_errno=True)


def main() -> None:
    folder, command = sys.argv[1], sys.argv[3:]
    try:
        _leave()
        _mount("none", "/", MS_REC | MS_PRIVATE)
        for name in FILES:
            if os.path.exists(f"/etc/{name}"):  # noqa: PTH110  pathlib costs a tenth of the start
                _mount(f"{folder}/{name}", f"/etc/{name}", MS_BIND)
    except OSError as error:
        sys.exit(_said(SENTENCE.format(error.strerror)))
    _libc.prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)  # a new user namespace forgot it
    try:
        os.execvp(command[0], command)  # noqa: S606  the target's own command
    except OSError as error:
        sys.exit(_said(f"{command[0]} could not be started: {error.strerror}"))


def _leave() -> None:
    user, group = os.getuid(), os.getgid()
    try:
        _done(_libc.unshare(CLONE_NEWNS))
    except PermissionError:
        _done(_libc.unshare(CLONE_NEWUSER | CLONE_NEWNS))
        for name, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
            with open(f"/proc/self/{name}", "w") as file:  # noqa: PTH123
                file.write(text)


def _mount(source: str, place: str, flags: int) -> None:
    _done(_libc.mount(source.encode(), place.encode(), None, flags, None))


def _done(result: int) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _said(sentence: str) -> int:
    sys.stderr.write(f"{sentence}.\n")
    return EXIT_CODE


if __name__ == "__main__":
    main()
