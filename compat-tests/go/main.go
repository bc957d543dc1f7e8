// Go clients against a broker: `clients LIBRARY ADDRESS` runs every case of one library. For each it prints
// `passed NAME` or `failed NAME: WHY`. Compiled twice: with `go.mod`, the newest versions, and with `oldest.mod`.
package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
)

const records = 100

// A case has a name and gets the broker's address.
type testCase struct {
	name string
	run  func(address string) error
}

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: clients sarama|kafka-go ADDRESS")
		os.Exit(2)
	}
	libraries := map[string][]testCase{"sarama": saramaCases, "kafka-go": kafkaGoCases}
	cases, known := libraries[os.Args[1]]
	if !known {
		fmt.Fprintln(os.Stderr, "no such library:", os.Args[1])
		os.Exit(2)
	}
	for _, one := range cases {
		if err := within(90*time.Second, one.run, os.Args[2]); err != nil {
			fmt.Printf("failed %s: %s\n", one.name, strings.ReplaceAll(err.Error(), "\n", " "))
		} else {
			fmt.Println("passed", one.name)
		}
	}
}

func within(limit time.Duration, run func(string) error, address string) error {
	done := make(chan error, 1)
	go func() { done <- run(address) }()
	select {
	case err := <-done:
		return err
	case <-time.After(limit):
		return fmt.Errorf("not within %s", limit)
	}
}

// until asks every 100 ms.
func until(what string, done func() (bool, error)) error {
	for end := time.Now().Add(40 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if yes, err := done(); yes || err != nil {
			return err
		}
	}
	return fmt.Errorf("%s: not within 40 s", what)
}

func value(n int) string {
	return fmt.Sprintf("value %d", n)
}

// refusedWith is nil if the error is, or speaks of, the expected one.
func refusedWith(expected, err error) error {
	if err != nil && (errors.Is(err, expected) || strings.Contains(err.Error(), expected.Error())) {
		return nil
	}
	return fmt.Errorf("%q expected, not %v", expected, err)
}

// first gives the first error, with what was being done; the later steps are not run.
func first(steps ...step) error {
	for _, s := range steps {
		if err := s.run(); err != nil {
			return fmt.Errorf("%s: %w", s.what, err)
		}
	}
	return nil
}

type step struct {
	what string
	run  func() error
}
