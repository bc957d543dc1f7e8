// KafkaJS against a broker: `clients.js newest|oldest ADDRESS` runs every case with that version of it. Unmaintained and of
// old protocol versions: a floor of what must work. For each case it prints `passed NAME` or `failed NAME: WHY`.
'use strict'

const assert = require('node:assert')

const [age, address] = process.argv.slice(2)
const { CompressionTypes, Kafka, logLevel } = require(`kafkajs-${age}`)

const RECORDS = 100
const values = Array.from({ length: RECORDS }, (_, n) => `value ${n}`)
const kafka = new Kafka({ clientId: 'compat', brokers: [address], logLevel: logLevel.NOTHING, retry: { retries: 8 } })
const cases = {}

async function withAdmin (work, settings) {
  const admin = kafka.admin(settings)
  await admin.connect()
  try {
    return await work(admin)
  } finally {
    await admin.disconnect()
  }
}

function create (topic, numPartitions = 1, configEntries = []) {
  return withAdmin(admin => admin.createTopics({
    waitForLeaders: true, topics: [{ topic, numPartitions, replicationFactor: 1, configEntries }]
  }))
}

// The base offsets that the broker answered.
async function produce (topic, sent, { acks = -1, compression = CompressionTypes.None, ...settings } = {}) {
  const producer = kafka.producer(settings)
  await producer.connect()
  try {
    const messages = sent.map((value, n) => ({ key: String(n), value, partition: 0, headers: { n: String(n) } }))
    const answers = await producer.send({ topic, messages, acks, compression })
    return (answers || []).map(answer => Number(answer.baseOffset))
  } finally {
    await producer.disconnect()
  }
}

function within (seconds, what, work) {
  return new Promise((resolve, reject) => {
    setTimeout(() => reject(new Error(`${what}: not within ${seconds} s`)), seconds * 1000).unref()
    work(resolve).catch(reject)
  })
}

// A member of a group, which counts how many partitions it was given and keeps what it reads.
async function member (groupId, topic) {
  const consumer = kafka.consumer({ groupId, maxWaitTimeInMs: 200, sessionTimeout: 10000, heartbeatInterval: 500 })
  const found = { consumer, read: [], partitions: -1 }
  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
    found.partitions = (payload.memberAssignment[topic] || []).length
  })
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  await consumer.run({ autoCommit: false, eachMessage: async ({ message }) => { found.read.push(message) } })
  return found
}

async function until (what, done) {
  for (let n = 0; n < 400; n++) {
    if (done()) return
    await new Promise(resolve => setTimeout(resolve, 100))
  }
  throw new Error(`${what}: not within 40 s`)
}

const texts = messages => messages.map(message => message.value.toString())

cases.produce = async () => {
  const topic = 'kafkajs-produce'
  await create(topic)
  assert.deepEqual(await produce(topic, values), [0])
  assert.deepEqual(await produce(topic, values, { compression: CompressionTypes.GZIP }), [RECORDS])
  await produce(topic, values, { acks: 1 })
  await produce(topic, values, { acks: 0 })
  assert.deepEqual(await produce(topic, values, { idempotent: true }), [4 * RECORDS])
}

cases.consume = async () => {
  const topic = 'kafkajs-consume'
  await create(topic)
  await produce(topic, values, { compression: CompressionTypes.GZIP })
  const { consumer, read } = await member('kafkajs-consume', topic)
  await until('all records', () => read.length >= RECORDS)
  assert.deepEqual(texts(read), values)
  assert.equal(read[7].headers.n.toString(), '7')
  assert.equal(read[7].key.toString(), '7')
  consumer.seek({ topic, partition: 0, offset: '90' })
  await until('ten records again', () => read.length >= RECORDS + 10)
  assert.deepEqual(texts(read.slice(RECORDS)), values.slice(90))
  await consumer.disconnect()
}

cases.group = async () => {
  const topic = 'kafkajs-group'
  const groupId = 'kafkajs-group'
  await create(topic, 4)
  const first = await member(groupId, topic)
  await until('all partitions', () => first.partitions === 4)
  const second = await member(groupId, topic)
  await until('halves', () => first.partitions === 2 && second.partitions === 2)
  await second.consumer.disconnect()
  await until('all partitions again', () => first.partitions === 4)
  await produce(topic, values)
  await until('all records', () => first.read.length >= RECORDS)
  assert.deepEqual(texts(first.read), values)
  await first.consumer.commitOffsets([{ topic, partition: 0, offset: '60' }])
  await first.consumer.disconnect()
  const resumed = await member(groupId, topic)
  await until('the rest', () => resumed.read.length >= RECORDS - 60)
  assert.deepEqual(texts(resumed.read), values.slice(60))
  await resumed.consumer.disconnect()
}

cases.admin = async () => {
  const topic = 'kafkajs-admin'
  await create(topic, 1, [{ name: 'retention.ms', value: '3600000' }])
  await withAdmin(async admin => {
    const resource = { type: 2, name: topic }
    const retention = async () => {
      const { resources } = await admin.describeConfigs({ includeSynonyms: false, resources: [resource] })
      return resources[0].configEntries.find(entry => entry.configName === 'retention.ms').configValue
    }
    assert.equal(await retention(), '3600000')
    const configEntries = [{ name: 'retention.ms', value: '7200000' }]
    await admin.alterConfigs({ validateOnly: false, resources: [{ ...resource, configEntries }] })
    assert.equal(await retention(), '7200000')
    await produce(topic, values)
    await admin.setOffsets({ groupId: 'kafkajs-admin', topic, partitions: [{ partition: 0, offset: '50' }] })
    await admin.deleteTopics({ topics: [topic] })
  })
}

// What the newer ones can do besides.
if (age === 'newest') {
  cases['admin-of-groups'] = async () => {
    const topic = 'kafkajs-admin-of-groups'
    const groupId = topic
    await create(topic)
    await withAdmin(async admin => {
      await admin.createPartitions({ topicPartitions: [{ topic, count: 3 }] })
      await produce(topic, values)
      await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '30' }] })
      const ends = await admin.fetchTopicOffsets(topic)
      const first = ends.find(end => end.partition === 0)
      assert.deepEqual([ends.length, first.low, first.high], [3, '30', String(RECORDS)])
      await admin.setOffsets({ groupId, topic, partitions: [{ partition: 0, offset: '50' }] })
      const offsets = await admin.fetchOffsets({ groupId, topics: [topic] })
      assert.equal(offsets[0].partitions.find(found => found.partition === 0).offset, '50')
      const { groups } = await admin.listGroups()
      assert.ok(groups.some(group => group.groupId === groupId))
      const described = await admin.describeGroups([groupId])
      assert.equal(described.groups[0].state, 'Empty')
      await admin.deleteGroups([groupId])
    })
  }
}

async function refusedWith (type, work) {
  await assert.rejects(work, error => {
    const found = [error, error.originalError, error.cause, ...(error.errors || [])].filter(Boolean)
    if (!found.some(one => one.type === type)) throw new Error(`${type} expected, not ${error.type} ${error}`)
    return true
  })
}

cases.errors = async () => {
  const topic = 'kafkajs-errors'
  await create(topic, 1, [{ name: 'max.message.bytes', value: '2000' }])
  await refusedWith('MESSAGE_TOO_LARGE', () => produce(topic, ['x'.repeat(4000)], { retry: { retries: 0 } }))
  assert.equal(await create(topic), false, 'it is there already')
  await refusedWith('INVALID_TOPIC_EXCEPTION', () => create('kafkajs errors'))
  await refusedWith('INVALID_CONFIG', () => create('kafkajs-errors-2', 1, [{ name: 'retention.ms', value: 'never' }]))
  await refusedWith('INVALID_PARTITIONS', () => create('kafkajs-errors-2', 0))
  await withAdmin(
    admin => refusedWith('UNKNOWN_TOPIC_OR_PARTITION', () => admin.deleteTopics({ topics: ['kafkajs-gone'] })),
    { retry: { retries: 0 } }
  )
}

async function main () {
  for (const [name, run] of Object.entries(cases)) {
    try {
      await within(60, name, resolve => run().then(resolve))
      console.log(`passed ${name}`)
    } catch (error) {
      console.error(error)
      console.log(`failed ${name}: ${String(error).replaceAll('\n', ' ')}`)
    }
  }
  process.exit(0)
}

main()
