"""Error texts are what a user sees."""

import pytest

from obsnet import errors


@pytest.mark.parametrize("name", [n for n in errors.__all__ if n.endswith("Error") and n != "ObsnetError"])
def test_every_error_is_ours_and_a_builtin(name):
    kind = getattr(errors, name)
    assert issubclass(kind, errors.ObsnetError)
    bases = [
        b for b in kind.__mro__ if b.__module__ == "builtins" and b not in (object, BaseException, Exception)
    ]
    assert bases, f"{name} should also be a builtin error"


def test_text_is_the_message_even_for_key_errors():
    assert str(errors.MissingVariableError("file.nc: no variable 'xco2'")) == "file.nc: no variable 'xco2'"
    assert str(errors.ObsnetError()) == "ObsnetError"


def test_nearest_names_close_choices():
    assert errors.nearest("turbulance", ["turbulence", "hours"]) == "; nearest: 'turbulence'"
    assert errors.nearest("zzz", ["b", "a"]) == "; there is: 'a', 'b'"
    assert errors.nearest("zzz", []) == "; there is none"
    assert errors.nearest("zzz", [f"option{i:02d}" for i in range(20)]).endswith(", …")
