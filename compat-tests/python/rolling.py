"""A group under constant production, its members rolled one by one from the classic to the consumer protocol and back.

rolling.py STRATEGY BOOTSTRAP: prints what happened, and "ok" last, if no record was lost, no committed offset went back,
every partition made progress between any two steps, and the group was of the type that its members make it.
"""

import sys
import threading
import time

from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaException, Producer
from confluent_kafka.admin import AdminClient, NewTopic

STRATEGY, BOOTSTRAP = sys.argv[1], sys.argv[2]
TOPIC = GROUP = "rolling-" + STRATEGY
PARTITIONS = 6
MEMBERS = 3
STEP_LIMIT_S = 45


class Seen:
    """Offsets that were processed, by partition."""

    def __init__(self):
        self.lock = threading.Lock()
        self.offsets = [set() for _ in range(PARTITIONS)]

    def add(self, partition, offset):
        with self.lock:
            self.offsets[partition].add(offset)

    def highest(self):
        with self.lock:
            return [max(offsets, default=-1) for offsets in self.offsets]

    def missing(self, ends):
        with self.lock:
            return {p: sorted(set(range(end)) - self.offsets[p])[:5] for p, end in enumerate(ends)}


class Member(threading.Thread):
    def __init__(self, name, protocol, seen):
        super().__init__(name=name + "-" + protocol, daemon=True)
        self.seen, self.stopping, self.error = seen, threading.Event(), None
        config = {"bootstrap.servers": BOOTSTRAP, "group.id": GROUP, "group.protocol": protocol, "client.id": name,
                  "auto.offset.reset": "earliest", "enable.auto.commit": False, "max.poll.interval.ms": 30000}
        if protocol == "classic":
            config |= {"partition.assignment.strategy": STRATEGY, "session.timeout.ms": 10000,
                       "heartbeat.interval.ms": 500}
        self.consumer = Consumer(config)

    def run(self):
        try:
            self.consumer.subscribe([TOPIC], on_revoke=lambda consumer, _: self.commit())
            while not self.stopping.is_set():
                for message in self.consumer.consume(50, 0.2):
                    if message.error():
                        # An upgrade sends those back that wait in a join; librdkafka tells the application, and joins.
                        if message.error().name() != "REBALANCE_IN_PROGRESS":
                            raise KafkaException(message.error())
                        continue
                    self.seen.add(message.partition(), message.offset())
                self.commit()
            self.consumer.close()
        except Exception as error:  # Told by the main thread.
            self.error = error

    def commit(self):
        try:
            self.consumer.commit(asynchronous=False)
        except KafkaException as error:
            # Nothing new, or the group has moved on: whoever has the partition now reads from the last commit.
            name = error.args[0].name()
            if name not in ("_NO_OFFSET", "ILLEGAL_GENERATION", "STALE_MEMBER_EPOCH", "REBALANCE_IN_PROGRESS",
                            "UNKNOWN_MEMBER_ID", "FENCED_MEMBER_EPOCH", "_FENCED", "_ILLEGAL_GENERATION"):
                raise

    def stop(self):
        self.stopping.set()
        self.join(STEP_LIMIT_S)
        assert not self.is_alive(), f"{self.name} does not stop"
        assert self.error is None, f"{self.name}: {self.error!r}"


class Production(threading.Thread):
    def __init__(self):
        super().__init__(daemon=True)
        self.producer, self.stopping = Producer({"bootstrap.servers": BOOTSTRAP}), threading.Event()
        self.failed, self.ends = [], [0] * PARTITIONS

    def run(self):
        number = 0
        while not self.stopping.is_set():
            for partition in range(PARTITIONS):
                self.producer.produce(TOPIC, str(number), partition=partition, on_delivery=self.delivered)
                number += 1
            self.producer.poll(0)
            time.sleep(0.02)
        assert self.producer.flush(30) == 0

    def delivered(self, error, message):
        if error:
            self.failed.append(error)
        else:
            self.ends[message.partition()] = max(self.ends[message.partition()], message.offset() + 1)


class Watch(threading.Thread):
    """Reads the committed offsets all the time: none may go back."""

    def __init__(self, admin):
        super().__init__(daemon=True)
        self.admin, self.stopping, self.error, self.reads = admin, threading.Event(), None, 0
        self.committed = [-1] * PARTITIONS

    def run(self):
        try:
            while not self.stopping.is_set():
                self.read()
                time.sleep(0.1)
        except Exception as error:
            self.error = error

    def read(self):
        future = self.admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(GROUP)])[GROUP]
        for at in future.result().topic_partitions:
            assert at.offset >= self.committed[at.partition], f"{at} after {self.committed[at.partition]}"
            self.committed[at.partition] = at.offset
        self.reads += 1


def progresses(seen, members, watch, what):
    """Waits until every partition has been read further than it was."""
    start, deadline = seen.highest(), time.monotonic() + STEP_LIMIT_S
    while any(now <= then for now, then in zip(seen.highest(), start)):
        for thread in (*members, watch):
            assert thread.error is None, f"{what}: {thread.error!r}"
        assert time.monotonic() < deadline, f"{what}: no progress from {start}, at {seen.highest()}"
        time.sleep(0.05)


def group_type(admin):
    listed = admin.list_consumer_groups().result().valid
    return next(group.type.name for group in listed if group.group_id == GROUP)


def main():
    admin = AdminClient({"bootstrap.servers": BOOTSTRAP})
    admin.create_topics([NewTopic(TOPIC, PARTITIONS, 1)])[TOPIC].result()
    seen, production, watch = Seen(), Production(), Watch(admin)
    production.start()
    members = [Member(f"m{i}", "classic", seen) for i in range(MEMBERS)]
    for member in members:
        member.start()
    progresses(seen, members, watch, "classic")
    watch.start()
    assert group_type(admin) == "CLASSIC", group_type(admin)
    for protocol in ("consumer", "classic"):
        for i in range(MEMBERS):
            began = time.monotonic()
            members[i].stop()
            members[i] = Member(f"m{i}", protocol, seen)
            members[i].start()
            # Twice: what was fetched before the step may still come in.
            progresses(seen, members, watch, f"{i} to {protocol}")
            time.sleep(1)
            progresses(seen, members, watch, f"{i} is {protocol}")
            of = group_type(admin)
            expected = "CLASSIC" if protocol == "classic" and i == MEMBERS - 1 else "CONSUMER"
            assert of == expected, f"{i} to {protocol}: {of}"
            print(f"m{i} is {protocol}: {of}, {time.monotonic() - began:.1f} s")
    production.stopping.set()
    production.join(40)
    assert not production.is_alive() and not production.failed, production.failed
    ends = production.ends
    deadline = time.monotonic() + STEP_LIMIT_S
    while watch.committed != ends:
        assert watch.error is None, watch.error
        assert time.monotonic() < deadline, f"committed {watch.committed} of {ends}, missing {seen.missing(ends)}"
        time.sleep(0.1)
    for member in members:
        member.stop()
    watch.stopping.set()
    assert not any(seen.missing(ends).values()), seen.missing(ends)
    print(f"{sum(ends)} records, {watch.reads} looks at the offsets")
    print("ok")


main()
