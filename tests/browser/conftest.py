"""A real browser without a window: Chromium by its driver, or a skip that says what is missing."""

from __future__ import annotations

import shutil

import pytest

from tests.browser.every_page import write_every_page
from tests.browser.pages import Pages


@pytest.fixture(scope="session")
def pages(tmp_path_factory):
    """Both languages of a small report and one of a run that does not fit, as files."""
    return Pages.write(tmp_path_factory.mktemp("pages"))


@pytest.fixture(scope="session")
def every_page(tmp_path_factory):
    """The file of a page of every kind."""
    return write_every_page(tmp_path_factory.mktemp("every page"))


@pytest.fixture(scope="session")
def chromium():
    """The browser, which says everything that it asks of anybody."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed (extra test)")
    browser, driver = (shutil.which(n) for n in ("chromium", "chromedriver"))
    if browser is None or driver is None:
        pytest.skip("no Chromium with its driver on this machine (apt install chromium chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for word in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(word)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    found = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield found
    found.quit()


@pytest.fixture(params=["en", "zh"])
def page(request, chromium, pages):
    """The browser at a page, 1400 wide, with empty logs."""
    for kind in ("browser", "performance"):
        chromium.get_log(kind)
    resize(chromium, 1400)
    chromium.get(pages.address(request.param))
    chromium.language = request.param
    return chromium


def resize(browser, width):
    """Show pages as a screen of a width does."""
    screen = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
