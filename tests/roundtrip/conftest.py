import pytest

from echo import Echo


@pytest.fixture(scope="session")
def echo():
    program = Echo()
    yield program
    program.close()
