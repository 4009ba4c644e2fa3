package stories_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	table "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	states "github.com/aws/aws-sdk-go-v2/service/sfn/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	queue "github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// TestRecordTheRelease plays a day of an organization and writes its items, the
// answers of the API, the waiting executions and a message of the queue into the
// folder RECORD: the fixture of a release, for package releases. make fixture calls it
// with a system of its own.
func TestRecordTheRelease(t *testing.T) {
	folder := os.Getenv("RECORD")
	if folder == "" {
		t.Skip("RECORD is not set; make fixture records a release")
	}
	t.Parallel()

	o := open(t).tenant(t)
	spy := o.spy()
	f := o.day()
	f["message"] = spy()
	o.answers(folder)
	f["org"], f["at"] = o.name, time.Now().UTC().Format(time.RFC3339Nano)
	f["cursor_secret"] = o.cursorSecret()
	f["waiting"] = o.machines(folder)
	write(t, filepath.Join(folder, "fixture.json"), f)
	o.items(filepath.Join(folder, "items.jsonl"))
}

// day leaves one record of every kind, and runs that wait. It returns an integration
// key, and the approval and the execution that wait for a decision.
func (o *org) day() doc {
	o.t.Helper()
	week := gateWith(doc{"timeout_seconds": 7 * 24 * 3600, "approvers": doc{"roles": []any{"owner", "admin"}}})
	made := o.must(http.StatusCreated, o.post("/api/keys", doc{"name": "Desk", "access": "read_write"}))
	o.must(http.StatusCreated, o.post("/api/keys", doc{"name": "Report", "access": "read"}))

	// A run with an AI answer, and a second version of an agent that is not active.
	o.ends(o.another(func() {
		o.ticket("ticket.created", "tkt_1", doc{"subject": "VPN down for all users", "priority": "p3", "type": "incident"})
	}))
	draft := text(o.must(http.StatusCreated, o.post("/api/agents", o.definition("ticket.resolved", doc{"name": "Draft"}, note("tell", "one")))), "id")
	o.must(http.StatusOK, o.call(http.MethodPut, "/api/agents/"+draft, o.definition("ticket.resolved", doc{"name": "Draft, again"}, note("tell", "two"))))

	// One run each: approved, denied, cancelled, still waiting.
	asks := o.agentWith("psa", "ticket.escalated", doc{
		"name": "Asks", "client_scope": doc{"exclude": []any{"client_never"}},
		"trigger": doc{"filters": []any{doc{"field": "escalated_to", "operator": "eq", "value": "p1"}}},
	}, week, note("tell", "{{ event_payload.ticket_id }}"))
	run := func(ticket string) string {
		return o.another(func() { o.ticket("ticket.escalated", ticket, doc{"escalated_to": "p1"}) })
	}
	for ticket, decision := range map[string]string{"tkt_2": "approved", "tkt_3": "denied"} {
		exec := run(ticket)
		o.must(http.StatusOK, o.decide(o.approvalOf(exec), decision))
		o.ends(exec)
	}
	cancelled := run("tkt_4")
	o.approvalOf(cancelled)
	o.must(http.StatusOK, o.post("/api/executions/"+cancelled+"/cancel", nil))
	o.ends(cancelled)
	asking := run("tkt_5")
	approval := o.approvalOf(asking)
	o.ticket("ticket.escalated", "tkt_6", doc{"escalated_to": "p2"}) // filtered out

	// A run that fails, its retry, and a run that sleeps.
	o.addRules("_products", doc{"product": "psa", "action": "update_ticket", "status": 400})
	o.agentWith("psa", "ticket.updated", doc{"name": "Fails"}, doc{
		"id": "send", "type": "product_action", "product": "psa", "action": "update_ticket",
		"params": doc{"ticket_id": "{{ event_payload.ticket_id }}", "priority": "p1"},
	})
	failed := o.another(func() { o.ticket("ticket.updated", "tkt_7", doc{"changed_fields": []any{"priority"}}) })
	o.reaches(failed, "failed")
	o.ends(o.another(func() { o.must(http.StatusCreated, o.post("/api/executions/"+failed+"/retry", nil)) }))
	o.agentWith("psa", "ticket.assigned", doc{"name": "Sleeps", "execution_limit": doc{"max_per_hour": 1}},
		doc{"id": "later", "type": "wait", "duration_seconds": 24 * 3600}, note("tell", "late"))
	sleeping := o.another(func() { o.ticket("ticket.assigned", "tkt_8", doc{"assignee": "ann"}) })
	o.eventually("the run sleeps", func() bool { return len(list(o.get("/api/executions/"+sleeping).body, "steps")) > 0 })
	o.ticket("ticket.assigned", "tkt_9", doc{"assignee": "ben"}) // beyond the limit
	o.eventually("the refusals are recorded", func() bool {
		return len(list(o.get("/api/agents/"+asks+"/activity").body, "activity")) > 4
	})
	return doc{"key": text(made, "key"), "asks": asks, "asking": asking, "approval": approval, "sleeping": sleeping, "failed": failed}
}

func (o *org) definition(eventType string, more doc, steps ...any) doc {
	d := doc{
		"name": "Story agent", "description": "Made by a story.", "category": "service_desk", "steps": steps,
		"trigger": doc{"type": "bus_event", "source_product": "psa", "event_type": eventType, "filters": []any{}},
	}
	maps.Copy(d, more)
	return d
}

// ticket publishes an event about a ticket of a client.
func (o *org) ticket(eventType, ticket string, more doc) {
	o.t.Helper()
	more["ticket_id"], more["client_id"] = ticket, "client_1"
	o.publish("psa", eventType, more)
}

// another does something that starts an execution, and returns that execution.
func (o *org) another(do func()) (exec string) {
	o.t.Helper()
	known := map[string]bool{}
	for _, x := range o.runs() {
		known[text(x, "id")] = true
	}
	do()
	o.eventually("another execution exists", func() bool {
		for _, x := range o.runs() {
			if exec = text(x, "id"); !known[exec] {
				return true
			}
		}
		return false
	})
	return exec
}

// spy adds a queue to the products' bus. The function that it returns reads a message
// about tkt_2 from it, as the rules of the system write it.
func (o *org) spy() func() json.RawMessage {
	o.t.Helper()
	sqsAPI, bus := sqs.NewFromConfig(o.config), eventbridge.NewFromConfig(o.config)
	name := aws.String("record-" + strings.ToLower(o.name))
	made, err := sqsAPI.CreateQueue(o.t.Context(), &sqs.CreateQueueInput{QueueName: name})
	if err != nil {
		o.t.Fatal(err)
	}
	found, err := sqsAPI.GetQueueAttributes(o.t.Context(), &sqs.GetQueueAttributesInput{
		QueueUrl: made.QueueUrl, AttributeNames: []queue.QueueAttributeName{queue.QueueAttributeNameQueueArn},
	})
	if err != nil {
		o.t.Fatal(err)
	}
	if _, err := bus.PutRule(o.t.Context(), &eventbridge.PutRuleInput{
		Name: name, EventBusName: &o.outputs.Bus, EventPattern: aws.String(`{"source": ["psa"], "detail-type": ["ticket.escalated"]}`),
	}); err != nil {
		o.t.Fatal(err)
	}
	if _, err := bus.PutTargets(o.t.Context(), &eventbridge.PutTargetsInput{
		Rule: name, EventBusName: &o.outputs.Bus,
		Targets: []types.Target{{Id: aws.String("queue"), Arn: aws.String(found.Attributes["QueueArn"])}},
	}); err != nil {
		o.t.Fatal(err)
	}
	return func() (message json.RawMessage) {
		o.t.Helper()
		o.eventually("the queue has a message", func() bool {
			out, err := sqsAPI.ReceiveMessage(o.t.Context(), &sqs.ReceiveMessageInput{QueueUrl: made.QueueUrl, MaxNumberOfMessages: 10})
			if err != nil {
				o.t.Fatal(err)
			}
			for _, m := range out.Messages {
				if strings.Contains(*m.Body, `"tkt_2"`) {
					message = json.RawMessage(*m.Body)
				}
			}
			return message != nil
		})
		return message
	}
}

// answers writes the answers of the API: every record, and each list in pages.
func (o *org) answers(folder string) {
	o.t.Helper()
	var all []doc
	get := func(path string) doc {
		body := o.must(http.StatusOK, o.get(path))
		all = append(all, doc{"path": path, "body": body})
		return body
	}
	pages := func(path, name string) (entries []any) {
		for next := path; ; {
			body := get(next)
			entries = append(entries, list(body, name)...)
			cursor := text(body, "next_cursor")
			if cursor == "" {
				return entries
			}
			next = path + "&cursor=" + cursor
		}
	}
	for _, a := range list(get("/api/agents"), "agents") {
		get("/api/agents/" + text(a, "id"))
		if text(a, "type") != "system" {
			get("/api/agents/" + text(a, "id") + "/versions")
			pages("/api/agents/"+text(a, "id")+"/activity?limit=2", "activity")
		}
	}
	for _, x := range pages("/api/executions?limit=3", "executions") {
		get("/api/executions/" + text(x, "id"))
	}
	for _, status := range []string{"completed", "failed", "cancelled", "waiting_approval", "running"} {
		pages("/api/executions?limit=1&status="+status, "executions")
	}
	for _, a := range pages("/api/approvals?limit=2", "approvals") {
		get("/api/approvals/" + text(a, "id"))
	}
	get("/api/keys")
	get("/api/credits")
	get("/api/credits/history")
	write(o.t, filepath.Join(folder, "answers.json"), all)
}

// machines returns the executions that wait, with their input, and writes the
// definitions of the machines.
func (o *org) machines(folder string) []doc {
	o.t.Helper()
	api, definitions := sfn.NewFromConfig(o.config), doc{}
	for name, arn := range map[string]string{"runs": o.outputs.Runs, "waits": o.outputs.Waits} {
		m, err := api.DescribeStateMachine(o.t.Context(), &sfn.DescribeStateMachineInput{StateMachineArn: &arn})
		if err != nil {
			o.t.Fatal(err)
		}
		definitions[name] = json.RawMessage(*m.Definition)
	}
	write(o.t, filepath.Join(folder, "machines.json"), definitions)
	running, err := api.ListExecutions(o.t.Context(), &sfn.ListExecutionsInput{
		StateMachineArn: &o.outputs.Waits, StatusFilter: states.ExecutionStatusRunning,
	})
	if err != nil {
		o.t.Fatal(err)
	}
	var out []doc
	for _, x := range running.Executions {
		d, err := api.DescribeExecution(o.t.Context(), &sfn.DescribeExecutionInput{ExecutionArn: x.ExecutionArn})
		if err != nil {
			o.t.Fatal(err)
		}
		out = append(out, doc{"arn": *x.ExecutionArn, "input": json.RawMessage(*d.Input)})
	}
	return out
}

// cursorSecret returns the secret that signs the cursors.
func (o *org) cursorSecret() string {
	o.t.Helper()
	out, err := secretsmanager.NewFromConfig(o.config).GetSecretValue(o.t.Context(), &secretsmanager.GetSecretValueInput{
		SecretId: aws.String("one-agents/cursor"),
	})
	if err != nil {
		o.t.Fatal(err)
	}
	var secret struct{ Current string }
	if err := json.Unmarshal([]byte(*out.SecretString), &secret); err != nil {
		o.t.Fatal(err)
	}
	return secret.Current
}

// items writes the items of the organization as DynamoDB JSON, one a line.
func (o *org) items(path string) {
	o.t.Helper()
	pages := dynamodb.NewScanPaginator(dynamodb.NewFromConfig(o.config), &dynamodb.ScanInput{TableName: &o.outputs.Table})
	var lines []string
	for pages.HasMorePages() {
		page, err := pages.NextPage(o.t.Context())
		if err != nil {
			o.t.Fatal(err)
		}
		for _, i := range page.Items {
			if line := o.line(i); strings.Contains(line, o.name) {
				lines = append(lines, line)
			}
		}
	}
	slices.Sort(lines)
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		o.t.Fatal(err)
	}
}

// line returns an item with its key first, so that the lines of a partition are
// together.
func (o *org) line(item map[string]table.AttributeValue) string {
	o.t.Helper()
	raw, err := attributevalue.MarshalMapJSON(item)
	if err != nil {
		o.t.Fatal(err)
	}
	var attributes map[string]any
	if err := json.Unmarshal(raw, &attributes); err != nil {
		o.t.Fatal(err)
	}
	key := fmt.Sprintf(`{"pk":{"S":%q},"sk":{"S":%q},`, text(attributes, "pk", "S"), text(attributes, "sk", "S"))
	delete(attributes, "pk")
	delete(attributes, "sk")
	rest, err := json.Marshal(attributes)
	if err != nil {
		o.t.Fatal(err)
	}
	return key + string(rest[1:])
}

// write writes a value as JSON.
func write(t *testing.T, path string, v any) {
	t.Helper()
	text, err := json.MarshalIndent(v, "", " ")
	if err == nil {
		err = os.MkdirAll(filepath.Dir(path), 0o750)
	}
	if err == nil {
		err = os.WriteFile(path, append(text, '\n'), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}
