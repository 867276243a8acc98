#!/usr/bin/env python3
"""Tests of the documentation: that its C compiles, its programs run, its links
lead somewhere, and what is generated is what the headers say.

    test_docs.py --command LIBWS --library LIBWS.SO [--cc CC] [--cflags FLAGS]
                 [--python PYTHON] [--lua LUA] [unittest arguments]

PYTHON and LUA are interpreters that find libws; without them the programs in
these languages are not run.

A program opens with a comment that names it, as in "/* hello.c - says hello". The
tutorials have the same programs in each language, and each is run by one test.

A block of C is one of three:
  - a program, if it has a main(): compiled, linked and run;
  - declarations, if it has a static function, a typedef or a directive: compiled;
  - statements: compiled as the body of a function, with the names of prelude.h.
"""

import argparse
import os
import pathlib
import re
import select
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

from documents import ROOT, blocks, pages

HERE = pathlib.Path(__file__).resolve().parent

# Snippets leave out what does not belong to their subject.
LENIENT = ["-Wno-unused-parameter", "-Wno-unused-variable", "-Wno-unused-function",
           "-Wno-unused-but-set-variable"]

# What must happen happens long before; only a failing test takes so long.
PATIENCE = 60.0

settings = argparse.Namespace()


# -- C ----------------------------------------------------------------------------

def compiler(*args):
    return [settings.cc, "-std=c11", "-D_POSIX_C_SOURCE=200809L", "-Wall", "-Wextra", "-Werror",
            *LENIENT, f"-I{ROOT / 'libws/include'}", *shlex.split(settings.cflags), *args]


def is_program(block):
    return "int main(" in block.text


def is_declarations(block):
    return re.search(r"^(static|typedef|#)", block.text, re.MULTILINE)


def translation_unit(block):
    """The block as something that compiles; errors name the line of the page."""
    place = f'#line {block.line} "{block.page.name}"\n'
    if is_program(block):
        return place + block.text
    prelude = f'#include "{HERE / "prelude.h"}"\n'
    if is_declarations(block):
        return prelude + place + block.text
    return (f"{prelude}int snippet(SNIPPET_PARAMETERS);\n"
            f"int snippet(SNIPPET_PARAMETERS) {{ {{\n{place}{block.text}}}\nreturn 0; }}\n")


class Snippets(unittest.TestCase):
    def test_c_compiles(self):
        found = blocks("c")
        self.assertTrue(found)
        for block in found:
            with self.subTest(str(block)):
                done = subprocess.run(
                    compiler("-fsyntax-only", "-x", "c", "-"), input=translation_unit(block),
                    text=True, capture_output=True)
                self.assertEqual(done.returncode, 0, done.stderr)

    def test_shell_commands_are_well_formed(self):
        for block in blocks("sh"):
            with self.subTest(str(block)):
                done = subprocess.run(["bash", "-n"], input=block.text, text=True,
                                      capture_output=True)
                self.assertEqual(done.returncode, 0, done.stderr)

    def test_options_of_the_command_exist(self):
        known = {}
        for name in ("connect", "serve", "bench"):
            text = subprocess.check_output([settings.command, name, "--help"], text=True)
            known[name] = set(re.findall(r"(?<![\w-])--?[a-z1][a-z-]*", text))
        for block in blocks("sh"):
            for line in block.text.replace("\\\n", " ").splitlines():
                used = re.search(r"\blibws (connect|serve|bench)\b([^|;&#]*)", line)
                if used:
                    options = re.findall(r"(?<=\s)--?[a-z1][a-z-]*", used[2])
                    with self.subTest(line):
                        self.assertLessEqual(set(options), known[used[1]])


# -- Programs ---------------------------------------------------------------------

class Process:
    """A running program. Its output is read line by line."""

    def __init__(self, *args):
        self.process = subprocess.Popen(args, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, bufsize=0)
        self.rest = b""

    def line(self):
        deadline = time.monotonic() + PATIENCE
        while b"\n" not in self.rest:
            left = max(deadline - time.monotonic(), 0)
            ready, _, _ = select.select([self.process.stdout], [], [], left)
            data = self.process.stdout.read(4096) if ready else b""
            if not data:
                self.process.kill()
                raise AssertionError(f"no line, but: {self.process.stderr.read()}")
            self.rest += data
        line, self.rest = self.rest.split(b"\n", 1)
        return line.decode()

    def end(self):
        """Interrupts it. Returns its exit status and what else it wrote."""
        self.process.send_signal(signal.SIGINT)
        output, errors = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, (self.rest + output).decode(), errors.decode()

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


class Programs:
    """What the programs of all languages do. A test has the name of the program."""

    LANGUAGE = OPENING = None
    folder = names = None

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        cls.names = set()
        for block in blocks(cls.LANGUAGE):
            name = re.match(cls.OPENING, block.text)
            if name:
                cls.names.add(name[1])
                cls.build(name[1], block)

    @classmethod
    def build(cls, name, block):
        """Makes something that command() runs."""
        raise NotImplementedError

    def command(self, name):
        """How the program is run; words to which arguments are added."""
        raise NotImplementedError

    def find(self, name):
        self.assertIn(name, self.names)
        return self.command(name)

    def start(self, *args):
        process = Process(*args)
        self.addCleanup(process.kill)
        return process

    def serve(self, *args):
        """Starts a server. Returns it and its URL."""
        server = self.start(*args)
        first = server.line()
        self.assertRegex(first, r"^listening on ws://127\.0\.0\.1:\d+$")
        return server, first.split()[-1]

    def serve_echo(self):
        return self.serve(settings.command, "serve", "--echo", "--quiet", "--port", "0")

    def run_program(self, name, *args):
        done = subprocess.run([*self.find(name), *args], capture_output=True, text=True,
                              timeout=PATIENCE)
        return done.returncode, done.stdout, done.stderr

    def ask(self, url, text, *args):
        """One message there, and the one that comes back."""
        return subprocess.check_output(
            [settings.command, "connect", url, "--send", text, "--one", "--timeout", "20", *args],
            stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True,
            timeout=PATIENCE).rstrip("\n")

    def test_every_program_has_a_test(self):
        tests = {name.removeprefix("test_") for name in dir(self) if name.startswith("test_")}
        self.assertLessEqual(self.names, tests)

    def test_hello(self):
        _, url = self.serve_echo()
        self.assertEqual(self.run_program("hello", url), (0, "Hello!\nclosed with 1000\n", ""))

    def test_ask(self):
        _, url = self.serve_echo()
        self.assertEqual(self.run_program("ask", url, "How are you?"), (0, "How are you?\n", ""))

    def test_ask_says_why_it_failed(self):
        status, output, errors = self.run_program("ask", "ws://127.0.0.1:1/", "Anybody?")
        self.assertEqual((status, output), (1, ""))
        self.assertRegex(errors, r"^ask: .*refused.*\n$")
        status, _, errors = self.run_program("ask", "gopher://127.0.0.1/", "Anybody?")
        self.assertNotEqual(status, 0)
        self.assertIn("the scheme is not", errors)

    def check_count(self, name):
        server, url = self.serve(*self.find(name), "0")
        self.assertEqual(self.ask(url, "four words in here"), "4")
        self.assertEqual(self.ask(url, ""), "0")
        return server

    def test_count(self):
        server = self.check_count("count")
        if self.LANGUAGE != "lua":
            self.assertEqual(server.end(), (0, "", ""))

    def test_board(self):
        _, url = self.serve(*self.find("board"), "0")
        reader = self.start(settings.command, "connect", url + "/news", "--wait", "forever")
        self.assertEqual(reader.line(), "This is /news.")
        self.assertEqual(self.ask(url + "/news", "fresh bread"), "This is /news.")
        self.assertEqual(self.ask(url + "/other", "old bread"), "This is /other.")
        self.assertEqual(reader.line(), "fresh bread")

    def test_memory(self):
        self.assertEqual(self.run_program("memory"), (0, "server: Hello!\nclient: Hello!\n", ""))


class CPrograms(Programs, unittest.TestCase):
    LANGUAGE = "c"
    OPENING = r"/\* (\w+)\.c - "

    @classmethod
    def build(cls, name, block):
        source = cls.folder / f"{name}.c"
        source.write_text(translation_unit(block))
        library = pathlib.Path(settings.library).resolve()
        subprocess.run(compiler(source, "-o", cls.folder / name, library, "-pthread",
                                f"-Wl,-rpath,{library.parent}"), check=True)

    def command(self, name):
        return [self.folder / name]

    def test_every_main_is_a_program(self):
        for block in filter(is_program, blocks("c")):
            with self.subTest(str(block)):
                self.assertRegex(block.text, self.OPENING)


# Snippets that are not run: they are for nginx (tests/lua/resty runs such), need
# another package, or run until somebody ends them.
NOT_RUN = re.compile(r"\bresty\b|\bngx\.|fastapi|uvicorn|libws\.run\(\)")


def at_home(text, url):
    """A snippet with the addresses, ports and folders that a test has."""
    for there, here in (("ws://127.0.0.1:8080/", url), ("8080", "0"), ("8443", "0"),
                        ("/etc/myapp/", ""), ("/run/myapp/", ""), ("/srv/www", ".")):
        text = text.replace(there, here)
    return text


class ScriptPrograms(Programs):
    SUFFIX = None

    @classmethod
    def setUpClass(cls):
        if not cls.interpreter():
            raise unittest.SkipTest(f"no --{cls.LANGUAGE}")
        super().setUpClass()

    @classmethod
    def interpreter(cls):
        """Its full path, but not what it links to: that would not be of a venv."""
        given = getattr(settings, cls.LANGUAGE)
        return given and os.path.abspath(shutil.which(given) or given)

    @classmethod
    def build(cls, name, block):
        (cls.folder / name).write_text(block.text)

    def command(self, name):
        return [self.interpreter(), self.folder / name]

    def make_certificates(self):
        for name in ("example.com", "example.org"):
            subprocess.run(
                ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                 "-nodes", "-days", "2", "-subj", f"/CN={name}",
                 "-keyout", self.folder / f"{name}.key", "-out", self.folder / f"{name}.pem"],
                check=True, capture_output=True)
        (self.folder / "ca.pem").write_bytes((self.folder / "example.com.pem").read_bytes())

    def test_snippets_of_the_guides_run(self):
        self.make_certificates()
        _, url = self.serve_echo()
        for block in blocks(self.LANGUAGE):
            if not block.page.name.startswith("docs/guides/") or NOT_RUN.search(block.text):
                continue
            with self.subTest(str(block)):
                done = subprocess.run(
                    [self.interpreter(), HERE / f"prelude.{self.SUFFIX}", url],
                    input=at_home(block.text, url), cwd=self.folder, text=True,
                    capture_output=True, timeout=PATIENCE)
                self.assertEqual(done.returncode, 0, done.stderr)


class PythonPrograms(ScriptPrograms, unittest.TestCase):
    LANGUAGE = "python"
    SUFFIX = "py"
    OPENING = r"# (\w+)(?:\.py\n|\.py - )"

    def test_ask_sync(self):
        _, url = self.serve_echo()
        self.assertEqual(self.run_program("ask_sync", url, "Hm?"), (0, "Hm?\n", ""))

    def test_count_async(self):
        self.check_count("count_async")

    def test_snippets_compile(self):
        for block in blocks("python"):
            with self.subTest(str(block)):
                compile(block.text, str(block), "exec")


class LuaPrograms(ScriptPrograms, unittest.TestCase):
    LANGUAGE = "lua"
    SUFFIX = "lua"
    OPENING = r"-- (\w+)(?:\.lua\n|\.lua - )"

    def test_snippets_compile(self):
        for block in blocks("lua"):
            with self.subTest(str(block)):
                subprocess.run([self.interpreter(), "-e", "assert((loadstring or load)(io.read '*a'))"],
                               input=block.text, text=True, check=True)


# -- Pages ------------------------------------------------------------------------

class Pages(unittest.TestCase):
    def test_links_lead_somewhere(self):
        by_path = {page.path: page for page in pages()}
        for page in by_path.values():
            for number, link in page.links():
                if re.match(r"[a-z+]+:", link):
                    continue
                target, _, fragment = link.partition("#")
                path = (page.path.parent / target).resolve() if target else page.path
                with self.subTest(f"{page.name}:{number} {link}"):
                    self.assertTrue(path.exists())
                    if fragment and path in by_path:
                        self.assertIn(fragment, by_path[path].anchors())

    def test_the_index_reaches_every_page(self):
        by_path = {page.path: page for page in pages()}
        reached, waiting = set(), [ROOT / "docs/README.md"]
        while waiting:
            path = waiting.pop()
            if path in reached or path not in by_path:
                continue
            reached.add(path)
            for _, link in by_path[path].links():
                waiting.append((path.parent / link.partition("#")[0]).resolve())
        self.assertEqual([p for p in by_path if p not in reached], [])

    def test_what_is_generated_is_current(self):
        done = subprocess.run([sys.executable, ROOT / "tools/docs.py", "--check"],
                              capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--command", required=True)
    parser.add_argument("--library", required=True)
    parser.add_argument("--cc", default="cc")
    parser.add_argument("--cflags", default="")
    parser.add_argument("--python")
    parser.add_argument("--lua")
    _, rest = parser.parse_known_args(namespace=settings)
    unittest.main(argv=[sys.argv[0], *rest], verbosity=2)


if __name__ == "__main__":
    main()
