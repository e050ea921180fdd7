"""Take pictures of the dashboards on VictoriaMetrics' page, row by row, in a real Chromium.

    python collector/dashboards/pictures.py http://127.0.0.1:8428 FOLDER [MINUTES]

Needs `pip install playwright` and a Chromium on the machine; CHROMIUM says where it is if it is not /usr/bin/chromium.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from playwright.sync_api import FloatRect, Page, sync_playwright

QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def rows(address: str, into: Path, *, minutes: int = 5) -> dict[str, list[str]]:
    """Picture each row of each dashboard at *address* into the folder *into*, and return what is empty: file to the titles of its panels.

    Args:
        minutes: How far back the time goes.
    """
    into.mkdir(parents=True, exist_ok=True)
    empty: dict[str, list[str]] = {}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"), args=QUIET)
        page = browser.new_page(viewport={"width": 1400, "height": 1000}, timezone_id="UTC", locale="en-GB")
        page.goto(f"{address}/vmui/#/dashboards?g0.range_input={minutes}m&g0.relative_time=last_{minutes}_minutes")
        page.wait_for_selector(".vm-predefined-panel")
        names = page.locator(".vm-predefined-panels-tabs__tab").all_inner_texts() or ["Septum machines"]
        for number, name in enumerate(names):
            if len(names) > 1:
                page.locator(".vm-predefined-panels-tabs__tab").nth(number).click()
            empty |= _rows_of(page, into, name)
        browser.close()
    return empty


def _rows_of(page: Page, into: Path, name: str) -> dict[str, list[str]]:
    """Picture the rows of the dashboard that is shown."""
    empty: dict[str, list[str]] = {}
    found = page.locator(".vm-predefined-dashboard")
    for place in range(found.count()):
        row = found.nth(place)
        row.scroll_into_view_if_needed()
        for _ in range(40):
            # A click while the page is still at work is undone by it.
            page.wait_for_load_state("networkidle")
            if row.locator(".vm-predefined-panel").count():
                break
            row.locator("header").first.evaluate("header => header.click()")
            page.wait_for_timeout(500)
        panels = row.locator(".vm-predefined-panel")
        for panel in panels.all():
            panel.scroll_into_view_if_needed()
            panel.locator("canvas, .vm-alert").first.wait_for(timeout=60_000)
        page.wait_for_load_state("networkidle")
        page.wait_for_timeout(500)
        title = row.locator(".vm-predefined-dashboard-header__title").first.inner_text()
        file = re.sub(r"\W+", "-", f"{name} {title}".lower()).strip("-") + ".png"
        row.screenshot(path=into / file)
        # The charts of its first panels without the long legends below them, for pages.
        place_of = row.evaluate("row => row.getBoundingClientRect().toJSON()")
        top = place_of["y"] + page.evaluate("window.scrollY") + 40
        clip: FloatRect = {"x": place_of["x"], "y": top, "width": place_of["width"], "height": 560}
        page.screenshot(path=into / f"top-{file}", full_page=True, clip=clip)
        titles = [
            panel.locator(".vm-predefined-panel-header__title").inner_text()
            for panel in panels.all()
            if not panel.locator(".vm-legend-item").count()
        ]
        if titles:
            empty[file] = titles
    return empty


if __name__ == "__main__":
    for picture, without in rows(sys.argv[1], Path(sys.argv[2]), minutes=int([*sys.argv, "5"][3])).items():
        print(f"{picture}: nothing is drawn in {', '.join(without)}")
