package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/IBM/sarama"
)

const saramaTopic = "go-sarama"

func runSarama(address string) error {
	config := sarama.NewConfig()
	config.Version = sarama.V3_6_0_0
	config.Producer.Return.Successes = true
	config.Producer.Idempotent = true
	config.Producer.RequiredAcks = sarama.WaitForAll
	config.Net.MaxOpenRequests = 1
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	addresses := []string{address}

	admin, err := sarama.NewClusterAdmin(addresses, config)
	if err != nil {
		return err
	}
	defer admin.Close()
	detail := &sarama.TopicDetail{NumPartitions: 2, ReplicationFactor: 1}
	if err := admin.CreateTopic(saramaTopic, detail, false); err != nil {
		return fmt.Errorf("create: %w", err)
	}
	if err := admin.CreateTopic(saramaTopic, detail, false); !errors.Is(err, sarama.ErrTopicAlreadyExists) {
		return fmt.Errorf("create twice: %v", err)
	}
	if err := saramaProduce(addresses, config); err != nil {
		return fmt.Errorf("produce: %w", err)
	}
	if err := saramaGroup(addresses, config); err != nil {
		return fmt.Errorf("group: %w", err)
	}
	offsets, err := admin.ListConsumerGroupOffsets("go-sarama-group", map[string][]int32{saramaTopic: {0, 1}})
	if err != nil {
		return fmt.Errorf("group offsets: %w", err)
	}
	var committed int64
	for partition := int32(0); partition < 2; partition++ {
		committed += offsets.GetBlock(saramaTopic, partition).Offset
	}
	if committed != records {
		return fmt.Errorf("committed %d of %d", committed, records)
	}
	if err := admin.DeleteConsumerGroup("go-sarama-group"); err != nil {
		return fmt.Errorf("delete group: %w", err)
	}
	return admin.DeleteTopic(saramaTopic)
}

func saramaProduce(addresses []string, config *sarama.Config) error {
	producer, err := sarama.NewSyncProducer(addresses, config)
	if err != nil {
		return err
	}
	defer producer.Close()
	for n := 0; n < records; n++ {
		message := &sarama.ProducerMessage{Topic: saramaTopic, Value: sarama.StringEncoder(value(n))}
		if _, _, err := producer.SendMessage(message); err != nil {
			return err
		}
	}
	return nil
}

func saramaGroup(addresses []string, config *sarama.Config) error {
	group, err := sarama.NewConsumerGroup(addresses, "go-sarama-group", config)
	if err != nil {
		return err
	}
	defer group.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	handler := &saramaHandler{seen: map[string]int{}, values: make(chan string), done: make(chan struct{}), cancel: cancel}
	go handler.collect()
	if err := group.Consume(ctx, []string{saramaTopic}, handler); err != nil {
		return err
	}
	close(handler.values)
	<-handler.done
	return handler.check()
}

type saramaHandler struct {
	seen   map[string]int
	values chan string
	done   chan struct{}
	cancel context.CancelFunc
}

func (h *saramaHandler) collect() {
	defer close(h.done)
	for v := range h.values {
		h.seen[v]++
		if len(h.seen) == records {
			h.cancel()
		}
	}
}

func (h *saramaHandler) check() error {
	for n := 0; n < records; n++ {
		if h.seen[value(n)] != 1 {
			return fmt.Errorf("%q was read %d times", value(n), h.seen[value(n)])
		}
	}
	return nil
}

func (h *saramaHandler) Setup(sarama.ConsumerGroupSession) error   { return nil }
func (h *saramaHandler) Cleanup(sarama.ConsumerGroupSession) error { return nil }

func (h *saramaHandler) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for {
		select {
		case message, open := <-claim.Messages():
			if !open {
				return nil
			}
			session.MarkMessage(message, "")
			h.values <- string(message.Value)
		case <-session.Context().Done():
			session.Commit()
			return nil
		}
	}
}
