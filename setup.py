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

# What is needed beside a compiler: the lines that a file includes it by, and what
# installs it on Debian, Fedora and macOS.
COMPILER = ("apt-get install gcc libc6-dev", "dnf install gcc", "xcode-select --install")
PYTHON = ("apt-get install python3-dev", "dnf install python3-devel", "brew install python")
# The same, the name that pkg-config knows it by, and the libraries to link with.
NEEDS = {
    "OpenSSL 3": (
        "#include <openssl/opensslv.h>\n#if OPENSSL_VERSION_MAJOR < 3\n#error old\n#endif\n",
        ("apt-get install libssl-dev", "dnf install openssl-devel", "brew install openssl@3"),
        "libssl",
        ["ssl", "crypto"],
    ),
    "zlib": (
        "#include <zlib.h>\n",
        ("apt-get install zlib1g-dev", "dnf install zlib-devel", "brew install zlib pkg-config"),
        "zlib",
        ["z"],
    ),
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


def give_up(what, install):
    debian, fedora, macos = install
    sys.exit(
        f"libws cannot be built: {what}. Install it:\n"
        f"  Debian, Ubuntu:  {debian}\n"
        f"  Fedora, RHEL:    {fedora}\n"
        f"  macOS:           {macos}"
    )


class Build(build_ext):
    """Looks for the libraries and adds what the compiler at hand understands."""

    def build_extension(self, ext):
        if self.compiler.compiler_type != "unix":
            sys.exit("libws needs a POSIX system for now")
        if not self.compiles("#include <stdio.h>\n"):
            give_up(f"there is no C compiler ({self.compiler.compiler_so[0]} does not work)", COMPILER)
        if not self.compiles("#include <Python.h>\n", self.include_dirs):
            give_up("the headers of Python are missing", PYTHON)
        for name, (program, install, package, libraries) in NEEDS.items():
            if not self.add_library(ext, program, package, libraries):
                give_up(f"the headers of {name} are missing", install)
        # International host names.
        if self.add_library(ext, "#include <idn2.h>\n", "libidn2", ["idn2"]):
            ext.define_macros.append(("WS_HAVE_IDN2", "1"))
        if sys.platform.startswith("linux"):
            # Threads of the resolver may outlive the interpreter.
            ext.extra_link_args += ["-Wl,-z,nodelete", "-Wl,-z,relro,-z,now"]
        # A message passes small functions of many files.
        if self.links(["-flto=auto"]):
            ext.extra_compile_args.append("-flto=auto")
            ext.extra_link_args += ["-flto=auto", "-O2"]
        # The same bytes wherever it is built.
        here = [f"-ffile-prefix-map={os.getcwd()}=."]
        if self.compiles("", options=here):
            ext.extra_compile_args += here
            ext.extra_link_args += here
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

    def compiles(self, program, include_dirs=(), options=()):
        includes = [f"-I{path}" for path in include_dirs]
        with tempfile.TemporaryDirectory() as folder:
            return self.makes_object(folder, program, [*includes, *options])

    def links(self, options):
        with tempfile.TemporaryDirectory() as folder:
            made = self.makes_object(folder, "int f(void) { return 0; }\n", options)
            command = [*self.compiler.linker_so, *options, f"{folder}/probe.o"]
            return made and runs([*command, "-o", f"{folder}/probe.so"])

    def makes_object(self, folder, program, options):
        source = pathlib.Path(folder, "probe.c")
        source.write_text(program)
        command = [*self.compiler.compiler_so, *options, "-c", str(source)]
        return runs([*command, "-o", f"{folder}/probe.o"])


def runs(command):
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

setup(version=version(), license="MIT", ext_modules=[core], cmdclass={"build_ext": Build})
