package outbox_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"theoneagents.app/agents/localstack/products/journal"
	"theoneagents.app/agents/localstack/products/outbox"
)

const texts = `{"region": "us-east-1", "sms_messages": {"+15550100": [{"PhoneNumber": "+15550100", "MessageId": "m1", "Message": "Hello",
	"MessageAttributes": {"org_id": {"DataType": "String", "StringValue": "org_a"}, "idempotency_key": {"DataType": "String", "StringValue": "exec_1:tell"}}}]}}`

const mails = `{"messages": {"000000000000": [
	{"MessageId": "m2", "Source": "a@x.test", "To": ["b@x.test"], "CC": [], "BCC": [], "Subject": "S", "BodyText": "T", "BodyHtml": null,
	 "Timestamp": 1790000000.5, "Type": "v2.SendEmail", "Headers": [{"Name": "x-org-id", "Value": "org_b"}, {"Name": "Idempotency-Key", "Value": "exec_2:mail"}], "EmailTags": []},
	{"MessageId": "m3", "Source": "a@x.test", "To": ["c@x.test"], "Subject": "S", "BodyText": "", "BodyHtml": "<p>",
	 "Timestamp": 1790000001, "EmailTags": [{"Name": "org_id", "Value": "org_a"}, {"Name": "idempotency_key", "Value": "k3"}]}]}}`

func emulator(t *testing.T) *httptest.Server {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /_ministack/sns/sms-messages", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(texts)) })
	mux.HandleFunc("GET /_ministack/ses/messages", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(mails)) })
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

func TestMessagesHaveTheirOrgAndIdempotencyKey(t *testing.T) {
	t.Parallel()

	now := time.Unix(1_790_000_009, 0).UTC()
	s := emulator(t)
	o := outbox.New(s.URL, s.Client(), func() time.Time { return now })
	got, err := o.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []journal.Call{
		{
			Kind: "sms", Org: "org_a", IdempotencyKey: "exec_1:tell", Status: 200, At: now,
			Headers: map[string]string{"org_id": "org_a", "idempotency_key": "exec_1:tell"},
			Body:    []byte(`{"message":"Hello","message_id":"m1","to":"+15550100"}`),
		},
		{
			Kind: "email", Org: "org_b", IdempotencyKey: "exec_2:mail", Status: 200, At: time.Unix(1_790_000_000, 500_000_000).UTC(),
			Headers: map[string]string{"X-Org-Id": "org_b", "Idempotency-Key": "exec_2:mail"},
			Body:    []byte(`{"bcc":[],"cc":[],"from":"a@x.test","html":"","message_id":"m2","subject":"S","text":"T","to":["b@x.test"]}`),
		},
		{
			Kind: "email", Org: "org_a", IdempotencyKey: "k3", Status: 200, At: time.Unix(1_790_000_001, 0).UTC(),
			Headers: map[string]string{"org_id": "org_a", "idempotency_key": "k3"},
			Body:    []byte(`{"bcc":null,"cc":null,"from":"a@x.test","html":"\u003cp\u003e","message_id":"m3","subject":"S","text":"","to":["c@x.test"]}`),
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("messages (-want +got):\n%s", diff)
	}
}

func TestForgottenMessagesStayHidden(t *testing.T) {
	t.Parallel()

	s := emulator(t)
	o := outbox.New(s.URL+"/", s.Client(), time.Now)
	if err := o.Forget(t.Context(), func(c journal.Call) bool { return c.Org == "org_a" }); err != nil {
		t.Fatal(err)
	}
	got, err := o.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []journal.Call{{Org: "org_b"}}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(journal.Call{}, "At", "Kind", "Status", "Headers", "Body", "IdempotencyKey")); diff != "" {
		t.Errorf("messages (-want +got):\n%s", diff)
	}
}

func TestWithoutAnEmulatorTheOutboxIsEmpty(t *testing.T) {
	t.Parallel()

	o := outbox.New("", http.DefaultClient, time.Now)
	got, err := o.List(t.Context())
	if err != nil || len(got) != 0 {
		t.Errorf("got %v, err %v", got, err)
	}
}

func TestAnUnreachableEmulatorIsAnError(t *testing.T) {
	t.Parallel()

	s := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(s.Close)
	_, err := outbox.New(s.URL, s.Client(), time.Now).List(t.Context())
	if !errors.Is(err, outbox.ErrUnreachable) {
		t.Errorf("err = %v, want ErrUnreachable", err)
	}
}
