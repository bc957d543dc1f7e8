"""What the cases of all libraries share: their register, records to send, and waiting with an end."""

import time

RECORDS = 100
VALUES = [b"value %d" % n for n in range(RECORDS)]
CODECS = ["gzip", "snappy", "lz4", "zstd"]

_cases = {}


def case(name):
    """Registers a function of an address as a case of the module that it stands in."""

    def register(function):
        _cases.setdefault(function.__module__, []).append((name, function))
        return function

    return register


def cases_of(module):
    return _cases[module]


def until(done, seconds=60):
    """Calls `done` until it gives something true, and gives that."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = done()
        if found:
            return found
        time.sleep(0.01)
    raise TimeoutError(f"not within {seconds} s: {done.__name__}")


def refused_with(name, work):
    """The error whose type, code or text names `name`, which `work` must end with."""
    try:
        work()
    except Exception as error:
        assert name.lower() in described(error).lower(), f"{name} expected, not {described(error)}"
        return error
    raise AssertionError(f"{name} expected, and nothing was refused")


def described(error):
    return f"{type(error).__name__} {error!r} {error}".replace("_", "").replace(" ", "")


def dotted(settings):
    """Settings by their names: in Python's keywords an underscore stands for a dot."""
    return {name.replace("_", "."): value for name, value in settings.items()}


def end_after(start, offsets):
    """The end of a topic where `VALUES` were written from `start` on, at these offsets."""
    assert offsets == list(range(start, start + RECORDS)), (start, offsets)
    return start + RECORDS


def version_of(distribution):
    from importlib.metadata import version

    return tuple(int(part) for part in version(distribution).split(".")[:3])
