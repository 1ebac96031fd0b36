"""The page, the one-time link that opens it, and what they may load."""

import re
from importlib import resources

import pytest

from aimkeeper.serving import sign_in_link
from aimkeeper.web.access import PAGE_COOKIE

STRICT = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
OWN_ONLY = {"default-src": "'none'", "script-src": "'self'", "style-src": "'self'", "connect-src": "'self'"}
PAGES = ["sessions.html", "sign_in.html", "docs.html"]


async def path_of_a_link(house):
    return (await sign_in_link(house.service, "")).removeprefix("")


def policy(answer):
    parts = (part.split(maxsplit=1) for part in answer.headers["content-security-policy"].split(";"))
    return {part[0]: part[1] for part in parts}


async def test_without_a_link_the_page_says_how_to_get_one(house):
    answer = await house.ask("GET", "/")

    assert (answer.status_code, answer.headers["content-type"]) == (401, "text/html; charset=utf-8")
    assert "aimkeeper open" in answer.text
    assert "sessions.js" not in answer.text


async def test_a_link_opens_the_page_and_its_lists(house):
    browser = house.caller()

    answer = await house.ask("GET", await path_of_a_link(house), caller=browser)
    page = await house.ask("GET", "/", caller=browser)
    lists = await house.ask("GET", "/api/sessions", caller=browser)

    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert (page.status_code, lists.status_code) == (200, 200)
    assert "sessions.js" in page.text


async def test_a_link_works_once(house):
    path = await path_of_a_link(house)
    await house.ask("GET", path)

    again = await house.ask("GET", path, caller=(thief := house.caller()))

    assert again.status_code == 401
    assert "set-cookie" not in again.headers
    assert (await house.ask("GET", "/", caller=thief)).status_code == 401


@pytest.mark.parametrize(("after", "status"), [(599, 303), (601, 401)], ids=["in time", "too late"])
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


@pytest.mark.parametrize(("base", "secure"), [("http://keeper.test", False), ("https://keeper.test", True)])
async def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(house, base, secure):
    answer = await house.ask("GET", await path_of_a_link(house), caller=house.caller(base=base))

    name, *attributes = answer.headers["set-cookie"].split("; ")
    assert name.startswith(f"{PAGE_COOKIE}=")
    assert {attribute.lower() for attribute in attributes} == {
        "httponly",
        "path=/",
        "samesite=lax",
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
    assert (told["frame-ancestors"], told["form-action"], told["base-uri"]) == ("'none'",) * 3
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("name", PAGES)
def test_a_page_names_no_other_site_and_holds_no_script_or_style_of_its_own(name):
    text = resources.files("aimkeeper.web").joinpath("templates", name).read_text("utf-8")

    assert not re.search(r"https?:|//\w", text)
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\son\w+=|\sstyle=", text)


@pytest.mark.parametrize(
    ("name", "kind"), [("sessions.js", "text/javascript"), ("docs.js", "text/javascript"), ("page.css", "text/css")]
)
async def test_scripts_and_styles_are_there_for_everybody(house, name, kind):
    answer = await house.ask("GET", f"/static/{name}")

    assert (answer.status_code, answer.headers["content-type"]) == (200, f"{kind}; charset=utf-8")
    assert answer.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize("name", ["x.js", "..%2ftemplates%2fsessions.html", "%2e%2e%2faccess.py", "page.css%00"])
async def test_nothing_else_is_served_from_the_package(house, name):
    answer = await house.ask("GET", f"/static/{name}")

    assert answer.status_code == 404


def test_every_file_a_page_asks_for_is_served():
    asked = {
        name
        for page in PAGES
        for name in re.findall(
            r'(?:href|src)="/static/([^"]+)"', resources.files("aimkeeper.web").joinpath("templates", page).read_text()
        )
    }
    shipped = {file.name for file in resources.files("aimkeeper.web").joinpath("static").iterdir()}

    assert asked == shipped


async def test_the_api_describes_every_route_of_the_api(house):
    answer = await house.ask("GET", "/openapi.json")

    described = answer.json()["paths"]
    served = {route.path for route in house.app().routes if route.path.startswith("/api/")}
    assert served <= set(described)
    assert all(operation["summary"] for item in described.values() for operation in item.values())
