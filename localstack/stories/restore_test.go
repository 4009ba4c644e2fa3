package stories_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"theoneagents.app/agents/localstack/hub"
	"theoneagents.app/agents/localstack/local/cloud"
)

// A rehearsal follows "Restore" of infra/README.md and prints the time of each step.
type rehearsal struct {
	*org

	db      *dynamodb.Client
	stopped []string // functions
}

func (r *rehearsal) step(name string, do func()) {
	r.t.Helper()
	began := time.Now()
	do()
	r.t.Logf("%-52s %5.1f s", name, time.Since(began).Seconds())
}

func (r *rehearsal) ok(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// stop gives every function that uses the table no concurrency.
func (r *rehearsal) stop() {
	for _, f := range list(r.lambda(http.MethodGet, "/2015-03-31/functions?MaxItems=100", ""), "Functions") {
		if text(f, "Environment", "Variables", "TABLE_NAME") == "" {
			continue
		}
		r.stopped = append(r.stopped, text(f, "FunctionName"))
		r.lambda(http.MethodPut, "/2017-10-31/functions/"+text(f, "FunctionName")+"/concurrency", `{"ReservedConcurrentExecutions": 0}`)
	}
	if len(r.stopped) < 10 {
		r.t.Fatalf("stopped %v", r.stopped)
	}
}

func (r *rehearsal) resume() {
	for _, name := range r.stopped {
		r.lambda(http.MethodDelete, "/2017-10-31/functions/"+name+"/concurrency", "")
	}
}

// lambda calls the API of Lambda.
func (r *rehearsal) lambda(method, path, body string) doc {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), method, r.outputs.Endpoint+path, strings.NewReader(body))
	r.ok(err)
	who, err := r.config.Credentials.Retrieve(r.t.Context())
	r.ok(err)
	sum := sha256.Sum256([]byte(body))
	r.ok(v4.NewSigner().SignHTTP(r.t.Context(), who, req, hex.EncodeToString(sum[:]), "lambda", r.outputs.Region, time.Now()))
	resp, err := http.DefaultClient.Do(req)
	r.ok(err)
	defer resp.Body.Close() //nolint:errcheck // the body was only read.
	said, err := io.ReadAll(resp.Body)
	r.ok(err)
	var out doc
	if resp.StatusCode >= http.StatusMultipleChoices {
		r.t.Fatalf("%s %s: %d %s", method, path, resp.StatusCode, said)
	}
	if len(said) > 0 {
		r.ok(json.Unmarshal(said, &out))
	}
	return out
}

// copyTo restores the table as it is now into another one. The emulator knows no
// earlier points in time.
func (r *rehearsal) copyTo(table string) {
	_, err := r.db.RestoreTableToPointInTime(r.t.Context(), &dynamodb.RestoreTableToPointInTimeInput{
		SourceTableName: &r.outputs.Table, TargetTableName: &table, UseLatestRestorableTime: aws.Bool(true),
	})
	r.ok(err)
	r.ok(dynamodb.NewTableExistsWaiter(r.db).Wait(r.t.Context(), &dynamodb.DescribeTableInput{TableName: &table}, time.Minute))
}

// protect sets what a restored table has not, and returns the ARN of its stream.
func (r *rehearsal) protect(table string) string {
	ctx := r.t.Context()
	_, err := r.db.UpdateTimeToLive(ctx, &dynamodb.UpdateTimeToLiveInput{
		TableName: &table, TimeToLiveSpecification: &types.TimeToLiveSpecification{AttributeName: aws.String("expires"), Enabled: aws.Bool(true)},
	})
	r.ok(err)
	_, err = r.db.UpdateContinuousBackups(ctx, &dynamodb.UpdateContinuousBackupsInput{
		TableName: &table, PointInTimeRecoverySpecification: &types.PointInTimeRecoverySpecification{PointInTimeRecoveryEnabled: aws.Bool(true)},
	})
	r.ok(err)
	_, err = r.db.UpdateTable(ctx, &dynamodb.UpdateTableInput{TableName: &table, DeletionProtectionEnabled: aws.Bool(true)})
	r.ok(err)
	streaming, err := r.db.UpdateTable(ctx, &dynamodb.UpdateTableInput{TableName: &table, StreamSpecification: &types.StreamSpecification{
		StreamEnabled: aws.Bool(true), StreamViewType: types.StreamViewTypeNewAndOldImages,
	}})
	r.ok(err)
	return *streaming.TableDescription.LatestStreamArn
}

// deployOn deploys the system on another table and its stream.
func (r *rehearsal) deployOn(table, stream string) {
	file := os.Getenv("LOCAL_OUTPUTS")
	root, err := hub.Open(filepath.Join(filepath.Dir(file), "root.pem"))
	r.ok(err)
	key, err := root.DER()
	r.ok(err)
	app := cloud.App{
		CDK: "../../.local/tools/node_modules/.bin/cdk", Root: "../..", State: filepath.Dir(file), Table: table, Stream: stream,
		Endpoint: r.outputs.Endpoint, Stands: r.stands(), Environ: os.Environ(), RootKey: key,
	}
	stack, err := app.Deploy(r.t.Context())
	r.ok(err)
	o := cloud.NewOutputs(r.outputs.Endpoint, r.outputs.Mark, r.stands(), stack)
	r.ok(app.Mend(r.t.Context(), o))
	r.ok(o.Write(file))
	if o.Table != table {
		r.t.Fatalf("the stack uses the table %s, want %s", o.Table, table)
	}
	r.outputs.Table = table
}

// stands returns what stands in for the outside.
func (r *rehearsal) stands() cloud.Stands {
	return cloud.Stands{Products: r.outputs.Products, Console: r.outputs.Console}
}

// records returns what the API says about the organization's runs, by id.
func (r *rehearsal) records() map[string]string {
	all := map[string]string{}
	for _, x := range r.runs() {
		got := r.must(http.StatusOK, r.get("/api/executions/"+text(x, "id")))
		all[text(x, "id")] = text(got, "status") + " " + statuses(got)
	}
	return all
}

// TestTheRestoreProcedure is no story: it deploys the system anew. make
// rehearse-restore runs it alone.
func TestTheRestoreProcedure(t *testing.T) { //nolint:paralleltest // it is alone: it stops the system.
	if os.Getenv("REHEARSE") != "restore" {
		t.Skip("make rehearse-restore runs it")
	}
	began := time.Now()
	o := open(t).tenant(t)
	r := &rehearsal{org: o, db: dynamodb.NewFromConfig(o.config)}

	const restored = "one-agents-2"
	var parked, late string
	var before map[string]string
	r.step("make data: 20 runs, one waits for approval", func() {
		o.agent(note("n", "before"))
		for range 19 {
			o.escalate()
		}
		o.eventually("the runs completed", func() bool { return len(o.done("add_note")) == 19 })
		o.agentOn("psa", "ticket.resolved", doc{"id": "gate", "type": "approval_gate", "message": "May I?"}, note("m", "after"))
		o.publish("psa", "ticket.resolved", doc{"ticket_id": "tkt_parked"})
		o.eventually("20 runs exist", func() bool { return len(o.runs()) == 20 })
		for _, x := range o.runs() {
			if id := text(x, "id"); text(x, "status") == "waiting_approval" || text(x, "status") == "pending" || text(x, "status") == "running" {
				o.reaches(id, "waiting_approval", "completed")
				parked = id
			}
		}
		o.eventually("all have ended but one", func() bool {
			open := slices.DeleteFunc(o.runs(), func(x any) bool { return text(x, "status") == "completed" })
			return len(open) == 1 && text(open[0], "status") == "waiting_approval"
		})
		parked = text(slices.DeleteFunc(o.runs(), func(x any) bool { return text(x, "status") == "completed" })[0], "id")
		before = r.records()
	})
	point := time.Now().Add(-time.Second)
	r.step("2. restore the table to this point in time", func() { r.copyTo(restored) })
	r.step("(a run after that point, which the new table lacks)", func() {
		late = o.escalate()
		o.eventually("it completed", func() bool { return len(o.done("add_note")) == 20 })
	})
	r.step("1. stop the writers", r.stop)
	o.publish("psa", "ticket.escalated", doc{"ticket_id": "tkt_stopped", "escalated_to": "p1"})
	var stream string
	r.step("3. time to live, recovery, protection, stream", func() { stream = r.protect(restored) })
	r.step("4. deploy with the settings of the table", func() { r.deployOn(restored, stream) })
	r.step("5. give the functions their concurrency back", r.resume)
	r.step("the runs of that point are there, and one more", func() {
		o.eventually("the event of the stop has its run", func() bool { return len(o.runs()) == 21 })
		after := r.records()
		for id, want := range before {
			if after[id] != want {
				t.Errorf("%s is %q, want %q", id, after[id], want)
			}
		}
	})
	r.step("the approval from before is decided, and its run goes on", func() {
		o.must(http.StatusOK, o.decide(o.approvalOf(parked), "approved"))
		if x := o.ends(parked); text(x, "status") != "completed" || statuses(x) != "gate:completed m:completed" {
			t.Errorf("the run is %s: %s", text(x, "status"), statuses(x))
		}
	})
	r.step("6. replay the events since that point", func() {
		o.operate("replay", "-org", o.name, "-from", point.UTC().Format(time.RFC3339), "-to", time.Now().UTC().Format(time.RFC3339))
		o.eventually("the lost run is there again", func() bool { return len(o.runs()) == 22 })
		o.eventually("all runs completed", func() bool {
			return !slices.ContainsFunc(o.runs(), func(x any) bool { return text(x, "status") != "completed" })
		})
	})
	notes := slices.DeleteFunc(o.done("add_note"), func(c any) bool { return text(c, "params", "ticket_id") != late })
	if len(notes) != 1 {
		t.Errorf("the note of the lost run was added %d times, want once: its product knows the idempotency key", len(notes))
	}
	if n := len(o.done("add_note")); n != 22 {
		t.Errorf("%d notes, want 22", n)
	}
	if got := o.reasons(); strings.TrimSpace(got) != "" {
		t.Errorf("dead letters: %s", got)
	}
	t.Logf("%-52s %5.1f min", "restored, with nothing lost, in", time.Since(began).Minutes())
}
