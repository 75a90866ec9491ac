"""Who runs Postgres when root runs `waystation dev`: Postgres itself refuses to be root.

An ordinary user runs it as herself. Root hands it to the account `postgres`, else `nobody`, which
must then be able to reach two folders. Root's own folders are often closed to others, so that one
account, and nobody else, is allowed to pass through them (not to list them) by an ACL.
"""

from __future__ import annotations

import os
import pwd
import stat
import struct
import subprocess
from collections.abc import Iterable
from pathlib import Path

from waystation_cli.embedded.launcher import Account, launched

_ACL = "system.posix_acl_access"
_ACL_VERSION = struct.Struct("<I")
_ACL_ENTRY = struct.Struct("<HHI")
_USER_OBJ, _USER, _GROUP_OBJ, _GROUP, _MASK, _OTHER = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20
_NO_ID = 0xFFFFFFFF
_SEARCH = 1


def postgres_account(data: Path) -> Account | None:
    """The account to run Postgres as; None: the current user. Data that is already there keeps its
    owner. Raises KeyError where root finds no account to use."""
    if os.geteuid() != 0:
        return None
    if data.exists() and data.stat().st_uid != 0:
        found = pwd.getpwuid(data.stat().st_uid)
    else:
        try:
            found = pwd.getpwnam("postgres")
        except KeyError:
            found = pwd.getpwnam("nobody")
    return Account(found.pw_name, found.pw_uid, found.pw_gid)


def let_through(account: Account, paths: Iterable[Path]) -> None:
    """Lets the account reach the paths through every folder above them.

    Raises PermissionError, naming the folder, where that can't be arranged.
    """
    for path in paths:
        if _may_enter(account, path.parent):
            continue
        for folder in reversed(path.parents):
            if not _may_enter(account, folder):
                _let_search(account, folder)
                if not _may_enter(account, folder):
                    raise PermissionError(13, f"{account.name} may not enter it", str(folder))


def _may_enter(account: Account, folder: Path) -> bool:
    # Asked of the kernel: mode bits alone do not tell what ACLs and mounts allow.
    seen = subprocess.run(  # noqa: S603 - fixed program, the path is one argument
        launched(["/bin/sh", "-c", 'test -x "$1"', "sh", str(folder)], account=account),
        cwd="/",
        check=False,
    )
    return seen.returncode == 0


def _let_search(account: Account, folder: Path) -> None:
    entries = {
        (tag, who): rights for tag, rights, who in _acl(folder) if (tag, who) != (_MASK, _NO_ID)
    }
    entries[_USER, account.uid] = entries.get((_USER, account.uid), 0) | _SEARCH
    # The mask bounds all but owner and others: it must allow what they had, and this.
    mask = 0
    for (tag, _), rights in entries.items():
        if tag in (_USER, _GROUP_OBJ, _GROUP):
            mask |= rights
    entries[_MASK, _NO_ID] = mask
    packed = b"".join(
        _ACL_ENTRY.pack(tag, rights, who) for (tag, who), rights in sorted(entries.items())
    )
    try:
        os.setxattr(folder, _ACL, _ACL_VERSION.pack(2) + packed)
    except (AttributeError, OSError):
        # No ACLs here: then the narrowest that mode bits can say.
        os.chmod(folder, stat.S_IMODE(folder.stat().st_mode) | stat.S_IXOTH)


def _acl(folder: Path) -> list[tuple[int, int, int]]:
    """Entries of (tag, rights, id); those that the mode bits mean where there is no ACL yet."""
    try:
        raw = os.getxattr(folder, _ACL)
    except (AttributeError, OSError):
        mode = folder.stat().st_mode
        return [
            (_USER_OBJ, mode >> 6 & 7, _NO_ID),
            (_GROUP_OBJ, mode >> 3 & 7, _NO_ID),
            (_OTHER, mode & 7, _NO_ID),
        ]
    return [
        (int(tag), int(rights), int(who))
        for tag, rights, who in _ACL_ENTRY.iter_unpack(raw[_ACL_VERSION.size :])
    ]
