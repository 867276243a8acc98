#!/usr/bin/env python3
"""Checks what the built libraries show to a linker.

    check_exports.py NM SHARED_LIBRARY STATIC_LIBRARY INCLUDE_FOLDER

The shared library exports exactly the functions the public headers declare with
WS_API; the static one defines nothing outside the prefix ws_, but for what gcc
itself adds for position-independent code on 32-bit x86.
"""

import pathlib
import re
import subprocess
import sys


def defined_symbols(nm, *arguments):
    lines = subprocess.run([nm, "-g", "--defined-only", "-P", *arguments],
                           check=True, capture_output=True, text=True).stdout
    return {line.split()[0] for line in lines.splitlines()
            if len(line.split()) > 1}


def declared_functions(include):
    names = set()
    for header in sorted(include.rglob("*.h")):
        text = re.sub(r"/\*.*?\*/", "", header.read_text(), flags=re.DOTALL)
        text = re.sub(r"^#.*$", "", text, flags=re.MULTILINE)
        names.update(re.findall(r"\bWS_API\b[^;(]*?(\w+)\s*\(", text))
    return names


def main(nm, shared, static, include):
    exported = defined_symbols(nm, "-D", shared)
    declared = declared_functions(pathlib.Path(include))
    complaints = (
        [f"{name} is declared WS_API but not exported"
         for name in sorted(declared - exported)] +
        [f"{name} is exported but no public header declares it"
         for name in sorted(exported - declared)] +
        [f"{name} in the static library lacks the prefix ws_"
         for name in sorted(defined_symbols(nm, static))
         if not name.startswith(("ws_", "__x86.get_pc_thunk."))])
    print("\n".join(complaints or [f"{len(declared)} functions exported"]))
    return 1 if complaints or not declared else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
