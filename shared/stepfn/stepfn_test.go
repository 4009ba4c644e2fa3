package stepfn_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/google/go-cmp/cmp"

	"theoneagents.app/agents/shared/machine"
	"theoneagents.app/agents/shared/stepfn"
)

// cloud gives every call the same answer, and records the last call.
type cloud struct {
	status int
	body   string
	target string
	asked  map[string]string
	calls  int
}

func (c *cloud) client(t *testing.T, opts ...func(*sfn.Options)) *sfn.Client {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.calls++
		c.target = r.Header.Get("X-Amz-Target")
		data, err := io.ReadAll(r.Body)
		if err != nil {
			panic(err)
		}
		if err := json.Unmarshal(data, &c.asked); err != nil {
			panic(err)
		}
		w.Header().Set("Content-Type", "application/x-amz-json-1.0")
		w.WriteHeader(c.status)
		io.WriteString(w, c.body) //nolint:errcheck // the client reports it.
	}))
	t.Cleanup(s.Close)
	return sfn.New(sfn.Options{
		Region: "eu-central-1", BaseEndpoint: &s.URL, RetryMaxAttempts: 1, Credentials: credentials.NewStaticCredentialsProvider("a", "b", ""),
	}, opts...)
}

const arn = "arn:aws:states:eu-central-1:123456789012:stateMachine:runs"

func refusal(kind string) *cloud {
	return &cloud{status: 400, body: `{"__type": "com.amazonaws.states#` + kind + `", "message": "no"}`}
}

func begun() *cloud {
	return &cloud{status: 200, body: `{"executionArn": "arn:x", "startDate": 1773066181.0}`}
}

func cursor() machine.Cursor {
	return machine.Cursor{Org: "org_a", Execution: "exec_01KK9VH6M0AAAAAAAAAAAAAAAA"}
}

func TestARunIsStartedUnderItsName(t *testing.T) {
	t.Parallel()

	at := time.Date(2026, 3, 9, 14, 23, 1, 500, time.UTC)
	for name, tc := range map[string]struct {
		start func(m stepfn.Machine) error
		want  string
	}{
		"at first": {func(m stepfn.Machine) error { return m.Start(t.Context(), cursor()) }, "exec_01KK9VH6M0AAAAAAAAAAAAAAAA"},
		"again":    {func(m stepfn.Machine) error { return m.Restart(t.Context(), cursor(), at) }, "exec_01KK9VH6M0AAAAAAAAAAAAAAAA-r1773066181"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := begun()
			if err := tc.start(stepfn.Machine{API: c.client(t), ARN: arn}); err != nil {
				t.Fatal(err)
			}
			if c.target != "AWSStepFunctions.StartExecution" || c.asked["name"] != tc.want || c.asked["stateMachineArn"] != arn {
				t.Errorf("%s of %v", c.target, c.asked)
			}
			if len(tc.want) > 80 {
				t.Errorf("the name has %d characters, want at most 80", len(tc.want))
			}
			var got struct{ Cursor machine.Cursor }
			if err := json.Unmarshal([]byte(c.asked["input"]), &got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(cursor(), got.Cursor); diff != "" {
				t.Errorf("input (-want +got)\n%s", diff)
			}
		})
	}
}

func TestTheCursorIsAtThePathThatTheMachineReads(t *testing.T) {
	t.Parallel()
	c := begun()
	if err := (stepfn.Machine{API: c.client(t), ARN: arn}).Start(t.Context(), cursor()); err != nil {
		t.Fatal(err)
	}
	var input map[string]any
	if err := json.Unmarshal([]byte(c.asked["input"]), &input); err != nil {
		t.Fatal(err)
	}
	if _, ok := input[strings.TrimPrefix(machine.PathCursor, "$.")]; !ok {
		t.Errorf("nothing at %s of %v", machine.PathCursor, input)
	}
}

func TestARepeatedStartOrRingSucceeds(t *testing.T) {
	t.Parallel()

	start := func(ctx context.Context, c *sfn.Client) error {
		return stepfn.Machine{API: c, ARN: arn}.Start(ctx, cursor())
	}
	restart := func(ctx context.Context, c *sfn.Client) error {
		return stepfn.Machine{API: c, ARN: arn}.Restart(ctx, cursor(), time.Unix(0, 0))
	}
	ring := func(ctx context.Context, c *sfn.Client) error { return stepfn.Doorbell{API: c}.Ring(ctx, "token") }
	for name, tc := range map[string]struct {
		do    func(context.Context, *sfn.Client) error
		cloud *cloud
		fails bool
	}{
		"a start of a started run":     {start, refusal("ExecutionAlreadyExists"), false},
		"a restart of a restarted run": {restart, refusal("ExecutionAlreadyExists"), false},
		"a start that is refused":      {start, refusal("ExecutionLimitExceeded"), true},
		"a start of no machine":        {start, refusal("StateMachineDoesNotExist"), true},
		"a start without an answer":    {start, &cloud{status: 500, body: `{}`}, true},
		"a ring":                       {ring, &cloud{status: 200, body: `{}`}, false},
		"a ring for a machine awake":   {ring, refusal("TaskTimedOut"), false},
		"a ring for an ended machine":  {ring, refusal("TaskDoesNotExist"), false},
		"a ring that is refused":       {ring, refusal("InvalidToken"), true},
		"a ring that breaks":           {ring, &cloud{status: 500, body: `{}`}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := tc.do(t.Context(), tc.cloud.client(t)); (err != nil) != tc.fails {
				t.Errorf("err = %v", err)
			}
			if tc.cloud.calls != 1 {
				t.Errorf("%d calls", tc.cloud.calls)
			}
		})
	}
}

// A start with the first lease of a run is repeated only when no machine can have
// started: two machines with one lease must not come from a lost reply.
func TestAStartWithTheFirstLeaseIsNotRepeatedWhenItMayHaveHappened(t *testing.T) {
	t.Parallel()

	for name, tc := range map[string]struct {
		cloud *cloud
		first string
		calls int
	}{
		"without an answer":               {&cloud{status: 500, body: `{}`}, "owner", 1},
		"without an answer, and no lease": {&cloud{status: 500, body: `{}`}, "", 3},
		"throttled":                       {refusal("ThrottlingException"), "owner", 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := cursor()
			c.First = tc.first
			client := tc.cloud.client(t, func(o *sfn.Options) {
				o.RetryMaxAttempts, o.Retryer = 0, retry.NewStandard(func(s *retry.StandardOptions) { s.MaxBackoff = time.Millisecond })
			})
			if err := (stepfn.Machine{API: client, ARN: arn}).Start(t.Context(), c); err == nil {
				t.Error("it succeeds")
			}
			if tc.cloud.calls != tc.calls {
				t.Errorf("%d calls, want %d", tc.cloud.calls, tc.calls)
			}
		})
	}
}

func TestARingCarriesTheToken(t *testing.T) {
	t.Parallel()
	c := &cloud{status: 200, body: `{}`}
	if err := (stepfn.Doorbell{API: c.client(t)}).Ring(t.Context(), "token"); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"taskToken": "token", "output": "{}"}, c.asked); diff != "" || c.target != "AWSStepFunctions.SendTaskSuccess" {
		t.Errorf("%s (-want +got)\n%s", c.target, diff)
	}
}

func TestARingWithoutATokenCallsNothing(t *testing.T) {
	t.Parallel()
	c := refusal("InvalidToken")
	if err := (stepfn.Doorbell{API: c.client(t)}).Ring(t.Context(), ""); err != nil || c.calls != 0 {
		t.Errorf("err = %v after %d calls", err, c.calls)
	}
}
