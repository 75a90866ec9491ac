"""Says of the interpreter that runs this which one it is and whether it was built with optimisations.

`python scripts/interpreter.py` prints it; with `--optimised` the exit code is 0 if it was. Runs on Python 3.6 and newer.
"""

import os
import sys
import sysconfig


def is_of_debian():
    """Debian and Ubuntu build theirs with PGO and LTO and leave no trace of it in its settings."""
    base = os.path.realpath(getattr(sys, "_base_executable", sys.executable))
    return os.path.exists("/etc/debian_version") and os.path.dirname(base) == "/usr/bin"


def optimisations():
    """What it was built with, of PGO and LTO."""
    if is_of_debian():
        return ["PGO", "LTO"]
    arguments = sysconfig.get_config_var("CONFIG_ARGS") or ""
    wanted = (("--enable-optimizations", "PGO"), ("--with-lto", "LTO"))
    return [name for argument, name in wanted if argument in arguments]


def main():
    """The exit code."""
    found = optimisations()
    if "--optimised" in sys.argv[1:]:
        return 0 if "PGO" in found else 1
    version = ".".join(map(str, sys.version_info[:3]))
    built = "with " + " and ".join(found) if found else "without PGO and LTO"
    print(f"{sys.implementation.name} {version}, built {built}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
