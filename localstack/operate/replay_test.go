package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/google/go-cmp/cmp"
)

type doc = map[string]any

// An eventBridge answers like AWS. The first DescribeReplay reports a running
// replay, the second an ended one.
type eventBridge struct {
	rules   map[string]doc
	targets map[string]any
	replays map[string]doc
	looks   int
	ends    string // in which state
	full    bool   // takes no targets
	gone    bool   // has no archive
	calls   []string
}

func newEventBridge() *eventBridge {
	e := &eventBridge{rules: map[string]doc{}, targets: map[string]any{}, replays: map[string]doc{}, ends: "COMPLETED"}
	for name, p := range map[string]string{
		"psa": `{"source":["psa"],"detail-type":["ticket.created","ticket.updated"]}`,
		"rmm": `{"source":["rmm"],"detail-type":["device.added"]}`,
	} {
		e.rules[name] = doc{"Name": name, "Arn": "arn:" + name, "State": "ENABLED", "EventPattern": p}
		e.targets[name] = []any{doc{"Id": "events", "Arn": "arn:queue", "DeadLetterConfig": doc{"Arn": "arn:undelivered"}}}
	}
	e.rules["Events-Archive-x"] = doc{
		"Name": "Events-Archive-x", "Arn": "arn:archiving", "State": "ENABLED", "ManagedBy": "prod.vhs.events.aws.internal",
		"EventPattern": `{"replay-name":[{"exists":false}]}`,
	}
	e.rules["off"] = doc{"Name": "off", "Arn": "arn:off", "State": "DISABLED", "EventPattern": `{"source":["psa"]}`}
	return e
}

func (e *eventBridge) client(t *testing.T) *eventbridge.Client {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		data, err := io.ReadAll(r.Body)
		if err != nil {
			panic(err)
		}
		var in doc
		if err := json.Unmarshal(data, &in); err != nil {
			panic(err)
		}
		_, call, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
		e.calls = append(e.calls, call)
		out, fault := e.answer(call, in)
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		if fault != "" {
			w.WriteHeader(http.StatusBadRequest)
			out = doc{"__type": fault, "message": "no"}
		}
		if err := json.NewEncoder(w).Encode(out); err != nil {
			panic(err)
		}
	}))
	t.Cleanup(s.Close)
	return eventbridge.New(eventbridge.Options{
		Region: "eu-central-1", BaseEndpoint: &s.URL, RetryMaxAttempts: 1, Credentials: credentials.NewStaticCredentialsProvider("a", "b", ""),
	})
}

func (e *eventBridge) answer(call string, in doc) (out doc, fault string) {
	name, _ := in["Name"].(string)
	rule, _ := in["Rule"].(string)
	replay, _ := in["ReplayName"].(string)
	switch call {
	case "DescribeArchive":
		if e.gone {
			return nil, "ResourceNotFoundException"
		}
		return doc{"ArchiveName": "archive", "ArchiveArn": "arn:archive", "EventSourceArn": "arn:bus", "RetentionDays": 30, "EventCount": 7}, ""
	case "ListRules":
		prefix, _ := in["NamePrefix"].(string)
		var found []any
		for name, r := range e.rules {
			if strings.HasPrefix(name, prefix) {
				found = append(found, r)
			}
		}
		return doc{"Rules": found}, ""
	case "ListTargetsByRule":
		return doc{"Targets": e.targets[rule]}, ""
	case "PutRule":
		e.rules[name] = doc{"Name": name, "Arn": "arn:" + name, "State": "ENABLED", "EventPattern": in["EventPattern"]}
		return doc{"RuleArn": "arn:" + name}, ""
	case "PutTargets":
		if e.full {
			return doc{"FailedEntryCount": 1, "FailedEntries": []any{doc{"ErrorCode": "LimitExceeded"}}}, ""
		}
		e.targets[rule] = in["Targets"]
		return doc{}, ""
	case "RemoveTargets":
		delete(e.targets, rule)
		return doc{}, ""
	case "DeleteRule":
		if e.targets[name] != nil {
			return nil, "ValidationException"
		}
		delete(e.rules, name)
		return doc{}, ""
	case "StartReplay":
		if e.replays[replay] != nil {
			return nil, "ResourceAlreadyExistsException"
		}
		e.replays[replay] = in
		return doc{"State": "STARTING"}, ""
	case "DescribeReplay":
		if e.replays[replay] == nil {
			return nil, "ResourceNotFoundException"
		}
		state := "RUNNING"
		if e.looks++; e.looks > 1 {
			state = e.ends
		}
		return doc{"ReplayName": replay, "State": state, "ReplayStartTime": 1773066181, "EventLastReplayedTime": 1773066000}, ""
	}
	return nil, "UnknownOperation"
}

func (e *eventBridge) names() []string {
	var names []string
	for name := range e.rules {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// started returns the only replay.
func (e *eventBridge) started(t *testing.T) doc {
	t.Helper()
	if len(e.replays) != 1 {
		t.Fatalf("%d replays", len(e.replays))
	}
	for _, r := range e.replays {
		return r
	}
	return nil
}

func (e *eventBridge) replayer(t *testing.T, s span) (replayer, *bytes.Buffer) {
	t.Helper()
	var out bytes.Buffer
	q := &sqsQueue{now: start}
	s.From, s.To = start.Add(-time.Hour), start
	return replayer{
		surroundings: q.world(&out), events: e.client(t), queues: q,
		at: target{settle: time.Minute}, from: channel{bus: "bus", archive: "archive"}, span: s, name: s.name(),
	}, &out
}

func TestAReplayGoesToTheRulesOfItsSpan(t *testing.T) {
	t.Parallel()

	psa := `{"source":["psa"],"detail-type":["ticket.created","ticket.updated"],`
	for name, tc := range map[string]struct {
		span     span
		rules    int
		patterns []string // of the rules that are made for it
	}{
		"all":                {span{}, 2, nil},
		"of an organization": {span{Org: "org_a"}, 2, []string{psa + `"detail":{"org_id":["org_a"]},`, `{"source":["rmm"],"detail-type":["device.added"],"detail":{"org_id":["org_a"]},`}},
		"of a type":          {span{Product: "psa", Type: "ticket.created"}, 1, []string{`{"source":["psa"],"detail-type":["ticket.created"],`}},
		"of both":            {span{Org: "org_a", Product: "psa", Type: "ticket.created"}, 1, []string{`{"source":["psa"],"detail-type":["ticket.created"],"detail":{"org_id":["org_a"]},`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			e := newEventBridge()
			before := e.names()
			r, out := e.replayer(t, tc.span)
			var made []string
			settled := false
			wait := r.sleep
			r.sleep = func(ctx context.Context, d time.Duration) error { // while it runs
				if d == time.Minute && !slices.Contains(e.calls, "StartReplay") {
					settled = true
					return nil
				}
				for name, rule := range e.rules {
					if strings.HasPrefix(name, "replay-") {
						text, _ := rule["EventPattern"].(string)
						made = append(made, text)
						if diff := cmp.Diff(e.targets["psa"], e.targets[name]); diff != "" {
							t.Errorf("targets (-want +got)\n%s", diff)
						}
					}
				}
				return wait(ctx, d)
			}
			if err := (replays{r}).run(t.Context()); err != nil {
				t.Fatal(err)
			}
			slices.Sort(made)
			var want []string
			for _, p := range tc.patterns {
				want = append(want, p+`"replay-name":["`+r.name+`"]}`)
			}
			slices.Sort(want)
			if diff := cmp.Diff(want, made); diff != "" {
				t.Errorf("rules of the replay (-want +got)\n%s", diff)
			}
			started := e.started(t)
			destination, _ := started["Destination"].(doc)
			arns, _ := destination["FilterArns"].([]any)
			if len(arns) != tc.rules || started["EventSourceArn"] != "arn:archive" || destination["Arn"] != "arn:bus" {
				t.Errorf("started %v", started)
			}
			if diff := cmp.Diff(before, e.names()); diff != "" {
				t.Errorf("rules afterwards (-want +got)\n%s", diff)
			}
			if settled != (tc.patterns != nil) {
				t.Errorf("waited for the rules: %t", settled)
			}
			if !strings.Contains(out.String(), "COMPLETED") || !strings.Contains(out.String(), "does not count") {
				t.Errorf("said %s", out)
			}
		})
	}
}

func TestARepeatedReplayIsStartedOnce(t *testing.T) {
	t.Parallel()

	e := newEventBridge()
	r, _ := e.replayer(t, span{Org: "org_a"})
	if err := (replays{r}).run(t.Context()); err != nil {
		t.Fatal(err)
	}
	again, out := e.replayer(t, span{Org: "org_a"})
	if err := (replays{again}).run(t.Context()); err != nil || !strings.Contains(out.String(), "not again") {
		t.Errorf("%v: %s", err, out)
	}
	if n := strings.Count(strings.Join(e.calls, " "), "StartReplay"); n != 1 {
		t.Errorf("%d replays were started", n)
	}
	if other := (span{Org: "org_b"}).name(); other == again.name || len(other) > maxName {
		t.Errorf("another span has the same name %s", other)
	}
}

func TestARepeatedCommandFinishesAKilledReplay(t *testing.T) {
	t.Parallel()

	e := newEventBridge()
	before := e.names()
	r, _ := e.replayer(t, span{Org: "org_a"})
	killed := r
	killed.sleep = func(_ context.Context, d time.Duration) error {
		if d == poll {
			return io.ErrUnexpectedEOF
		}
		return nil
	}
	if err := (replays{killed}).run(t.Context()); err == nil || !strings.Contains(err.Error(), "continues by itself") {
		t.Errorf("err = %v", err)
	}
	if len(e.names()) == len(before) {
		t.Error("the rules were deleted while the replay was running")
	}
	if err := (replays{r}).run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, e.names()); diff != "" {
		t.Errorf("rules afterwards (-want +got)\n%s", diff)
	}
}

func TestAnImpossibleReplayIsRefusedWithTheReason(t *testing.T) {
	t.Parallel()

	for name, tc := range map[string]struct {
		prepare func(*eventBridge)
		span    span
		want    string
	}{
		"there is no archive":      {func(e *eventBridge) { e.gone = true }, span{}, "no archive"},
		"no rule matches":          {func(*eventBridge) {}, span{Product: "psa", Type: "ticket.lost"}, "matches psa:ticket.lost"},
		"it fails":                 {func(e *eventBridge) { e.ends = "FAILED" }, span{}, "is FAILED"},
		"its rule gets no targets": {func(e *eventBridge) { e.full = true }, span{Org: "org_a"}, "LimitExceeded"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			e := newEventBridge()
			before := e.names()
			tc.prepare(e)
			r, _ := e.replayer(t, tc.span)
			if err := (replays{r}).run(t.Context()); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("err = %v, want one about %s", err, tc.want)
			}
			if diff := cmp.Diff(before, e.names()); diff != "" {
				t.Errorf("rules afterwards (-want +got)\n%s", diff)
			}
		})
	}
	e := newEventBridge()
	r, _ := e.replayer(t, span{})
	r.span.From, r.span.To = start.AddDate(0, 0, -40), start.AddDate(0, 0, -31)
	if err := (replays{r}).run(t.Context()); err == nil || !strings.Contains(err.Error(), "30 days") {
		t.Errorf("a span older than the archive: %v", err)
	}
}

func TestAReplayReadsTheArchiveOfEachBusOrOfItsProductsAlone(t *testing.T) {
	t.Parallel()

	at, err := targetOf(aws.Config{}, "the stack", allOutputs())
	if err != nil {
		t.Fatal(err)
	}
	hub, products := channel{"hub-bus", "hub-archive", "-hub"}, channel{"bus", "archive", ""}
	for product, want := range map[string][]channel{"": {hub, products}, "hub": {hub}, "psa": {products}, "agents": {products}} {
		if got := at.channels(product); !slices.Equal(got, want) {
			t.Errorf("%q: %v, want %v", product, got, want)
		}
	}
	if longest := maxName + len(hub.suffix); longest > 64 {
		t.Errorf("a name has up to %d characters, EventBridge takes 64", longest)
	}
}

func TestReplaysOfTwoBusesAreToldTogether(t *testing.T) {
	t.Parallel()

	hub, products := newEventBridge(), newEventBridge()
	first, _ := hub.replayer(t, span{})
	second, out := products.replayer(t, span{})
	first.from.bus, first.surroundings = "hub-bus", second.surroundings
	if err := (replays{first, second}).run(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"on the bus hub-bus", "on the bus bus,"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("said %s, want %q", out, want)
		}
	}
	if strings.Count(out.String(), "wait for the dispatcher") != 1 {
		t.Errorf("said %s", out)
	}
}
