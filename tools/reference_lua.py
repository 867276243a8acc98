"""docs/reference-lua.md, from the annotations in lua/libws/types.lua: every function,
method, field and option."""

import re

TITLE = "Reference of the Lua modules"

INTRODUCTION = """Times are seconds. For a limit or a time, `false` or `math.huge` means "none"; one
that is left out has its default. A `?` behind a type means that it may be nil or
left out. What goes wrong on the network is returned or comes as an event; misuse
raises a table with `name`, `code` and `message`, which begins with the line of the call.

[`types.lua`](../lua/libws/types.lua) has the same for editors.
"""

CONN_OPTIONS = """Those of the C library; [`ws_conn_options`](reference-c.md#ws_conn_options) says more,
with times in milliseconds."""

# What a class of the annotations is called for readers.
TITLES = {
    "ConnOptions": "Options of every connection",
    "SocketOptions": "Options of a client",
    "ServerOptions": "Options of serve()",
    "TLSIdentity": "TLS: an identity",
    "TLSPolicy": "TLS: versions and ciphers",
    "TLSOptions": "TLS options of a client",
    "TLSServerOptions": "TLS options of a server",
    "WebSocketClass": "WebSocket, the class",
    "Bridge": "In other loops",
    "resty": "In nginx: libws.resty",
    "resty.UpgradeOptions": "In nginx: options of upgrade()",
    "resty.SocketOptions": "In nginx: options of a client",
    "resty.Server": "In nginx: resty.server",
    "codec": "The engine: libws.codec",
    "codec.Conn": "The engine: connections",
}

# What methods are called on in examples.
OBJECTS = {"WebSocket": "ws", "WebSocketClass": "WebSocket", "RestyServer": "resty.server"}

# Where more is said about a class.
GUIDES = {
    "Bridge": "See [In a loop of your own](guides/event-loops.md).",
    "resty": "See [In OpenResty](guides/openresty.md).",
    "codec": "See [You do the I/O](guides/event-loops.md#you-do-the-io-the-engine).",
}


def cell(text):
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def plain_type(text):
    return text.replace("libws.", "").replace("|", " or ").replace("  ", " ")


def split_type(text):
    """Splits "TYPE description": the type ends at a space outside of brackets."""
    depth = 0
    for i, char in enumerate(text):
        depth += char in "({<[" 
        depth -= char in ")}>]"
        if char == " " and depth == 0 and not text[:i].endswith((":", ",")):
            return text[:i], text[i + 1:]
    return text, ""


class Class:
    def __init__(self, name, base, comment):
        self.name, self.base, self.comment = name, base, comment
        self.rows = []


def function_row(name, arguments, comment, params, returns):
    """`params` are {name: (type, description)}, `returns` texts."""
    shown = []
    for argument in filter(None, (a.strip() for a in arguments.split(","))):
        shown.append(argument + ("?" if params.get(argument, ("", "", False))[2] else ""))
    text = [comment] if comment else []
    text += [f"`{argument}`: {about}" for argument, (_, about, _) in params.items() if about]
    if returns:
        parts = []
        for value in returns:
            kind, rest = split_type(value)
            parts.append(f"`{plain_type(kind)}`" + (f" {rest.removesuffix('.')}" if rest not in ("", "...") else ""))
        text.append("Returns " + ", ".join(parts) + ".")
    return f"| `{name}({', '.join(shown)})` | {cell(' '.join(text))} |"


def parse(text):
    """[Class], in order; methods are rows of their class."""
    classes, by_local, comment, params, returns = [], {}, [], {}, []
    current = None
    for line in text.splitlines():
        if m := re.match(r"---@class libws(?:\.([\w.]+))?(?::\s*([\w.]+))?", line):
            current = Class(m[1] or "libws", m[2], " ".join(comment))
            classes.append(current)
            comment = []
        elif m := re.match(r"---@field (\w+\??) (.*)", line):
            kind, about = split_type(m[2])
            text = f"{about} `{plain_type(kind)}`" if about else f"`{plain_type(kind)}`"
            current.rows.append(f"| `{m[1]}` | {cell(text)} |")
        elif m := re.match(r"---@overload fun\((.*)\): .*", line):
            arguments = re.sub(r"(\w+\??): [^,]+(?:, )?", r"\1, ", m[1]).rstrip(", ")
            current.rows.insert(0, f"| `{current.name.removesuffix('Class')}({arguments})` | The browser's constructor. |")
        elif m := re.match(r"---@param (\w+)(\??) (.*)", line):
            kind, about = split_type(m[3])
            params[m[1]] = (kind, about, bool(m[2]))
        elif m := re.match(r"---@return (.*)", line):
            returns.append(m[1])
        elif line.startswith("---@"):
            continue
        elif m := re.match(r"---(.*)", line):
            comment.append(m[1].strip())
        elif m := re.match(r"local (\w+) = \{\}", line):
            by_local[m[1]] = current
        elif m := re.match(r"function (\w+)([.:])(\w+)\((.*)\) end", line):
            owner = by_local[m[1]]
            name = f"{OBJECTS.get(m[1], m[1].lower())}{m[2]}{m[3]}"
            owner.rows.append(function_row(name, m[4], " ".join(comment), params, returns))
            comment, params, returns = [], {}, []
        elif not line.strip():
            comment, params, returns = [], {}, []
    return classes


def title_of(cls):
    return "The module" if cls.name == "libws" else TITLES.get(cls.name, cls.name)


def make(root):
    lines = [INTRODUCTION]
    for cls in parse((root / "lua/libws/types.lua").read_text(encoding="utf-8")):
        if not cls.rows:
            continue
        lines += [f"## {title_of(cls)}", ""]
        lines += [text + "\n" for text in (cls.comment, GUIDES.get(cls.name)) if text]
        if cls.base and cls.base.startswith("libws."):
            base = Class(cls.base.removeprefix("libws."), None, "")
            lines += [f"And what stands at [{title_of(base)}](#{anchor(title_of(base))}).", ""]
        if cls.name == "ConnOptions":
            lines += [CONN_OPTIONS, ""]
        lines += ["| | |", "|---|---|", *cls.rows, ""]
    return "\n".join(lines)


def anchor(heading):
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
