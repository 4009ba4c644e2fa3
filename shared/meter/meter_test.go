package meter_test

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/smithy-go/middleware"
	"github.com/google/go-cmp/cmp"

	"theoneagents.app/agents/shared/meter"
)

// client returns a client whose first calls fail that number of times.
func client(t *testing.T, fails int) *sqs.Client {
	t.Helper()
	var mu sync.Mutex
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if fails--; fails >= 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		io.WriteString(w, `{}`) //nolint:errcheck // the client reports it.
	}))
	t.Cleanup(s.Close)
	return sqs.New(sqs.Options{
		Region: "eu-central-1", BaseEndpoint: &s.URL, Credentials: credentials.NewStaticCredentialsProvider("a", "b", ""),
		Retryer: retry.NewStandard(func(o *retry.StandardOptions) {
			o.Backoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return 0, nil })
		}),
		APIOptions:                       []func(*middleware.Stack) error{meter.Middleware},
		DisableMessageChecksumValidation: true,
	})
}

func TestEachAttemptOfACallIsCounted(t *testing.T) {
	t.Parallel()
	ctx, m := meter.With(t.Context())
	c := client(t, 2)
	if _, err := c.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: aws.String("https://q"), MessageBody: aws.String("m")}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: aws.String("https://q"), ReceiptHandle: aws.String("r")}); err != nil {
		t.Fatal(err)
	}
	want := meter.Count{Calls: map[string]int{"SQS.SendMessage": 3, "SQS.DeleteMessage": 1}}
	if diff := cmp.Diff(want, m.Count()); diff != "" {
		t.Errorf("count (-want +got)\n%s", diff)
	}
}

func TestCallsAndUnitsAreCountedForTheirContext(t *testing.T) {
	t.Parallel()
	one, first := meter.With(t.Context())
	two, second := meter.With(one)
	meter.Add(one, meter.Units{Read: 0.5, Write: 2})
	meter.Add(one, meter.Units{Read: 1, Write: 1})
	meter.Add(two, meter.Units{Read: 4, Write: 0})
	meter.Add(t.Context(), meter.Units{Read: 100, Write: 100}) // a context without a meter
	if got := first.Count(); got.Read != 1.5 || got.Write != 3 || got.Table != 2 {
		t.Errorf("the first counts %+v", got)
	}
	if got := second.Count(); got.Read != 4 || got.Write != 0 || got.Table != 1 {
		t.Errorf("the second counts %+v", got)
	}
}

func TestCountingIsSafeForConcurrentUse(t *testing.T) {
	t.Parallel()
	ctx, m := meter.With(t.Context())
	c := client(t, 0)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			meter.Add(ctx, meter.Units{Read: 1, Write: 1})
			c.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: aws.String("https://q"), ReceiptHandle: aws.String("r")}) //nolint:errcheck // it is counted.
			m.Count()
		})
	}
	wg.Wait()
	if got := m.Count(); got.Calls["SQS.DeleteMessage"] != 20 || got.Read != 20 || got.Write != 20 || got.Table != 20 {
		t.Errorf("count = %+v", got)
	}
}

func TestACountDoesNotChangeAfterwards(t *testing.T) {
	t.Parallel()
	ctx, m := meter.With(t.Context())
	before := m.Count()
	c := client(t, 0)
	if _, err := c.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: aws.String("https://q"), ReceiptHandle: aws.String("r")}); err != nil {
		t.Fatal(err)
	}
	if len(before.Calls) != 0 {
		t.Errorf("the count became %+v", before)
	}
}

func TestAClientWithoutAMeterWorks(t *testing.T) {
	t.Parallel()
	if _, err := client(t, 0).DeleteMessage(t.Context(), &sqs.DeleteMessageInput{QueueUrl: aws.String("https://q"), ReceiptHandle: aws.String("r")}); err != nil {
		t.Error(err)
	}
}

func TestCountsAreMetricsOfALogLine(t *testing.T) {
	t.Parallel()
	var line strings.Builder
	log := slog.New(slog.NewJSONHandler(&line, nil))
	log.LogAttrs(t.Context(), slog.LevelInfo, "swept", meter.Embedded("OneAgents/dev", time.UnixMilli(1234), map[string]int{"B": 2, "A": 0})...)
	var got map[string]any
	if err := json.Unmarshal([]byte(line.String()), &got); err != nil {
		t.Fatal(err)
	}
	delete(got, "time")
	want := map[string]any{"level": "INFO", "msg": "swept", "A": 0.0, "B": 2.0, "_aws": map[string]any{
		"Timestamp": 1234.0,
		"CloudWatchMetrics": []any{map[string]any{
			"Namespace": "OneAgents/dev", "Dimensions": []any{[]any{}},
			"Metrics": []any{map[string]any{"Name": "A", "Unit": "Count"}, map[string]any{"Name": "B", "Unit": "Count"}},
		}},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("line (-want +got)\n%s", diff)
	}
}
