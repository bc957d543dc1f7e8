"""confluent-kafka: librdkafka with its own admin client."""

import time

from confluent_kafka import (
    Consumer,
    ConsumerGroupTopicPartitions,
    KafkaError,
    KafkaException,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, ConfigResource, NewPartitions, NewTopic

from cases import CODECS, RECORDS, VALUES, case, dotted, end_after, until, version_of

VERSION = version_of("confluent-kafka")


def admin_of(address):
    return AdminClient({"bootstrap.servers": address})


def create(address, topic, partitions=1, **config):
    new = NewTopic(topic, num_partitions=partitions, replication_factor=1, config=dotted(config))
    admin = admin_of(address)
    admin.create_topics([new])[topic].result(20)


def produce(address, topic, values, partition=0, **settings):
    """The offsets at which the broker says the records are; an error of the first that failed."""
    producer = Producer({"bootstrap.servers": address, "linger.ms": 5, **dotted(settings)})
    offsets, refused = [], []

    def report(error, message):
        if error:
            refused.append(error)
        else:
            offsets.append(message.offset())

    for n, value in enumerate(values):
        producer.produce(topic, value, key=str(n), headers=[("n", str(n))], partition=partition, on_delivery=report)
    assert producer.flush(30) == 0
    if refused:
        raise KafkaException(refused[0])
    return offsets


def read(consumer, count):
    records = []

    def enough():
        message = consumer.poll(0.2)
        if message is not None:
            assert message.error() is None, message.error()
            records.append(message)
        return len(records) >= count

    until(enough)
    return records


def consumer_of(address, group, **settings):
    common = {"bootstrap.servers": address, "auto.offset.reset": "earliest", "enable.auto.commit": False}
    return Consumer({**common, "group.id": group, **dotted(settings)})


def code_of(work):
    """The name of the error code that `work` ends with."""
    try:
        work()
    except KafkaException as error:
        return error.args[0].name()
    return "NO_ERROR"


@case("produce")
def producing(address):
    topic = "confluent-produce"
    create(address, topic)
    end = 0
    for codec in ["none", *CODECS]:
        end = end_after(end, produce(address, topic, VALUES, compression_type=codec))
    for acks in ["0", "1", "all"]:
        produce(address, topic, VALUES, acks=acks)
        end += RECORDS
    end_after(end, produce(address, topic, VALUES, enable_idempotence=True))


@case("consume")
def consuming(address):
    topic = "confluent-consume"
    create(address, topic, 2)
    before = int(time.time() * 1000) - 1000
    produce(address, topic, VALUES, compression_type="lz4")
    consumer = consumer_of(address, "confluent-consume")
    assert consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=30) == (0, RECORDS)
    found = consumer.offsets_for_times([TopicPartition(topic, 0, before)], timeout=30)
    assert found[0].offset == 0, found
    consumer.assign([TopicPartition(topic, 0, 40)])
    records = read(consumer, RECORDS - 40)
    assert [record.value() for record in records] == VALUES[40:]
    assert records[0].headers() == [("n", b"40")] and records[0].key() == b"40"
    consumer.seek(TopicPartition(topic, 0, 90))
    assert [record.value() for record in read(consumer, 10)] == VALUES[90:]
    consumer.close()


def groups(address, protocol):
    topic = group = f"confluent-group-{protocol}"
    create(address, topic, 4)
    settings = {} if protocol == "default" else {"group_protocol": protocol}
    first = consumer_of(address, group, **settings)
    first.subscribe([topic])
    until(lambda: first.poll(0.2) or len(first.assignment()) == 4)
    second = consumer_of(address, group, **settings)
    second.subscribe([topic])

    def shared():
        polled = first.poll(0.1), second.poll(0.1)
        assert not any(message and message.error() for message in polled), polled
        return len(first.assignment()) == 2 and len(second.assignment()) == 2

    until(shared)
    second.close()
    until(lambda: first.poll(0.2) or len(first.assignment()) == 4)
    produce(address, topic, VALUES)
    assert [record.value() for record in read(first, RECORDS)] == VALUES
    first.commit(offsets=[TopicPartition(topic, 0, 60)], asynchronous=False)
    first.close()

    resumed = consumer_of(address, group, **settings)
    resumed.subscribe([topic])
    assert [record.value() for record in read(resumed, RECORDS - 60)] == VALUES[60:]
    resumed.commit(asynchronous=False)
    assert resumed.committed([TopicPartition(topic, 0)], timeout=30)[0].offset == RECORDS
    resumed.close()
    admin = admin_of(address)
    described = admin.describe_consumer_groups([group])[group].result(30)
    assert described.state.name == "EMPTY", described.state
    assert group in {found.group_id for found in admin.list_consumer_groups().result(30).valid}
    move_offset(admin, group, topic, 30)
    admin.delete_consumer_groups([group])[group].result(30)


@case("group")
def group_of_the_classic_protocol(address):
    groups(address, "default")


if VERSION >= (2, 10):

    @case("group-consumer-protocol")
    def group_of_the_consumer_protocol(address):
        groups(address, "consumer")


@case("admin")
def administering(address):
    topic = "confluent-admin"
    admin = admin_of(address)
    create(address, topic, 1, retention_ms="3600000")
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic)
    described = admin.describe_configs([resource])[resource].result(30)
    assert described["retention.ms"].value == "3600000" and not described["retention.ms"].is_default
    changed = ConfigResource(ConfigResource.Type.TOPIC, topic, set_config={"retention.ms": "7200000"})
    admin.alter_configs([changed])[changed].result(30)
    described = admin.describe_configs([resource])[resource].result(30)
    assert described["retention.ms"].value == "7200000"
    admin.create_partitions([NewPartitions(topic, 3)])[topic].result(30)
    until(lambda: len(admin.list_topics(topic, timeout=30).topics[topic].partitions) == 3)
    produce(address, topic, VALUES)
    if VERSION >= (2, 4):
        deleted = admin.delete_records([TopicPartition(topic, 0, 30)])
        assert list(deleted.values())[0].result(30).low_watermark == 30
    offsets_of_groups(admin, address, topic)
    admin.delete_topics([topic])[topic].result(30)
    until(lambda: topic not in admin.list_topics(timeout=30).topics)


def offsets_of_groups(admin, address, topic):
    group = "confluent-admin"
    consumer = consumer_of(address, group)
    consumer.commit(offsets=[TopicPartition(topic, 0, 50)], asynchronous=False)
    consumer.close()
    move_offset(admin, group, topic, 70)
    admin.delete_consumer_groups([group])[group].result(30)


def move_offset(admin, group, topic, offset):
    """An administrator moves what a group without members committed, whichever protocol it spoke."""
    moved = ConsumerGroupTopicPartitions(group, [TopicPartition(topic, 0, offset)])
    admin.alter_consumer_group_offsets([moved])[group].result(30)
    asked = ConsumerGroupTopicPartitions(group, [TopicPartition(topic, 0)])
    listed = admin.list_consumer_group_offsets([asked])[group].result(30)
    assert listed.topic_partitions[0].offset == offset, listed.topic_partitions


@case("errors")
def refusals(address):
    topic = "confluent-errors"
    admin = admin_of(address)
    create(address, topic, 1, max_message_bytes="2000")
    assert code_of(lambda: produce(address, topic, [b"x" * 4000])) == "MSG_SIZE_TOO_LARGE"
    assert code_of(lambda: create(address, topic)) == "TOPIC_ALREADY_EXISTS"
    assert code_of(lambda: create(address, "confluent errors")) == "TOPIC_EXCEPTION"
    assert code_of(lambda: create(address, "confluent-errors-2", retention_ms="never")) == "INVALID_CONFIG"
    assert code_of(lambda: create(address, "confluent-errors-2", 0)) == "INVALID_PARTITIONS"
    gone = "confluent-errors-gone"
    assert code_of(lambda: admin.delete_topics([gone])[gone].result(30)) == "UNKNOWN_TOPIC_OR_PART"
    assert code_of(lambda: admin.delete_consumer_groups([gone])[gone].result(30)) == "GROUP_ID_NOT_FOUND"
    consumer = consumer_of(address, gone)
    consumer.subscribe([gone])
    message = until(lambda: consumer.poll(1))
    assert message.error().code() == KafkaError.UNKNOWN_TOPIC_OR_PART, message.error()
    consumer.close()
