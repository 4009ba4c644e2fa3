package correlation_test

import (
	"sync"
	"testing"

	"theoneagents.app/agents/shared/correlation"
	"theoneagents.app/agents/shared/id"
)

func TestInnerFieldsBeginAsTheOuterOnesAndChangeAlone(t *testing.T) {
	t.Parallel()
	outer := correlation.With(t.Context())
	correlation.Set(outer, func(f *correlation.Fields) { f.Request = "r" })
	inner := correlation.With(outer)
	correlation.Set(inner, func(f *correlation.Fields) { f.Org = "org_a" })
	if got := correlation.Of(inner); got != (correlation.Fields{Request: "r", Org: "org_a"}) {
		t.Errorf("inner %+v", got)
	}
	if got := correlation.Of(outer); got != (correlation.Fields{Request: "r"}) {
		t.Errorf("outer %+v", got)
	}
}

func TestAContextWithoutFieldsHasEmptyOnes(t *testing.T) {
	t.Parallel()
	correlation.Set(t.Context(), func(f *correlation.Fields) { f.Org = "org_a" })
	if got := correlation.Of(t.Context()); got != (correlation.Fields{}) {
		t.Errorf("%+v", got)
	}
}

func TestFieldsAreSafeForConcurrentUse(t *testing.T) {
	t.Parallel()
	ctx := correlation.With(t.Context())
	var wave sync.WaitGroup
	for range 20 {
		wave.Go(func() {
			correlation.Set(ctx, func(f *correlation.Fields) { f.Agent += "x" })
			correlation.Of(ctx)
		})
	}
	wave.Wait()
	if got := correlation.Of(ctx).Agent; got != id.Agent("xxxxxxxxxxxxxxxxxxxx") {
		t.Errorf("agent %q", got)
	}
}
