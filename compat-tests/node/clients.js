// KafkaJS against a broker: `clients.js ADDRESS`. Creates a topic, produces, consumes in a group, and looks at what
// it did with the admin API. Unmaintained and of old protocol versions: a floor of what must work.
'use strict'

const { CompressionTypes, Kafka, logLevel } = require('kafkajs')
const assert = require('node:assert')

const RECORDS = 100
const topic = 'node-kafkajs'
const groupId = 'node-kafkajs-group'
const values = Array.from({ length: RECORDS }, (_, n) => `value ${n}`)

async function run (address) {
  const kafka = new Kafka({ clientId: 'compat', brokers: [address], logLevel: logLevel.NOTHING })
  const admin = kafka.admin()
  await admin.connect()
  assert.equal(await admin.createTopics({ topics: [{ topic, numPartitions: 1 }] }), true)
  assert.equal(await admin.createTopics({ topics: [{ topic, numPartitions: 1 }] }), false, 'it is there already')

  const producer = kafka.producer({ idempotent: true })
  await producer.connect()
  const messages = values.map((value, n) => ({ key: String(n), value, headers: { n: String(n) } }))
  await producer.send({ topic, messages, acks: -1, compression: CompressionTypes.GZIP })
  await producer.disconnect()

  const read = await consume(kafka)
  assert.deepEqual(read.map(message => message.value.toString()), values)
  assert.equal(read[7].headers.n.toString(), '7')

  const offsets = await admin.fetchOffsets({ groupId, topics: [topic] })
  assert.equal(offsets[0].partitions[0].offset, String(RECORDS))
  const ends = await admin.fetchTopicOffsets(topic)
  assert.equal(ends[0].high, String(RECORDS))
  const groups = await admin.listGroups()
  assert.ok(groups.groups.some(group => group.groupId === groupId))
  await admin.deleteGroups([groupId])
  await admin.deleteTopics({ topics: [topic] })
  await admin.disconnect()
}

async function consume (kafka) {
  const consumer = kafka.consumer({ groupId, maxWaitTimeInMs: 200 })
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  const read = []
  await new Promise((resolve, reject) => {
    setTimeout(() => reject(new Error('not within 30 s')), 30000).unref()
    consumer.run({
      eachMessage: async ({ message }) => {
        read.push(message)
        if (read.length === RECORDS) resolve()
      }
    }).catch(reject)
  })
  await consumer.commitOffsets([{ topic, partition: 0, offset: String(RECORDS) }])
  await consumer.disconnect()
  return read
}

run(process.argv[2]).then(
  () => console.log('ok'),
  error => {
    console.error(error)
    process.exit(1)
  }
)
