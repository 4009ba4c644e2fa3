package main

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"theoneagents.app/agents/events"
)

func TestARuleIsMadeOfFileNames(t *testing.T) {
	got, err := productRules(catalogue())
	if err != nil {
		t.Fatal(err)
	}
	want := []rule{
		{"agents", []string{"credits.low"}},
		{"canary", []string{"probe.sent"}},
		{"defend", []string{"alert.fired"}},
		{"hub", []string{"org.created", "subscription.changed"}},
		{"psa", []string{"ticket.created", "ticket.resolved"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rules (-want +got):\n%s", diff)
	}
}

func TestTheCatalogueFitsTheBus(t *testing.T) {
	rules, err := productRules(events.Files)
	if err != nil || len(rules) == 0 {
		t.Errorf("%d rules, err %v", len(rules), err)
	}
}

func TestRulesBeyondTheLimitsOfEventBridgeAreRefused(t *testing.T) {
	long, many := fstest.MapFS{}, fstest.MapFS{}
	for n := range 100 {
		long[fmt.Sprintf("psa/a_rather_long_event_type.%03d.json", n)] = &fstest.MapFile{}
	}
	for n := range maxRules + 1 {
		many[fmt.Sprintf("p%d/x.json", n)] = &fstest.MapFile{}
	}
	for name, files := range map[string]fstest.MapFS{"2048": long, "300": many} {
		if _, err := productRules(files); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("err = %v, want an error that names %s", err, name)
		}
	}
}
