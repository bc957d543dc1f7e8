"""Python clients against a broker: `clients.py LIBRARY ADDRESS` runs every case of one library.

For each case it prints `passed NAME` or `failed NAME: WHY`; a case that a library has no means for is not there.
"""

import importlib
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


def overrun(signal_number, frame):
    raise TimeoutError(f"not within {LIMIT} s")


def main(library, address):
    signal.signal(signal.SIGALRM, overrun)
    importlib.import_module(LIBRARIES[library])
    for name, case in cases_of(LIBRARIES[library]):
        signal.alarm(LIMIT)
        try:
            case(address)
        except Exception as error:
            traceback.print_exc()
            print(f"failed {name}: {type(error).__name__} {error}".replace("\n", " "), flush=True)
        else:
            print(f"passed {name}", flush=True)
        finally:
            signal.alarm(0)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
