"""librdkafka pushes its metrics (KIP-714): a producer that sends records, and tells when it has ended.

push_metrics.py ADDRESS TOPIC CLIENT_ID SECONDS
"""

import sys
import time

from confluent_kafka import Producer

address, topic, client_id, seconds = sys.argv[1:]
producer = Producer({"bootstrap.servers": address, "client.id": client_id, "enable.metrics.push": True})
end = time.monotonic() + float(seconds)
while time.monotonic() < end:
    producer.produce(topic, b"value")
    producer.poll(0.1)
assert producer.flush(30) == 0
