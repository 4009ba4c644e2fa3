package bill

import (
	"math"
	"strings"
	"testing"
)

// prices are round, so that the test's figures can be computed by hand.
func prices() Prices {
	return Prices{USD: map[string]Price{
		"event": {USD: 1, Per: 1e6}, "archive": {USD: 0.1, Per: 1e9}, "archive_month": {USD: 0.1, Per: 1e9}, "message": {USD: 0.5, Per: 1e6},
		"invocation": {USD: 0.2, Per: 1e6}, "gigabyte_second": {USD: 0.00001, Per: 1}, "express": {USD: 1, Per: 1e6},
		"express_gigabyte_second": {USD: 0.00002, Per: 1}, "transition": {USD: 25, Per: 1e6}, "request": {USD: 1, Per: 1e6},
		"write": {USD: 0.625, Per: 1e6}, "read": {USD: 0.125, Per: 1e6}, "table_month": {USD: 0.25, Per: 1e9},
		"recovery_month": {USD: 0.2, Per: 1e9}, "backup_month": {USD: 0.1, Per: 1e9}, "log": {USD: 0.5, Per: 1e9}, "log_month": {USD: 0.5, Per: 1e9},
		"trace": {USD: 5, Per: 1e6},
	}}
}

func usage() Usage {
	return Usage{
		EventBytes: 1000, Starts: 1, Transitions: 2, Requests: 1, Products: 3, StoredBytes: 4000,
		Functions: map[string]Function{
			"dispatcher": {Invocations: 1, Calls: map[string]int{"DynamoDB.PutItem": 2, "SFN.StartExecution": 1}, Read: 1, Write: 5, LogBytes: 300},
			"runner": {
				Invocations: 1, Calls: map[string]int{"DynamoDB.BatchGetItem": 1, "DynamoDB.TransactWriteItems": 1, "Bedrock Runtime.Converse": 1},
				Read: 2, Write: 4, LogBytes: 800,
			},
			"tally":     {Invocations: 1, Calls: map[string]int{"DynamoDB.GetItem": 1, "DynamoDB.UpdateItem": 1}, Read: 1, Write: 1, LogBytes: 300},
			"approvals": {Invocations: 1, Calls: map[string]int{"DynamoDB.UpdateItem": 1}, Write: 1, LogBytes: 300},
		},
	}
}

func TestABillIsTheSumOfItsParts(t *testing.T) {
	t.Parallel()

	b := prices().Charge(usage())
	// The dispatcher works 0.5 + 3×2 + 2×5 + 25 ms, the runner 5 + 6×2 + 5 + 10 + 2000 + 3×150
	// ms, the tally 0.5 + 2×2 + 2×5, the function of the API 5 + 2 + 5. The watchdog looks at
	// the run, if it is under way, in 2×2 + 2×5 ms.
	const looks = 2.482 / 40
	want := []Line{
		{"EventBridge", 1},
		{"Archive, 30 days", 0.1 + 0.1},
		{"SQS", 1.2 * 0.5},
		{"Dispatcher", 0.02 + 0.25*0.0415*10},
		{"Express machine", 1 + 0.0625*2.5*20},
		{"Runner", 0.2 + 0.25*2.482*10},
		{"Tally", 0.02 + 0.25*0.0145*10},
		{"Watchdog", 0.002 + 0.25*(0.00005+looks*0.014)*10 + looks*0.125 + 3*looks*0.625},
		{"Standard machine", 50},
		{"API", 1 + 0.2 + 0.25*0.012*10},
		{"Writes", 11 * 0.625},
		{"Reads", 4 * 0.125},
		{"Logs, 30 days", 0.1*1 + 0.1*1 + 1.5 + 1},
		{"X-Ray", 0.25},
	}
	sum := 0.0
	for i, line := range b.Lines {
		if i >= len(want) || line.Name != want[i].Name || math.Abs(line.USD-want[i].USD) > 1e-9 {
			t.Errorf("line %d is %v, want %v", i, line, want[min(i, len(want)-1)])
		}
		sum += line.USD
	}
	if len(b.Lines) != len(want) || math.Abs(b.Total()-sum) > 1e-9 {
		t.Errorf("%d lines with the sum %v, want %d with %v", len(b.Lines), b.Total(), len(want), sum)
	}
	if math.Abs(b.Month-4*0.45) > 1e-9 || math.Abs(b.Backups-4*35*0.1) > 1e-9 || math.Abs(b.Kept(3)-sum-5.4) > 1e-9 {
		t.Errorf("a month costs %v, its backups %v, kept for three months %v", b.Month, b.Backups, b.Kept(3))
	}
}

func TestThePriceListIsComplete(t *testing.T) {
	t.Parallel()

	p, err := ReadPrices()
	if err != nil || p.Region != "us-east-1" || p.Date == "" || p.Source == "" {
		t.Fatalf("%+v, %v", p, err)
	}
	for name := range prices().USD {
		if price := p.USD[name]; price.USD <= 0 || price.Per <= 0 || price.Page == "" {
			t.Errorf("the price %s is %+v", name, price)
		}
	}
	if len(p.USD) != len(prices().USD) {
		t.Errorf("%d prices, want %d: one is not used", len(p.USD), len(prices().USD))
	}
	if got := p.of("write", 16); got != 10 {
		t.Errorf("16 write units cost %v, want 10", got)
	}
}

func TestAPatternHasNoIDs(t *testing.T) {
	t.Parallel()

	for key, want := range map[string]string{
		"ORG#org_ABC#RUNS":                     "ORG#…#RUNS",
		"ORG#org_a#AGENT#agent_01KK":           "ORG#…#AGENT#…",
		"ORG#org_a#AGENT#agent_01KK#completed": "ORG#…#AGENT#…#completed",
		"ORG#org_a#EXEC#exec_01KK":             "ORG#…#EXEC#…",
		"OPEN#3":                               "OPEN#…",
		"MONTH#2026-03":                        "MONTH#…",
		"20260309T142301#act_1":                "…#…",
		"META":                                 "META",
	} {
		if got := Pattern(key); got != want {
			t.Errorf("%s has the pattern %s, want %s", key, got, want)
		}
	}
}

func TestTheHottestKeyBoundsItsScope(t *testing.T) {
	t.Parallel()

	u := Usage{Keys: map[string]float64{
		"ORG#…#EXEC#… META": 3, "ORG#…#SEEN#… SEEN": 1, "ORG#…#STATS AGENT#…": 2, "by_agent ORG#…#AGENT#…": 1,
		"by_org ORG#…#RUNS": 1, "open OPEN#…": 2,
	}}
	for scope, want := range map[Scope]Bound{
		Agent: {1000, "by_agent ORG#…#AGENT#…"}, Org: {1000, "by_org ORG#…#RUNS"}, Region: {2000, "open OPEN#…"},
	} {
		if got := u.BoundOf(scope); got != want {
			t.Errorf("%s is bounded by %v, want %v", scope, got, want)
		}
	}
	delete(u.Keys, "by_agent ORG#…#AGENT#…")
	if got, want := u.BoundOf(Agent), (Bound{10_000, "ORG#…#STATS AGENT#…"}); got != want {
		t.Errorf("by its statistics, which many runs share, an agent is bounded by %v, want %v", got, want)
	}
	delete(u.Keys, "open OPEN#…")
	if got := u.BoundOf(Region); got.Key != "" || got.String() != "no bound" {
		t.Errorf("without a key the region is bounded by %v", got)
	}
	if got := (Bound{1234567.8, "k"}).String(); got != "1,234,567 by `k`" {
		t.Errorf("printed %s", got)
	}
}

func TestEachDifferenceOfAUsageIsNamed(t *testing.T) {
	t.Parallel()

	if d := usage().Differences(usage()); d != "" {
		t.Fatalf("a usage differs from itself: %s", d)
	}
	for want, change := range map[string]func(u *Usage, runner *Function){
		"runner, write units: recorded 4, counted 5":       func(_ *Usage, f *Function) { f.Write = 5 },
		"runner, read units: recorded 2, counted 1":        func(_ *Usage, f *Function) { f.Read = 1 },
		"runner, invocations":                              func(_ *Usage, f *Function) { f.Invocations = 2 },
		"runner, DynamoDB.GetItem: recorded 0, counted 1":  func(_ *Usage, f *Function) { f.Calls = map[string]int{"DynamoDB.GetItem": 1} },
		"runner, bytes of logs: recorded 800, counted 881": func(_ *Usage, f *Function) { f.LogBytes = 881 },
		"starts":      func(u *Usage, _ *Function) { u.Starts = 0 },
		"transitions": func(u *Usage, _ *Function) { u.Transitions = 3 },
		"requests":    func(u *Usage, _ *Function) { u.Requests = 0 },
		"calls of products: recorded 3, counted 2": func(u *Usage, _ *Function) { u.Products = 2 },
		"bytes stored": func(u *Usage, _ *Function) { u.StoredBytes = 3500 },
		"writes of by_org ORG#…#RUNS: recorded 0, counted 1": func(u *Usage, _ *Function) { u.Keys = map[string]float64{"by_org ORG#…#RUNS": 1} },
		"sweeper, invocations: recorded 0, counted 1":        func(u *Usage, _ *Function) { u.Functions["sweeper"] = Function{Invocations: 1} },
		"bytes of the event: recorded 1000, counted 1101":    func(u *Usage, _ *Function) { u.EventBytes = 1101 },
	} {
		u := usage()
		f := u.Functions["runner"]
		change(&u, &f)
		u.Functions["runner"] = f
		if d := usage().Differences(u); !strings.Contains(d, want) {
			t.Errorf("got %q, want %q", d, want)
		}
	}
	u := usage()
	u.EventBytes = 1100
	if d := usage().Differences(u); d != "" {
		t.Errorf("a tenth more bytes are a difference: %s", d)
	}
}
