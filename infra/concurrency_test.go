package main

import (
	"testing"
)

// An account of any size from the smallest on keeps what Lambda demands, and every
// function has a part of it.
func TestThePartsLeaveWhatLambdaDemands(t *testing.T) {
	for c := concurrency(leastConcurrency); c <= 20*accountConcurrency; c += 50 {
		sum := 0
		for _, f := range plan() {
			part := c.part(f.share)
			if part < 2 {
				t.Errorf("%d: %s has %d calls at a time, want 2 at least", c, f.name, part)
			}
			sum += part
		}
		if left := int(c) - sum; left < unreserved {
			t.Errorf("%d: %d stay unreserved, Lambda demands %d", c, left, unreserved)
		}
		events, undelivered := c.mappings()
		if room := c.part(planned(dispatcher).share); events < leastMapping || undelivered < leastMapping || events+undelivered > room {
			t.Errorf("%d: the mappings take %d and %d batches at a time, the dispatcher %d", c, events, undelivered, room)
		}
	}
}

func TestEveryFunctionHasItsPart(t *testing.T) {
	tmpl := inProduction(t)
	for _, f := range plan() {
		_, fn := tmpl.named(t, "AWS::Lambda::Function", "FunctionName", "one-agents-"+f.name)
		if got := number(t, fn.Properties["ReservedConcurrentExecutions"]); got != float64(f.share) {
			t.Errorf("%s has %v calls at a time, want %d", f.name, got, f.share)
		}
	}
	most := map[any]any{}
	mapped(t, tmpl, func(_ string, mapping, queue, _ resource) {
		most[queue.Properties["QueueName"]] = dig(mapping.Properties, "ScalingConfig", "MaximumConcurrency")
	})
	if most["one-agents-events"] != 55.0 || most["one-agents-undelivered"] != 5.0 {
		t.Errorf("the mappings take %v batches at a time, want 55 and 5", most)
	}
}

// A new account may have ten concurrent executions, of which none can be reserved.
func TestANewAccountReservesNothing(t *testing.T) {
	tmpl, err := synthesize(map[string]any{"concurrency": "0"})
	if err != nil {
		t.Fatal(err)
	}
	for id, fn := range tmpl.of("AWS::Lambda::Function") {
		if got := fn.Properties["ReservedConcurrentExecutions"]; got != nil {
			t.Errorf("%s reserves %v", id, got)
		}
	}
	mapped(t, tmpl, func(name string, mapping, _, _ resource) {
		if got := number(t, dig(mapping.Properties, "ScalingConfig", "MaximumConcurrency")); got < 2 || got > 5 {
			t.Errorf("%s takes %v batches at a time", name, got)
		}
	})
}
