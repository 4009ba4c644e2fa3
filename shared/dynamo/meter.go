package dynamo

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"theoneagents.app/agents/shared/meter"
)

// count adds a call and its units to the meter of the context.
//
// Write units are those that the table reports. The table reports none for a
// refused write; these follow from the rule of AWS. Read units follow from the
// size of the response by the rule of AWS (see units), since emulators report
// them wrongly.
func count(ctx context.Context, u meter.Units) { meter.Add(ctx, u) }

// charged returns the write units that a response reports.
func charged(consumed ...types.ConsumedCapacity) float64 {
	var sum float64
	for _, c := range consumed {
		if c.CapacityUnits != nil {
			sum += *c.CapacityUnits
		}
	}
	return sum
}

// units returns the cost of reading this many bytes: one unit for each 4 KB
// that is begun, half of it for an eventually consistent read. Zero bytes cost
// as much as one. A query rounds up once for each page, a get for each item.
func units(bytes int, strong bool) float64 {
	n := float64(max((bytes+4095)/4096, 1))
	if !strong {
		n /= 2
	}
	return n
}

// writeUnits returns the cost of a refused write to an item of this many bytes.
func writeUnits(bytes int) float64 { return float64(max((bytes+1023)/1024, 1)) }

// sizeOf returns the size of an item as AWS counts it: names and values in
// UTF-8, numbers with two digits a byte and one byte more.
func sizeOf(i item) int {
	n := 0
	for name, v := range i {
		n += len(name) + valueSize(v)
	}
	return n
}

// valueSize returns the size of a value; the items here have only these kinds.
func valueSize(v types.AttributeValue) int {
	switch v := v.(type) {
	case *types.AttributeValueMemberS:
		return len(v.Value)
	case *types.AttributeValueMemberN:
		return numberSize(v.Value)
	case *types.AttributeValueMemberB:
		return len(v.Value)
	}
	return 1 // a boolean or null
}

// numberSize returns the size of a whole number; trailing zeros cost nothing.
func numberSize(s string) int {
	sign := 0
	if s != "" && s[0] == '-' {
		s, sign = s[1:], 1
	}
	if s == "0" {
		return 1
	}
	for len(s) > 1 && s[len(s)-1] == '0' && s[len(s)-2] == '0' {
		s = s[:len(s)-2]
	}
	return 1 + (len(s)+1)/2 + sign
}
