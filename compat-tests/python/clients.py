"""Python clients against a broker: `clients.py LIBRARY ADDRESS`.

Each creates a topic, produces, consumes in a group, commits, and looks at what it did with the admin API.
Exit code 0 means that all of it was as it should be.
"""

import asyncio
import sys
import time

RECORDS = 100
VALUES = [b"value %d" % n for n in range(RECORDS)]


def deadline(seconds=30):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        yield
    raise TimeoutError(f"not within {seconds} s")


def confluent(address, protocol):
    """librdkafka 2.16: idempotent producer, either group protocol."""
    from confluent_kafka import Consumer, Producer, TopicPartition
    from confluent_kafka.admin import AdminClient, NewTopic

    topic = group = f"py-confluent-{protocol}"
    admin = AdminClient({"bootstrap.servers": address})
    admin.create_topics([NewTopic(topic, 1, 1)])[topic].result(20)

    refused = []
    producer = Producer({"bootstrap.servers": address, "enable.idempotence": True, "compression.type": "zstd"})
    for n, value in enumerate(VALUES):
        headers = [("n", str(n))]
        report = lambda error, _: refused.append(error) if error else None
        producer.produce(topic, value, key=str(n), headers=headers, on_delivery=report)
    assert producer.flush(20) == 0 and not refused, refused

    settings = {"bootstrap.servers": address, "group.id": group, "auto.offset.reset": "earliest"}
    consumer = Consumer({**settings, "enable.auto.commit": False, "group.protocol": protocol})
    consumer.subscribe([topic])
    read = []
    for _ in deadline():
        message = consumer.poll(0.2)
        if message is not None:
            assert message.error() is None, message.error()
            read.append(message)
        if len(read) == RECORDS:
            break
    assert [message.value() for message in read] == VALUES
    assert read[7].headers() == [("n", b"7")] and read[7].key() == b"7"
    consumer.commit(asynchronous=False)
    assert consumer.committed([TopicPartition(topic, 0)], timeout=10)[0].offset == RECORDS
    consumer.close()

    listed = {found.group_id: found for found in admin.list_consumer_groups().result(10).valid}
    assert listed[group].type.name == protocol.upper(), listed[group].type
    described = admin.describe_consumer_groups([group])[group].result(10)
    assert described.state.name == "EMPTY", described.state
    admin.delete_consumer_groups([group])[group].result(10)
    admin.delete_topics([topic])[topic].result(10)


def kafka_python(address):
    """kafka-python: its own codec of Kafka 4.3's schemas."""
    from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition

    topic = group = "py-kafka-python"
    admin = KafkaAdminClient(bootstrap_servers=address)
    admin.create_topics({topic: {"num_partitions": 1, "replication_factor": 1}})
    producer = KafkaProducer(bootstrap_servers=address, acks="all", compression_type="gzip")
    offsets = [producer.send(topic, value).get(10).offset for value in VALUES]
    assert offsets == list(range(RECORDS)), offsets
    producer.close()

    consumer = KafkaConsumer(
        topic, bootstrap_servers=address, group_id=group, auto_offset_reset="earliest", enable_auto_commit=False
    )
    read = []
    for _ in deadline():
        for records in consumer.poll(500).values():
            read.extend(record.value for record in records)
        if len(read) >= RECORDS:
            break
    assert read == VALUES
    consumer.commit()
    partition = TopicPartition(topic, 0)
    assert consumer.committed(partition) == RECORDS
    assert consumer.end_offsets([partition])[partition] == RECORDS
    assert consumer.beginning_offsets([partition])[partition] == 0
    consumer.close()
    admin.delete_topics([topic])
    admin.close()


def aiokafka(address):
    """aiokafka: asyncio, idempotent producer."""
    asyncio.run(aiokafka_run(address))


async def aiokafka_run(address):
    from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

    topic = group = "py-aiokafka"
    producer = AIOKafkaProducer(bootstrap_servers=address, enable_idempotence=True, compression_type="gzip")
    await producer.start()
    for value in VALUES:
        await producer.send(topic, value)
    await producer.stop()
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=address, group_id=group, auto_offset_reset="earliest", enable_auto_commit=False
    )
    await consumer.start()
    read = []
    for _ in deadline():
        batches = await consumer.getmany(timeout_ms=500)
        read.extend(record.value for records in batches.values() for record in records)
        if len(read) >= RECORDS:
            break
    assert read == VALUES
    await consumer.commit()
    assert await consumer.committed(TopicPartition(topic, 0)) == RECORDS
    await consumer.stop()


LIBRARIES = {
    "confluent-classic": lambda address: confluent(address, "classic"),
    "confluent-consumer": lambda address: confluent(address, "consumer"),
    "kafka-python": kafka_python,
    "aiokafka": aiokafka,
}

if __name__ == "__main__":
    LIBRARIES[sys.argv[1]](sys.argv[2])
    print("ok")
