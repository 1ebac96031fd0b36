"""The pages hold together: links lead somewhere, what the code cites exists, nothing is left out of the site."""

import importlib.util
import re
import tomllib

import pytest

from aimkeeper import __version__

_CODE = re.compile(r"^( *)```.*?^\1```$|`[^`\n]*`", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as GitHub and mkdocs make them."""
    headings = re.findall(
        r"^#+ (.+)$", _CODE.sub(lambda found: found[0] if "\n" not in found[0] else "", text), re.MULTILINE
    )
    plain = (re.sub(r"[^\w\s-]", "", heading.lower()) for heading in headings)
    return {re.sub(r"\s+", "-", heading.strip()) for heading in plain}


def test_every_link_leads_somewhere(pages, root):
    broken = []
    for page, text in pages.items():
        for link in _LINK.findall(_CODE.sub("", text)):
            path, _, anchor = link.partition("#")
            if path.startswith("https://"):
                continue
            target = ((root / page).parent / path).resolve() if path else root / page
            if not target.is_file():
                broken.append(f"{page}: {link}")
            elif anchor and anchor not in anchors(target.read_text("utf-8")):
                broken.append(f"{page}: {link} (no such heading)")

    assert broken == []


def test_pages_of_the_site_link_only_to_pages_of_the_site(pages, root):
    site = root / "docs"
    outside = [
        f"{page}: {link}"
        for page, text in pages.items()
        if page.startswith("docs/")
        for link in _LINK.findall(_CODE.sub("", text))
        if not link.startswith(("https://", "#")) and site not in ((root / page).parent / link).resolve().parents
    ]

    assert outside == []


def test_every_page_can_be_found(pages, root):
    nav = set(re.findall(r"([\w./-]+\.md)", (root / "mkdocs.yml").read_text("utf-8").partition("\nnav:")[2]))

    assert nav == {page.removeprefix("docs/") for page in pages if page.startswith("docs/")}


def test_every_decision_is_in_their_list_and_dated(pages, root):
    notes = {page: text for page, text in pages.items() if re.match(r"docs/decisions/\d{4}-", page)}
    listed = re.findall(r"\((\d{4}-[\w-]+\.md)\)", pages["docs/decisions/index.md"])

    assert sorted(listed) == listed == [page.rpartition("/")[2] for page in notes]
    for page, text in notes.items():
        number = page.rpartition("/")[2][:4]
        assert re.match(rf"# {number}: .+\n\n20\d\d-\d\d-\d\d\n\n", text), page
        assert "Runner-up" in text or "runner-up" in text or "What remains" in text, f"{page}: what came second?"


def test_every_section_the_code_cites_exists(pages, root):
    headings = set(re.findall(r"^## (.+)$", pages["docs/upstream.md"], re.MULTILINE))
    cited = {}
    for path in (root / "src").rglob("*.py"):
        text = path.read_text("utf-8")
        for name in re.findall(r'docs/upstream\.md, "([^"]+)"', text) + re.findall(r'Source: "([^"]+)"', text):
            cited[name] = path.name

    assert {"Login", "tokenUpdate", "Token", "Idle timeout"} <= set(cited)
    assert {f"{path}: {name}" for name, path in cited.items() if name not in headings} == set()


def test_every_other_page_the_code_cites_exists(pages, root):
    files = [*(root / "src").rglob("*.py"), *(root / "src").rglob("*.sql")]
    cited = {name for path in files for name in re.findall(r"\bdocs/[\w/-]+\.md\b", path.read_text("utf-8"))}

    assert "docs/upstream.md" in cited
    assert cited <= set(pages)


def test_every_decision_the_code_cites_exists(pages, root):
    there = {page[15:19] for page in pages if re.match(r"docs/decisions/\d{4}-", page)}
    files = [*(root / "src").rglob("*.py"), *(root / "tests").rglob("*.py"), root / "pyproject.toml"]
    cited = {number for path in files for number in re.findall(r"docs/decisions/(\d{4})\b", path.read_text("utf-8"))}

    assert "0004" in cited
    assert cited <= there


def test_every_fact_of_the_site_has_its_evidence_and_our_confidence(pages):
    before_questions = pages["docs/upstream.md"].partition("## Tables of existing apps")[0]
    facts = [
        [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip("|"))]
        for table in re.findall(
            r"\| Fact \| Seen \| Evidence \| Confidence \|\n\|[-|]+\n((?:\|.*\n)+)", before_questions
        )
        for line in table.splitlines()
    ]

    assert len(facts) > 50
    for fact in facts:
        assert len(fact) == 4, fact
        _, _, evidence, confidence = fact
        assert re.match(r"[S1I]\b|conflict|-$", evidence), fact
        assert re.match(r"high|medium|low|unknown|-$", confidence), fact


def test_the_picture_shows_a_run_that_kept_what_it_must_and_asks_nobody_for_anything(root):
    picture = (root / "docs/pictures/demo.svg").read_text("utf-8").replace("&#160;", " ")

    assert re.search(r"kept 3 of 3 \(\d+ rotations, 1 lost reply healed\); the unkept one died after 15 s", picture)
    assert "url(http" not in picture
    assert "/sign-in/" not in picture


def test_the_picture_is_drawn_of_every_line_it_is_given(root):
    spec = importlib.util.spec_from_file_location("demo_picture", root / "tools/demo_picture.py")
    drawing = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(drawing)

    picture = drawing.draw(["ana: healed", "nobody: dead", "kept 3 of 3"]).replace("&#160;", " ")

    assert all(line in picture for line in ("ana: healed", "nobody: dead", "kept 3 of 3"))
    assert "font-face" not in picture


def test_every_make_target_the_pages_name_exists(pages, root):
    there = set(re.findall(r"^([\w-]+):", (root / "Makefile").read_text("utf-8"), re.MULTILINE))
    named = {(page, name) for page, text in pages.items() for name in re.findall(r"[`$] ?make ([\w-]+)", text)}

    assert {name for _, name in named} >= {"demo", "test"}
    assert [f"{page}: make {name}" for page, name in sorted(named) if name not in there] == []


def test_no_page_uses_a_dash_where_a_comma_or_a_colon_would_do(pages):
    assert [page for page, text in pages.items() if "\N{EM DASH}" in text] == []


# ------------------------------------------------------------ changelog


def releases(text: str) -> list[str]:
    return re.findall(r"^## \[(.+?)\](?: - \d{4}-\d\d-\d\d)?$", text, re.MULTILINE)


def test_the_changelog_begins_with_what_is_to_come_and_then_this_version(pages):
    found = releases(pages["CHANGELOG.md"])

    assert len(found) == len(re.findall(r"^## ", pages["CHANGELOG.md"], re.MULTILINE))
    assert found[0] == "Unreleased"
    assert found[1] == __version__


def test_released_versions_are_dated_and_fall(pages):
    dated = re.findall(r"^## \[(\d+)\.(\d+)\.(\d+)\] - \d{4}-\d\d-\d\d$", pages["CHANGELOG.md"], re.MULTILINE)
    numbers = [tuple(map(int, version)) for version in dated]

    assert len(numbers) == len(releases(pages["CHANGELOG.md"])) - 1
    assert numbers == sorted(numbers, reverse=True)


@pytest.mark.parametrize("page", ["CHANGELOG.md"])
def test_changes_stand_under_the_words_of_keep_a_changelog(pages, page):
    kinds = set(re.findall(r"^### (.+)$", pages[page], re.MULTILINE))

    assert kinds
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def test_the_package_describes_itself_with_the_readme(pages, root):
    project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]

    assert project["readme"] == "README.md"
    assert pages["README.md"].startswith(f"# {project['name']}\n")
