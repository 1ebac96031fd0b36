"""In a real browser: the operator's page is open while a hostile page does what pages can do; the page of the API."""

import asyncio
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer

import httpx
import pytest

from aimkeeper.serving import sign_in_link

TRIES = """
<!doctype html><title>prizes</title><body><iframe name="hidden"></iframe><pre id="read"></pre>
<img src="KEEPER/api/tokenUpdate?action=bulk-update"><img src="KEEPER/sign-out">
<form id="form" method="post" target="hidden" enctype="text/plain" action="KEEPER/api/pause">
  <input name='{"for":"30m","x":"' value='"}'></form>
<script>
const read = [];
const send = async (path, options) => {
  try {
    const answer = await fetch("KEEPER" + path, { credentials: "include", ...options });
    read.push(`${path} ${answer.type} ${answer.status} ${(await answer.text()).length}`);
  } catch { read.push(`${path} refused`); }
};
(async () => {
  document.getElementById("form").submit();
  for (const path of ["/api/pause", "/api/sessions/ID/rotate", "/api/verdicts/accept", "/sign-out"]) {
    await send(path, { method: "POST", mode: "no-cors", body: "{}" });
    await send(path, { method: "POST", headers: { "content-type": "application/json" }, body: "{}" });
  }
  await send("/api/sessions/ID", { method: "DELETE" });
  await send("/api/status", {});
  await send("/api/sessions", { mode: "no-cors" });
  await send("/api/auth/session?token=1", {});
  document.getElementById("read").textContent = read.join("\\n") + "\\nend";
})();
</script>
"""


class Hostile(BaseHTTPRequestHandler):
    """One page for whoever comes."""

    def __init__(self, page, *arguments):
        self.page = page
        super().__init__(*arguments)

    def do_GET(self):
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.end_headers()
        self.wfile.write(self.page.encode())

    def log_message(self, *_):
        pass


@pytest.mark.slow
def test_a_hostile_page_changes_nothing_and_reads_nothing_while_the_operator_s_page_is_open(site, look):
    session_id = site.session(7)
    before = site.call(site.service.store.get(session_id))
    look(site.call(sign_in_link(site.service, site.url)))
    assert "board.js" in look(f"{site.url}/")
    page = TRIES.replace("KEEPER", site.url).replace("ID", session_id)

    # 127.0.0.1 and localhost are two sites to a browser.
    with HTTPServer(("localhost", 0), partial(Hostile, page)) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        seen = look(f"http://localhost:{server.server_port}/")
        server.shutdown()
        serving.join()

    read = seen.partition('id="read">')[2].partition("</pre>")[0].splitlines()
    assert read[-1] == "end"
    assert [line for line in read[:-1] if not line.endswith((" refused", " opaque 0 0"))] == []
    assert site.call(site.service.store.get(session_id)) == before
    assert site.call(paused(site)) is None
    assert "board.js" in look(f"{site.url}/"), "the operator's browser is still signed in: it had a cookie to send"


async def paused(site):
    await asyncio.sleep(0)
    return (await site.service.keeper.breaker.look(afresh=True)).paused_at


@pytest.mark.slow
def test_the_page_of_the_api_lists_every_route_with_an_example_to_send(site, look):
    seen = look(f"{site.url}/docs")

    described = httpx.get(f"{site.url}/openapi.json").json()["paths"]
    summaries = [operation["summary"] for item in described.values() for operation in item.values()]
    assert len(summaries) > 30
    assert [summary for summary in summaries if summary.replace("'", "&#39;") not in seen and summary not in seen] == []
    assert seen.count("<textarea") == sum("requestBody" in one for item in described.values() for one in item.values())
    assert "For operator, page." in seen
