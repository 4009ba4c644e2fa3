package stream_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"theoneagents.app/agents/shared/credit"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/machine"
	"theoneagents.app/agents/shared/stream"
)

var errTable = errors.New("no table")

// adder is a tally that remembers what it was given.
type adder struct {
	got    []execution.Contribution
	failed []int
	err    error
}

func (a *adder) Add(_ context.Context, all []execution.Contribution) ([]int, error) {
	a.got = append(a.got, all...)
	return a.failed, a.err
}

// record returns a record of the stream as Lambda delivers it.
func record(seq int, before, after string) string {
	old := ""
	if before != "" {
		old = `"OldImage": ` + before + `,`
	}
	return fmt.Sprintf(`{"eventID": "%d", "eventName": "MODIFY", "dynamodb": {"ApproximateCreationDateTime": 1773065000, %s
		"SequenceNumber": "%d", "StreamViewType": "NEW_AND_OLD_IMAGES", "NewImage": %s}}`, seq, old, seq, after)
}

// run returns the image of a run that has ended; contribution is its attribute.
func run(name, contribution string) string {
	more := ""
	if contribution != "" {
		text, err := json.Marshal(contribution)
		if err != nil {
			panic(err)
		}
		more = `"cn": {"S": ` + string(text) + `},`
	}
	return `{"pk": {"S": "ORG#org_a#EXEC#` + name + `"}, "sk": {"S": "META"}, "ag": {"S": "agent_a"}, "st": {"S": "completed"}, ` + more + `
		"v": {"N": "3"}, "c": {"N": "1773064000000000000"}, "s": {"N": "1773064001000000000"}, "e": {"N": "1773064003500000000"},
		"rev": {"N": "7"}, "r": {"BOOL": true}, "dn": {"L": [{"S": "appr_1"}]}, "mk": {"B": "AAAA"}}`
}

func handled(t *testing.T, a *adder, records ...string) (failed []string, reported []error) {
	t.Helper()
	var batch events.DynamoDBEvent
	if err := json.Unmarshal([]byte(`{"Records": [`+strings.Join(records, ",")+`]}`), &batch); err != nil {
		t.Fatal(err)
	}
	h := stream.Contributions{Tally: a, Report: func(_ context.Context, err error) { reported = append(reported, err) }}
	out, err := h.Handle(t.Context(), batch)
	if err != nil || out.BatchItemFailures == nil {
		t.Fatalf("%+v, %v", out, err)
	}
	for _, f := range out.BatchItemFailures {
		failed = append(failed, f.ItemIdentifier)
	}
	return failed, reported
}

func TestARecordBringsWhatItsChangeContributes(t *testing.T) {
	t.Parallel()

	const ending = "7e u2603s20"
	a := &adder{}
	failed, reported := handled(t, a, record(1, run("exec_1", ""), run("exec_1", ending)), record(2, "", run("exec_2", "7e")))
	if failed != nil || reported != nil {
		t.Fatal(failed, reported)
	}
	ended := time.Unix(1773064003, 500_000_000).UTC()
	want := execution.Contribution{
		Org: "org_a", Agent: "agent_a", Run: "exec_1", Revision: 7, At: time.Unix(1773065000, 0).UTC(),
		StatsDelta: execution.StatsDelta{
			Runs: 1, Completed: 1, Duration: 2500 * time.Millisecond, LastRun: ended,
			Used: []credit.Hold{{Month: "2026-03", Tier: credit.Standard, Amount: 20}},
		},
	}
	second := want
	second.Run, second.Used = "exec_2", nil
	if diff := cmp.Diff([]execution.Contribution{want, second}, a.got); diff != "" {
		t.Errorf("contributions (-want +got):\n%s", diff)
	}
}

// A release before 0.2, and a decision about an approval, leave the contribution of the
// change before in the record.
func TestAContributionCountsForTheChangeThatBroughtIt(t *testing.T) {
	t.Parallel()

	a := &adder{}
	old, now := "5", "7e"
	failed, reported := handled(t, a,
		record(1, run("exec_kept", now), run("exec_kept", now)),                        // a decision
		record(2, run("exec_old", old), run("exec_old", old)),                          // a change by an old release
		record(3, "", run("exec_stale", old)),                                          // the same, without its image before
		record(4, run("exec_1", old), run("exec_1", now)),                              // the end after a rest
		record(5, run("exec_2", now), strings.Replace(run("exec_2", ""), "7", "8", 1)), // a later change
	)
	if failed != nil || reported != nil || len(a.got) != 1 || a.got[0].Run != "exec_1" {
		t.Errorf("%v %v, contributions of %+v", failed, reported, a.got)
	}
}

func TestAFailureNamesItsFirstRecord(t *testing.T) {
	t.Parallel()

	fine := func(n int) string { return record(n, "", run(fmt.Sprintf("exec_%d", n), "7e")) }
	unreadable := record(2, "", run("exec_2", "seven"))
	other := record(4, "", strings.Replace(run("exec_4", "7e"), "META", "STEP#a", 1))
	for name, tc := range map[string]struct {
		records []string
		failed  []int // of the contributions
		want    []string
		added   int
	}{
		"none":                  {[]string{fine(1), fine(2)}, nil, nil, 2},
		"one that is not added": {[]string{fine(1), record(2, "", run("exec_2", "")), fine(3), fine(4)}, []int{1, 2}, []string{"3"}, 3},
		"one that is no text":   {[]string{fine(1), unreadable, fine(3)}, nil, []string{"2"}, 2},
		"one that is no run":    {[]string{fine(1), fine(3), other}, nil, []string{"4"}, 2},
		"both":                  {[]string{fine(1), unreadable, fine(3)}, []int{0}, []string{"1"}, 2},
	} {
		a := &adder{failed: tc.failed}
		if tc.failed != nil {
			a.err = errTable
		}
		failed, reported := handled(t, a, tc.records...)
		if diff := cmp.Diff(tc.want, failed); diff != "" || len(a.got) != tc.added || (len(reported) > 0) != (tc.want != nil) {
			t.Errorf("%s: failed %v, added %d, reported %v", name, failed, len(a.got), reported)
		}
	}
}

// looker is a watchdog that remembers what it was given.
type looker struct {
	got    []machine.Cursor
	failed []int
}

func (l *looker) Look(_ context.Context, runs []machine.Cursor) ([]int, error) {
	l.got = append(l.got, runs...)
	if l.failed != nil {
		return l.failed, errTable
	}
	return nil, nil
}

func TestTheWatchdogSeesTheNewRunsWhoseEndIsNotInTheBatch(t *testing.T) {
	t.Parallel()

	created := func(n int, name string) string {
		open := strings.Replace(run(name, ""), "completed", "pending", 1)
		return strings.Replace(record(n, "", open), "MODIFY", "INSERT", 1)
	}
	ended := func(n int, name string) string { return record(n, run(name, ""), run(name, "7e")) }
	step := strings.Replace(created(9, "exec_9"), "META", "STEP#a", 1)
	for name, tc := range map[string]struct {
		records []string
		failed  []int // of the runs
		seen    []id.Execution
		want    []string
	}{
		"none":                            {nil, nil, nil, nil},
		"one that is open":                {[]string{created(1, "exec_1")}, nil, []id.Execution{"exec_1"}, nil},
		"one that ended":                  {[]string{created(1, "exec_1"), created(2, "exec_2"), ended(3, "exec_1")}, nil, []id.Execution{"exec_2"}, nil},
		"the end of an earlier one":       {[]string{ended(1, "exec_1"), created(2, "exec_2")}, nil, []id.Execution{"exec_2"}, nil},
		"one that comes twice":            {[]string{created(1, "exec_1"), created(2, "exec_1")}, nil, []id.Execution{"exec_1"}, nil},
		"a step":                          {[]string{step}, nil, nil, nil},
		"two of which one cannot be seen": {[]string{created(1, "exec_1"), ended(2, "exec_0"), created(3, "exec_2")}, []int{1}, []id.Execution{"exec_1", "exec_2"}, []string{"3"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var batch events.DynamoDBEvent
			if err := json.Unmarshal([]byte(`{"Records": [`+strings.Join(tc.records, ",")+`]}`), &batch); err != nil {
				t.Fatal(err)
			}
			l, reports := &looker{failed: tc.failed}, 0
			out, err := stream.NewRuns{Watchdog: l, Report: func(context.Context, error) { reports++ }}.Handle(t.Context(), batch)
			if err != nil || out.BatchItemFailures == nil || (reports > 0) != (tc.want != nil) {
				t.Fatalf("%+v, %v, %d reports", out, err, reports)
			}
			var seen []id.Execution
			for _, c := range l.got {
				seen = append(seen, c.Execution)
			}
			var failed []string
			for _, f := range out.BatchItemFailures {
				failed = append(failed, f.ItemIdentifier)
			}
			if diff := cmp.Diff(tc.seen, seen) + cmp.Diff(tc.want, failed); diff != "" {
				t.Errorf("seen and failed (-want +got)\n%s", diff)
			}
		})
	}
}
