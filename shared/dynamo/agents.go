package dynamo

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"

	"theoneagents.app/agents/shared/agent"
	"theoneagents.app/agents/shared/audit"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/tenant"
)

// A headItem is an agent without its definition. Its name and description may
// change without a new version.
type headItem struct {
	primary

	ID          string `dynamodbav:"id"`
	Name        string `dynamodbav:"name"`
	Description string `dynamodbav:"description,omitempty"`
	Type        string `dynamodbav:"type"`
	Status      string `dynamodbav:"status"`
	Category    string `dynamodbav:"category"`
	Created     int64  `dynamodbav:"created"`
	Updated     int64  `dynamodbav:"updated"`
	Version     int    `dynamodbav:"version"`
	Revision    int64  `dynamodbav:"rev"`

	CreatedBy string `dynamodbav:"created_by,omitempty"`
	UpdatedBy string `dynamodbav:"updated_by,omitempty"`
	KeyMaker  string `dynamodbav:"key_maker,omitempty"`

	Needs        []string `dynamodbav:"needs,omitempty"`        // events and actions of the catalogue
	Placeholders []string `dynamodbav:"placeholders,omitempty"` // of its template
}

func (i headItem) head(o id.Org) agent.Head {
	return agent.Head{
		ID: id.Agent(i.ID), Org: o, Name: i.Name, Description: i.Description, Type: agent.Type(i.Type), Status: agent.Status(i.Status),
		Category: i.Category, Created: timeOf(i.Created), Updated: timeOf(i.Updated),
		Version: i.Version, Revision: i.Revision, Needs: i.Needs, Placeholders: i.Placeholders,
		CreatedBy: id.Actor(i.CreatedBy), UpdatedBy: id.Actor(i.UpdatedBy), KeyMaker: id.Actor(i.KeyMaker),
	}
}

type versionItem struct {
	primary

	Number     int    `dynamodbav:"version"`
	Created    int64  `dynamodbav:"created"`
	CreatedBy  string `dynamodbav:"created_by,omitempty"`
	KeyMaker   string `dynamodbav:"key_maker,omitempty"`
	Definition string `dynamodbav:"definition"`

	ActivatedBy []string `dynamodbav:"activated_by,stringset,omitempty"`
}

func (i versionItem) version() (agent.Version, error) {
	d, err := definitionOf(i.Definition)
	v := agent.Version{
		Number: i.Number, Created: timeOf(i.Created), CreatedBy: id.Actor(i.CreatedBy), KeyMaker: id.Actor(i.KeyMaker), Definition: d,
	}
	for _, a := range slices.Sorted(slices.Values(i.ActivatedBy)) {
		v.ActivatedBy = append(v.ActivatedBy, id.Actor(a))
	}
	return v, err
}

// A listenItem is an active agent, or a paused system agent.
type listenItem struct {
	primary

	Agent      string `dynamodbav:"agent"`
	Paused     bool   `dynamodbav:"paused,omitempty"`
	Version    int    `dynamodbav:"version,omitempty"`
	Definition string `dynamodbav:"definition,omitempty"`
}

type pauseItem struct {
	primary

	Agent string `dynamodbav:"agent"`
	By    string `dynamodbav:"by,omitempty"`
	At    int64  `dynamodbav:"at_ns,omitempty"`
}

// Agent implements agent.Store.
func (s *Store) Agent(ctx context.Context, o id.Org, a id.Agent) (agent.Agent, error) {
	var i headItem
	switch found, err := s.get(ctx, headKey(o, a), &i); {
	case err != nil:
		return agent.Agent{}, err
	case !found:
		return agent.Agent{}, agent.ErrNotFound
	}
	d, err := s.Version(ctx, o, a, i.Version)
	if err != nil {
		return agent.Agent{}, fmt.Errorf("version %d of %s: %w", i.Version, a, err)
	}
	d.Name, d.Description = i.Name, i.Description
	return agent.Agent{Head: i.head(o), Definition: d}, nil
}

// Version returns a version of an agent, also of a deleted one, or
// agent.ErrNotFound.
func (s *Store) Version(ctx context.Context, o id.Org, a id.Agent, version int) (definition.Definition, error) {
	v, err := s.VersionRecord(ctx, o, a, version)
	return v.Definition, err
}

// VersionRecord implements agent.VersionStore.
func (s *Store) VersionRecord(ctx context.Context, o id.Org, a id.Agent, version int) (agent.Version, error) {
	var i versionItem
	switch found, err := s.get(ctx, versionKey(o, a, version), &i); {
	case err != nil:
		return agent.Version{}, err
	case !found:
		return agent.Version{}, agent.ErrNotFound
	}
	return i.version()
}

// Versions implements agent.Store. A page ends early after 1 MB, which is about
// the size limit of a response.
func (s *Store) Versions(ctx context.Context, o id.Org, a id.Agent, vq agent.VersionQuery) (agent.VersionPage, error) {
	pk, err := agentPartition(o, a)
	q := query{partition: pk, err: err, backwards: true, strong: true, limit: vq.Limit}
	q.from, q.to = begins("VERSION#")
	if vq.Before > 0 {
		q.to = versionKey(o, a, vq.Before-1).SK
	}
	items, next, err := s.page(ctx, q)
	if err != nil {
		return agent.VersionPage{}, err
	}
	var p agent.VersionPage
	for _, i := range items {
		var v versionItem
		if err := attributevalue.UnmarshalMap(i, &v); err != nil {
			return agent.VersionPage{}, err
		}
		record, err := v.version()
		if err != nil {
			return agent.VersionPage{}, fmt.Errorf("version %d of %s: %w", v.Number, a, err)
		}
		p.Versions = append(p.Versions, record)
		p.Next = v.Number
	}
	if next == nil || p.Next == 1 { // DynamoDB returns a cursor even when no version precedes the first
		p.Next = 0
	}
	return p, nil
}

func definitionOf(text string) (definition.Definition, error) {
	var d definition.Definition
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		return definition.Definition{}, fmt.Errorf("read a definition: %w", err)
	}
	return d, nil
}

// Agents implements agent.Store, the oldest first.
func (s *Store) Agents(ctx context.Context, o id.Org) ([]agent.Head, error) {
	items, err := s.inOrg(ctx, o, "AGENT#")
	if err != nil {
		return nil, err
	}
	heads := make([]agent.Head, 0, len(items))
	for _, i := range items {
		var h headItem
		if err := attributevalue.UnmarshalMap(i, &h); err != nil {
			return nil, err
		}
		heads = append(heads, h.head(o))
	}
	slices.SortFunc(heads, func(a, b agent.Head) int {
		return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID))
	})
	return heads, nil
}

// AgentNames implements agent.NameStore.
func (s *Store) AgentNames(ctx context.Context, o id.Org, agents []id.Agent) (map[id.Agent]string, error) {
	keys := make([]item, 0, len(agents))
	for _, a := range agents {
		k := headKey(o, a)
		if k.err != nil {
			return nil, k.err
		}
		keys = append(keys, k.item())
	}
	found, err := s.getAll(ctx, keys, false)
	if err != nil {
		return nil, err
	}
	names := make(map[id.Agent]string, len(found))
	for _, i := range found {
		names[id.Agent(textOf(i, "id"))] = textOf(i, "name")
	}
	return names, nil
}

// inOrg reads the items in an organization's own partition whose sort keys
// begin with a prefix.
func (s *Store) inOrg(ctx context.Context, o id.Org, prefix string) ([]item, error) {
	pk, err := orgPartition(o)
	from, to := begins(prefix)
	return s.all(ctx, query{partition: pk, err: err, from: from, to: to, strong: true})
}

// The parts of the transaction that saves an agent.
const (
	partHead = iota
	partCount
)

// SaveAgent implements agent.Store.
func (s *Store) SaveAgent(ctx context.Context, before, after agent.Agent, active agent.Cap, acts ...audit.Entry) error {
	ws, err := saves(before, after, active)
	if err != nil {
		return err
	}
	ws = append(ws, auditWrites(acts)...)
	err = s.write(ctx, ws...)
	r := refused(err)
	if r == nil {
		return err
	}
	if unknown := noOrg(r, ws); unknown != nil {
		return unknown
	}
	return limitOf(r, before, after)
}

// limitOf returns the limit that a refusal to save an agent is about: it is the
// answer only if every other condition held.
func limitOf(r *refusal, before, after agent.Agent) error {
	_, full := r.at(partCount)
	switch only := full && len(r.parts) == 1; {
	case only && becameActive(before, after):
		return agent.ErrLimit
	case only && agent.DraftsDelta(before, after) > 0:
		return agent.ErrDrafts
	}
	return agent.ErrStale
}

// A requestItem is a create request with its idempotency key.
type requestItem struct {
	primary

	Digest  string `dynamodbav:"digest"`
	Agent   string `dynamodbav:"agent"`
	Made    int64  `dynamodbav:"made"`
	Expires int64  `dynamodbav:"expires"`
}

// SaveRequested implements agent.Store.
func (s *Store) SaveRequested(ctx context.Context, a agent.Agent, r agent.Request, since time.Time, acts ...audit.Entry) error {
	ws, err := saves(agent.Agent{}, a, agent.Cap{})
	if err != nil {
		return err
	}
	request := len(ws)
	ws = append(ws, put(requestItem{
		primary: requestKey(a.Org, r.Key), Digest: r.Digest, Agent: string(r.Agent), Made: nanos(r.Made),
		Expires: r.Made.Add(agent.RequestKept + retention).Unix(),
	}, "attribute_not_exists(pk) OR made <= :since", map[string]any{":since": nanos(since)}))
	err = s.write(ctx, append(ws, auditWrites(acts)...)...)
	if refusal := refused(err); refusal != nil {
		if _, came := refusal.at(request); came {
			return agent.ErrRequested
		}
		return limitOf(refusal, agent.Agent{}, a)
	}
	return err
}

// Requested implements agent.Store.
func (s *Store) Requested(ctx context.Context, o id.Org, key string) (agent.Request, bool, error) {
	var i requestItem
	found, err := s.get(ctx, requestKey(o, key), &i)
	if err != nil || !found {
		return agent.Request{}, false, err
	}
	return agent.Request{Key: key, Digest: i.Digest, Agent: id.Agent(i.Agent), Made: timeOf(i.Made)}, true, nil
}

// saves returns the writes that save an agent: its head, the counts of active
// agents and drafts if they change, a new version, and its listener with the count of
// the listeners' changes.
func saves(before, after agent.Agent, active agent.Cap) ([]write, error) {
	doc, err := toJSON(after.Definition)
	if err != nil {
		return nil, fmt.Errorf("write the definition of %s: %w", after.ID, err)
	}
	ws := []write{headWrite(before, after)}
	ws = append(ws, counts(after.Org, before, after, active)...)
	activates := texts(after.Activates(before))
	switch {
	case after.Version != before.Version:
		v := versionItem{
			primary: versionKey(after.Org, after.ID, after.Version), Number: after.Version,
			Created: nanos(after.Updated), CreatedBy: string(after.UpdatedBy), KeyMaker: string(after.KeyMaker),
			Definition: doc, ActivatedBy: activates,
		}
		ws = append(ws, put(v, "attribute_not_exists(pk)", nil))
	case len(activates) > 0:
		ws = append(ws, write{
			op: opUpdate, key: versionKey(after.Org, after.ID, after.Version), union: map[string][]string{"activated_by": activates},
		})
	}
	if changes := listens(before, after, doc); len(changes) > 0 {
		var uses []tenant.Use
		if after.Status == agent.Active {
			uses = after.Uses
		}
		ws = append(append(ws, changes...), orgWrite(after.Org, uses, 1))
	}
	return append(ws, outboxWrites(after.Announces(before))...), nil
}

// texts returns ids as texts.
func texts[T ~string](all []T) []string {
	var out []string
	for _, a := range all {
		out = append(out, string(a))
	}
	return out
}

// becameActive reports whether an agent has become active.
func becameActive(before, after agent.Agent) bool {
	return before.Status != agent.Active && after.Status == agent.Active
}

func headWrite(before, after agent.Agent) write {
	cond, args := revised(before.Revision)
	return put(headItem{
		primary: headKey(after.Org, after.ID), ID: string(after.ID), Name: after.Name,
		Description: after.Definition.Description, Type: string(after.Type), Status: string(after.Status),
		Category: after.Category, Created: nanos(after.Created), Updated: nanos(after.Updated),
		Version: after.Version, Revision: before.Revision + 1, Needs: after.Needs, Placeholders: after.Placeholders,
		CreatedBy: string(after.CreatedBy), UpdatedBy: string(after.UpdatedBy), KeyMaker: string(after.KeyMaker),
	}, cond, args)
}

// counts returns the write that counts active agents and drafts up to their
// limits, or none if neither number changes. Drafts that were stored before drafts
// were counted do not count.
func counts(o id.Org, before, after agent.Agent, active agent.Cap) []write {
	w := write{op: opUpdate, key: countKey(o), add: map[string]int64{}}
	switch {
	case becameActive(before, after):
		w.add["active"] = 1
		if active.Limited {
			w = w.below("active", active.Most)
		}
	case becameActive(after, before):
		w.add["active"] = -1
	}
	if delta := agent.DraftsDelta(before, after); delta != 0 {
		w.add["drafts"] = delta
		if delta > 0 {
			w = w.below("drafts", agent.MaxDrafts)
		}
	}
	if len(w.add) == 0 {
		return nil
	}
	return []write{w}
}

// below returns the write on condition that the count is below a limit.
func (w write) below(count string, most int) write {
	w.cond, w.args = count+" < :most", map[string]any{":most": most}
	if most > 0 {
		w.cond = "attribute_not_exists(" + count + ") OR " + w.cond
	}
	return w
}

// listens returns the writes that make an active agent findable by its event,
// and an inactive one not.
func listens(before, after agent.Agent, doc string) []write {
	var ws []write
	was := listenKey(before.Org, before.Definition.Trigger.Event(), before.ID)
	is := listenKey(after.Org, after.Definition.Trigger.Event(), after.ID)
	if before.Status == agent.Active && (after.Status != agent.Active || is != was) {
		ws = append(ws, write{op: opDelete, key: was})
	}
	if after.Status == agent.Active {
		ws = append(ws, put(listenItem{
			primary: is, Agent: string(after.ID), Version: after.Version, Definition: doc,
		}, "", nil))
	}
	return ws
}

// DeleteAgent implements agent.Store.
func (s *Store) DeleteAgent(ctx context.Context, a agent.Agent, acts ...audit.Entry) error {
	cond, args := revised(a.Revision)
	ws := []write{{op: opDelete, key: headKey(a.Org, a.ID), cond: cond, args: args}}
	ws = append(ws, counts(a.Org, a, agent.Agent{}, agent.Cap{})...)
	if a.Status == agent.Active {
		ws = append(ws, write{op: opDelete, key: listenKey(a.Org, a.Definition.Trigger.Event(), a.ID)}, orgWrite(a.Org, nil, 1))
	}
	err := s.write(ctx, append(ws, auditWrites(acts)...)...)
	if r := refused(err); r != nil {
		return cmp.Or(noOrg(r, ws), error(agent.ErrStale))
	}
	return err
}

// Pauses implements agent.Store.
func (s *Store) Pauses(ctx context.Context, o id.Org) (map[id.Agent]agent.Pause, error) {
	items, err := s.inOrg(ctx, o, "PAUSE#")
	if err != nil {
		return nil, err
	}
	pauses := map[id.Agent]agent.Pause{}
	for _, i := range items {
		var p pauseItem
		if err := attributevalue.UnmarshalMap(i, &p); err != nil {
			return nil, err
		}
		pauses[id.Agent(p.Agent)] = agent.Pause{By: id.Actor(p.By), At: timeOf(p.At)}
	}
	return pauses, nil
}

// SavePause implements agent.Store.
func (s *Store) SavePause(ctx context.Context, o id.Org, a id.Agent, event string, p agent.Pause, acts ...audit.Entry) error {
	ws := append(auditWrites(acts),
		put(pauseItem{
			primary: pauseKey(o, a), Agent: string(a), By: string(p.By), At: nanos(p.At),
		}, "attribute_not_exists(pk)", nil),
		put(listenItem{primary: listenKey(o, event, a), Agent: string(a), Paused: true}, "", nil),
		orgWrite(o, nil, 1))
	err := s.write(ctx, ws...)
	if r := refused(err); r != nil {
		return noOrg(r, ws) // nil: it is paused already
	}
	return err
}

// DeletePause implements agent.Store.
func (s *Store) DeletePause(ctx context.Context, o id.Org, a id.Agent, event string, acts ...audit.Entry) error {
	ws := append(auditWrites(acts),
		write{op: opDelete, key: pauseKey(o, a), cond: "attribute_exists(pk)"},
		write{op: opDelete, key: listenKey(o, event, a)},
		orgWrite(o, nil, 1))
	err := s.write(ctx, ws...)
	if r := refused(err); r != nil {
		return noOrg(r, ws) // nil: it is not paused
	}
	return err
}

// Listeners implements dispatch.Agents.
func (s *Store) Listeners(ctx context.Context, o id.Org, event string) ([]agent.Listener, map[id.Agent]bool, error) {
	prefix, err := join("LISTEN", event)
	if err != nil {
		return nil, nil, err
	}
	items, err := s.inOrg(ctx, o, prefix+"#")
	if err != nil {
		return nil, nil, err
	}
	var list []agent.Listener
	paused := map[id.Agent]bool{}
	for _, i := range items {
		var l listenItem
		if err := attributevalue.UnmarshalMap(i, &l); err != nil {
			return nil, nil, err
		}
		if l.Paused {
			paused[id.Agent(l.Agent)] = true
			continue
		}
		d, err := definitionOf(l.Definition)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", l.Agent, err)
		}
		list = append(list, agent.Listener{Agent: id.Agent(l.Agent), Version: l.Version, Definition: d})
	}
	slices.SortFunc(list, func(a, b agent.Listener) int { return strings.Compare(string(a.Agent), string(b.Agent)) })
	return list, paused, nil
}
