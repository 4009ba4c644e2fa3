// Cost prints what a million events and their runs cost on AWS, and how many a second
// the hottest keys of the table take. It reads the usage that a story counted and the
// prices of the repository, and calls nothing. make cost runs it.
package main

import (
	"fmt"
	"io"
	"os"

	"theoneagents.app/agents/localstack/cost/bill"
)

func main() {
	if err := run(os.Stdout); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(out io.Writer) error {
	prices, err := bill.ReadPrices()
	if err != nil {
		return err
	}
	usage, err := bill.Recorded()
	if err != nil {
		return err
	}
	return bill.Print(out, prices, usage)
}
