import pytest

import libws


@pytest.fixture(autouse=True)
def fresh_loop():
    """Leaves nothing in the loop of the thread for the next test."""
    yield
    libws.get_loop().close()
