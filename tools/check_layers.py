#!/usr/bin/env python3
"""Checks that the C sources include one another in one direction only.

    check_layers.py              checks the project, prints what is wrong
    check_layers.py --self-test  plants one violation of each kind and finds it

LAYERS is the architecture of the library: read it from the top, lowest first. A
module x is x.h, x.c and their parts, x_part.h and x_part.c. It may include its
own headers and every module of the rows above it in the folders that FOLDERS lets
it see; never one of its own row, and never one below.
"""

import pathlib
import re
import sys
import tempfile

LAYERS = [
    # base/: what any program needs. libc only.
    ["base/hidden", "base/ascii"],
    ["base/alloc", "base/err", "base/detail"],
    ["base/buf", "base/list", "base/heap", "base/siphash"],

    # proto/: the protocol. Bytes and times come in as arguments; no operating
    # system, no socket, no clock, no random source.
    ["proto/cpu", "proto/idn", "proto/ip", "proto/percent"],
    ["proto/utf8", "proto/mask", "proto/sha1", "proto/base64"],
    ["proto/url"],
    ["proto/frame"],
    ["proto/http", "proto/deflate"],
    ["proto/extension", "proto/subprotocol", "proto/authority"],
    ["proto/handshake", "proto/proxy"],
    ["proto/config"],
    ["proto/message"],
    ["proto/output"],
    ["proto/conn", "proto/tunnel"],

    # io/: the operating system. Stands beside proto/, not on it.
    ["io/clock", "io/fork", "io/thread"],
    ["io/rand", "io/net", "io/poller"],
    ["io/resolver", "io/dial", "io/trace"],
    ["io/tls"],
    ["io/stream", "io/inbox"],
    ["io/loop"],
    ["io/linger"],

    # api/: the public handles. Joins a connection to a descriptor and a loop.
    ["api/pack", "api/topic", "api/doorkeeper", "api/timer", "api/task",
     "api/tls_context", "api/sender", "api/tap"],
    ["api/socket"],
    ["api/files", "api/client"],
    ["api/server"],
    ["api/listener", "api/worker", "api/dispatch"],
]

# Which folders the files of a folder see. A new folder is a new line here.
FOLDERS = {
    "base": {"base"},
    "proto": {"base", "proto"},
    "io": {"base", "io"},
    "api": {"base", "proto", "io", "api"},
}

# Public headers that only some files may include; the others are open to all.
# What stands low knows nothing of connections, but io/rand defines a function
# that ws/conn.h declares.
PUBLIC = {
    "ws/conn.h": {"proto/extension", "proto/handshake",
                  "proto/output", "proto/config", "proto/conn", "io/rand",
                  "api/doorkeeper"},
}

LIBC = {"assert.h", "ctype.h", "errno.h", "inttypes.h", "limits.h",
        "stdalign.h", "stdarg.h", "stdatomic.h", "stdbool.h", "stddef.h",
        "stdint.h", "stdio.h", "stdlib.h", "string.h"}
PUBLIC_SYSTEM = {"stdbool.h", "stddef.h", "stdint.h"}

# System headers: the folders that list theirs, and what single modules add.
SYSTEM = {"base": LIBC, "proto": LIBC}
SYSTEM_EXTRA = {
    "proto/deflate": {"zlib.h"},
    "proto/idn": {"idn2.h", "dlfcn.h"},
    "proto/mask": {"immintrin.h", "arm_neon.h"},
    "proto/utf8": {"immintrin.h", "arm_neon.h"},
}
# Never in the core, except in the files named.
FORBIDDEN = [
    (re.compile(r"(Python|lua\w*|lauxlib)\.h(pp)?$"), set(),
     "the core knows nothing of Python and Lua"),
    (re.compile(r"openssl/"), {"tls_openssl.h", "tls_openssl.c",
                               "tls_openssl_context.c", "tls_openssl_error.c",
                               "tls_openssl_pem.c"},
     "only io/tls_openssl may include OpenSSL"),
]

INCLUDE = re.compile(r'\s*#\s*include\s*(?P<open>[<"])(?P<path>[^>"]+)[>"]')


def includes(path):
    """Yields (line number, path, whether it stands in quotes)."""
    for number, line in enumerate(path.read_text().splitlines(), 1):
        match = INCLUDE.match(line)
        if match:
            yield number, match["path"], match["open"] == '"'


def c_files(folder):
    return sorted(path for path in folder.rglob("*") if path.suffix in (".c", ".h"))


ROWS = {module: row for row, modules in enumerate(LAYERS) for module in modules}


def module_of(name):
    """The module of "proto/conn_send.c": proto/conn_send if there is such a one,
    otherwise proto/conn; None if it has no place in LAYERS."""
    module = name.rpartition(".")[0]
    while module not in ROWS:
        module, underscore, _ = module.rpartition("_")
        if not underscore:
            return None
    return module


class Check:
    def __init__(self, root):
        self.root = root
        self.src = root / "libws/src"
        self.complaints = []

    def complain(self, path, number, text):
        self.complaints.append(f"{path.relative_to(self.root)}:{number}: {text}")

    def run(self):
        for path in c_files(self.src):
            self.check_core_file(path)
        for path in c_files(self.root / "libws/include"):
            self.check_public_header(path)
        for folder in ("bindings", "cli", "examples"):
            for path in c_files(self.root / folder):
                self.check_user_file(path)
        self.check_sources_list()
        return self.complaints

    def check_core_file(self, path):
        module = module_of(path.relative_to(self.src).as_posix())
        if module is None:
            self.complain(path, 1, "has no place in LAYERS (tools/check_layers.py)")
            return
        folder = module.split("/")[0]
        for number, name, is_quoted in includes(path):
            if is_quoted and name.startswith("ws/"):
                wrong = self.wrong_public(module, name)
            elif is_quoted:
                wrong = self.wrong_module(module, folder, name)
            else:
                wrong = self.wrong_system(module, path, name)
            if wrong:
                self.complain(path, number, wrong)

    def wrong_public(self, module, name):
        if module not in PUBLIC.get(name, {module}):
            return f"{module} may not include {name}"

    def wrong_module(self, module, folder, name):
        other = module_of(name)
        if other is None or not (self.src / name).is_file():
            return f"{name} is no header of libws/src"
        if other == module:
            return None
        if other.split("/")[0] not in FOLDERS[folder]:
            return f"{folder}/ may not include {other.split('/')[0]}/: {name}"
        if ROWS[other] >= ROWS[module]:
            return f"{module} may not include {name}: it is not above it in LAYERS"

    def wrong_system(self, module, path, name):
        for pattern, exempt, why in FORBIDDEN:
            if pattern.match(name) and path.name not in exempt:
                return f"<{name}>: {why}"
        allowed = SYSTEM.get(module.split("/")[0])
        if allowed is not None and name not in allowed | SYSTEM_EXTRA.get(module, set()):
            return f"{module} may not include <{name}>"

    def check_public_header(self, path):
        for number, name, is_quoted in includes(path):
            ok = name.startswith("ws/") if is_quoted else name in PUBLIC_SYSTEM
            if not ok:
                self.complain(path, number, f"a public header may not include {name}")

    def check_user_file(self, path):
        for number, name, _ in includes(path):
            if "libws/src" in name or (self.src / name).is_file():
                self.complain(path, number, f"{name} is internal to the core; "
                                            "use the public headers")

    def check_sources_list(self):
        """Every .c file stands in sources.txt, and nothing else does."""
        path = self.root / "libws/sources.txt"
        listed = path.read_text().split()
        there = {file.relative_to(self.src).as_posix()
                 for file in c_files(self.src) if file.suffix == ".c"}
        for number, name in enumerate(listed, 1):
            if name not in there:
                self.complain(path, number, f"{name} does not exist")
            if name in listed[:number - 1]:
                self.complain(path, number, f"{name} is listed twice")
        for name in sorted(there - set(listed)):
            self.complain(self.src / name, 1, "is missing in libws/sources.txt")


# A correct tree, and for each kind of violation: where, which text, what must be
# said about it.
SOUND = {
    "libws/sources.txt": "base/buf.c\nproto/frame.c\nproto/frame_head.c\nio/rand.c\n",
    "libws/include/ws/base.h": "#include <stddef.h>\n",
    "libws/include/ws/conn.h": '#include "ws/base.h"\n',
    "libws/src/base/buf.h": '#include "ws/base.h"\n',
    "libws/src/base/buf.c": '#include "base/buf.h"\n#include <string.h>\n',
    "libws/src/proto/frame.h": '#include "base/buf.h"\n',
    "libws/src/proto/frame.c": '#include "proto/frame.h"\n',
    "libws/src/proto/frame_head.c": '#include "proto/frame.h"\n',
    "libws/src/io/rand.c": '#include "ws/conn.h"\n#include <unistd.h>\n',
    "bindings/lua/module.c": '#include "ws/conn.h"\n#include <lua.h>\n',
}
PLANTED = [
    ("libws/src/base/buf.h", '#include "proto/frame.h"', "base/ may not include proto/"),
    ("libws/src/proto/http.h", '#include "proto/conn.h"', "is no header of libws/src"),
    ("libws/src/proto/mask.h", '#include "proto/frame.h"', "not above it in LAYERS"),
    ("libws/src/proto/frame.c", '#include <sys/socket.h>', "may not include <sys/socket.h>"),
    ("libws/src/proto/frame.c", "#  include <time.h>", "may not include <time.h>"),
    ("libws/src/proto/frame.c", '#include "ws/conn.h"', "may not include ws/conn.h"),
    ("libws/src/io/rand.c", '#include "proto/frame.h"', "io/ may not include proto/"),
    ("libws/src/io/rand.c", "#include <Python.h>", "nothing of Python and Lua"),
    ("libws/src/io/rand.c", "#include <openssl/ssl.h>", "tls_openssl may include OpenSSL"),
    ("libws/src/proto/magic.h", "", "has no place in LAYERS"),
    ("libws/src/base/heap.c", "", "is missing in libws/sources.txt"),
    ("libws/sources.txt", "base/gone.c", "base/gone.c does not exist"),
    ("libws/include/ws/base.h", "#include <stdio.h>", "a public header may not"),
    ("bindings/lua/module.c", '#include "base/buf.h"', "is internal to the core"),
    ("cli/serve.c", '#include "base/buf.h"', "is internal to the core"),
    ("examples/c/echo.c", '#include "../../libws/src/base/buf.h"', "is internal to the core"),
]


def complaints_of(files):
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        for name, text in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        return Check(root).run()


def self_test():
    failures = [f"a sound tree is refused: {text}" for text in complaints_of(SOUND)]
    for name, line, expected in PLANTED:
        found = complaints_of({**SOUND, name: SOUND.get(name, "") + line + "\n"})
        if len(found) != 1 or not found[0].startswith(name) or expected not in found[0]:
            failures.append(f"{name}: {line or '(new file)'}: expected "
                            f"'{expected}', found {found}")
    return failures


def main():
    if sys.argv[1:] not in ([], ["--self-test"]):
        sys.exit(__doc__)
    root = pathlib.Path(__file__).resolve().parent.parent
    complaints = self_test() if sys.argv[1:] else Check(root).run()
    for text in complaints:
        print(text)
    sys.exit(1 if complaints else 0)


if __name__ == "__main__":
    main()
