package dynamo_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"theoneagents.app/agents/shared/dynamo"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/machine"
	"theoneagents.app/agents/shared/tenant"
)

// The responses of a busy table.
const (
	conflict = `{"__type":"com.amazonaws.dynamodb.v20120810#TransactionCanceledException","Message":"cancelled",` +
		`"CancellationReasons":[{"Code":"TransactionConflict"},{"Code":"None"}]}`
	between  = `{"__type":"com.amazonaws.dynamodb.v20120810#TransactionConflictException","message":"conflict"}`
	rejected = `{"__type":"com.amazonaws.dynamodb.v20120810#ValidationException","message":"no"}`
)

// A script is a table that answers with its responses in order, then repeats
// the last.
type script struct {
	*dynamo.Store

	mu        sync.Mutex
	answers   []string
	requests  []string
	waits     []time.Duration
	interrupt bool
}

func scripted(t *testing.T, answers ...string) *script {
	t.Helper()
	s := &script{answers: answers}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	db := dynamodb.New(dynamodb.Options{
		BaseEndpoint: &server.URL, Region: "us-east-1", Retryer: aws.NopRetryer{},
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	})
	s.Store = dynamo.New(db, "table", dynamo.WithNonce(func() string { return "nonce" }), dynamo.WithSleep(s.sleep))
	return s
}

func (s *script) sleep(_ context.Context, d time.Duration) error {
	s.waits = append(s.waits, d)
	if s.interrupt {
		return context.Canceled
	}
	return nil
}

func (s *script) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	s.requests = append(s.requests, string(body))
	answer := s.answers[0]
	if len(s.answers) > 1 {
		s.answers = s.answers[1:]
	}
	if strings.Contains(answer, "__type") {
		w.WriteHeader(http.StatusBadRequest)
	}
	if _, err := io.WriteString(w, answer); err != nil {
		return
	}
}

// together returns a change that needs a transaction.
func together() execution.Change {
	x := execution.Execution{ID: "exec_1", Org: "org_1", Agent: "agent_1", Revision: 1}
	return execution.Change{Execution: x, StatsDelta: &execution.StatsDelta{Runs: 1}}
}

func TestAConflictIsRetried(t *testing.T) {
	t.Parallel()

	s := scripted(t, conflict, between, conflict, `{}`)
	if err := s.Commit(t.Context(), together()); err != nil {
		t.Fatal(err)
	}
	if len(s.requests) != 4 || len(s.waits) != 3 {
		t.Errorf("%d requests and %d waits, want 4 and 3", len(s.requests), len(s.waits))
	}
}

func TestRetriesOfConflictsAreBounded(t *testing.T) {
	t.Parallel()

	s := scripted(t, conflict)
	if err := s.Commit(t.Context(), together()); err == nil || errors.Is(err, execution.ErrStale) {
		t.Errorf("err = %v, want an error other than ErrStale", err)
	}
	if n := len(s.requests); n < 10 || n > 100 {
		t.Errorf("%d requests, want a few dozen", n)
	}
	if most := slices.Max(s.waits); most > 300*time.Millisecond {
		t.Errorf("a wait of %v is too long", most)
	}
}

func TestAWaitEndsWithItsContext(t *testing.T) {
	t.Parallel()

	s := scripted(t, conflict)
	s.interrupt = true
	if err := s.Commit(t.Context(), together()); !errors.Is(err, context.Canceled) {
		t.Errorf("err = %v, want context.Canceled", err)
	}
	if len(s.requests) != 1 {
		t.Errorf("%d requests, want 1", len(s.requests))
	}
}

func TestAFailureThatIsNoConflictIsNotRetried(t *testing.T) {
	t.Parallel()

	s := scripted(t, rejected)
	err := s.SaveTenant(t.Context(), tenant.Tenant{Org: "org_1", Plan: "growth"}, "2026-03")
	if err == nil || errors.Is(err, tenant.ErrStale) || len(s.requests) != 1 {
		t.Errorf("err = %v after %d requests, want an error other than ErrStale after 1", err, len(s.requests))
	}
}

// A change of a run alone costs one write unit; as a transaction it would cost
// two.
func TestAChangeOfARunAloneIsNoTransaction(t *testing.T) {
	t.Parallel()

	s := scripted(t, `{}`)
	if err := s.Commit(t.Context(), execution.Change{Execution: together().Execution}); err != nil {
		t.Fatal(err)
	}
	if len(s.requests) != 1 || strings.Contains(s.requests[0], "TransactItems") {
		t.Errorf("requests: %q", s.requests)
	}
}

func TestUnprocessedKeysOfABatchAreReadAgain(t *testing.T) {
	t.Parallel()

	const (
		entry = `{"pk":{"S":"ORG#org_1#EXEC#exec_1"},"sk":{"S":"META"},"org_list":{"S":"ORG#org_1#RUNS"},"at":{"S":"2026-03-09T14:23:01Z#exec_1"}}`
		left  = `{"Responses":{},"UnprocessedKeys":{"table":{"Keys":[{"pk":{"S":"ORG#org_1#EXEC#exec_1"},"sk":{"S":"META"}}]}}}`
		given = `{"Responses":{"table":[{"pk":{"S":"ORG#org_1#EXEC#exec_1"},"sk":{"S":"META"},"st":{"S":"running"}}]}}`
	)
	s := scripted(t, `{"Items":[`+entry+`],"Count":1}`, left, left, given)
	p, err := s.Executions(t.Context(), "org_1", execution.Query{Limit: 5})
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Executions) != 1 || p.Executions[0].Status != execution.Running || len(s.waits) != 2 {
		t.Errorf("page %+v after %d waits", p, len(s.waits))
	}
}

// A busy table may answer a part of a batch: the first read of a run asks for the rest,
// up to a bound.
func TestTheFirstReadOfARunAsksForTheRestOfItsBatch(t *testing.T) {
	t.Parallel()

	const (
		record  = `{"pk":{"S":"ORG#org_1#EXEC#exec_1"},"sk":{"S":"META"},"st":{"S":"pending"},"rev":{"N":"1"},"dg":{"S":"d1"}}`
		payload = `{"pk":{"S":"ORG#org_1#SEEN#d1"},"sk":{"S":"SEEN"},"payload":{"S":"{\"n\":1}"}}`
		rest    = `{"Responses":{"table":[` + record + `]},"UnprocessedKeys":{"table":{"Keys":[{"pk":{"S":"ORG#org_1#SEEN#d1"},"sk":{"S":"SEEN"}}]}}}`
		given   = `{"Responses":{"table":[` + payload + `]}}`
	)
	first := machine.Cursor{Org: "org_1", Execution: "exec_1", Digest: "d1"}
	s := scripted(t, rest, given)
	x, _, err := s.ExecutionAt(t.Context(), first)
	if err != nil || x.Trigger.Payload["n"] == nil || len(s.requests) != 2 || len(s.waits) != 1 {
		t.Errorf("run %+v, %v after %d requests and %d waits", x, err, len(s.requests), len(s.waits))
	}
	s = scripted(t, rest)
	if _, _, err := s.ExecutionAt(t.Context(), first); err == nil || errors.Is(err, execution.ErrNotFound) {
		t.Errorf("err = %v, want an error other than ErrNotFound", err)
	}
	if n := len(s.requests); n < 10 || n > 100 {
		t.Errorf("%d requests, want a few dozen", n)
	}
}

// An index may be behind: the list skips a run that the index still holds under
// an old status, and fills the page with later entries.
func TestAListByStatusSkipsARunWithAnotherStatus(t *testing.T) {
	t.Parallel()

	entry := func(n string) string {
		return `{"pk":{"S":"ORG#org_1#EXEC#exec_` + n + `"},"sk":{"S":"META"},` +
			`"status_list":{"S":"ORG#org_1#RUNS#failed"},"at":{"S":"2026-03-09T14:23:0` + n + `Z#exec_` + n + `"}}`
	}
	given := func(n, status string) string {
		return `{"Responses":{"table":[{"pk":{"S":"ORG#org_1#EXEC#exec_` + n + `"},"sk":{"S":"META"},"st":{"S":"` + status + `"}}]}}`
	}
	s := scripted(t,
		`{"Items":[`+entry("3")+`,`+entry("2")+`,`+entry("1")+`],"Count":3}`, given("3", "completed"),
		`{"Items":[`+entry("3")+`,`+entry("2")+`,`+entry("1")+`],"Count":3}`, given("2", "failed"),
	)
	p, err := s.Executions(t.Context(), "org_1", execution.Query{Limit: 1, Status: execution.Failed})
	if err != nil || len(p.Executions) != 1 || p.Executions[0].ID != "exec_2" || !strings.HasSuffix(p.Next, "exec_2") {
		t.Errorf("page %+v, err = %v; want exec_2 and more", p, err)
	}
	if len(s.requests) != 4 {
		t.Errorf("%d requests, want 4", len(s.requests))
	}
}

// A search that finds nothing ends its call after ten pages of the index, and says where
// the next call goes on.
func TestASearchReadsABoundedNumberOfRuns(t *testing.T) {
	t.Parallel()

	const others = `{"Responses":{"table":[{"pk":{"S":"ORG#org_1#EXEC#exec_1"},"sk":{"S":"META"},"st":{"S":"failed"},"cl":{"S":"cli_2"},"v":{"N":"1"}}]}}`
	var answers []string
	for n := range 12 {
		entry := fmt.Sprintf(`{"pk":{"S":"ORG#org_1#EXEC#exec_1"},"sk":{"S":"META"},"org_list":{"S":"ORG#org_1#RUNS"},"at":{"S":"2026-03-09T14:23:%02dZ#exec_1"}}`, 30-n)
		answers = append(answers, `{"Items":[`+entry+`],"Count":1,"LastEvaluatedKey":`+entry+`}`, others)
	}
	s := scripted(t, answers...)
	p, err := s.Executions(t.Context(), "org_1", execution.Query{Limit: 5, Client: "cli_1"})
	if err != nil || len(p.Executions) != 0 || !strings.HasSuffix(p.Next, ":21Z#exec_1") {
		t.Errorf("page %+v, err = %v; want an empty page and more", p, err)
	}
	if len(s.requests) != 20 {
		t.Errorf("%d requests, want 20", len(s.requests))
	}
}

// An index may be ahead of the table: the list skips an entry without an item.
func TestAListSkipsAnIndexEntryWithoutAnItem(t *testing.T) {
	t.Parallel()

	const entry = `{"pk":{"S":"ORG#org_1#EXEC#exec_1"},"sk":{"S":"META"},"org_list":{"S":"ORG#org_1#RUNS"},"at":{"S":"2026-03-09T14:23:01Z#exec_1"}}`
	s := scripted(t, `{"Items":[`+entry+`],"Count":1}`, `{"Responses":{}}`)
	p, err := s.Executions(t.Context(), "org_1", execution.Query{Limit: 5})
	if err != nil || len(p.Executions) != 0 || p.Next != "" {
		t.Errorf("page %+v, err = %v; want an empty last page", p, err)
	}
}
