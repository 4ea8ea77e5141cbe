"""A real shop (``boxoffice up --demo``) and a real Chromium; every page must stay free of errors and CSP violations."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Response, sync_playwright
from tests.support.shop import Shop, running_shop

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-background-networking"]
SCREENS = Path(__file__).parents[2] / "artifacts" / "screens"
TELL_VIOLATIONS = (
    "document.addEventListener('securitypolicyviolation', "
    "(e) => console.error(`CSP violation: ${e.violatedDirective} ${e.blockedURI}`))"
)
REFUSED_ON_PURPOSE = "the server responded with a status of 409"


def chromium_program(downloaded: Path) -> str:
    """Where Chromium is: named in CHROMIUM, installed (as scripts/browser.sh finds it), or Playwright's download."""
    installed = next(filter(None, map(shutil.which, BROWSERS)), None)
    found = os.environ.get("CHROMIUM") or installed or (str(downloaded) if downloaded.exists() else None)
    if found is None:
        missing = pytest.fail if os.environ.get("CI") else pytest.skip
        missing("no Chromium: run scripts/browser.sh, or name it in CHROMIUM")
    return str(found)


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with running_shop(tmp_path_factory.mktemp("browser") / "data", concerts=4) as running:
        yield running


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """One browser for a module, not for the session: while Playwright is open its event loop counts as running in this
    thread, and asynchronous tests of the same worker could not run theirs.
    """
    with sync_playwright() as playwright:
        program = chromium_program(Path(playwright.chromium.executable_path))
        browser = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        yield browser
        browser.close()


@dataclass
class Watched:
    """A page, and everything that went wrong on it."""

    page: Page
    wrong: list[str] = field(default_factory=list)

    def screen(self, name: str, *, whole: bool = True) -> Path:
        """Keep a screenshot."""
        SCREENS.mkdir(parents=True, exist_ok=True)
        path = SCREENS / f"{name}.png"
        self.page.screenshot(path=path, full_page=whole)
        return path

    def heard(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and REFUSED_ON_PURPOSE not in message.text:
            self.wrong.append(f"{self.page.url}: {message.text}")

    def answered(self, response: Response) -> None:
        if response.status >= 500:
            self.wrong.append(f"{response.status} {response.url}")


Opening = Callable[..., Any]


@pytest.fixture
def open_page(chromium: Browser, shop: Shop) -> Opening:
    """Open a page of the shop in a context of its own: ``with open_page(has_touch=True) as watched``."""

    @contextmanager
    def opening(**options: Any) -> Iterator[Watched]:
        context = chromium.new_context(
            base_url=shop.url, viewport=options.pop("viewport", {"width": 1280, "height": 900}), **options
        )
        context.set_default_timeout(20_000)
        context.add_init_script(TELL_VIOLATIONS)
        page = context.new_page()
        watched = Watched(page)
        page.on("console", watched.heard)
        page.on("pageerror", lambda error: watched.wrong.append(f"{page.url}: {error}"))
        page.on("response", watched.answered)
        try:
            yield watched
            assert watched.wrong == []
        except Exception as error:
            error.add_note(f"at {page.url}; went wrong on the page: {watched.wrong or 'nothing'}")
            raise
        finally:
            context.close()

    return opening
