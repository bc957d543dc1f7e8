"""Records of every kind for the tests of files on disk: `records.py ADDRESS ROUND idempotent|plain`.

Topic `codecs`: each codec, from a producer of its own, with keys, headers, nulls and times of its own.
Topic `compacted`: the same few keys again and again, some of them deleted. A round lies ten minutes after the one
before, so that a segment.ms of a minute rolls; all of it lies within the last hours, so that no producer has expired.
"""

import sys
import time

from confluent_kafka import Producer

CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]
MINUTE_MS = 60_000


def written(settings, records):
    refused = []
    producer = Producer(settings)
    for record in records:
        producer.produce(on_delivery=lambda error, _: refused.append(error) if error else None, **record)
        producer.poll(0)
    assert producer.flush(30) == 0 and not refused, refused


def codec_records(codec, start):
    for n in range(60):
        yield {
            "topic": "codecs",
            "partition": 0,
            "key": None if n % 7 == 0 else f"{codec}-{n}",
            "value": None if n % 11 == 0 else f"{n} " + codec * (n % 13),
            "headers": [("codec", codec.encode()), ("empty", b""), ("null", None)][: n % 4],
            # Out of order on purpose.
            "timestamp": start + n * 100 - (n % 5) * 700,
        }


def compacted_records(start):
    for n in range(90):
        key = n % 17
        deleted = n > 60 and key % 5 == 0
        yield {
            "topic": "compacted",
            "partition": 0,
            "key": f"key-{key}",
            "value": None if deleted else f"value {n} of {key}",
            "timestamp": start + n * 10,
        }


def main():
    address, round_number, kind = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    start = int(time.time() * 1000) - 120 * MINUTE_MS + 10 * round_number * MINUTE_MS
    for at, codec in enumerate(CODECS):
        settings = {
            "bootstrap.servers": address,
            "enable.idempotence": kind == "idempotent",
            "compression.type": codec,
            "batch.num.messages": 20,
            "linger.ms": 50,
        }
        at_ms = start + 2 * at * MINUTE_MS
        written(settings, codec_records(codec, at_ms))
        written(settings, compacted_records(at_ms))
    print("ok")


if __name__ == "__main__":
    main()
