"""The page, the one-time link that opens it, and what they may load."""

import base64
import hashlib
import re
from importlib import resources
from pathlib import Path
from posixpath import dirname, join, normpath

import pytest

from aimkeeper.core.events import EventKind
from aimkeeper.serving import sign_in_link
from aimkeeper.web.access import PAGE_COOKIE
from aimkeeper.web.shipped import address, shipped

STRICT = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
OWN_ONLY = {"default-src": "'none'", "script-src": "'self'", "style-src": "'self'", "connect-src": "'self'"}
ELSEWHERE = [
    "x.js",
    "..%2ftemplates%2fboard.html",
    "lib",
    "lib/",
    "lib/../../access.py",
    "%2e%2e%2faccess.py",
    "page.css%00",
]
PAGES = ["board.html", "session.html", "add.html", "sign_in.html", "opened.html", "docs.html"]
MODULES = Path(__file__).parents[2] / "browser"
STATIC = Path(__file__).parents[2] / "src/aimkeeper/web/static"
FOR_OTHER_SITES = {str(path.relative_to(MODULES)) for pattern in ("*.js", "lib/*.js") for path in MODULES.glob(pattern)}


async def path_of_a_link(house):
    return (await sign_in_link(house.service, "")).removeprefix("")


def policy(answer):
    parts = (part.split(maxsplit=1) for part in answer.headers["content-security-policy"].split(";"))
    return {part[0]: part[1] for part in parts}


async def test_without_a_link_the_page_says_how_to_get_one(house):
    answer = await house.ask("GET", "/")

    assert (answer.status_code, answer.headers["content-type"]) == (401, "text/html; charset=utf-8")
    assert "aimkeeper open" in answer.text
    assert "board.js" not in answer.text


async def test_a_link_opens_the_page_and_its_lists(house):
    browser = house.caller()

    answer = await house.ask("GET", await path_of_a_link(house), caller=browser)
    page = await house.ask("GET", "/", caller=browser)
    lists = await house.ask("GET", "/api/sessions", caller=browser)

    assert answer.status_code == 200
    assert (page.status_code, lists.status_code) == (200, 200)
    assert "board.js" in page.text


async def test_a_link_leads_on_from_our_own_page_so_that_the_browser_sends_its_strict_cookie_along(house):
    answer = await house.ask("GET", await path_of_a_link(house))

    assert '<meta http-equiv="refresh" content="0; url=/">' in answer.text
    assert "location" not in answer.headers


async def test_a_link_works_once(house):
    path = await path_of_a_link(house)
    await house.ask("GET", path)

    again = await house.ask("GET", path, caller=(thief := house.caller()))

    assert again.status_code == 401
    assert "set-cookie" not in again.headers
    assert (await house.ask("GET", "/", caller=thief)).status_code == 401


@pytest.mark.parametrize(("after", "status"), [(599, 200), (601, 401)], ids=["in time", "too late"])
async def test_a_link_is_good_for_ten_minutes(house, after, status):
    path = await path_of_a_link(house)
    house.clock.advance(after)

    answer = await house.ask("GET", path)

    assert answer.status_code == status


@pytest.mark.parametrize("code", ["x", "%2e%2e", "a" * 2000, "%00", "%F0%9F%92%A9"])
async def test_a_made_up_link_opens_nothing(house, code):
    answer = await house.ask("GET", f"/sign-in/{code}")

    assert answer.status_code == 401
    assert "set-cookie" not in answer.headers


async def test_the_link_itself_is_in_no_database_file(house):
    code = (await path_of_a_link(house)).rpartition("/")[2]

    stored = b"".join(path.read_bytes() for path in house.folder.rglob("*") if path.is_file())

    assert code.encode() not in stored


# ---------------------------------------------------------------- by the operator's key


async def test_the_key_opens_the_page_too(house):
    browser = house.caller()

    answer = await house.ask("POST", "/sign-in", data={"key": f" {house.operator} "}, caller=browser)
    page = await house.ask("GET", "/", caller=browser)

    assert (answer.status_code, answer.headers["location"], page.status_code) == (303, "/", 200)
    assert "samesite=strict" in answer.headers["set-cookie"].lower()


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"key": ""},
        {"key": "the operator's own kez"},
        {"key": ["", "the operator's own key"]},
        {"KEY": "the operator's own key"},
        {"key": "the cron's own secret"},
    ],
)
async def test_anything_else_opens_nothing_and_says_so(house, form):
    answer = await house.ask("POST", "/sign-in", data=form)

    assert (answer.status_code, "set-cookie" in answer.headers) == (401, False)
    assert "That is not the operator" in answer.text


async def test_a_form_of_many_kibibytes_is_refused(house):
    answer = await house.ask("POST", "/sign-in", data={"key": "a" * 5000})

    assert answer.status_code == 413


@pytest.mark.parametrize(("by", "path"), [("link", None), ("key", "/sign-in")])
async def test_whoever_opens_the_page_leaves_an_event(house, by, path):
    if path:
        await house.ask("POST", path, data={"key": house.operator})
    else:
        await house.ask("GET", await path_of_a_link(house))

    [fact] = await house.service.store.fleet.events()
    assert (fact.kind, fact.data) == (EventKind.SIGNED_IN, {"by": by})


async def test_whoever_signs_out_is_out(house):
    browser = house.caller()
    await house.ask("POST", "/sign-in", data={"key": house.operator}, caller=browser)
    token = (await house.ask("GET", "/api/status", caller=browser)).json()["csrf_token"]

    answer = await house.ask("POST", "/sign-out", caller=browser, headers={"x-csrf-token": token})

    assert answer.json() == {"success": True}
    assert (await house.ask("GET", "/", caller=browser)).status_code == 401


# ---------------------------------------------------------------- what a page is made of


@pytest.mark.parametrize(("base", "secure"), [("http://keeper.test", False), ("https://keeper.test", True)])
async def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(house, base, secure):
    answer = await house.ask("GET", await path_of_a_link(house), caller=house.caller(base=base))

    name, *attributes = answer.headers["set-cookie"].split("; ")
    assert name.startswith(f"{PAGE_COOKIE}=")
    assert {attribute.lower() for attribute in attributes} == {
        "httponly",
        "path=/",
        "samesite=strict",
        f"max-age={12 * 3600}",
        *(["secure"] if secure else []),
    }


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/healthz", 200),
        ("GET", "/nothing", 404),
        ("GET", "/api/sessions", 401),
        ("PUT", "/healthz", 405),
        ("POST", "/api/tokenUpdate", 400),
    ],
)
async def test_every_answer_is_strict_about_caches_frames_and_types(house, method, path, status):
    answer = await house.ask(method, path)

    assert answer.status_code == status
    assert {name: answer.headers[name] for name in STRICT} == STRICT
    assert "server" not in answer.headers


@pytest.mark.parametrize("path", ["/", "/docs", "/sign-in/nonsense"])
async def test_a_page_may_load_what_ships_with_it_and_nothing_else(house, path):
    answer = await house.ask("GET", path)

    told = policy(answer)
    assert OWN_ONLY.items() <= told.items()
    # The one form there is asks for the operator's key, and may send it to us alone.
    form = "'none'" if path == "/docs" else "'self'"
    assert (told["frame-ancestors"], told["base-uri"], told["form-action"]) == ("'none'", "'none'", form)
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("name", PAGES)
def test_a_page_names_no_other_site_and_holds_no_script_or_style_of_its_own(name):
    text = resources.files("aimkeeper.web").joinpath("templates", name).read_text("utf-8")

    assert not re.search(r"https?:|//\w", text)
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\son\w+=|\sstyle=", text)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("board.js", "text/javascript"),
        ("docs.js", "text/javascript"),
        ("page.css", "text/css"),
        ("auto-token-refresh.js", "text/javascript"),
        ("lib/loop.js", "text/javascript"),
    ],
)
async def test_scripts_and_styles_are_there_for_everybody(house, name, kind):
    answer = await house.ask("GET", f"/static/{name}")

    assert (answer.status_code, answer.headers["content-type"]) == (200, f"{kind}; charset=utf-8")
    assert answer.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize(
    "name",
    [
        "x.js",
        "..%2ftemplates%2fboard.html",
        "lib",
        "lib/",
        "lib/../../access.py",
        "%2e%2e%2faccess.py",
        "page.css%00",
    ],
)
async def test_nothing_else_is_served_from_the_package(house, name):
    answer = await house.ask("GET", f"/static/{name}")

    assert answer.status_code == 404


def test_what_a_page_asks_for_and_what_that_imports_is_served_and_nothing_else():
    asked = FOR_OTHER_SITES | {
        name
        for page in PAGES
        for name in re.findall(
            r'(?:href|src)="/static/([^"]+)"', resources.files("aimkeeper.web").joinpath("templates", page).read_text()
        )
    }
    for name in sorted(asked):
        asked |= set(_all_that_is_imported(name))

    assert asked == set(shipped())


def _all_that_is_imported(name):
    """By a way of its own: whatever stands behind `from` or `import`."""
    text = (STATIC / name).read_text("utf-8")
    for path in re.findall(r'^import (?:[^;]+? from )?"(\.[^"]+)";$', text, re.MULTILINE):
        other = normpath(join(dirname(name), path))
        yield other
        yield from _all_that_is_imported(other)


# ---------------------------------------------------------------- named by hash


async def test_what_a_page_loads_is_named_by_its_hash_and_is_kept_for_ever(house):
    page = await house.ask("GET", "/", headers=house.page())
    loaded = re.findall(r'<(?:script|link)[^>]+?(?:src|href)="([^"]+)"(?: integrity="([^"]+)")?', page.text)

    assert len(loaded) > 15
    for path, integrity in loaded:
        answer = await house.ask("GET", path)
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable", path
        assert hash_of(answer) == integrity or path.endswith(".svg"), path


async def test_every_module_that_a_page_imports_is_loaded_with_its_hash_before(house):
    page = await house.ask("GET", "/", headers=house.page())

    ahead = re.findall(r'<link rel="modulepreload" href="([^"]+)" integrity="sha384-', page.text)
    assert sorted(ahead) == sorted(address(name) for name in set(_all_that_is_imported("board.js")))


async def test_under_the_hash_of_another_version_nothing_is_served(house):
    path = address("board.js")
    other = path.replace("/static/v-", "/static/v-0")[: len(path)]

    answers = [await house.ask("GET", asked) for asked in (other, "/static/v-/board.js", f"{address('')}x.js")]

    assert [answer.status_code for answer in answers] == [404, 404, 404]


async def test_a_browser_that_has_it_is_not_sent_it_again(house):
    first = await house.ask("GET", "/static/element.js")
    again = await house.ask("GET", "/static/element.js", headers={"if-none-match": first.headers["etag"]})
    other = await house.ask("GET", "/static/element.js", headers={"if-none-match": '"sha384-older"'})

    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])
    assert (other.status_code, other.content) == (200, first.content)


async def test_the_hashes_of_the_modules_are_told(house):
    told = (await house.ask("GET", "/static/integrity.json")).json()

    assert set(told["files"]) == set(shipped())
    for name in sorted(FOR_OTHER_SITES):
        answer = await house.ask("GET", told["base"] + name)
        assert hash_of(answer) == told["files"][name]


def hash_of(answer):
    return "sha384-" + base64.b64encode(hashlib.sha384(answer.content).digest()).decode()


async def test_the_api_describes_every_route_of_the_api(house):
    answer = await house.ask("GET", "/openapi.json")

    described = answer.json()["paths"]
    served = {route.path.replace(":str}", "}") for route in house.app().routes if route.path.startswith("/api/")}
    assert served <= set(described)
    assert all(operation["summary"] for item in described.values() for operation in item.values())
