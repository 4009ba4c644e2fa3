package stories_test

import (
	"crypto/rand"
	"encoding/json"
	"maps"
	"math"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	table "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	tabletypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	streams "github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams/types"
	"github.com/aws/aws-sdk-go-v2/service/sfn"

	"theoneagents.app/agents/localstack/cost/bill"
	"theoneagents.app/agents/shared/dynamo/schema"
)

// An invocation is the log line of one invocation of a function.
type invocation struct {
	Message   string         `json:"msg"`
	Execution string         `json:"execution_id"`
	Request   string         `json:"request_id"`
	Method    string         `json:"method"` // of a request of the API
	Calls     map[string]int `json:"calls"`
	Read      float64        `json:"read_units"`
	Write     float64        `json:"write_units"`
}

// A logged is a line of a function's own; platform lines are none.
type logged struct {
	invocation

	bytes int
}

// lines returns a function's log lines since a time.
func (o *org) lines(function string, since time.Time) []logged {
	o.t.Helper()
	var lines []logged
	pages := cloudwatchlogs.NewFilterLogEventsPaginator(cloudwatchlogs.NewFromConfig(o.config), &cloudwatchlogs.FilterLogEventsInput{
		LogGroupName: aws.String("/aws/lambda/" + function), StartTime: aws.Int64(since.UnixMilli()),
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(o.t.Context())
		if err != nil {
			o.t.Fatal(err)
		}
		for _, e := range page.Events {
			l := logged{bytes: len(*e.Message)}
			if json.Unmarshal([]byte(*e.Message), &l.invocation) == nil && l.Message != "" {
				lines = append(lines, l)
			}
		}
	}
	return lines
}

// A meter counts the usage of one event and its runs.
type meter struct {
	*org

	began  time.Time
	shards map[string]string // the iterator of each shard of the table's stream
}

// count starts to count. It switches the stream of the table on, which tells each write.
func (o *org) count() *meter {
	o.t.Helper()
	m := &meter{org: o, began: time.Now(), shards: map[string]string{}}
	ctx, db, api := o.t.Context(), table.NewFromConfig(o.config), streams.NewFromConfig(o.config)
	described, err := db.DescribeTable(ctx, &table.DescribeTableInput{TableName: &o.outputs.Table})
	if err != nil {
		o.t.Fatal(err)
	}
	stream := described.Table.LatestStreamArn
	if spec := described.Table.StreamSpecification; spec == nil || !aws.ToBool(spec.StreamEnabled) {
		changed, err := db.UpdateTable(ctx, &table.UpdateTableInput{TableName: &o.outputs.Table, StreamSpecification: &tabletypes.StreamSpecification{
			StreamEnabled: aws.Bool(true), StreamViewType: tabletypes.StreamViewTypeNewAndOldImages,
		}})
		if err != nil {
			o.t.Fatal(err)
		}
		stream = changed.TableDescription.LatestStreamArn
	}
	found, err := api.DescribeStream(ctx, &streams.DescribeStreamInput{StreamArn: stream})
	if err != nil {
		o.t.Fatal(err)
	}
	for _, shard := range found.StreamDescription.Shards {
		iterator, err := api.GetShardIterator(ctx, &streams.GetShardIteratorInput{
			StreamArn: stream, ShardId: shard.ShardId, ShardIteratorType: types.ShardIteratorTypeLatest,
		})
		if err != nil {
			o.t.Fatal(err)
		}
		m.shards[*shard.ShardId] = *iterator.ShardIterator
	}
	return m
}

// written returns the changes of the organization's items.
func (m *meter) written() (changes []*types.StreamRecord) {
	m.t.Helper()
	api := streams.NewFromConfig(m.config)
	for _, iterator := range m.shards {
		for {
			page, err := api.GetRecords(m.t.Context(), &streams.GetRecordsInput{ShardIterator: &iterator})
			if err != nil {
				m.t.Fatal(err)
			}
			for _, r := range page.Records {
				if pk := attribute(r.Dynamodb.Keys, schema.PartitionKey); pk == "ORG#"+m.name || strings.HasPrefix(pk, "ORG#"+m.name+"#") {
					changes = append(changes, r.Dynamodb)
				}
			}
			if len(page.Records) == 0 || page.NextShardIterator == nil {
				break
			}
			iterator = *page.NextShardIterator
		}
	}
	return changes
}

// An image is an item of a stream.
type image = map[string]types.AttributeValue

func attribute(item image, name string) string {
	s, _ := item[name].(*types.AttributeValueMemberS)
	if s == nil {
		return ""
	}
	return s.Value
}

// size returns the bytes of a value, as DynamoDB counts them.
func size(v types.AttributeValue) int {
	switch v := v.(type) {
	case *types.AttributeValueMemberS:
		return len(v.Value)
	case *types.AttributeValueMemberN:
		return len(strings.Trim(v.Value, "-.0"))/2 + 2
	case *types.AttributeValueMemberB:
		return len(v.Value)
	case *types.AttributeValueMemberL:
		n := 3
		for _, e := range v.Value {
			n += 1 + size(e)
		}
		return n
	case *types.AttributeValueMemberM:
		return 3 + len(v.Value) + sizeOf(v.Value)
	}
	return 1
}

func sizeOf(item image) (n int) {
	for name, v := range item {
		n += len(name) + size(v)
	}
	return n
}

// overhead are the bytes that DynamoDB charges for storing an item or an entry of an
// index, besides its attributes.
const overhead = 100

// entry returns the keys of an item's entry in an index, and its bytes; nothing if the
// index does not list the item.
func entry(item image, index schema.Index) (pk, sk string, bytes int) {
	pk, sk = attribute(item, index.PartitionKey), attribute(item, index.SortKey)
	if pk == "" || sk == "" {
		return "", "", 0
	}
	keys := image{}
	for _, name := range []string{index.PartitionKey, index.SortKey, schema.PartitionKey, schema.SortKey} {
		keys[name] = item[name]
	}
	return pk, sk, sizeOf(keys) + overhead
}

// table adds the changes of the table to a usage.
func (m *meter) table(u *bill.Usage) {
	const unit = 1024
	last, old := map[string]image{}, map[string]bool{}
	for _, c := range m.written() {
		pk, sk := attribute(c.Keys, schema.PartitionKey), attribute(c.Keys, schema.SortKey)
		name := bill.Pattern(pk) + " " + bill.Pattern(sk)
		if strings.HasSuffix(pk, "#RATE") { // the requests of this story
			continue
		}
		units := math.Ceil(float64(max(sizeOf(c.OldImage), sizeOf(c.NewImage))) / unit)
		if bill.InTransaction(name) {
			units *= 2
		}
		u.Keys[name] += units
		for _, index := range schema.Indexes() {
			oldPK, oldSK, _ := entry(c.OldImage, index)
			newPK, newSK, _ := entry(c.NewImage, index)
			if oldPK == newPK && oldSK == newSK {
				continue
			}
			for _, pk := range []string{oldPK, newPK} {
				if pk != "" {
					u.Keys[index.Name+" "+bill.Pattern(pk)]++
				}
			}
		}
		key := pk + " " + sk
		if _, seen := last[key]; !seen && len(c.OldImage) > 0 {
			old[key] = true // it is not stored for this run
		}
		last[key] = c.NewImage
	}
	for key, item := range last {
		if old[key] || len(item) == 0 {
			continue
		}
		u.StoredBytes += sizeOf(item) + overhead
		for _, index := range schema.Indexes() {
			_, _, bytes := entry(item, index)
			u.StoredBytes += bytes
		}
	}
}

// usage returns what was used since count: by the event, and by its run exec if there is
// one.
func (m *meter) usage(exec string) bill.Usage {
	m.t.Helper()
	u := bill.Usage{Functions: map[string]bill.Function{}, Keys: map[string]float64{}, Products: len(m.calls(""))}
	add := func(function string, l logged) {
		f := u.Functions[function]
		if f.Calls == nil {
			f.Calls = map[string]int{}
		}
		f.LogBytes += l.bytes
		if l.Message == "invocation" {
			f.Invocations++
			f.Read += l.Read
			f.Write += l.Write
			for call, n := range l.Calls {
				f.Calls[call] += n
			}
		}
		u.Functions[function] = f
	}
	for _, l := range m.lines(m.outputs.Stack["DispatcherFunctionName"], m.began) {
		add("dispatcher", l)
	}
	for _, l := range m.lines(m.outputs.Stack["RunnerFunctionName"], m.began) {
		if exec != "" && l.Execution == exec {
			add("runner", l)
		}
	}
	for _, l := range m.lines(m.outputs.Stack["TallyFunctionName"], m.began) {
		add("tally", l)
	}
	decisions, lines := map[string]bool{}, m.lines(m.outputs.Stack["ApprovalsFunctionName"], m.began)
	for _, l := range lines {
		if l.Method == http.MethodPost { // the others are the looks of this story
			decisions[l.Request] = true
		}
	}
	for _, l := range lines {
		if decisions[l.Request] {
			add("approvals", l)
		}
	}
	u.Requests = len(decisions)
	u.Starts = u.Functions["dispatcher"].Calls["SFN.StartExecution"]
	u.Transitions = m.transitions(exec)
	m.table(&u)
	return u
}

// transitions returns the number of state transitions of the Standard executions of a
// run. Each execution has one more than it enters states.
func (m *meter) transitions(exec string) (n int) {
	m.t.Helper()
	api := sfn.NewFromConfig(m.config)
	waits, err := api.ListExecutions(m.t.Context(), &sfn.ListExecutionsInput{StateMachineArn: &m.outputs.Waits})
	if err != nil {
		m.t.Fatal(err)
	}
	for _, w := range waits.Executions {
		if exec == "" || !strings.HasPrefix(*w.Name, exec) {
			continue
		}
		history, err := api.GetExecutionHistory(m.t.Context(), &sfn.GetExecutionHistoryInput{ExecutionArn: w.ExecutionArn})
		if err != nil {
			m.t.Fatal(err)
		}
		n++
		for _, e := range history.Events {
			if e.StateEnteredEventDetails != nil {
				n++
			}
		}
	}
	return n
}

// A workload is one event and what follows.
type workload struct {
	event       func() doc        // makes the event
	act         func(exec string) // brings the run to its end, if it starts one
	read, write float64           // its budget
}

// warm makes the dispatcher keep the agents that listen for an event, as a busy
// dispatcher does. A dispatcher keeps listeners that it reads at least a second after it
// first read the organization's present record. The repetitions of a handled event start
// no run.
func (o *org) warm(handled doc) {
	o.t.Helper()
	for range 2 {
		twin, since := maps.Clone(handled), time.Now()
		twin["id"], twin["published_at"] = "evt_"+rand.Text(), since.UTC().Format(time.RFC3339)
		o.put(text(twin, "source_product"), text(twin, "event_type"), twin)
		o.eventually("a twin is handled", func() bool { return len(o.lines(o.outputs.Stack["DispatcherFunctionName"], since)) > 0 })
		time.Sleep(time.Until(since.Add(1100 * time.Millisecond)))
	}
}

// measure counts the usage of a workload once, and returns its event.
func (o *org) measure(w workload) (bill.Usage, doc) {
	o.t.Helper()
	before := map[string]bool{}
	for _, x := range o.runs() {
		before[text(x, "id")] = true
	}
	calls := len(o.calls(""))
	e := w.event()
	m := o.count()
	o.put(text(e, "source_product"), text(e, "event_type"), e)
	exec := ""
	if w.act != nil {
		o.eventually("another run exists", func() bool {
			for _, x := range o.runs() {
				if !before[text(x, "id")] {
					exec = text(x, "id")
				}
			}
			return exec != ""
		})
		w.act(exec)
		o.reaches(exec, "completed")
	}
	var u bill.Usage
	for last := 0; ; time.Sleep(300 * time.Millisecond) { // until no line is added
		u = m.usage(exec)
		now := u.Functions["dispatcher"].LogBytes + u.Functions["runner"].LogBytes + u.Functions["tally"].LogBytes
		if now > 0 && now == last && (exec == "" || u.Functions["runner"].Invocations > 0 && u.Functions["tally"].Invocations > 0) {
			break
		}
		if last = now; time.Since(m.began) > 2*patience {
			o.t.Fatalf("the functions have not logged the end of %s: %+v", exec, u)
		}
	}
	raw, err := json.Marshal(e)
	if err != nil {
		o.t.Fatal(err)
	}
	const envelope = 300 // bytes that the bus adds
	u.EventBytes, u.Products = len(raw)+envelope, u.Products-calls
	return u, e
}

// The usage of each workload is that on which make cost and the README rest, and within
// its budget. The table in shared/dynamo lists its parts. An event that is delivered
// twice, and a process of the dispatcher that has just begun, use more: one of several
// tries has to be exact. COUNT is the file to which the usage is written.
//
//nolint:paralleltest // other stories would be on the bill.
func TestTheUsageIsThatOfTheBill(t *testing.T) {
	recorded := map[string]bill.Usage{}
	file := os.Getenv("COUNT")
	if file == "" {
		var err error
		if recorded, err = bill.Recorded(); err != nil {
			t.Fatal(err)
		}
	}
	o := open(t).tenant(t)
	o.agent(note("one", "1"), note("two", "2"), note("three", "3"))
	o.agentOn("psa", "ticket.updated", gate(600), note("done", "1"))
	event := func(kind string, more doc) func() doc {
		return func() doc {
			payload := doc{"ticket_id": "tkt_" + time.Now().Format("150405.000000000")}
			maps.Copy(payload, more)
			return o.envelope("psa", kind, payload)
		}
	}
	finish := func(string) {}
	approve := func(exec string) { o.must(http.StatusOK, o.decide(o.approvalOf(exec), "approved")) }
	// Other stories keep several dispatchers at work, and an event may reach a dispatcher
	// that is not warm. One try must use what the bill says.
	tries := 20
	if file != "" {
		tries = 6
	}
	for name, w := range map[string]workload{
		bill.ThreeActions: {event("ticket.escalated", doc{"escalated_to": "p1"}), finish, 4, 9},
		bill.Answer:       {event("ticket.created", doc{"subject": "VPN down"}), finish, 4, 14},
		bill.Gate:         {event("ticket.updated", doc{"changes": doc{"status": "open"}}), approve, 14, 49},
		bill.Nothing:      {event("ticket.resolved", doc{"resolution": "Done."}), nil, 1, 1},
	} {
		_, handled := o.measure(w) // the first run of the month opens the balance
		differs := ""
		for try := range tries {
			o.warm(handled)
			u, e := o.measure(w)
			handled = e
			read, write := u.Units()
			t.Logf("%s, try %d: %+v", name, try, u)
			if best, found := recorded[name]; file != "" && (!found || less(u, best)) {
				recorded[name] = u
			}
			if file != "" {
				continue
			}
			if differs = recorded[name].Differences(u); differs == "" {
				if name == bill.ThreeActions || name == bill.Answer {
					if u.Functions["dispatcher"].Invocations != 1 || u.Functions["runner"].Invocations != 1 || u.Starts != 1 || u.Transitions != 0 {
						t.Errorf("%s: %+v; want one invocation each, one start, and no Standard machine", name, u)
					}
				}
				if read > w.read || write > w.write {
					t.Errorf("%s: %v read and %v write units, want at most %v and %v", name, read, write, w.read, w.write)
				}
				break
			}
		}
		if differs != "" {
			t.Errorf("%s uses something else than usage.json says (make cost COUNT=1 counts it anew):\n%s", name, differs)
		}
	}
	if file == "" {
		return
	}
	raw, err := json.MarshalIndent(recorded, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, append(raw, '\n'), 0o600); err != nil {
		t.Fatal(err)
	}
}

// less reports whether a has fewer units than b, or as many and fewer calls.
func less(a, b bill.Usage) bool {
	ar, aw := a.Units()
	br, bw := b.Units()
	if ar+aw != br+bw {
		return ar+aw < br+bw
	}
	return a.Calls() < b.Calls()
}
