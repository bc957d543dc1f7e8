package main

import (
	"context"
	"fmt"
	"time"

	"github.com/segmentio/kafka-go"
)

const kafkaGoTopic = "go-kafka-go"

func runKafkaGo(address string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 40*time.Second)
	defer cancel()
	client := &kafka.Client{Addr: kafka.TCP(address)}
	topic := kafka.TopicConfig{Topic: kafkaGoTopic, NumPartitions: 1, ReplicationFactor: 1}
	created, err := client.CreateTopics(ctx, &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{topic}})
	if err != nil {
		return fmt.Errorf("create: %w", err)
	}
	if err := created.Errors[kafkaGoTopic]; err != nil {
		return fmt.Errorf("create: %w", err)
	}
	if err := kafkaGoProduce(ctx, address); err != nil {
		return fmt.Errorf("produce: %w", err)
	}
	if err := kafkaGoGroup(ctx, address); err != nil {
		return fmt.Errorf("group: %w", err)
	}
	fetched, err := client.OffsetFetch(ctx, &kafka.OffsetFetchRequest{
		GroupID: "go-kafka-go-group", Topics: map[string][]int{kafkaGoTopic: {0}},
	})
	if err != nil {
		return fmt.Errorf("offsets: %w", err)
	}
	if committed := fetched.Topics[kafkaGoTopic][0].CommittedOffset; committed != records {
		return fmt.Errorf("committed %d of %d", committed, records)
	}
	_, err = client.DeleteTopics(ctx, &kafka.DeleteTopicsRequest{Topics: []string{kafkaGoTopic}})
	return err
}

func kafkaGoProduce(ctx context.Context, address string) error {
	writer := &kafka.Writer{
		Addr: kafka.TCP(address), Topic: kafkaGoTopic, RequiredAcks: kafka.RequireAll,
		Compression: kafka.Zstd, BatchTimeout: 10 * time.Millisecond,
	}
	defer writer.Close()
	messages := make([]kafka.Message, records)
	for n := range messages {
		messages[n] = kafka.Message{Key: []byte(fmt.Sprint(n)), Value: []byte(value(n))}
	}
	return writer.WriteMessages(ctx, messages...)
}

func kafkaGoGroup(ctx context.Context, address string) error {
	reader := kafka.NewReader(kafka.ReaderConfig{
		Brokers: []string{address}, GroupID: "go-kafka-go-group", Topic: kafkaGoTopic,
		StartOffset: kafka.FirstOffset, MaxWait: 200 * time.Millisecond,
	})
	defer reader.Close()
	for n := 0; n < records; n++ {
		message, err := reader.ReadMessage(ctx)
		if err != nil {
			return fmt.Errorf("record %d: %w", n, err)
		}
		if string(message.Value) != value(n) || message.Offset != int64(n) {
			return fmt.Errorf("record %d is %q at %d", n, message.Value, message.Offset)
		}
	}
	return nil
}
