import importlib.util
from pathlib import Path

import pytest


def neighbour(name):
    """A module that stands beside the tests."""
    path = Path(__file__).with_name(f"{name}.py")
    spec = importlib.util.spec_from_file_location(f"report_{name}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    """A headless Chromium; tests that ask for it are skipped where none is installed."""
    pytest.importorskip("websockets")
    driver = neighbour("browser")
    if driver.CHROMIUM is None:
        pytest.skip("no Chromium is installed")
    with driver.opened(tmp_path_factory.mktemp("profile")) as found:
        yield found
