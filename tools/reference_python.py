"""docs/reference-python.md, from _core.pyi and the sources of the package: every
public class, function, attribute and option, with what its comment or docstring
says. Nothing is imported."""

import ast
import re

TITLE = "Reference of the Python package"

INTRODUCTION = """Times are seconds. A limit or time of `None` means none; one that is left out has
its default. What is marked *property* cannot be assigned. The types stand in the
package, for editors and type checkers.

- [`libws`](#libws): the browser's object, servers by events, the engine
- [`libws.asyncio`](#libwsasyncio): `connect()` and `serve()` to be awaited; also to
  be had as `libws.connect` and so on
- [`libws.sync`](#libwssync): the same, blocking
- [`libws.uvicorn`](#libwsuvicorn): for FastAPI and other ASGI applications
"""

# (heading, [(file, names; all that is public if empty)])
SECTIONS = (
    ("libws", "python/libws/_core.pyi", ()),
    ("libws.asyncio", "python/libws/asyncio/client.py", ("connect", "unix_connect", "ClientConnection", "process_exception")),
    ("", "python/libws/asyncio/server.py", ("serve", "unix_serve", "route", "broadcast", "Server", "ServerConnection")),
    ("", "python/libws/asyncio/stream.py", ("WebSocketStream", "StreamOptions", "OpenInfo", "CloseInfo", "Readable", "Writable")),
    ("", "python/libws/_connection.py", ("State",)),
    ("", "python/libws/_handshake.py", ("basic_auth",)),
    ("", "python/libws/_options.py", ("ConnectionOptions", "ClientOptions", "ServerOptions")),
    ("libws.sync", "python/libws/sync/client.py", ("connect", "ClientConnection")),
    ("", "python/libws/sync/server.py", ("serve", "route", "broadcast", "Server", "ServerConnection")),
    ("libws.uvicorn", "python/libws/uvicorn.py", ("WebSocketProtocol",)),
)

# Of the stub: private by name, but what they hold are options that users write.
OPTIONS = {
    "_ConnOptions": "Options of every connection",
    "_SocketOptions": "Options of WebSocket",
    "_ListenOptions": "Options of a listener",
    "_ServerOptions": "Options of WebSocketServer",
}

CONN_OPTIONS = """What is not explained is explained for C, with times in milliseconds:
[`ws_conn_options`](reference-c.md#ws_conn_options)."""

# Where the base classes of public ones stand.
BASES = {
    "python/libws/asyncio/": "python/libws/asyncio/connection.py",
    "python/libws/sync/": "python/libws/sync/connection.py",
}
COMMON = "python/libws/_connection.py"


class Module:
    def __init__(self, root, path):
        self.path = path
        text = (root / path).read_text(encoding="utf-8")
        self.lines = text.splitlines()
        self.tree = ast.parse(text)
        self.nodes = {n.name: n for n in self.tree.body if isinstance(n, (ast.ClassDef, ast.FunctionDef))}

    def comment(self, node):
        """The comment directly above a node."""
        first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))]) - 1
        found = []
        while first > 0 and re.match(r"\s*#(?! -- )", self.lines[first - 1]):
            first -= 1
            found.insert(0, self.lines[first].strip().lstrip("# "))
        return " ".join(found)

    def about(self, node, following=None):
        """What is said about a node: its docstring, the string behind it, or the
        comment above."""
        if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            text = ast.get_docstring(node)
            if text:
                return text
        if isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant):
            return " ".join(str(following.value.value).split())
        return self.comment(node)


def is_public(name):
    return not name.startswith("_")


def default(node):
    text = ast.unparse(node)
    return "" if text == "..." else f"={text}"


def signature(node):
    """The arguments by name, without types, self, and the defaults of a stub."""
    a = node.args
    shown = []
    positional = [*a.posonlyargs, *a.args]
    defaults = [None] * (len(positional) - len(a.defaults)) + a.defaults
    for argument, value in zip(positional, defaults):
        if argument.arg not in ("self", "cls"):
            shown.append(argument.arg + (default(value) if value is not None else ""))
    if a.vararg:
        shown.append("*" + a.vararg.arg)
    elif a.kwonlyargs:
        shown.append("*")
    for argument, value in zip(a.kwonlyargs, a.kw_defaults):
        shown.append(argument.arg + (default(value) if value is not None else ""))
    if a.kwarg:
        shown.append("**options" if a.kwarg.arg == "kwargs" else "**" + a.kwarg.arg)
    return ", ".join(shown)


def cell(text):
    text = " ".join(text.split())
    return text.replace("|", "\\|").replace("<", "&lt;")


def row(name, text):
    return f"| `{name}` | {cell(text)} |"


def is_property(node):
    return any("property" in ast.unparse(d) for d in node.decorator_list)


TYPES = {
    "_HeaderInput": "a mapping or pairs",
    "HeadersLike": "a mapping or pairs",
    "_TLS": "TLSOptions or bool or None",
    "TLS": "TLSOptions or bool or None",
    "_Handler": "a function, a coroutine function, or None",
    "_Protocols": "str or a list of them or None",
}


def typed(annotation):
    text = ast.unparse(annotation).replace(" | ", " or ").replace("'", "").replace('"', "")
    text = re.sub(r"^(?:ClassVar\[Literal\[(\d)\]\]|Final)$", r"\1", text)
    return re.sub(r"^\w+", lambda m: TYPES.get(m[0], m[0]), text)


def members(module, node, seen):
    """Rows of a class; of names not in `seen`, which grows."""
    for i, item in enumerate(node.body):
        following = node.body[i + 1] if i + 1 < len(node.body) else None
        if isinstance(item, ast.AnnAssign):
            name = item.target.id
            if is_public(name) and name not in seen:
                seen.add(name)
                value = f" = {ast.unparse(item.value)}" if item.value else ""
                kind = typed(item.annotation)
                text = module.about(item, following) or (f"`{kind}`" if kind else "")
                yield f"| `{name}{value if not kind else ''}` | {cell(text)} |"
        elif isinstance(item, (ast.FunctionDef, ast.AsyncFunctionDef)):
            name = item.name
            if not is_public(name) or name in seen:
                continue
            seen.add(name)
            text = module.about(item)
            if is_property(item):
                text = text or (f"`{typed(item.returns)}`" if item.returns else "")
                yield f"| `{name}` | *property* {cell(text)} |"
            else:
                await_ = "await " if isinstance(item, ast.AsyncFunctionDef) and "yield" not in ast.unparse(item) else ""
                yield row(f"{await_}{name}({signature(item)})", text)


def constructor(node):
    for item in node.body:
        if isinstance(item, ast.FunctionDef) and item.name == "__init__":
            return f"({signature(item)})"
    return ""


# What other classes of the layers are made of; shown with these alone.
SHOWN_WITH_BASES = ("ClientConnection",)


def base_classes(modules, module, node):
    """(module, class) of the bases that have their own source."""
    for base in node.bases:
        name = re.match(r"\w*", ast.unparse(base))[0]
        folder = module.path.rpartition("/")[0] + "/"
        for path in (module.path, BASES.get(folder), COMMON):
            found = path and modules(path).nodes.get(name)
            if found and found is not node:
                yield modules(path), found
                break


def ancestors(modules, module, node):
    for where, base in base_classes(modules, module, node):
        yield where, base
        yield from ancestors(modules, where, base)


def kin(module, node):
    """A sentence on what else a class has."""
    names = [re.match(r"[\w.]*", ast.unparse(base))[0] for base in node.bases]
    names = [n for n in names if not n.startswith("_") and n not in ("TypedDict", "NamedTuple", "Generic", "IntEnum", "enum.IntEnum")]
    if node.name in OPTIONS:
        names = [n for n in (re.match(r"\w*", ast.unparse(b))[0] for b in node.bases) if n in OPTIONS]
        shown = [f"[{OPTIONS[n]}](#{OPTIONS[n].lower().replace(' ', '-')})" for n in names]
        return f"And what stands at {' and '.join(shown)}." if shown else ""
    if not module.path.endswith(".pyi"):
        if "Connection" in names and node.name != "ClientConnection":
            return "And what ClientConnection has."
        if "ConnectionOptions" in names:
            return "And [ConnectionOptions](#connectionoptions)."
        if "ClientOptions" in names:
            return "And [ClientOptions](#clientoptions)."
        return ""
    shown = [f"[`{n}`](#{n.lower()})" if n in module.nodes else f"`{n}`" for n in names]
    return f"Is a kind of {' and '.join(shown)}." if shown else ""


def describe_class(modules, module, node, heading):
    lines = [f"### {heading}", ""]
    if constructor(node) and is_made_by_users(module, node):
        lines += [f"`{node.name}{constructor(node)}`", ""]
    lines += [text + "\n" for text in (module.about(node), kin(module, node)) if text]
    if node.name in ("_ConnOptions", "ConnectionOptions"):
        lines += [CONN_OPTIONS, ""]
    seen = set()
    rows = list(members(module, node, seen))
    if node.name in SHOWN_WITH_BASES:
        for where, base in ancestors(modules, module, node):
            rows += members(where, base, seen)
    return lines + (["| | |", "|---|---|", *rows, ""] if rows else [])


def is_made_by_users(module, node):
    return module.path.endswith(".pyi") or node.name in ("connect", "serve", "WebSocketStream")


def describe(modules, module, node, heading=None):
    if isinstance(node, ast.ClassDef):
        return describe_class(modules, module, node, heading or node.name)
    lines = [f"### {node.name}()", "", f"`{node.name}({signature(node)})`", ""]
    about = module.about(node)
    return lines + ([about, ""] if about else [])


def make(root):
    """The page's text, without its title."""
    cache = {}

    def modules(path):
        if path not in cache:
            cache[path] = Module(root, path)
        return cache[path]

    lines = [INTRODUCTION]
    for heading, path, names in SECTIONS:
        module = modules(path)
        if heading:
            lines += [f"## {heading}", ""]
            if ast.get_docstring(module.tree) and not path.endswith(".pyi"):
                lines += [first_paragraph(root, heading, module), ""]
        for name, node in module.nodes.items():
            if names and name not in names:
                continue
            if not names and not is_public(name) and name not in OPTIONS:
                continue
            lines += describe(modules, module, node, OPTIONS.get(name))
    return "\n".join(lines)


def first_paragraph(root, heading, module):
    path = root / "python" / heading.replace(".", "/") / "__init__.py"
    tree = ast.parse(path.read_text(encoding="utf-8")) if path.exists() else module.tree
    return ast.get_docstring(tree).split("\n\n")[0]
