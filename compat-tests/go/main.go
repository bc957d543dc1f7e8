// Go clients against a broker: `clients LIBRARY ADDRESS`. Each creates a topic, produces, consumes alone and in a
// group, commits, and looks at what it did with the admin API. Exit code 0 means that all of it was as it should be.
package main

import (
	"fmt"
	"os"
)

const records = 100

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: clients sarama|kafka-go ADDRESS")
		os.Exit(2)
	}
	libraries := map[string]func(address string) error{"sarama": runSarama, "kafka-go": runKafkaGo}
	library, known := libraries[os.Args[1]]
	if !known {
		fmt.Fprintln(os.Stderr, "no such library:", os.Args[1])
		os.Exit(2)
	}
	if err := library(os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, os.Args[1]+":", err)
		os.Exit(1)
	}
	fmt.Println("ok")
}

func value(n int) string {
	return fmt.Sprintf("value %d", n)
}
