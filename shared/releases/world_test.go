package releases_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"theoneagents.app/agents/shared/approval"
	"theoneagents.app/agents/shared/boot"
	"theoneagents.app/agents/shared/caller"
	"theoneagents.app/agents/shared/dispatch"
	"theoneagents.app/agents/shared/dynamo"
	"theoneagents.app/agents/shared/dynamo/schema"
	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/httpapi"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/key"
	"theoneagents.app/agents/shared/limit"
	"theoneagents.app/agents/shared/machine"
	"theoneagents.app/agents/shared/queue"
	"theoneagents.app/agents/shared/runner"
	"theoneagents.app/agents/shared/step"
	"theoneagents.app/agents/shared/wire"
)

// A recording is the file fixture.json of a release.
type recording struct {
	Org          id.Org          `json:"org"`
	At           time.Time       `json:"at"`
	CursorSecret string          `json:"cursor_secret"`
	Key          string          `json:"key"`
	Message      json.RawMessage `json:"message"`
	Waiting      []waiting       `json:"waiting"`
	Asking       id.Execution    `json:"asking"`
	Approval     id.Approval     `json:"approval"`
	Sleeping     id.Execution    `json:"sleeping"`
}

// A waiting is an execution of the machine Waits.
type waiting struct {
	ARN   string       `json:"arn"`
	Input machine.Next `json:"input"`
}

// An answer is an answer of the API of a release.
type answer struct {
	Path string `json:"path"`
	Body any    `json:"body"`
}

// A world is this code over the items of a release, a moment after they were recorded.
type world struct {
	recording

	answers []answer
	choices []string // the states that the machine Waits of the release knows
	wire    *wire.Wire
	store   *dynamo.Store
	api     http.Handler
	clock   time.Time

	rung    []string         // task tokens
	started []machine.Cursor // runs
	notes   []any            // the bodies of added notes
}

func open(t *testing.T, folder string, change func(item) item) *world {
	t.Helper()
	w := &world{}
	read(t, filepath.Join(folder, "fixture.json"), &w.recording)
	read(t, filepath.Join(folder, "answers.json"), &w.answers)
	w.clock = w.At
	var machines struct {
		Waits struct {
			States map[string]struct {
				Choices []struct{ StringEquals string }
			}
		}
	}
	read(t, filepath.Join(folder, "machines.json"), &machines)
	for _, state := range machines.Waits.States {
		for _, c := range state.Choices {
			w.choices = append(w.choices, c.StringEquals)
		}
	}
	name := fill(t, filepath.Join(folder, "items.jsonl"), change)
	var err error
	w.wire, err = wire.New(t.Context(), "releases", func(variable string) string {
		return map[string]string{boot.EnvTable: name}[variable]
	})
	if err != nil {
		t.Fatal(err)
	}
	w.wire.Now = w.now
	w.store = w.wire.Store()
	w.api = w.groups(t)
	return w
}

func (w *world) now() time.Time { return w.clock }

func (w *world) owner() caller.Caller {
	return caller.Caller{Org: w.Org, User: "user_owner", Roles: []caller.Role{caller.Owner}}
}

// Caller implements httpapi.Sessions: every session is the owner's.
func (w *world) Caller(context.Context, string) (caller.Caller, error) { return w.owner(), nil }

// Start implements dispatch.Machine.
func (w *world) Start(_ context.Context, c machine.Cursor) error {
	w.started = append(w.started, c)
	return nil
}

// Ring implements approval.Doorbell.
func (w *world) Ring(_ context.Context, token string) error {
	w.rung = append(w.rung, token)
	return nil
}

// Publish implements runner.Outbox.
func (w *world) Publish(context.Context, []event.Event) {}

// Act implements step.Products.
func (w *world) Act(_ context.Context, c step.Command) (map[string]any, error) {
	w.notes = append(w.notes, c.Params["body"])
	return map[string]any{"note_id": "note_1"}, nil
}

func (w *world) approvals() *approval.Service {
	s := w.wire.Approvals()
	s.Doorbell = w
	return s
}

func (w *world) runner() *runner.Service {
	return &runner.Service{
		Store: w.store, Definitions: w.wire.Definitions(), Actions: w.wire.Catalog(), Profiles: w.wire.Clients(),
		Steps:    &step.Service{Products: w, Quotas: w.wire.Quotas(), Rules: w.wire.Rules(), Now: w.now},
		Doorbell: w, Outbox: w, Pauses: w.wire.Pauses(nil), Now: w.now, Sleep: func(context.Context, time.Duration) error { return nil }, Report: func(context.Context, error) {},
		Observe: func(context.Context, runner.Result) {},
		Link:    func(a id.Approval) string { return "https://console.example/approvals/" + string(a) },
	}
}

// A refusedLetter fails the test of a message that becomes a dead letter.
type refusedLetter struct{ *testing.T }

// Send implements queue.Letters.
func (r refusedLetter) Send(_ context.Context, l queue.Letter) error {
	r.Errorf("dead letter: %s %s", l.Reason, l.Message)
	return nil
}

// Postpone implements queue.Postponer.
func (r refusedLetter) Postpone(context.Context, events.SQSMessage, time.Duration) error { return nil }

func (w *world) dispatcher(t *testing.T) queue.Handler {
	t.Helper()
	return queue.Handler{
		Dispatcher: &dispatch.Service{
			Tenants: w.store, Agents: w.store, System: w.wire.System(), Rules: w.wire.Rules(), Deactivator: w.wire.Agents(),
			Profiles: w.wire.Clients(), Runs: w.store, Quotas: w.wire.Quotas(), Machine: w,
			Orgs: w.wire.Tenants(), Clients: w.wire.Clients(), Now: w.now,
		},
		Letters: refusedLetter{t}, Deliveries: w.store, Postponer: refusedLetter{t}, Now: w.now,
		Report: func(_ context.Context, err error) { t.Error(err) },
	}
}

// groups returns the groups of endpoints that show what the table has.
func (w *world) groups(t *testing.T) http.Handler {
	t.Helper()
	cursors := sha256.Sum256([]byte(w.CursorSecret))
	edge := httpapi.Edge{
		Auth: &httpapi.Auth{
			Sessions: w, Keys: w.store, Orgs: w.store, Now: w.now,
			Report: func(_ context.Context, err error) { t.Error(err) },
		},
		Limits: &limit.Limiter{
			Store: w.store, Rates: limit.Rates{User: 6000, Keys: 6000}, Now: w.now,
			Report: func(_ context.Context, err error) { t.Error(err) },
		},
		Strangers: &limit.Addresses{Limit: 6000, Now: w.now},
		Log:       quiet(), RequestID: func(context.Context) string { return "req_1" },
		Address: func(context.Context) string { return "198.51.100.7" }, Now: w.now, CursorKey: cursors[:],
	}
	executions := w.wire.Executions()
	mux := http.NewServeMux()
	for path, group := range map[string]http.Handler{
		"agents":     httpapi.Agents(w.wire.Agents(), w.wire.Templates(), w.store, w.wire.Stage(), edge),
		"executions": httpapi.Executions(executions, w.wire.Names(), w.wire.Catalog(), edge),
		"approvals":  httpapi.Approvals(w.wire.Approvals(), w.wire.Names(), w.wire.Catalog(), edge),
		"keys":       httpapi.Keys(&key.Service{Store: w.store, Now: w.now}, edge),
		"credits":    httpapi.Credits(w.store, w.store, w.store, w.wire.Quotas(), edge),
	} {
		mux.Handle("/api/"+path, group)
		mux.Handle("/api/"+path+"/", group)
	}
	return mux
}

func read(t *testing.T, path string, out any) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(content, out)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// An item is one item of the table.
type item = map[string]types.AttributeValue

func text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

func list(v ...types.AttributeValue) types.AttributeValue {
	return &types.AttributeValueMemberL{Value: v}
}

// textOf returns a text, or an empty one for another type.
func textOf(v types.AttributeValue) string {
	if s, ok := v.(*types.AttributeValueMemberS); ok {
		return s.Value
	}
	return ""
}

// fill creates a table with the items of a file, each as change returns it, and
// returns its name; nil changes none. Without an emulator it skips the test; with INTEGRATION=must it fails.
func fill(t *testing.T, path string, change func(item) item) (name string) {
	t.Helper()
	if os.Getenv("AWS_ENDPOINT_URL") == "" && os.Getenv("AWS_ENDPOINT_URL_DYNAMODB") == "" {
		if os.Getenv("INTEGRATION") == "must" {
			t.Fatal("AWS_ENDPOINT_URL_DYNAMODB and AWS_ENDPOINT_URL are not set")
		}
		t.Skip("AWS_ENDPOINT_URL_DYNAMODB and AWS_ENDPOINT_URL are not set")
	}
	cfg, err := config.LoadDefaultConfig(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	db, name := dynamodb.NewFromConfig(cfg), "releases-"+rand.Text()
	create(t, db, name)
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var puts []types.WriteRequest
	equal := true
	for lines := bufio.NewScanner(bytes.NewReader(content)); lines.Scan(); {
		i, err := attributevalue.UnmarshalMapJSON(lines.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		changed := i
		if change != nil {
			changed = change(i)
		}
		equal = equal && reflect.DeepEqual(i, changed)
		puts = append(puts, types.WriteRequest{PutRequest: &types.PutRequest{Item: changed}})
	}
	if change != nil && equal {
		t.Fatalf("%s has no item to change", path)
	}
	const most = 25 // items of a BatchWriteItem
	for batch := range slices.Chunk(puts, most) {
		out, err := db.BatchWriteItem(t.Context(), &dynamodb.BatchWriteItemInput{RequestItems: map[string][]types.WriteRequest{name: batch}})
		if err != nil || len(out.UnprocessedItems) > 0 {
			t.Fatalf("%v, %d items are left", err, len(out.UnprocessedItems))
		}
	}
	return name
}

// create creates a table, and deletes it after the test.
func create(t *testing.T, db *dynamodb.Client, name string) {
	t.Helper()
	keys := func(pk, sk string) []types.KeySchemaElement {
		return []types.KeySchemaElement{
			{AttributeName: &pk, KeyType: types.KeyTypeHash}, {AttributeName: &sk, KeyType: types.KeyTypeRange},
		}
	}
	in := &dynamodb.CreateTableInput{
		TableName: &name, BillingMode: types.BillingModePayPerRequest, KeySchema: keys(schema.PartitionKey, schema.SortKey),
	}
	attributes := map[string]bool{schema.PartitionKey: true, schema.SortKey: true}
	for _, i := range schema.Indexes() {
		attributes[i.PartitionKey], attributes[i.SortKey] = true, true
		in.GlobalSecondaryIndexes = append(in.GlobalSecondaryIndexes, types.GlobalSecondaryIndex{
			IndexName: &i.Name, KeySchema: keys(i.PartitionKey, i.SortKey),
			Projection: &types.Projection{ProjectionType: types.ProjectionTypeKeysOnly},
		})
	}
	for a := range attributes {
		in.AttributeDefinitions = append(in.AttributeDefinitions, types.AttributeDefinition{
			AttributeName: &a, AttributeType: types.ScalarAttributeTypeS,
		})
	}
	if _, err := db.CreateTable(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := db.DeleteTable(context.WithoutCancel(t.Context()), &dynamodb.DeleteTableInput{TableName: aws.String(name)}); err != nil {
			t.Error(err)
		}
	})
	ready := dynamodb.NewTableExistsWaiter(db)
	if err := ready.Wait(t.Context(), &dynamodb.DescribeTableInput{TableName: &name}, time.Minute); err != nil {
		t.Fatal(err)
	}
}
