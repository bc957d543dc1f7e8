package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/segmentio/kafka-go"
)

var kafkaGoCases = []testCase{
	{"produce", kafkaGoProduce},
	{"consume", kafkaGoConsume},
	{"group", kafkaGoGroup},
	{"admin", kafkaGoAdmin},
	{"errors", kafkaGoErrors},
}

func kafkaGoContext() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), 60*time.Second)
}

func kafkaGoClient(address string) *kafka.Client {
	return &kafka.Client{Addr: kafka.TCP(address), Timeout: 10 * time.Second, Transport: &kafka.Transport{}}
}

func kafkaGoCreate(address, topic string, partitions int, entries ...kafka.ConfigEntry) error {
	ctx, cancel := kafkaGoContext()
	defer cancel()
	config := kafka.TopicConfig{Topic: topic, NumPartitions: partitions, ReplicationFactor: 1, ConfigEntries: entries}
	request := &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{config}}
	answer, err := kafkaGoClient(address).CreateTopics(ctx, request)
	if err != nil {
		return err
	}
	return answer.Errors[topic]
}

func kafkaGoDelete(address, topic string) error {
	ctx, cancel := kafkaGoContext()
	defer cancel()
	answer, err := kafkaGoClient(address).DeleteTopics(ctx, &kafka.DeleteTopicsRequest{Topics: []string{topic}})
	if err != nil {
		return err
	}
	return answer.Errors[topic]
}

func kafkaGoSend(address, topic string, values []string, change func(*kafka.Writer)) error {
	ctx, cancel := kafkaGoContext()
	defer cancel()
	// A transport of its own: the default one remembers for a while which topics there were.
	writer := &kafka.Writer{
		Addr: kafka.TCP(address), Topic: topic, Transport: &kafka.Transport{},
		RequiredAcks: kafka.RequireAll, BatchTimeout: 10 * time.Millisecond,
		Balancer: kafka.BalancerFunc(func(kafka.Message, ...int) int { return 0 }),
	}
	if change != nil {
		change(writer)
	}
	defer writer.Close()
	messages := make([]kafka.Message, len(values))
	for n, v := range values {
		messages[n] = kafka.Message{
			Key: []byte(fmt.Sprint(n)), Value: []byte(v),
			Headers: []kafka.Header{{Key: "n", Value: []byte(fmt.Sprint(n))}},
		}
	}
	err := writer.WriteMessages(ctx, messages...)
	// Older ones do not say what is in it.
	if several, is := err.(kafka.WriteErrors); is {
		return several[0]
	}
	return err
}

func kafkaGoEnds(address, topic string) (first, last int64, err error) {
	conn, err := kafka.DialLeader(context.Background(), "tcp", address, topic, 0)
	if err != nil {
		return 0, 0, err
	}
	defer conn.Close()
	return conn.ReadOffsets()
}

func kafkaGoProduce(address string) error {
	topic := "kafka-go-produce"
	if err := kafkaGoCreate(address, topic, 1); err != nil {
		return err
	}
	ways := map[string]func(*kafka.Writer){
		"plain":    nil,
		"gzip":     func(w *kafka.Writer) { w.Compression = kafka.Gzip },
		"snappy":   func(w *kafka.Writer) { w.Compression = kafka.Snappy },
		"lz4":      func(w *kafka.Writer) { w.Compression = kafka.Lz4 },
		"zstd":     func(w *kafka.Writer) { w.Compression = kafka.Zstd },
		"acks one": func(w *kafka.Writer) { w.RequiredAcks = kafka.RequireOne },
		"acks not": func(w *kafka.Writer) { w.RequiredAcks = kafka.RequireNone },
	}
	for what, change := range ways {
		if err := kafkaGoSend(address, topic, allValues(), change); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
	}
	return until("all records", func() (bool, error) {
		_, last, err := kafkaGoEnds(address, topic)
		return last == int64(len(ways)*records), err
	})
}

func kafkaGoReader(address, topic string, change func(*kafka.ReaderConfig)) *kafka.Reader {
	config := kafka.ReaderConfig{
		Brokers: []string{address}, Topic: topic, StartOffset: kafka.FirstOffset,
		MaxWait: 200 * time.Millisecond, MinBytes: 1, MaxBytes: 1 << 20, RebalanceTimeout: 5 * time.Second,
	}
	change(&config)
	return kafka.NewReader(config)
}

func kafkaGoExpect(ctx context.Context, reader *kafka.Reader, from, to int) error {
	for n := from; n < to; n++ {
		message, err := reader.FetchMessage(ctx)
		if err != nil {
			return fmt.Errorf("record %d: %w", n, err)
		}
		if string(message.Value) != value(n) || message.Offset != int64(n) || string(message.Headers[0].Value) != fmt.Sprint(n) {
			return fmt.Errorf("record %d is %q at %d", n, message.Value, message.Offset)
		}
	}
	return nil
}

func kafkaGoConsume(address string) error {
	topic := "kafka-go-consume"
	if err := kafkaGoCreate(address, topic, 1); err != nil {
		return err
	}
	if err := kafkaGoSend(address, topic, allValues(), func(w *kafka.Writer) { w.Compression = kafka.Gzip }); err != nil {
		return err
	}
	if from, to, err := kafkaGoEnds(address, topic); err != nil || from != 0 || to != records {
		return fmt.Errorf("from %d to %d, %v", from, to, err)
	}
	ctx, cancel := kafkaGoContext()
	defer cancel()
	reader := kafkaGoReader(address, topic, func(c *kafka.ReaderConfig) { c.Partition = 0 })
	defer reader.Close()
	return first(
		step{"all", func() error { return kafkaGoExpect(ctx, reader, 0, records) }},
		step{"seek", func() error { return reader.SetOffset(90) }},
		step{"again", func() error { return kafkaGoExpect(ctx, reader, 90, records) }},
		step{"time", func() error { return reader.SetOffsetAt(ctx, time.Now().Add(-time.Minute)) }},
		step{"from time", func() error { return kafkaGoExpect(ctx, reader, 0, 10) }},
	)
}

// kafkaGoGroup: the second member of a group gets one of two partitions, and the group goes on where it committed.
func kafkaGoGroup(address string) error {
	topic := "kafka-go-group"
	if err := kafkaGoCreate(address, topic, 2); err != nil {
		return err
	}
	if err := kafkaGoSend(address, topic, allValues(), nil); err != nil {
		return err
	}
	ctx, cancel := kafkaGoContext()
	defer cancel()
	inGroup := func(c *kafka.ReaderConfig) { c.GroupID = "kafka-go-group" }
	reader := kafkaGoReader(address, topic, inGroup)
	for n := 0; n < 60; n++ {
		message, err := reader.FetchMessage(ctx)
		if err != nil {
			return fmt.Errorf("record %d: %w", n, err)
		}
		if err := reader.CommitMessages(ctx, message); err != nil {
			return fmt.Errorf("commit of record %d: %w", n, err)
		}
	}
	other := kafkaGoReader(address, topic, inGroup)
	err := until("the second member's rebalance", func() (bool, error) { return other.Stats().Rebalances > 0, nil })
	if err != nil {
		return err
	}
	if err := errors.Join(other.Close(), reader.Close()); err != nil {
		return err
	}
	resumed := kafkaGoReader(address, topic, inGroup)
	defer resumed.Close()
	return kafkaGoExpect(ctx, resumed, 60, records)
}

func kafkaGoAdmin(address string) error {
	topic := "kafka-go-admin"
	return first(
		step{"create", func() error {
			return kafkaGoCreate(address, topic, 3, kafka.ConfigEntry{ConfigName: "retention.ms", ConfigValue: "3600000"})
		}},
		step{"describe", func() error { return kafkaGoDescribed(address, topic, 3) }},
		step{"delete", func() error { return kafkaGoDelete(address, topic) }},
	)
}

// kafkaGoDescribed: the metadata has this broker as controller, and the topic with so many partitions.
func kafkaGoDescribed(address, topic string, partitions int) error {
	ctx, cancel := kafkaGoContext()
	defer cancel()
	found, err := kafkaGoClient(address).Metadata(ctx, &kafka.MetadataRequest{Topics: []string{topic}})
	if err != nil {
		return err
	}
	if controller := fmt.Sprintf("%s:%d", found.Controller.Host, found.Controller.Port); controller != address {
		return fmt.Errorf("controller %s", controller)
	}
	if len(found.Topics) != 1 || len(found.Topics[0].Partitions) != partitions {
		return fmt.Errorf("topics %v", found.Topics)
	}
	return nil
}

func kafkaGoErrors(address string) error {
	topic := "kafka-go-errors"
	small := kafka.ConfigEntry{ConfigName: "max.message.bytes", ConfigValue: "2000"}
	never := kafka.ConfigEntry{ConfigName: "retention.ms", ConfigValue: "never"}
	refused := func(expected error, work func() error) func() error {
		return func() error { return refusedWith(expected, work()) }
	}
	create := func(name string, partitions int, entries ...kafka.ConfigEntry) func() error {
		return func() error { return kafkaGoCreate(address, name, partitions, entries...) }
	}
	return first(
		step{"create", create(topic, 1, small)},
		step{"too large", refused(kafka.MessageSizeTooLarge, func() error {
			return kafkaGoSend(address, topic, []string{string(make([]byte, 4000))}, nil)
		})},
		step{"wrong name", refused(kafka.InvalidTopic, create("kafka-go errors", 1))},
		step{"wrong config", refused(kafka.InvalidConfiguration, create("kafka-go-errors-2", 1, never))},
		step{"no partitions", refused(kafka.InvalidPartitionNumber, create("kafka-go-errors-2", 0))},
		step{"gone", refused(kafka.UnknownTopicOrPartition, func() error { return kafkaGoDelete(address, "kafka-go-gone") })},
	)
}
