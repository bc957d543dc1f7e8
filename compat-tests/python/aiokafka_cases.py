"""aiokafka: asyncio, a codec of its own (the older ones that of kafka-python)."""

import asyncio
import time
from functools import wraps

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from cases import CODECS, RECORDS, VALUES, case, described, dotted, end_after

try:
    from aiokafka.admin import NewPartitions, NewTopic
except ImportError:
    # Up to 0.8 it takes those of kafka-python, which it is made of.
    from kafka.admin import NewPartitions, NewTopic



def asynchronous(function):
    @wraps(function)
    def run(address):
        asyncio.run(asyncio.wait_for(function(address), 90))

    return run


async def admin_of(address):
    admin = AIOKafkaAdminClient(bootstrap_servers=address)
    await admin.start()
    return admin


async def create(address, topic, partitions=1, **config):
    """What CreateTopics answers."""
    admin = await admin_of(address)
    try:
        return await admin.create_topics([NewTopic(topic, partitions, 1, topic_configs=dotted(config))])
    finally:
        await admin.close()


async def produce(address, topic, values, **settings):
    producer = AIOKafkaProducer(bootstrap_servers=address, linger_ms=5, **settings)
    await producer.start()
    try:
        sent = [
            await producer.send(topic, value, key=b"%d" % n, headers=[("n", b"%d" % n)], partition=0)
            for n, value in enumerate(values)
        ]
        return [done.offset if done else -1 for done in await asyncio.gather(*sent)]
    finally:
        await producer.stop()


async def consumer_of(address, *topics, group=None, **settings):
    common = {"auto_offset_reset": "earliest", "enable_auto_commit": False}
    consumer = AIOKafkaConsumer(*topics, bootstrap_servers=address, group_id=group, **{**common, **settings})
    await consumer.start()
    return consumer


async def read(consumer, count):
    records = []
    while len(records) < count:
        batches = await consumer.getmany(timeout_ms=300)
        records.extend(record for found in batches.values() for record in found)
    return records


@case("produce")
@asynchronous
async def producing(address):
    topic = "aiokafka-produce"
    await create(address, topic)
    end = 0
    for codec in [None, *CODECS]:
        end = end_after(end, await produce(address, topic, VALUES, compression_type=codec))
    for acks in [0, 1, "all"]:
        await produce(address, topic, VALUES, acks=acks)
        end += RECORDS
    end_after(end, await produce(address, topic, VALUES, enable_idempotence=True))


@case("consume")
@asynchronous
async def consuming(address):
    topic = "aiokafka-consume"
    await create(address, topic, 2)
    before = int(time.time() * 1000) - 1000
    await produce(address, topic, VALUES, compression_type="gzip")
    consumer = await consumer_of(address)
    partition = TopicPartition(topic, 0)
    consumer.assign([partition])
    assert (await consumer.beginning_offsets([partition]))[partition] == 0
    assert (await consumer.end_offsets([partition]))[partition] == RECORDS
    assert (await consumer.offsets_for_times({partition: before}))[partition].offset == 0
    consumer.seek(partition, 40)
    records = await read(consumer, RECORDS - 40)
    assert [record.value for record in records] == VALUES[40:]
    assert list(records[0].headers) == [("n", b"40")] and records[0].key == b"40"
    await consumer.stop()


@case("group")
@asynchronous
async def groups(address):
    topic = group = "aiokafka-group"
    await create(address, topic, 4)
    first = await consumer_of(address, topic, group=group)
    second = await consumer_of(address, topic, group=group)
    while not (len(first.assignment()) == 2 and len(second.assignment()) == 2):
        await asyncio.gather(first.getmany(timeout_ms=100), second.getmany(timeout_ms=100))
    await second.stop()
    while len(first.assignment()) != 4:
        await first.getmany(timeout_ms=100)
    await produce(address, topic, VALUES)
    assert [record.value for record in await read(first, RECORDS)] == VALUES
    partition = TopicPartition(topic, 0)
    await first.commit({partition: 60})
    await first.stop()
    resumed = await consumer_of(address, topic, group=group)
    assert [record.value for record in await read(resumed, RECORDS - 60)] == VALUES[60:]
    await resumed.commit()
    assert await resumed.committed(partition) == RECORDS
    await resumed.stop()


@case("admin")
@asynchronous
async def administering(address):
    topic = "aiokafka-admin"
    await create(address, topic, 1)
    admin = await admin_of(address)
    await admin.create_partitions({topic: NewPartitions(3)})
    found = await admin.describe_topics([topic])
    assert len(found[0]["partitions"]) == 3, found
    await produce(address, topic, VALUES)
    consumer = await consumer_of(address, topic, group="aiokafka-admin")
    await read(consumer, RECORDS)
    await consumer.commit()
    offsets = await admin.list_consumer_group_offsets("aiokafka-admin")
    assert offsets[TopicPartition(topic, 0)].offset == RECORDS, offsets
    assert "aiokafka-admin" in [name for name, _ in await admin.list_consumer_groups()]
    await consumer.stop()
    await admin.delete_topics([topic])
    await admin.close()


@case("errors")
@asynchronous
async def refusals(address):
    topic = "aiokafka-errors"
    await create(address, topic, 1, max_message_bytes="2000")
    for expected, name, partitions, config in [
        (36, topic, 1, {}),
        (17, "aiokafka errors", 1, {}),
        (37, "aiokafka-errors-2", 0, {}),
        (40, "aiokafka-errors-2", 1, {"retention_ms": "never"}),
    ]:
        answer = await create(address, name, partitions, **config)
        assert answer.topic_errors[0][1] == expected, (expected, answer)
    try:
        await produce(address, topic, [b"x" * 4000])
    except Exception as error:
        assert "MessageSizeTooLarge" in described(error), described(error)
    else:
        raise AssertionError("a record over max.message.bytes was taken")
