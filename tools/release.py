"""
What a release must be: of one version everywhere, told in the changelog, and built from its own source.

    python tools/release.py check [TAG]     say what does not agree; exit 1 when anything does not
    python tools/release.py build FOLDER    the sdist, and from it the wheel, as somebody who downloads it would
"""

import json
import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_VERSION = re.compile(r'^__version__ = "([^"]+)"$', re.MULTILINE)
_HEADING = re.compile(r"^## \[(.+?)\](?: - (\d{4}-\d\d-\d\d))?$", re.MULTILINE)


def check(root: Path, tag: str = "") -> list[str]:
    """
    A sentence for each thing that does not agree.

    Args:
        root: Of the source.
        tag: The one that is to be released; empty between releases.
    """
    version = version_of(root)
    problems = []
    for name in ("package.json", "package-lock.json"):
        told = json.loads((root / "browser" / name).read_text("utf-8"))["version"]
        if told != version:
            problems.append(f"browser/{name} says {told}, aimkeeper says {version}.")
    changelog = (root / "CHANGELOG.md").read_text("utf-8")
    headings = list(_HEADING.finditer(changelog))
    newest = headings[1] if len(headings) > 1 else None
    if not newest or (newest[1], bool(newest[2])) != (version, True):
        problems.append(f"the changelog's newest release is not {version} with its date.")
    if tag and tag != f"v{version}":
        problems.append(f"the tag {tag} is not v{version}.")
    if tag and newest and changelog[headings[0].end() : newest.start()].strip():
        problems.append(f"something stands under Unreleased: it belongs to {version}, or to no release.")
    return problems


def version_of(root: Path) -> str:
    """What the source calls itself."""
    found = _VERSION.search((root / "src" / "aimkeeper" / "__init__.py").read_text("utf-8"))
    if not found:
        raise SystemExit('src/aimkeeper/__init__.py has no line `__version__ = "…"`.')
    return found[1]


def build(root: Path, folder: Path) -> tuple[Path, Path]:
    """The sdist, and the wheel that is built from nothing but it."""
    name = f"aimkeeper-{version_of(root)}"
    sdist, wheel = folder.resolve() / f"{name}.tar.gz", folder.resolve() / f"{name}-py3-none-any.whl"
    _hatch(root, "sdist", folder)
    with tempfile.TemporaryDirectory() as unpacked:
        with tarfile.open(sdist) as archive:
            archive.extractall(unpacked, filter="data")
        _hatch(Path(unpacked) / name, "wheel", folder)
    return sdist, wheel


def _hatch(source: Path, target: str, folder: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(folder.resolve())]
    done = subprocess.run(command, cwd=source, check=False, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)


def main(arguments: list[str]) -> int:
    match arguments:
        case ["check", *tag] if len(tag) < 2:  # noqa: PLR2004 (with or without)
            problems = check(ROOT, *tag)
            for problem in problems:
                print(problem, file=sys.stderr)
            return 1 if problems else 0
        case ["build", folder]:
            for path in build(ROOT, Path(folder)):
                print(path)
            return 0
    print((__doc__ or "").strip(), file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
