package dynamo

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"theoneagents.app/agents/shared/meter"
)

// count adds a call, and what it used, to the meter of the context.
//
// Write units are what the table says it charged; for a write that was refused,
// about which it says nothing, what the rule says. Read units follow from the
// size of what came back by the rule of AWS (see units), since emulators report
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

// units returns what reading this many bytes costs: one unit for each 4 KB that
// is begun, half of it when the newest state is not asked for. Nothing costs as
// much as one byte. A query rounds up once for each page, a get for each item.
func units(bytes int, strong bool) float64 {
	n := float64(max((bytes+4095)/4096, 1))
	if !strong {
		n /= 2
	}
	return n
}

// writeUnits returns what a refused write costs, whose item has this many bytes.
func writeUnits(bytes int) float64 { return float64(max((bytes+1023)/1024, 1)) }

// sizeOf returns the size of an item as AWS counts it: names and values in
// UTF-8, numbers two digits a byte and one more.
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

// numberSize returns the size of a whole number; zeros at its end cost nothing.
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
