"""kafka-python: its own codec, in Python."""

import threading
import time

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, NewPartitions, NewTopic

from cases import CODECS, RECORDS, VALUES, case, dotted, end_after, refused_with, until, version_of

VERSION = version_of("kafka-python")


def admin_of(address):
    return KafkaAdminClient(bootstrap_servers=address)


def create(address, topic, partitions=1, **config):
    admin = admin_of(address)
    try:
        admin.create_topics([NewTopic(topic, partitions, 1, topic_configs=dotted(config))])
    finally:
        admin.close()


def produce(address, topic, values, **settings):
    producer = KafkaProducer(bootstrap_servers=address, linger_ms=5, **settings)
    try:
        sent = [
            producer.send(topic, value, key=b"%d" % n, headers=[("n", b"%d" % n)], partition=0)
            for n, value in enumerate(values)
        ]
        return [future.get(30).offset for future in sent]
    finally:
        producer.close()


def read(consumer, count):
    records = []

    def enough():
        for found in consumer.poll(500).values():
            records.extend(found)
        return len(records) >= count

    until(enough)
    return records


def consumer_of(address, *topics, group=None, **settings):
    common = {"auto_offset_reset": "earliest", "enable_auto_commit": False}
    return KafkaConsumer(*topics, bootstrap_servers=address, group_id=group, **{**common, **settings})


@case("produce")
def producing(address):
    topic = "kafka-python-produce"
    create(address, topic)
    end = 0
    for codec in [None, *CODECS]:
        end = end_after(end, produce(address, topic, VALUES, compression_type=codec))
    for acks in [1, "all"]:
        produce(address, topic, VALUES, acks=acks)
        end += RECORDS
    produce(address, topic, VALUES, acks=0)
    end += RECORDS
    consumer = consumer_of(address)
    partition = TopicPartition(topic, 0)
    until(lambda: consumer.end_offsets([partition])[partition] == end)
    consumer.close()
    if VERSION >= (2, 1):
        end_after(end, produce(address, topic, VALUES, enable_idempotence=True))


@case("consume")
def consuming(address):
    topic = "kafka-python-consume"
    create(address, topic, 2)
    before = int(time.time() * 1000) - 1000
    produce(address, topic, VALUES, compression_type="gzip")
    consumer = consumer_of(address)
    partition = TopicPartition(topic, 0)
    consumer.assign([partition])
    assert consumer.beginning_offsets([partition])[partition] == 0
    assert consumer.end_offsets([partition])[partition] == RECORDS
    assert consumer.offsets_for_times({partition: before})[partition].offset == 0
    consumer.seek(partition, 40)
    records = read(consumer, RECORDS - 40)
    assert [record.value for record in records] == VALUES[40:]
    assert list(records[0].headers) == [("n", b"40")] and records[0].key == b"40"
    consumer.close()


class Member(threading.Thread):
    """A member of a group in a thread of its own: up to 2.0 `poll` waits for the group, however short its timeout."""

    def __init__(self, address, topic, group):
        super().__init__(daemon=True)
        self.consumer = consumer_of(address, topic, group=group)
        self.partitions, self.values, self.stopping = 0, [], False
        self.start()

    def run(self):
        while not self.stopping:
            for found in self.consumer.poll(100).values():
                self.values.extend(record.value for record in found)
            self.partitions = len(self.consumer.assignment())

    def stop(self):
        self.stopping = True
        self.join(30)
        return self.consumer


@case("group")
def groups(address):
    topic = group = "kafka-python-group"
    create(address, topic, 4)
    first = Member(address, topic, group)
    until(lambda: first.partitions == 4)
    second = Member(address, topic, group)
    until(lambda: first.partitions == 2 and second.partitions == 2)
    second.stop().close()
    until(lambda: first.partitions == 4)
    produce(address, topic, VALUES)
    until(lambda: len(first.values) >= RECORDS)
    assert first.values == VALUES
    partition = TopicPartition(topic, 0)
    consumer = first.stop()
    consumer.seek(partition, 60)
    consumer.commit()
    consumer.close()
    resumed = consumer_of(address, topic, group=group)
    assert [record.value for record in read(resumed, RECORDS - 60)] == VALUES[60:]
    resumed.commit()
    assert resumed.committed(partition) == RECORDS
    resumed.close()


@case("admin")
def administering(address):
    topic = "kafka-python-admin"
    create(address, topic, 1, retention_ms="3600000")
    admin = admin_of(address)
    resource = ConfigResource(ConfigResourceType.TOPIC, topic)
    assert "3600000" in repr(admin.describe_configs([resource]))
    changed = ConfigResource(ConfigResourceType.TOPIC, topic, configs={"retention.ms": "7200000"})
    admin.alter_configs([changed])
    assert "7200000" in repr(admin.describe_configs([resource]))
    admin.create_partitions({topic: NewPartitions(3)})
    consumer = consumer_of(address)
    until(lambda: len(consumer.partitions_for_topic(topic) or ()) == 3)
    consumer.close()
    produce(address, topic, VALUES)
    committing(address, topic)
    assert "kafka-python-admin" in repr(admin.list_consumer_groups() if VERSION < (3,) else admin.list_groups())
    admin.delete_topics([topic])
    admin.close()


def committing(address, topic):
    consumer = consumer_of(address, topic, group="kafka-python-admin")
    read(consumer, RECORDS)
    consumer.commit()
    consumer.close()


@case("errors")
def refusals(address):
    topic = "kafka-python-errors"
    create(address, topic, 1, max_message_bytes="2000")
    refused_with("MessageSizeTooLarge", lambda: produce(address, topic, [b"x" * 4000]))
    refused_with("TopicAlreadyExists", lambda: create(address, topic))
    refused_with("InvalidConfig", lambda: create(address, "kafka-python-errors-2", retention_ms="never"))
    refused_with("InvalidPartitions", lambda: create(address, "kafka-python-errors-2", 0))
    admin = admin_of(address)
    refused_with("UnknownTopicOrPartition", lambda: admin.delete_topics(["kafka-python-errors-gone"]))
    admin.close()
