"""A member that commits each record it reads: `member.py ADDRESS PROTOCOL GROUP TOPIC`.

Prints `assigned N`, `revoked`, `lost` and `committed OFFSET` (the next offset, once the broker has answered) as they come;
ends when stdin does.
"""

import sys
import threading

from confluent_kafka import Consumer, KafkaException

ADDRESS, PROTOCOL, GROUP, TOPIC = sys.argv[1:5]


def say(text):
    print(text, flush=True)


def main():
    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    config = {"bootstrap.servers": ADDRESS, "group.id": GROUP, "group.protocol": PROTOCOL, "client.id": GROUP,
              "auto.offset.reset": "earliest", "enable.auto.commit": False, "reconnect.backoff.max.ms": 200}
    if PROTOCOL == "classic":
        config |= {"session.timeout.ms": 30000, "heartbeat.interval.ms": 500}
    consumer = Consumer(config)
    consumer.subscribe([TOPIC], on_assign=lambda _, partitions: say(f"assigned {len(partitions)}"),
                       on_revoke=lambda *_: say("revoked"), on_lost=lambda *_: say("lost"))
    uncommitted = None
    while not ended.is_set():
        message = consumer.poll(0.1)
        if message is not None and not message.error():
            uncommitted = message
        if uncommitted is None:
            continue
        try:
            committed = consumer.commit(message=uncommitted, asynchronous=False)
            say(f"committed {committed[0].offset}")
            uncommitted = None
        except KafkaException as error:
            # The broker is away: once more.
            say(f"refused {error.args[0].name()}")
    consumer.close()
    say("closed")


main()
