package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	cloudformationtypes "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/google/go-cmp/cmp"

	"theoneagents.app/agents/localstack/local/cloud"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
)

var start = time.Date(2026, 3, 9, 14, 0, 0, 0, time.UTC)

// A sqsQueue behaves like a queue of SQS: a received message is hidden until its
// visibility timeout, and each receive has a new receipt.
type sqsQueue struct {
	now      time.Time
	messages []*message
	broken   string // the call that fails
}

type message struct {
	id, body, receipt string
	hidden            time.Time
	received          int
}

func (q *sqsQueue) ReceiveMessage(_ context.Context, in *sqs.ReceiveMessageInput, _ ...func(*sqs.Options)) (*sqs.ReceiveMessageOutput, error) {
	if in.WaitTimeSeconds == 0 {
		return nil, errors.New("a receive without a wait can miss messages")
	}
	out := &sqs.ReceiveMessageOutput{}
	for _, m := range q.messages {
		if len(out.Messages) == int(in.MaxNumberOfMessages) || q.now.Before(m.hidden) {
			continue
		}
		m.received++
		m.receipt = fmt.Sprintf("%s-%d", m.id, m.received)
		m.hidden = q.now.Add(time.Duration(in.VisibilityTimeout) * time.Second)
		out.Messages = append(out.Messages, sqstypes.Message{
			MessageId: &m.id, Body: &m.body, ReceiptHandle: aws.String(m.receipt),
			Attributes: map[string]string{"SentTimestamp": strconv.FormatInt(start.Add(-time.Hour).UnixMilli(), 10)},
		})
	}
	return out, nil
}

func (q *sqsQueue) ChangeMessageVisibilityBatch(
	_ context.Context, in *sqs.ChangeMessageVisibilityBatchInput, _ ...func(*sqs.Options),
) (*sqs.ChangeMessageVisibilityBatchOutput, error) {
	if q.broken == "put back" {
		return nil, errors.New("throttled")
	}
	out := &sqs.ChangeMessageVisibilityBatchOutput{}
	for _, e := range in.Entries {
		found := false
		for _, m := range q.messages {
			if m.receipt == *e.ReceiptHandle {
				m.hidden, found = q.now.Add(time.Duration(e.VisibilityTimeout)*time.Second), true
			}
		}
		if !found {
			out.Failed = append(out.Failed, sqstypes.BatchResultErrorEntry{Id: e.Id})
		}
	}
	return out, nil
}

func (q *sqsQueue) DeleteMessage(_ context.Context, in *sqs.DeleteMessageInput, _ ...func(*sqs.Options)) (*sqs.DeleteMessageOutput, error) {
	if q.broken == "delete" {
		return nil, errors.New("throttled")
	}
	for i, m := range q.messages {
		if m.receipt == *in.ReceiptHandle {
			q.messages = append(q.messages[:i], q.messages[i+1:]...)
			break
		}
	}
	return &sqs.DeleteMessageOutput{}, nil
}

func (q *sqsQueue) GetQueueAttributes(context.Context, *sqs.GetQueueAttributesInput, ...func(*sqs.Options)) (*sqs.GetQueueAttributesOutput, error) {
	visible, hidden := 0, 0
	for _, m := range q.messages {
		if q.now.Before(m.hidden) {
			hidden++
		} else {
			visible++
		}
	}
	return &sqs.GetQueueAttributesOutput{Attributes: map[string]string{
		"ApproximateNumberOfMessages": strconv.Itoa(visible), "ApproximateNumberOfMessagesNotVisible": strconv.Itoa(hidden),
	}}, nil
}

// letter sends a letter about an event to the queue.
func (q *sqsQueue) letter(reason, event string) {
	q.body(fmt.Sprintf(`{"reason":%q,"message":"Because.","event":%s}`, reason, event))
}

func (q *sqsQueue) body(text string) {
	q.messages = append(q.messages, &message{id: fmt.Sprintf("m%03d", len(q.messages)), body: text})
}

// visible returns the number of visible letters.
func (q *sqsQueue) visible() int {
	n := 0
	for _, m := range q.messages {
		if !q.now.Before(m.hidden) {
			n++
		}
	}
	return n
}

// envelope returns an event of an organization.
func envelope(name, org string) string {
	return fmt.Sprintf(`{"id":%q,"event_type":"ticket.created","source_product":"psa","org_id":%q,"payload":{"a":1.50},"published_at":"2026-03-09T14:00:00Z"}`, name, org)
}

// A fakeBus records its events, and refuses the event of a given id.
type fakeBus struct {
	got     []string
	refuses string
	after   func() // called when the bus has an event
}

func (b *fakeBus) Put(ctx context.Context, source, detailType, detail string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if b.refuses != "" && strings.Contains(detail, b.refuses) {
		return &cloud.Refusal{Code: "ThrottlingException", Message: "slow down"}
	}
	b.got = append(b.got, fmt.Sprintf("%s:%s %s", source, detailType, detail))
	if b.after != nil {
		b.after()
	}
	return nil
}

func (q *sqsQueue) world(out *bytes.Buffer) surroundings {
	return surroundings{now: func() time.Time { return q.now }, sleep: func(ctx context.Context, _ time.Duration) error { return ctx.Err() }, out: out}
}

func (q *sqsQueue) redriver(b *fakeBus, which choice) redriver {
	w := q.world(&bytes.Buffer{})
	return redriver{surroundings: w, letters: deadLetters{api: q, url: "letters", now: w.now}, bus: b, which: which}
}

func TestListingPutsEveryLetterBack(t *testing.T) {
	t.Parallel()

	q := &sqsQueue{now: start}
	for i := range 25 {
		q.letter("failed", envelope(fmt.Sprintf("evt_%d", i), "org_a"))
	}
	q.letter("unknown_org", envelope("evt_other", "org_b"))
	q.body("no \x1b[31mletter")
	for _, which := range []struct {
		choice
		want string
	}{
		{choice{}, "27 of 27 letters"},
		{choice{reason: "failed"}, "25 of 27 letters"},
		{choice{org: "org_b"}, "1 of 27 letters"},
		{choice{reason: "unreadable"}, "1 of 27 letters"},
	} {
		var out bytes.Buffer
		if err := list(t.Context(), q.world(&out), q, target{}, which.choice, false); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(out.String(), which.want) || strings.ContainsRune(out.String(), '\x1b') {
			t.Errorf("%+v printed %s; want %s", which.choice, out.String(), which.want)
		}
		if n := q.visible(); n != 27 {
			t.Errorf("%d letters are visible afterwards, want 27", n)
		}
	}
	if len(q.messages) != 27 {
		t.Errorf("%d letters are left", len(q.messages))
	}
}

func TestALetterIsShownWithItsEvent(t *testing.T) {
	t.Parallel()

	q := &sqsQueue{now: start}
	q.letter("failed", envelope("evt_1", "org_a"))
	var out bytes.Buffer
	if err := list(t.Context(), q.world(&out), q, target{}, choice{}, false); err != nil {
		t.Fatal(err)
	}
	row := strings.Join(strings.Fields(strings.Split(out.String(), "\n")[1]), " ")
	if want := "60 min failed org_a psa:ticket.created evt_1 Because."; row != want {
		t.Errorf("row %q, want %q", row, want)
	}
}

func TestLettersThatAreNotPutBackAreReported(t *testing.T) {
	t.Parallel()

	q := &sqsQueue{now: start, broken: "put back"}
	q.letter("failed", envelope("evt_1", "org_a"))
	var out bytes.Buffer
	err := list(t.Context(), q.world(&out), q, target{}, choice{}, false)
	if err == nil || !strings.Contains(err.Error(), "visible again within 2m0s") {
		t.Errorf("err = %v", err)
	}
	out.Reset()
	if err := list(t.Context(), q.world(&out), q, target{}, choice{}, false); err != nil || !strings.Contains(out.String(), "About 1 more are hidden") {
		t.Errorf("the next listing prints %s, %v", out.String(), err)
	}
	q.now = q.now.Add(hold)
	if n := q.visible(); n != 1 {
		t.Errorf("%d letters are visible again", n)
	}
}

func TestARedriveRepublishesTheEventUnchangedAndDeletesItsLetter(t *testing.T) {
	t.Parallel()

	q, b := &sqsQueue{now: start}, &fakeBus{}
	q.letter("failed", envelope("evt_1", "org_a"))
	q.letter("unknown_org", envelope("evt_2", "org_b"))
	r := q.redriver(b, choice{org: "org_a"})
	for range 2 { // the second run finds no letter
		if err := r.run(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]string{"psa:ticket.created " + envelope("evt_1", "org_a")}, b.got); diff != "" {
		t.Errorf("on the bus (-want +got)\n%s", diff)
	}
	if len(q.messages) != 1 || q.visible() != 1 {
		t.Errorf("%d letters are left, %d are visible; want 1 and 1", len(q.messages), q.visible())
	}
}

// A forced redrive gives no event the name of another product.
func TestARedriveUsesTheNamesThatTheBusSaid(t *testing.T) {
	t.Parallel()

	q, b := &sqsQueue{now: start}, &fakeBus{}
	q.body(`{"reason":"envelope_mismatch","message":"No.","source":"rmm","detail_type":"device.offline","event":` + envelope("evt_1", "org_a") + `}`)
	q.body(`{"version":"0","source":"psa","detail-type":"ticket.created","detail":` + envelope("evt_2", "org_a") + `}`) // undelivered
	r := q.redriver(b, choice{})
	r.force = true
	if err := r.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := []string{"rmm:device.offline " + envelope("evt_1", "org_a"), "psa:ticket.created " + envelope("evt_2", "org_a")}
	if diff := cmp.Diff(want, b.got); diff != "" {
		t.Errorf("on the bus (-want +got)\n%s", diff)
	}
}

func TestALetterThatWouldFailAgainStays(t *testing.T) {
	t.Parallel()

	whole := envelope("evt_1", "org_a")
	for name, tc := range map[string]struct {
		reason, event string
		force         bool
		redriven      bool
		why           string
	}{
		"a failed event is tried again":       {"failed", whole, false, true, ""},
		"an organization may be known by now": {"unknown_org", whole, false, true, ""},
		"a malformed event stays":             {"malformed", whole, false, false, "stays malformed"},
		"it may be forced":                    {"malformed", whole, true, true, ""},
		"a mismatch stays":                    {"envelope_mismatch", whole, false, false, "another product or type"},
		"a mismatch may be forced":            {"envelope_mismatch", whole, true, true, ""},
		"a too large event stays":             {"too_large", `{"id":"evt_1","event_type":"t","source_product":"psa"}`, false, false, "only the envelope"},
		"force brings no payload back":        {"too_large", `{"id":"evt_1","event_type":"t","source_product":"psa"}`, true, false, "archive"},
		"a failed event may be cut too":       {"failed", `{"id":"evt_1","event_type":"t","source_product":"psa"}`, true, false, "archive"},
		"a text has no payload":               {"malformed", `"text"`, true, false, "no payload"},
		"the bus needs a type and a product":  {"failed", `{"id":"evt_1","payload":{}}`, true, false, "no source_product"},
		"the platform's own event is replayed": {
			"failed", `{"id":"evt_1","org_id":"org_a","source_product":"agents","event_type":"agent.error","payload":{}}`, true, false,
			"replay -type agents:agent.error -org org_a",
		},
		"a type that is a number is no type": {"malformed", `{"event_type":1,"payload":{}}`, true, false, "no source_product"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			q, b := &sqsQueue{now: start}, &fakeBus{}
			q.letter(tc.reason, tc.event)
			r, out := q.redriver(b, choice{}), &bytes.Buffer{}
			r.force, r.out = tc.force, out
			if err := r.run(t.Context()); err != nil {
				t.Fatal(err)
			}
			if redriven := len(b.got) == 1 && len(q.messages) == 0; redriven != tc.redriven || !strings.Contains(out.String(), tc.why) {
				t.Errorf("%d on the bus, %d letters left: %s", len(b.got), len(q.messages), out)
			}
			if q.visible() != len(q.messages) {
				t.Error("a letter stays hidden")
			}
		})
	}
}

func TestAFailureDuringARedriveLosesNoEvent(t *testing.T) {
	t.Parallel()

	for name, tc := range map[string]struct {
		prepare func(q *sqsQueue, b *fakeBus, cancel func())
		left    int // letters
		onBus   int
	}{
		"the bus refuses one":               {func(_ *sqsQueue, b *fakeBus, _ func()) { b.refuses = "evt_1" }, 1, 1},
		"letters cannot be deleted":         {func(q *sqsQueue, _ *fakeBus, _ func()) { q.broken = "delete" }, 2, 2},
		"it is interrupted after the first": {func(_ *sqsQueue, b *fakeBus, cancel func()) { b.after = cancel }, 1, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			q, b := &sqsQueue{now: start}, &fakeBus{}
			q.letter("failed", envelope("evt_0", "org_a"))
			q.letter("failed", envelope("evt_1", "org_a"))
			tc.prepare(q, b, cancel)
			if err := q.redriver(b, choice{}).run(ctx); err == nil {
				t.Error("the failure is not reported")
			}
			if len(q.messages) != tc.left || q.visible() != tc.left || len(b.got) != tc.onBus {
				t.Errorf("%d letters left, %d seen, %d on the bus; want %d, %d", len(q.messages), q.visible(), len(b.got), tc.left, tc.onBus)
			}
		})
	}
}

func TestALetterThatFailsAgainAtOnceIsRedrivenOnce(t *testing.T) {
	t.Parallel()

	q, b := &sqsQueue{now: start}, &fakeBus{}
	q.letter("failed", envelope("evt_1", "org_a"))
	b.after = func() { q.letter("failed", envelope("evt_1", "org_a")) }
	if err := q.redriver(b, choice{}).run(t.Context()); err != nil || len(b.got) != 1 || q.visible() != 1 {
		t.Errorf("%d on the bus, %d letters: %v", len(b.got), q.visible(), err)
	}
}

func TestADryRunChangesNothing(t *testing.T) {
	t.Parallel()

	q, b := &sqsQueue{now: start}, &fakeBus{}
	q.letter("failed", envelope("evt_1", "org_a"))
	r, out := q.redriver(b, choice{}), &bytes.Buffer{}
	r.dry, r.out = true, out
	if err := r.run(t.Context()); err != nil || len(b.got) != 0 || q.visible() != 1 || !strings.Contains(out.String(), "would be redriven  evt_1") {
		t.Errorf("%v: %s", err, out)
	}
}

func TestAllWrongArgumentsAreReportedAtOnce(t *testing.T) {
	t.Parallel()

	for name, tc := range map[string]struct {
		args string
		want []string
	}{
		"nothing":                    {"", []string{"name a command"}},
		"an unknown command":         {"rerun", []string{"name a command"}},
		"a run without organization": {"run", []string{"-org is missing", "name one execution"}},
		"a run with all wrong": {
			"run exec_# -org acme -colour red", []string{"-org", `"acme"`, "exec_", "-colour"},
		},
		"a replay without times": {"replay -org #", []string{"-from", "-to", "-org"}},
		"a replay with all wrong": {
			"replay -from 2026-03-09T15:00:00Z -to 2026-03-09T14:59:00Z -type ticket -name a/b extra",
			[]string{"-from must be before", "-to must not be in the future", "-type", "-name", `"extra"`},
		},
		"letters of an unknown reason": {
			"letters -reason faild -org acme", []string{`"faild"`, "malformed", "unknown_org", "failed, undelivered, unreadable", `"acme"`},
		},
		"a redrive of an unknown reason": {"redrive -reason lost -org org_a#b", []string{`"lost"`, "too_large", "-org"}},
		"a move of some letters":         {"redrive -all -org org_acme", []string{"-all moves every letter"}},
		"a replay of an unknown event": {
			"replay -from 2026-03-09T14:00:00Z -to 2026-03-09T14:01:00Z -type psa:ticket.craeted", []string{"psa:ticket.created"},
		},
		"a redrive that would fail again": {"redrive -reason too_large -speed 3", []string{"-reason too_large would fail again", "-speed"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			w := (&sqsQueue{now: start}).world(&bytes.Buffer{})
			err := run(t.Context(), w, strings.Fields(tc.args))
			if _, ok := errors.AsType[*misuse](err); !ok {
				t.Fatalf("err = %v, want a misuse", err)
			}
			for _, want := range tc.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("err = %v, want it to contain %q", err, want)
				}
			}
		})
	}
}

func TestARedriveOfAnEventWithoutALetterNamesTheEventsThatHaveOne(t *testing.T) {
	t.Parallel()

	for name, tc := range map[string]struct {
		events []string
		want   string
	}{
		"none":   {nil, "there are no letters"},
		"others": {[]string{"evt_2", "evt_3"}, "evt_2, evt_3"},
		"many": {
			[]string{"evt_02", "evt_03", "evt_04", "evt_05", "evt_06", "evt_07", "evt_08", "evt_09", "evt_10", "evt_11", "evt_12", "evt_13", "evt_14", "evt_15"},
			"and 2 more",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			q, b := &sqsQueue{now: start}, &fakeBus{}
			for _, e := range tc.events {
				q.letter("failed", envelope(e, "org_a"))
			}
			err := q.redriver(b, choice{event: "evt_1"}).run(t.Context())
			if _, ok := errors.AsType[*misuse](err); !ok || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("err = %v, want a misuse with %q", err, tc.want)
			}
			if len(b.got) != 0 || q.visible() != len(tc.events) {
				t.Errorf("%d on the bus, %d letters", len(b.got), q.visible())
			}
		})
	}
}

type runs []id.Execution

func (r runs) Executions(_ context.Context, _ id.Org, q execution.Query) (execution.Page, error) {
	var page execution.Page
	for _, x := range r[:min(q.Limit, len(r))] {
		page.Executions = append(page.Executions, execution.Execution{ID: x})
	}
	return page, nil
}

func TestAMissingRunIsAnsweredWithTheNewestRuns(t *testing.T) {
	t.Parallel()

	for want, there := range map[string]runs{
		"and no other run":                           nil,
		"its newest runs are exec_2, exec_3, exec_4": {"exec_2", "exec_3", "exec_4", "exec_5"},
	} {
		err := missing(t.Context(), there, "org_a", "exec_1")
		if _, ok := errors.AsType[*misuse](err); !ok || !strings.Contains(err.Error(), want) {
			t.Errorf("err = %v, want %q", err, want)
		}
	}
}

func TestHelpIsNotAnError(t *testing.T) {
	t.Parallel()

	for _, args := range []string{"-h", "letters -h", "redrive -h", "run -h", "replay -h"} {
		var out bytes.Buffer
		if err := run(t.Context(), (&sqsQueue{now: start}).world(&out), strings.Fields(args)); err != nil || !strings.Contains(out.String(), "-stack") {
			t.Errorf("%s: %v, %s", args, err, &out)
		}
	}
}

type fakeStacks map[string]string

func (s fakeStacks) DescribeStacks(
	context.Context, *cloudformation.DescribeStacksInput, ...func(*cloudformation.Options),
) (*cloudformation.DescribeStacksOutput, error) {
	var stack cloudformationtypes.Stack
	for k, v := range s {
		stack.Outputs = append(stack.Outputs, cloudformationtypes.Output{OutputKey: &k, OutputValue: &v})
	}
	return &cloudformation.DescribeStacksOutput{Stacks: []cloudformationtypes.Stack{stack}}, nil
}

// allOutputs returns the outputs of a stack.
func allOutputs() map[string]string {
	return map[string]string{
		"BusName": "bus", "ArchiveName": "archive", "HubBusName": "hub-bus", "HubArchiveName": "hub-archive",
		"TableName": "table", "EventsQueueUrl": "e", "UndeliveredQueueUrl": "u",
		"DeadLetterQueueUrl": "d", "RunsMachineArn": "r", "WaitsMachineArn": "w", "ApiId": "more",
	}
}

func TestATargetComesFromTheOutputsOfItsStack(t *testing.T) {
	t.Parallel()

	outputs, err := outputsOf(t.Context(), fakeStacks(allOutputs()), "one-agents")
	if err != nil {
		t.Fatal(err)
	}
	if p, err := targetOf(aws.Config{}, "the stack", outputs); err != nil || p.deadLetters != "d" || p.buses[1].archive != "archive" || p.waits != "w" {
		t.Errorf("%+v, %v", p, err)
	}
	delete(outputs, "ArchiveName")
	delete(outputs, "TableName")
	if _, err := targetOf(aws.Config{}, "the stack", outputs); err == nil || !strings.Contains(err.Error(), "the stack has no outputs ArchiveName, TableName") {
		t.Errorf("err = %v", err)
	}
}
