"""Builds libws._core: the C library and its binding, in one extension module.

pyproject.toml says the rest. The list of C files is libws/sources.txt, which all
builds share, and the version stands in ws/base.h.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

ROOT = pathlib.Path(__file__).parent

# What is needed: a test program, how to link it, and the packages that have it
# on Debian, Fedora and Homebrew.
NEEDS = {
    "OpenSSL 3": (
        "#include <openssl/opensslv.h>\n#if OPENSSL_VERSION_MAJOR < 3\n#error old\n#endif\n",
        "libssl",
        ["ssl", "crypto"],
        ("libssl-dev", "openssl-devel", "openssl@3"),
    ),
    "zlib": (
        "#include <zlib.h>\n",
        "zlib",
        ["z"],
        ("zlib1g-dev", "zlib-devel", "zlib"),
    ),
}
WANTS = {
    "libidn2": ("#include <idn2.h>\n", "libidn2", ["idn2"]),
}


def version():
    text = (ROOT / "libws/include/ws/base.h").read_text()
    return ".".join(re.findall(r"^#define WS_VERSION_\w+ (\d+)", text, re.MULTILINE))


def core_sources():
    return [f"libws/src/{name}" for name in (ROOT / "libws/sources.txt").read_text().split()]


def binding_sources():
    return sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("bindings/python/*.c"))


def pkg_config(option, package):
    """The words that pkg-config says, or none."""
    program = shutil.which("pkg-config")
    if program is None:
        return []
    run = subprocess.run([program, option, package], capture_output=True, text=True, check=False)
    return run.stdout.split() if run.returncode == 0 else []


class Build(build_ext):
    """Looks for the libraries and adds what the compiler at hand understands."""

    def build_extension(self, ext):
        if self.compiler.compiler_type != "unix":
            sys.exit("libws needs a POSIX system for now")
        for name, (program, package, libraries, packages) in NEEDS.items():
            if not self.add_library(ext, program, package, libraries):
                debian, fedora, brew = packages
                sys.exit(
                    f"libws cannot be built: the headers of {name} are missing, or there is no C "
                    f"compiler. Install\n"
                    f"  Debian, Ubuntu:  apt-get install gcc libc6-dev {debian}\n"
                    f"  Fedora, RHEL:    dnf install gcc {fedora}\n"
                    f"  macOS:           xcode-select --install; brew install {brew} pkg-config"
                )
        if self.add_library(ext, *WANTS["libidn2"]):
            ext.define_macros.append(("WS_HAVE_IDN2", "1"))
        if sys.platform.startswith("linux"):
            # Threads of the resolver may outlive the interpreter.
            ext.extra_link_args += ["-Wl,-z,nodelete", "-Wl,-z,relro,-z,now"]
        super().build_extension(ext)

    def add_library(self, ext, program, package, libraries):
        """Adds a library if the program compiles with it."""
        include_dirs = [word[2:] for word in pkg_config("--cflags-only-I", package)]
        if not self.compiles(program, include_dirs + ext.include_dirs):
            return False
        ext.include_dirs += include_dirs
        ext.library_dirs += [word[2:] for word in pkg_config("--libs-only-L", package)]
        ext.libraries += libraries
        return True

    def compiles(self, program, include_dirs):
        with tempfile.TemporaryDirectory() as folder:
            source = os.path.join(folder, "probe.c")
            pathlib.Path(source).write_text(program)
            command = [*self.compiler.compiler_so, *(f"-I{path}" for path in include_dirs)]
            command += ["-c", source, "-o", os.path.join(folder, "probe.o")]
            try:
                return subprocess.run(command, capture_output=True, check=False).returncode == 0
            except OSError:
                return False


core = Extension(
    "libws._core",
    sources=binding_sources() + core_sources(),
    depends=[
        str(path.relative_to(ROOT))
        for folder in ("libws", "bindings/python")
        for path in ROOT.glob(f"{folder}/**/*.h")
    ],
    include_dirs=["libws/include", "libws/src"],
    define_macros=[
        ("WS_STATIC", "1"),
        ("WS_HAVE_OPENSSL", "1"),
        ("_POSIX_C_SOURCE", "200809L"),
    ],
    extra_compile_args=["-std=c11", "-O2", "-fvisibility=hidden", "-fstack-protector-strong"],
)

setup(version=version(), ext_modules=[core], cmdclass={"build_ext": Build})
