"""That Next builds with the package. By itself: it fetches Next, and takes about half a minute."""

import os
import subprocess
from pathlib import Path

import pytest
from site_of_pages import ROOT


@pytest.mark.slow
@pytest.mark.timeout(600)  # it installs and builds a whole app; beside other work that has taken more than two minutes
def test_a_next_app_whose_root_layout_has_the_component_without_props_builds(tmp_path):
    set_while_building = {
        "NEXT_PUBLIC_TOKEN_REFRESH_INTERVAL_MINUTES": "11",
        "NEXT_PUBLIC_AIMHARDER_FINGERPRINT": "c0ffee" * 8,
    }

    done = subprocess.run(
        [str(ROOT / "tools/browser.sh"), "next", str(tmp_path)],
        cwd=ROOT, env=os.environ | set_while_building, capture_output=True, text=True, timeout=570, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr
    assert "Compiled successfully" in done.stdout
    built = "".join(path.read_text("utf-8") for path in Path(tmp_path, ".next/static").rglob("*.js"))
    assert "aimkeeper:note" in built
    # What is set while building is in the page: the names were found letter by letter.
    assert "c0ffee" * 8 in built
