"""What ships with the package for browsers: scripts and styles, each with its hash, and the pages that load them."""

import base64
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from html import escape
from importlib import resources
from pathlib import Path
from posixpath import dirname, join, normpath

_KINDS = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
_IMPORT = re.compile(r"""^(?:import|export)\s(?:[^;"'()=]*\sfrom\s)?\s*["'](\.[^"']+)["']""", re.MULTILINE)
_ASKS = re.compile(r"""(<(?:script|link|img)\b[^>]*?\b(?:src|href)="/static/)([^"]+)"([^>]*>)""")


@dataclass(frozen=True, slots=True)
class File:
    """
    A script or style as it goes out.

    Attributes:
        integrity: Its hash, in the words of the attribute of that name.
        imports: The modules it imports, by their names here.
    """

    kind: str
    content: bytes
    integrity: str
    imports: tuple[str, ...]


@cache
def shipped() -> dict[str, File]:
    """What lies in `static`, by its path there. Nothing else can be had: a name is looked up, never a disk."""
    folder = Path(str(resources.files("aimkeeper.web").joinpath("static")))
    found = sorted(path for pattern in ("*.*", "*/*.*") for path in folder.glob(pattern) if path.suffix in _KINDS)
    return {str(path.relative_to(folder)): _read(path, str(path.relative_to(folder))) for path in found}


@cache
def version() -> str:
    """Names all of them together as they are now: one byte more or less in any makes another one."""
    told = "\n".join(f"{name} {file.integrity}" for name, file in shipped().items())
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def address(name: str) -> str:
    """Where *name* is for ever what it is now: a browser may keep it, and so what it imports from beside itself."""
    return f"/static/v-{version()}/{name}"


def page(name: str, **fields: str) -> str:
    """
    A page: what it loads is named by hash, and each mark like `{csrf}` filled with the text of that name.

    A text that holds markup of ours comes with a name that ends in `_html`.
    """
    text = _template(name)
    for field, value in fields.items():
        text = text.replace(f"{{{field}}}", value if field.endswith("_html") else escape(value))
    return text


@cache
def _template(name: str) -> str:
    text = resources.files("aimkeeper.web").joinpath("templates", name).read_text("utf-8")
    return _ASKS.sub(_pinned, text)


def _pinned(asks: re.Match[str]) -> str:
    tag, name, rest = asks.groups()
    file = shipped()[name]
    pinned = f'{tag.replace("/static/", "")}{address(name)}"'
    if file.kind == _KINDS[".svg"]:
        return pinned + rest
    # A module that is loaded ahead keeps the hash it was asked with, also for the script that imports it later.
    ahead = [
        f'<link rel="modulepreload" href="{address(other)}" integrity="{shipped()[other].integrity}">\n'
        for other in _imported(name)
    ]
    return f'{"".join(ahead)}{pinned} integrity="{file.integrity}"{rest}'


def _imported(name: str) -> list[str]:
    """Every module that *name* imports, those that they import, and so on; each once."""
    found: list[str] = []
    waiting = list(shipped()[name].imports)
    while waiting:
        other = waiting.pop(0)
        if other not in found:
            found.append(other)
            waiting += shipped()[other].imports
    return found


def _read(path: Path, name: str) -> File:
    content = path.read_bytes()
    hashed = base64.b64encode(hashlib.sha384(content).digest()).decode("ascii")
    imports = tuple(_imports(content.decode("utf-8"), name)) if path.suffix == ".js" else ()
    return File(_KINDS[path.suffix], content, f"sha384-{hashed}", imports)


def _imports(text: str, name: str) -> Iterator[str]:
    for asked in _IMPORT.findall(text):
        yield normpath(join(dirname(name), asked))
