"""The package's public names."""

import importlib.util
import subprocess
import sys

import pytest

import jne


@pytest.mark.parametrize("name", jne.__all__)
def test_every_public_name_is_there_and_documented(name):
    value = getattr(jne, name)
    assert name == "__version__" or value.__doc__


def test_no_public_name_is_hidden_by_a_module_of_the_same_name():
    for name in jne.__all__:
        importlib.import_module(getattr(getattr(jne, name), "__module__", "jne"))
        assert importlib.util.find_spec(f"jne.{name}") is None, name
    assert callable(jne.jacobian)


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(AttributeError, match=r"no attribute 'jnes'; it has .*nonlinearity"):
        _ = jne.jnes


def test_importing_the_package_and_asking_for_help_do_not_wait_for_torch():
    code = "import sys, jne.cli; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
