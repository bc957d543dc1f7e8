package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/IBM/sarama"
)

var saramaCases = []testCase{
	{"produce", saramaProduce},
	{"consume", saramaConsume},
	{"group", saramaGroup},
	{"admin", saramaAdmin},
	{"errors", saramaErrors},
}

func saramaConfig() *sarama.Config {
	config := sarama.NewConfig()
	config.Version = sarama.V2_1_0_0
	config.Producer.Return.Successes = true
	config.Producer.RequiredAcks = sarama.WaitForAll
	config.Producer.Partitioner = sarama.NewManualPartitioner
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	config.Consumer.MaxWaitTime = 200 * time.Millisecond
	return config
}

func saramaCreate(address, topic string, partitions int32, entries map[string]*string) error {
	admin, err := sarama.NewClusterAdmin([]string{address}, saramaConfig())
	if err != nil {
		return err
	}
	defer admin.Close()
	detail := &sarama.TopicDetail{NumPartitions: partitions, ReplicationFactor: 1, ConfigEntries: entries}
	return admin.CreateTopic(topic, detail, false)
}

// saramaSend gives the offset of the first record.
func saramaSend(address, topic string, values []string, config *sarama.Config) (int64, error) {
	producer, err := sarama.NewSyncProducer([]string{address}, config)
	if err != nil {
		return 0, err
	}
	defer producer.Close()
	messages := make([]*sarama.ProducerMessage, len(values))
	for n, v := range values {
		messages[n] = &sarama.ProducerMessage{
			Topic: topic, Key: sarama.StringEncoder(fmt.Sprint(n)), Value: sarama.StringEncoder(v),
			Headers: []sarama.RecordHeader{{Key: []byte("n"), Value: []byte(fmt.Sprint(n))}},
		}
	}
	if err := producer.SendMessages(messages); err != nil {
		if failed, several := err.(sarama.ProducerErrors); several {
			return 0, failed[0].Err
		}
		return 0, err
	}
	return messages[0].Offset, nil
}

func allValues() []string {
	values := make([]string, records)
	for n := range values {
		values[n] = value(n)
	}
	return values
}

func saramaProduce(address string) error {
	topic := "sarama-produce"
	if err := saramaCreate(address, topic, 1, nil); err != nil {
		return err
	}
	var expected int64
	codecs := []sarama.CompressionCodec{
		sarama.CompressionNone, sarama.CompressionGZIP, sarama.CompressionSnappy, sarama.CompressionLZ4, sarama.CompressionZSTD,
	}
	for _, codec := range codecs {
		config := saramaConfig()
		config.Producer.Compression = codec
		if offset, err := saramaSend(address, topic, allValues(), config); err != nil || offset != expected {
			return fmt.Errorf("codec %v: offset %d, %v", codec, offset, err)
		}
		expected += records
	}
	for _, acks := range []sarama.RequiredAcks{sarama.WaitForLocal, sarama.NoResponse} {
		config := saramaConfig()
		config.Producer.RequiredAcks = acks
		if _, err := saramaSend(address, topic, allValues(), config); err != nil {
			return fmt.Errorf("acks %v: %w", acks, err)
		}
		expected += records
	}
	config := saramaConfig()
	config.Producer.Idempotent = true
	config.Net.MaxOpenRequests = 1
	if offset, err := saramaSend(address, topic, allValues(), config); err != nil || offset != expected {
		return fmt.Errorf("idempotent: offset %d of %d, %v", offset, expected, err)
	}
	return nil
}

func saramaConsume(address string) error {
	topic := "sarama-consume"
	before := time.Now().Add(-time.Second).UnixNano() / int64(time.Millisecond)
	if err := saramaCreate(address, topic, 1, nil); err != nil {
		return err
	}
	config := saramaConfig()
	config.Producer.Compression = sarama.CompressionGZIP
	if _, err := saramaSend(address, topic, allValues(), config); err != nil {
		return err
	}
	client, err := sarama.NewClient([]string{address}, config)
	if err != nil {
		return err
	}
	defer client.Close()
	for time, expected := range map[int64]int64{sarama.OffsetOldest: 0, sarama.OffsetNewest: records, before: 0} {
		if offset, err := client.GetOffset(topic, 0, time); err != nil || offset != expected {
			return fmt.Errorf("offset of time %d: %d, %v", time, offset, err)
		}
	}
	consumer, err := sarama.NewConsumerFromClient(client)
	if err != nil {
		return err
	}
	defer consumer.Close()
	partition, err := consumer.ConsumePartition(topic, 0, 40)
	if err != nil {
		return err
	}
	defer partition.Close()
	for n := 40; n < records; n++ {
		select {
		case m := <-partition.Messages():
			if string(m.Value) != value(n) || string(m.Headers[0].Value) != fmt.Sprint(n) {
				return fmt.Errorf("record %d is %q", n, m.Value)
			}
		case <-time.After(20 * time.Second):
			return fmt.Errorf("no record %d", n)
		}
	}
	return nil
}

// saramaMember is one member of a group, which joins again after each rebalance until it leaves.
type saramaMember struct {
	lock   sync.Mutex
	claims int
	read   []string
	upTo   int64
	cancel context.CancelFunc
	done   chan error
	group  sarama.ConsumerGroup
}

func saramaJoin(address, groupID, topic string, upTo int64) (*saramaMember, error) {
	group, err := sarama.NewConsumerGroup([]string{address}, groupID, saramaConfig())
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	member := &saramaMember{upTo: upTo, cancel: cancel, done: make(chan error, 1), group: group}
	go func() {
		var err error
		for err == nil && ctx.Err() == nil {
			err = group.Consume(ctx, []string{topic}, member)
		}
		member.done <- err
	}()
	return member, nil
}

func (m *saramaMember) leave() error {
	m.cancel()
	<-m.done
	return m.group.Close()
}

func (m *saramaMember) has(claims int) bool {
	m.lock.Lock()
	defer m.lock.Unlock()
	return m.claims == claims
}

func (m *saramaMember) values() []string {
	m.lock.Lock()
	defer m.lock.Unlock()
	return append([]string(nil), m.read...)
}

func (m *saramaMember) Setup(session sarama.ConsumerGroupSession) error {
	m.lock.Lock()
	defer m.lock.Unlock()
	m.claims = 0
	for _, partitions := range session.Claims() {
		m.claims += len(partitions)
	}
	return nil
}

func (m *saramaMember) Cleanup(sarama.ConsumerGroupSession) error { return nil }

func (m *saramaMember) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for message := range claim.Messages() {
		m.lock.Lock()
		m.read = append(m.read, string(message.Value))
		m.lock.Unlock()
		if message.Offset < m.upTo {
			session.MarkMessage(message, "")
		}
	}
	return nil
}

func saramaGroup(address string) error {
	topic, groupID := "sarama-group", "sarama-group"
	if err := saramaCreate(address, topic, 4, nil); err != nil {
		return err
	}
	one, err := saramaJoin(address, groupID, topic, 60)
	if err != nil {
		return err
	}
	waitFor := func(what string, done func() bool) error {
		return until(what, func() (bool, error) { return done(), nil })
	}
	if err := waitFor("all partitions", func() bool { return one.has(4) }); err != nil {
		return err
	}
	two, err := saramaJoin(address, groupID, topic, 60)
	if err != nil {
		return err
	}
	if err := waitFor("halves", func() bool { return one.has(2) && two.has(2) }); err != nil {
		return err
	}
	var resumed *saramaMember
	return first(
		step{"leave", two.leave},
		step{"all again", func() error { return waitFor("all", func() bool { return one.has(4) }) }},
		step{"send", func() error { _, err := saramaSend(address, topic, allValues(), saramaConfig()); return err }},
		step{"read", func() error {
			return waitFor("all records", func() bool { return len(one.values()) == records })
		}},
		step{"leave", one.leave},
		step{"resume", func() (err error) {
			resumed, err = saramaJoin(address, groupID, topic, records)
			return err
		}},
		step{"read the rest", func() error {
			return waitFor("the rest", func() bool { return len(resumed.values()) >= records-60 })
		}},
		step{"leave", func() error { return resumed.leave() }},
		step{"compare", func() error {
			if found := resumed.values(); found[0] != value(60) || len(found) != records-60 {
				return fmt.Errorf("%d records from %q", len(found), found[0])
			}
			return nil
		}},
		step{"committed", func() error { return saramaCommitted(address, groupID, topic, records) }},
	)
}

func saramaCommitted(address, groupID, topic string, expected int64) error {
	client, err := sarama.NewClient([]string{address}, saramaConfig())
	if err != nil {
		return err
	}
	defer client.Close()
	coordinator, err := client.Coordinator(groupID)
	if err != nil {
		return err
	}
	request := &sarama.OffsetFetchRequest{Version: 1, ConsumerGroup: groupID}
	request.AddPartition(topic, 0)
	answer, err := coordinator.FetchOffset(request)
	if err != nil {
		return err
	}
	if offset := answer.GetBlock(topic, 0).Offset; offset != expected {
		return fmt.Errorf("committed %d of %d", offset, expected)
	}
	return nil
}

func saramaAdmin(address string) error {
	topic, hour, twoHours := "sarama-admin", "3600000", "7200000"
	if err := saramaCreate(address, topic, 1, map[string]*string{"retention.ms": &hour}); err != nil {
		return err
	}
	admin, err := sarama.NewClusterAdmin([]string{address}, saramaConfig())
	if err != nil {
		return err
	}
	defer admin.Close()
	retentionIs := func(expected string) func() error {
		return func() error {
			resource := sarama.ConfigResource{Type: sarama.TopicResource, Name: topic, ConfigNames: []string{"retention.ms"}}
			entries, err := admin.DescribeConfig(resource)
			if err != nil || len(entries) != 1 || entries[0].Value != expected {
				return fmt.Errorf("%v, %v", entries, err)
			}
			return nil
		}
	}
	return first(
		step{"describe", retentionIs(hour)},
		step{"alter", func() error {
			return admin.AlterConfig(sarama.TopicResource, topic, map[string]*string{"retention.ms": &twoHours}, false)
		}},
		step{"describe again", retentionIs(twoHours)},
		step{"partitions", func() error { return admin.CreatePartitions(topic, 3, nil, false) }},
		step{"send", func() error { _, err := saramaSend(address, topic, allValues(), saramaConfig()); return err }},
		step{"delete records", func() error { return admin.DeleteRecords(topic, map[int32]int64{0: 30}) }},
		step{"delete", func() error { return admin.DeleteTopic(topic) }},
	)
}

func saramaErrors(address string) error {
	topic, small, never := "sarama-errors", "2000", "never"
	if err := saramaCreate(address, topic, 1, map[string]*string{"max.message.bytes": &small}); err != nil {
		return err
	}
	create := func(name string, partitions int32, entries map[string]*string) func() error {
		return func() error { return saramaCreate(address, name, partitions, entries) }
	}
	refused := func(expected error, work func() error) func() error {
		return func() error { return refusedWith(expected, work()) }
	}
	return first(
		step{"too large", refused(sarama.ErrMessageSizeTooLarge, func() error {
			_, err := saramaSend(address, topic, []string{string(make([]byte, 4000))}, saramaConfig())
			return err
		})},
		step{"there already", refused(sarama.ErrTopicAlreadyExists, create(topic, 1, nil))},
		step{"wrong name", refused(sarama.ErrInvalidTopic, create("sarama errors", 1, nil))},
		step{"wrong config", refused(sarama.ErrInvalidConfig,
			create("sarama-errors-2", 1, map[string]*string{"retention.ms": &never}))},
		step{"no partitions", refused(sarama.ErrInvalidPartitions, create("sarama-errors-2", 0, nil))},
	)
}
