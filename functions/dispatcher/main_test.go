package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"

	"theoneagents.app/agents/shared/boot"
	"theoneagents.app/agents/shared/wire"
)

// An unreadable message goes to the dead-letter queue, and no other service is
// called.
func TestAMessageThatIsNoEventBecomesADeadLetter(t *testing.T) {
	letters := make(chan string, 1)
	aws := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body struct{ MessageBody string }
		if r.Header.Get("X-Amz-Target") != "AmazonSQS.SendMessage" || json.NewDecoder(r.Body).Decode(&body) != nil {
			t.Errorf("a call of %s", r.Header.Get("X-Amz-Target"))
		}
		letters <- body.MessageBody
		_, _ = w.Write([]byte(`{"MessageId": "m"}`))
	}))
	defer aws.Close()
	t.Setenv("AWS_ENDPOINT_URL", aws.URL)
	t.Setenv("AWS_REGION", "us-east-1")
	t.Setenv("AWS_ACCESS_KEY_ID", "test")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "test")

	handle, err := wire.NewHandler(context.Background(), "dispatcher", func(name string) string {
		if slices.Contains(boot.SecretNames(), name) || slices.Contains([]string{boot.EnvLogLevel, boot.EnvTraces}, name) {
			return "" // the function has none
		}
		if name == boot.EnvRetention {
			return "400"
		}
		return map[string]string{"DEAD_LETTER_QUEUE_URL": aws.URL + "/letters"}[name] + "x"
	}, handler, about)
	if err != nil {
		t.Fatal(err)
	}
	out, err := handle(t.Context(), events.SQSEvent{Records: []events.SQSMessage{{MessageId: "1", Body: "nonsense"}}})
	if err != nil || len(out.BatchItemFailures) != 0 {
		t.Fatalf("out = %+v, %v; want the message to leave the queue", out, err)
	}
	if letter := <-letters; !strings.Contains(letter, `"reason":"malformed"`) {
		t.Errorf("letter = %s", letter)
	}
}

func TestTheMessagesThatStayInTheQueueAreCounted(t *testing.T) {
	t.Parallel()

	for postponed, want := range map[int]string{0: "map[]", 1: "map[EventsPostponed:1]", 3: "map[EventsPostponed:3]"} {
		got := map[string]int{}
		handle := counting(func(context.Context, events.SQSEvent) (events.SQSEventResponse, error) {
			return events.SQSEventResponse{BatchItemFailures: make([]events.SQSBatchItemFailure, postponed)}, nil
		}, func(_ context.Context, counts map[string]int) { maps.Copy(got, counts) })
		if out, err := handle(t.Context(), events.SQSEvent{}); err != nil || len(out.BatchItemFailures) != postponed || fmt.Sprint(got) != want {
			t.Errorf("%d messages: counted %v, left %v, %v; want %s", postponed, got, out, err, want)
		}
	}
}

func TestTheDispatcherNamesEveryMissingSetting(t *testing.T) {
	t.Parallel()

	_, err := wire.NewHandler(t.Context(), "dispatcher", func(string) string { return "" }, handler, about)
	for _, name := range []string{"TABLE_NAME", "RUNS_MACHINE_ARN", "DEAD_LETTER_QUEUE_URL", "EVENT_QUEUE_URLS", "METRICS_NAMESPACE"} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("err = %v, want it to name %s", err, name)
		}
	}
}
