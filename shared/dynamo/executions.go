package dynamo

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"theoneagents.app/agents/shared/audit"
	"theoneagents.app/agents/shared/dynamo/schema"
	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/jsonvalue"
	"theoneagents.app/agents/shared/machine"
)

// A runItem is the record of a run, without the payload of its event. It is the
// item read and written most often, so its attribute names are short, and it
// should stay below 1 KB.
type runItem struct {
	primary
	origin
	progress
}

// An origin is the part of a run that never changes.
type origin struct {
	OrgList   string `dynamodbav:"org_list"`
	AgentList string `dynamodbav:"agent_list,omitempty"`
	At        string `dynamodbav:"at"`

	Agent     string   `dynamodbav:"ag"`
	Version   int      `dynamodbav:"v"`
	RetryOf   string   `dynamodbav:"ro,omitempty"`
	By        string   `dynamodbav:"by,omitempty"` // <type>:<id>, of a retry
	KeyMaker  string   `dynamodbav:"km,omitempty"` // of a retry by a key
	Denials   []string `dynamodbav:"dn,omitempty"` // of a retry
	Created   int64    `dynamodbav:"c"`
	Digest    string   `dynamodbav:"dg"` // key of the payload
	Event     string   `dynamodbav:"ev"`
	EventType string   `dynamodbav:"ty"`
	Product   string   `dynamodbav:"pr"`
	Client    string   `dynamodbav:"cl,omitempty"`
	Published int64    `dynamodbav:"pu"`
	Metadata  string   `dynamodbav:"md,omitempty"` // JSON
	Untracked bool     `dynamodbav:"ut,omitempty"`
	RootRuns  int      `dynamodbav:"rr,omitempty"`
}

// A progress is the part of a run that changes.
type progress struct {
	Status    string `dynamodbav:"st"`
	Reason    string `dynamodbav:"rs,omitempty"`
	Canceller string `dynamodbav:"cb,omitempty"`
	Error     string `dynamodbav:"er,omitempty"` // JSON
	Credits   int64  `dynamodbav:"cr,omitempty"`
	Warnings  int    `dynamodbav:"wn,omitempty"`
	Started   int64  `dynamodbav:"s,omitempty"`
	Completed int64  `dynamodbav:"e,omitempty"`
	Owner     string `dynamodbav:"lo,omitempty"`
	Until     int64  `dynamodbav:"lu,omitempty"`
	Attempt   int64  `dynamodbav:"la,omitempty"`
	Done      int    `dynamodbav:"sd,omitempty"`
	Idle      int    `dynamodbav:"li,omitempty"`
	Begun     string `dynamodbav:"sb,omitempty"` // the step's id
	Attempts  int    `dynamodbav:"sa,omitempty"` // at it
	Holds     string `dynamodbav:"h,omitempty"`  // JSON
	Last      string `dynamodbav:"l,omitempty"`  // JSON
	Rested    bool   `dynamodbav:"r,omitempty"`
	FoundOpen bool   `dynamodbav:"fo,omitempty"`
	Held      bool   `dynamodbav:"hd,omitempty"`

	StatusList      string `dynamodbav:"status_list,omitempty"` // only of a run that is listed by status
	AgentStatusList string `dynamodbav:"agent_status_list,omitempty"`

	Shard    string `dynamodbav:"open_shard,omitempty"`
	Due      string `dynamodbav:"due,omitempty"`
	Revision int64  `dynamodbav:"rev"`

	Contribution string `dynamodbav:"cn,omitempty"` // of the last change

	Kept    int64 `dynamodbav:"kp,omitempty"`      // while it is open
	Expires int64 `dynamodbav:"expires,omitempty"` // the same time, once it has ended
}

func originOf(x execution.Execution) (origin, error) {
	orgList, err := runsOfOrg(x.Org)
	agentList, agentErr := runsOfAgent(x.Org, x.Agent)
	o := origin{
		OrgList: orgList, AgentList: agentList, At: sortKey(x.Created, string(x.ID)),
		Agent: string(x.Agent), Version: x.Version, RetryOf: string(x.RetryOf), By: byOf(x.By), KeyMaker: string(x.By.KeyMaker), Denials: texts(x.Denials), Created: nanos(x.Created),
		Digest: x.Digest(), Event: string(x.Trigger.ID), EventType: x.Trigger.Type,
		Product: x.Trigger.Product, Client: string(x.Trigger.Client), Published: nanos(x.Trigger.Published),
		Untracked: x.Untracked, RootRuns: x.RootRuns,
	}
	if x.IsLedger() { // only its own name leads to it
		part := partOf(x.Org, metaKey(x.Org, x.ID))
		o.OrgList, o.AgentList, o.At = part.List, "", part.At
	}
	var mdErr error
	if x.Trigger.Metadata != nil {
		o.Metadata, mdErr = toJSON(x.Trigger.Metadata)
	}
	return o, errors.Join(err, agentErr, mdErr)
}

func progressOf(x execution.Execution) (progress, error) {
	i := progress{
		Status: string(x.Status), Reason: string(x.Reason), Canceller: string(x.CancelledBy), Credits: x.Credits, Warnings: x.Warnings,
		Started: nanos(x.Started), Completed: nanos(x.Completed),
		Owner: x.Lease.Owner, Until: nanos(x.Lease.Until), Attempt: x.Lease.Attempt,
		Done: x.Done, Idle: x.StalledLeases, Begun: string(x.Begun.Step), Attempts: x.Begun.Attempts,
		Rested: x.WasParked, FoundOpen: x.FoundOpen, Held: x.Held, Due: dueOf(x), Revision: x.Revision + 1,
	}
	if x.Swept() {
		i.Shard = shardOf(x.ID)
	}
	if x.Status.Ended() {
		i.Expires = seconds(x.KeptUntil)
	} else {
		i.Kept = seconds(x.KeptUntil)
	}
	var errs [5]error
	if x.Error != nil {
		i.Error, errs[0] = toJSON(x.Error)
	}
	if len(x.Holds) > 0 {
		i.Holds, errs[1] = toJSON(x.Holds)
	}
	if x.Last != nil {
		i.Last, errs[2] = toJSON(x.Last)
	}
	if x.ListedByStatus() && !x.IsLedger() {
		if x.Status != execution.Completed { // see listedParts
			i.StatusList, errs[3] = runsOfStatus(x.Org, x.Status)
		}
		i.AgentStatusList, errs[4] = runsOfAgentStatus(x.Org, x.Agent, x.Status)
	}
	return i, errors.Join(errs[:]...)
}

// byOf returns a starter as a text.
func byOf(s execution.Starter) string {
	if s.Type == "" {
		return ""
	}
	return string(s.Type) + ":" + s.ID
}

// starterOf is the reverse of byOf.
func starterOf(text, keyMaker string) execution.Starter {
	kind, name, _ := strings.Cut(text, ":")
	return execution.Starter{Type: execution.StarterType(kind), ID: name, KeyMaker: id.Actor(keyMaker)}
}

// toJSON returns the JSON of v without escaping for HTML, which keeps it short.
func toJSON(v any) (string, error) {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return strings.TrimSuffix(b.String(), "\n"), err
}

// execution returns the run stored in an item, without its trigger's payload.
func (i runItem) execution(o id.Org, exec id.Execution) (execution.Execution, error) {
	var denials []id.Approval
	for _, d := range i.Denials {
		denials = append(denials, id.Approval(d))
	}
	x := execution.Execution{
		Denials: denials, Untracked: i.Untracked, RootRuns: i.RootRuns,
		ID: exec, Org: o, Agent: id.Agent(i.Agent), Version: i.Version, RetryOf: id.Execution(i.RetryOf), By: starterOf(i.By, i.KeyMaker),
		Status: execution.Status(i.Status), Reason: execution.Reason(i.Reason), CancelledBy: id.Actor(i.Canceller), Credits: i.Credits, Warnings: i.Warnings,
		Created: timeOf(i.Created), Started: timeOf(i.Started), Completed: timeOf(i.Completed), KeptUntil: secondsOf(max(i.Kept, i.Expires)),
		Lease:     execution.Lease{Owner: i.Owner, Until: timeOf(i.Until), Attempt: i.Attempt},
		WasParked: i.Rested, FoundOpen: i.FoundOpen, Held: i.Held,
		Done: i.Done, StalledLeases: i.Idle, Begun: execution.Begun{Step: id.Step(i.Begun), Attempts: i.Attempts}, Revision: i.Revision,
		Trigger: event.Event{
			ID: id.Event(i.Event), Type: i.EventType, Product: i.Product, Org: o,
			Client: id.Client(i.Client), Published: timeOf(i.Published),
		},
	}
	return x, errors.Join(
		fromJSON(i.Metadata, &x.Trigger.Metadata),
		fromJSON(i.Error, &x.Error),
		fromJSON(i.Holds, &x.Holds),
		readStep(i.Last, &x.Last),
		readDue(i.Due, &x.Due),
	)
}

func fromJSON(text string, out any) error {
	if text == "" {
		return nil
	}
	return json.Unmarshal([]byte(text), out)
}

func readDue(text string, out *time.Time) (err error) {
	if text != "" {
		*out, err = time.Parse(dueFormat, text)
	}
	return err
}

func readStep(text string, out **execution.StepRecord) error {
	if text == "" {
		return nil
	}
	step, err := stepOf(text)
	*out = &step
	return err
}

// stepOf reads a step. It decodes input and output separately, so that their
// numbers stay exact.
func stepOf(text string) (execution.StepRecord, error) {
	doc := struct {
		execution.StepRecord

		Input  json.RawMessage `json:"input"`
		Output json.RawMessage `json:"output"`
	}{}
	if err := json.Unmarshal([]byte(text), &doc); err != nil {
		return execution.StepRecord{}, fmt.Errorf("read a step: %w", err)
	}
	var inErr, outErr error
	doc.StepRecord.Input, inErr = exactly(doc.Input)
	doc.StepRecord.Output, outErr = exactly(doc.Output)
	return doc.StepRecord, errors.Join(inErr, outErr)
}

func exactly(text json.RawMessage) (any, error) {
	if text == nil {
		return nil, nil //nolint:nilnil // null is a document too.
	}
	return jsonvalue.Decode(text)
}

// Create implements execution.Store. ClaimDedup has already stored the payload.
func (s *Store) Create(ctx context.Context, x execution.Execution) error {
	return s.CreateRetry(ctx, x)
}

// CreateRetry implements execution.Store.
func (s *Store) CreateRetry(ctx context.Context, x execution.Execution, acts ...audit.Entry) error {
	x.Revision = 0
	o, originErr := originOf(x)
	st, err := progressOf(x)
	if err := errors.Join(originErr, err); err != nil {
		return fmt.Errorf("write %s: %w", x.ID, err)
	}
	ws := append(auditWrites(acts), put(runItem{primary: metaKey(x.Org, x.ID), origin: o, progress: st}, "attribute_not_exists(pk)", nil))
	record, prolong := len(ws)-1, x.RetryOf != "" && !x.KeptUntil.IsZero()
	if prolong {
		ws = append(ws, prolongWrite(x))
	}
	err = s.write(ctx, ws...)
	r := refused(err)
	if r == nil {
		return err
	}
	if _, exists := r.at(record); exists || !prolong {
		return execution.ErrExists
	}
	if payload, _ := r.at(len(ws) - 1); payload == nil {
		return execution.ErrNotFound // the event has expired
	}
	err = s.write(ctx, ws[:len(ws)-1]...)
	if refused(err) != nil {
		return execution.ErrExists
	}
	return err
}

// prolongWrite keeps the payload of a retried run as long as the retry.
func prolongWrite(x execution.Execution) write {
	kept := seconds(x.KeptUntil)
	return write{
		op: opUpdate, key: payloadKey(x.Org, x.Digest()), set: map[string]any{"expires": kept}, shared: true,
		cond: "expires <= :kept", args: map[string]any{":kept": kept},
	}
}

// Execution implements execution.Store.
func (s *Store) Execution(ctx context.Context, o id.Org, exec id.Execution) (execution.Execution, execution.Steps, error) {
	pk, err := runPartition(o, exec)
	_, to := begins("STEP#")
	items, err := s.all(ctx, query{partition: pk, err: err, from: schema.RunKey, to: to, strong: true})
	if err != nil {
		return execution.Execution{}, nil, err
	}
	meta, steps, err := recorded(items)
	if err != nil {
		return execution.Execution{}, nil, fmt.Errorf("read %s: %w", exec, err)
	}
	if meta == nil {
		return execution.Execution{}, nil, execution.ErrNotFound
	}
	x, err := meta.execution(o, exec)
	if err != nil {
		return execution.Execution{}, nil, fmt.Errorf("read %s: %w", exec, err)
	}
	if x.Last != nil {
		steps[x.Last.ID] = *x.Last
	}
	x.Trigger.Payload, err = s.payload(ctx, o, meta.Digest)
	if err = tolerated(err, x); err != nil {
		return execution.Execution{}, nil, fmt.Errorf("payload of %s: %w", exec, err)
	}
	return x, steps, nil
}

// tolerated returns the error of reading the payload of a run. An ended run may have
// none: DynamoDB deletes the expired items of a run one by one. A ledger has none.
func tolerated(err error, x execution.Execution) error {
	if errors.Is(err, errNoPayload) && (x.Status.Ended() || x.IsLedger()) {
		return nil
	}
	return err
}

// ExecutionAt implements runner.Store. A cursor with a digest names both the record
// and the payload, so one BatchGetItem reads them. A record that was changed since its
// creation, or whose payload has another digest, is read with its steps by Execution.
func (s *Store) ExecutionAt(ctx context.Context, c machine.Cursor) (execution.Execution, execution.Steps, error) {
	if c.Digest == "" {
		return s.Execution(ctx, c.Org, c.Execution)
	}
	record, payload := metaKey(c.Org, c.Execution), payloadKey(c.Org, c.Digest)
	if err := errors.Join(record.err, payload.err); err != nil {
		return execution.Execution{}, nil, err
	}
	found, err := s.getAll(ctx, []item{record.item(), payload.item()}, true)
	if err != nil {
		return execution.Execution{}, nil, fmt.Errorf("read %s: %w", c.Execution, err)
	}
	stored, ok := found[keyText(record.item())]
	if !ok {
		return execution.Execution{}, nil, execution.ErrNotFound
	}
	var meta runItem
	if err := attributevalue.UnmarshalMap(stored, &meta); err != nil {
		return execution.Execution{}, nil, fmt.Errorf("read %s: %w", c.Execution, err)
	}
	if meta.Revision > 1 || meta.Digest != c.Digest {
		return s.Execution(ctx, c.Org, c.Execution)
	}
	x, err := meta.execution(c.Org, c.Execution)
	if err != nil {
		return execution.Execution{}, nil, fmt.Errorf("read %s: %w", c.Execution, err)
	}
	x.Trigger.Payload, err = payloadIn(found[keyText(payload.item())])
	if err != nil {
		return execution.Execution{}, nil, fmt.Errorf("payload of %s: %w", c.Execution, err)
	}
	return x, execution.Steps{}, nil
}

// recorded returns the record and the steps of a run; a nil record when the run
// does not exist.
func recorded(items []item) (*runItem, execution.Steps, error) {
	var meta *runItem
	steps := execution.Steps{}
	for _, i := range items {
		if !strings.HasPrefix(textOf(i, schema.SortKey), "STEP#") {
			meta = &runItem{}
			if err := attributevalue.UnmarshalMap(i, meta); err != nil {
				return nil, nil, err
			}
			continue
		}
		var row stepItem
		if err := attributevalue.UnmarshalMap(i, &row); err != nil {
			return nil, nil, err
		}
		step, err := row.step()
		if err != nil {
			return nil, nil, err
		}
		steps[step.ID] = step
	}
	return meta, steps, nil
}

// Header implements runner.Store.
func (s *Store) Header(ctx context.Context, o id.Org, exec id.Execution) (execution.Execution, error) {
	var i runItem
	switch found, err := s.get(ctx, metaKey(o, exec), &i); {
	case err != nil:
		return execution.Execution{}, err
	case !found:
		return execution.Execution{}, execution.ErrNotFound
	}
	return i.execution(o, exec)
}

// Recorded returns the run whose record an image of the stream is, and whether the run was
// open when it was written; ok is false for an image of anything else.
func Recorded(image map[string]types.AttributeValue) (c machine.Cursor, open, ok bool) {
	o, exec, is := runOf(textOf(image, schema.PartitionKey))
	if !is || textOf(image, schema.SortKey) != schema.RunKey {
		return machine.Cursor{}, false, false
	}
	return machine.Cursor{Org: o, Execution: exec}, !execution.Status(textOf(image, "st")).Ended(), true
}

// spare is the number of bytes by which the times and the revision of a write may be longer
// than those measured.
const spare = 16

// Inline implements runner.Store. A record of up to 1 KB costs one write unit. One of up to
// 2 KB costs two, as much as the record and a step of its own in one call more, unless the
// record is written again.
func (s *Store) Inline(end execution.Change) bool {
	ended := end.Execution
	ended.Trigger.Payload = nil // the digest of any has one length
	o, originErr := originOf(ended)
	st, err := progressOf(ended)
	if errors.Join(originErr, err) != nil {
		return false
	}
	st.Contribution = contributionOf(end)
	i, err := attributevalue.MarshalMap(runItem{primary: metaKey(ended.Org, ended.ID), origin: o, progress: st})
	if err != nil {
		return false
	}
	i[nonceAttribute] = text(s.nonce())
	most := 2048
	if !ended.Due.IsZero() { // it owes something
		most = 1024
	}
	return sizeOf(i) <= most-spare
}

type stepItem struct {
	primary

	Doc      string `dynamodbav:"doc"` // JSON
	Attempt  int64  `dynamodbav:"attempt"`
	Ended    bool   `dynamodbav:"ended,omitempty"`
	Question []byte `dynamodbav:"q,omitempty"` // the digest, which has 13 bytes less here than in the document
	Expires  int64  `dynamodbav:"expires,omitempty"`
}

// questionOf returns the digest of a question as an attribute; nil for none.
func questionOf(digest string) ([]byte, error) {
	if digest == "" {
		return nil, nil
	}
	return base64.RawURLEncoding.DecodeString(digest)
}

// step returns the record of a step. An ended one has its attempt only here: nobody fences
// it, so the attribute does not change.
func (i stepItem) step() (execution.StepRecord, error) {
	step, err := stepOf(i.Doc)
	if step.Attempt == 0 {
		step.Attempt = i.Attempt
	}
	if len(i.Question) > 0 {
		step.QuestionDigest = base64.RawURLEncoding.EncodeToString(i.Question)
	}
	return step, err
}

// stepWrite records a step, unless it is recorded as ended or by a later
// attempt.
func stepWrite(x execution.Execution, step execution.StepRecord) write {
	brief := step
	if brief.QuestionDigest = ""; brief.Status.Ended() {
		brief.Attempt = 0
	}
	doc, err := toJSON(brief)
	question, digestErr := questionOf(step.QuestionDigest)
	w := put(stepItem{
		primary: stepKey(x.Org, x.ID, step.ID), Doc: doc, Attempt: step.Attempt, Ended: step.Status.Ended(),
		Question: question, Expires: seconds(x.KeptUntil),
	}, "attribute_not_exists(pk) OR (attribute_not_exists(ended) AND attempt <= :attempt)",
		map[string]any{":attempt": step.Attempt})
	w.err = errors.Join(w.err, err, digestErr)
	return w
}

// SaveNewStep implements runner.Store.
func (s *Store) SaveNewStep(ctx context.Context, x execution.Execution, step execution.StepRecord) error {
	w := stepWrite(x, step)
	w.cond, w.args = "attribute_not_exists(pk)", nil
	return s.saveStep(ctx, w)
}

// SaveStep implements runner.Store.
func (s *Store) SaveStep(ctx context.Context, x execution.Execution, step execution.StepRecord) error {
	return s.saveStep(ctx, stepWrite(x, step))
}

// FenceStep implements runner.Store.
func (s *Store) FenceStep(ctx context.Context, x execution.Execution, step id.Step) error {
	attempt := x.Lease.Attempt
	return s.saveStep(ctx, write{
		op: opUpdate, key: stepKey(x.Org, x.ID, step), set: map[string]any{"attempt": attempt},
		cond: "attribute_exists(pk) AND attribute_not_exists(ended) AND attempt <= :attempt", args: map[string]any{":attempt": attempt},
	})
}

func (s *Store) saveStep(ctx context.Context, w write) error {
	err := s.write(ctx, w)
	if refused(err) != nil {
		return execution.ErrStale
	}
	return err
}
