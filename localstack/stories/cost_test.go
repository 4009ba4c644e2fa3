package stories_test

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
)

// A bill is the AWS usage of one run, added up from the log lines of the
// functions.
type bill struct {
	Invocations map[string]int
	Calls       map[string]int
	Read, Write float64
}

// An invocation is the log line of one invocation of a function.
type invocation struct {
	Message   string         `json:"msg"`
	Execution string         `json:"execution_id"`
	Messages  int            `json:"messages"`
	Calls     map[string]int `json:"calls"`
	Read      float64        `json:"read_units"`
	Write     float64        `json:"write_units"`
}

// lines returns a function's log lines since a time.
func (o *org) lines(function string, since time.Time) []invocation {
	o.t.Helper()
	var lines []invocation
	pages := cloudwatchlogs.NewFilterLogEventsPaginator(cloudwatchlogs.NewFromConfig(o.config), &cloudwatchlogs.FilterLogEventsInput{
		LogGroupName: aws.String("/aws/lambda/" + function), StartTime: aws.Int64(since.UnixMilli()),
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(o.t.Context())
		if err != nil {
			o.t.Fatal(err)
		}
		for _, e := range page.Events {
			var l invocation
			if json.Unmarshal([]byte(*e.Message), &l) == nil && l.Message == "invocation" {
				lines = append(lines, l)
			}
		}
	}
	return lines
}

// costs calls start, which starts one run, waits for the end of the run and
// returns its bill.
func (o *org) costs(start func()) bill {
	o.t.Helper()
	began, before := time.Now(), map[string]bool{}
	for _, x := range o.runs() {
		before[text(x, "id")] = true
	}
	start()
	exec := ""
	o.eventually("another run exists", func() bool {
		for _, x := range o.runs() {
			if !before[text(x, "id")] {
				exec = text(x, "id")
			}
		}
		return exec != ""
	})
	o.reaches(exec, "completed")
	b := bill{Invocations: map[string]int{}, Calls: map[string]int{}}
	o.eventually("both functions have logged", func() bool {
		b = bill{Invocations: map[string]int{}, Calls: map[string]int{}}
		for _, l := range o.lines(o.outputs.Stack["DispatcherFunctionName"], began) {
			b.add("dispatcher", l)
		}
		for _, l := range o.lines(o.outputs.Stack["RunnerFunctionName"], began) {
			if l.Execution == exec {
				b.add("runner", l)
			}
		}
		return b.Invocations["dispatcher"] > 0 && b.Invocations["runner"] > 0
	})
	waits, err := sfn.NewFromConfig(o.config).ListExecutions(o.t.Context(), &sfn.ListExecutionsInput{StateMachineArn: &o.outputs.Waits})
	if err != nil {
		o.t.Fatal(err)
	}
	for _, w := range waits.Executions {
		if strings.HasPrefix(*w.Name, exec) {
			o.t.Errorf("the run was handed to the Standard machine as %s", *w.Name)
		}
	}
	return b
}

func (b *bill) add(function string, l invocation) {
	b.Invocations[function]++
	for call, n := range l.Calls {
		b.Calls[call] += n
	}
	b.Read += l.Read
	b.Write += l.Write
}

// The budget is that of a run of three steps without waits, the second run of
// the month: the first also opens the month's balance. The table in
// shared/dynamo lists its parts.
//
//nolint:paralleltest // other stories would be on the bill.
func TestARunOfThreeStepsCostsNoMoreThanItsBudget(t *testing.T) {
	o := open(t).tenant(t)
	o.agent(note("one", "1"), note("two", "2"), note("three", "3"))
	ticket := func(more doc) func() {
		return func() {
			payload := doc{"ticket_id": "tkt_" + time.Now().Format("150405.000000000"), "subject": "VPN down"}
			maps.Copy(payload, more)
			o.publish("psa", "ticket.created", payload)
		}
	}
	o.costs(ticket(nil))
	for name, c := range map[string]struct {
		start       func()
		read, write float64
	}{
		"three actions":              {func() { o.escalate() }, 8, 17},
		"an answer, and two actions": {ticket(nil), 8, 20},
		// The fact is about a client that the process has not seen: it notes the client
		// once, so that an erasure finds it.
		"the same about a client": {ticket(doc{"client_id": "cli_acme"}), 8, 22},
	} {
		b := o.costs(c.start)
		// A publisher whose answer was lost publishes again: that delivery is measured too.
		for tries := 1; b.Invocations["dispatcher"] > 1 && tries < 3; tries++ {
			t.Logf("%s: the event was delivered twice: %+v", name, b)
			b = o.costs(c.start)
		}
		t.Logf("%s: %+v", name, b)
		if b.Invocations["dispatcher"] != 1 || b.Invocations["runner"] != 1 || b.Calls["SFN.StartExecution"] != 1 {
			t.Errorf("%s: invocations %v, starts %d; want one each", name, b.Invocations, b.Calls["SFN.StartExecution"])
		}
		if b.Read > c.read || b.Write > c.write {
			t.Errorf("%s: %v read and %v write units, want at most %v and %v", name, b.Read, b.Write, c.read, c.write)
		}
	}
}
