"""Python clients against a broker: `clients.py LIBRARY ADDRESS` runs every case of one library.

For each case it prints `passed NAME` or `failed NAME: WHY`; a case that a library has no means for is not there. Why one
failed is told at length: where every thread was, and what the library has logged since the case began.
"""

import collections
import faulthandler
import importlib
import logging
import signal
import sys
import traceback

from cases import cases_of

LIBRARIES = {
    "confluent-kafka": "confluent_cases",
    "kafka-python": "kafka_python_cases",
    "aiokafka": "aiokafka_cases",
}


LIMIT = 120


class Journal(logging.Handler):
    """The latest lines of all loggers."""

    def __init__(self):
        super().__init__()
        self.setFormatter(logging.Formatter("%(asctime)s %(threadName)s %(name)s %(message)s"))
        self.records = collections.deque(maxlen=200)

    def emit(self, record):
        self.records.append(record)

    def tell(self):
        for record in list(self.records):
            print(self.format(record), file=sys.stderr)


def overrun(signal_number, frame):
    raise TimeoutError(f"not within {LIMIT} s")


def main(library, address):
    signal.signal(signal.SIGALRM, overrun)
    importlib.import_module(LIBRARIES[library])
    journal = Journal()
    logging.basicConfig(level=logging.INFO, handlers=[journal])
    for name, case in cases_of(LIBRARIES[library]):
        signal.alarm(LIMIT)
        journal.records.clear()
        try:
            case(address)
        except Exception as error:
            traceback.print_exc()
            faulthandler.dump_traceback()
            journal.tell()
            print(f"failed {name}: {type(error).__name__} {error}".replace("\n", " "), flush=True)
        else:
            print(f"passed {name}", flush=True)
        finally:
            signal.alarm(0)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
