// Package memory is an in-memory store for test runs of agents, simulations and tests.
// It keeps the promises of package dynamo and passes the same suite; its data ends with
// the process.
//
// It copies arguments and results, so only its methods can change the stored
// data.
package memory

import (
	"reflect"
	"sync"
	"time"

	"theoneagents.app/agents/shared/activity"
	"theoneagents.app/agents/shared/agent"
	"theoneagents.app/agents/shared/alert"
	"theoneagents.app/agents/shared/approval"
	"theoneagents.app/agents/shared/audit"
	"theoneagents.app/agents/shared/catalog"
	"theoneagents.app/agents/shared/client"
	"theoneagents.app/agents/shared/credit"
	"theoneagents.app/agents/shared/dispatch"
	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/job"
	"theoneagents.app/agents/shared/journal"
	"theoneagents.app/agents/shared/key"
	"theoneagents.app/agents/shared/quota"
	"theoneagents.app/agents/shared/tenant"
)

// A Store keeps the data of all organizations. It is safe for concurrent use.
type Store struct {
	mu   sync.Mutex
	orgs map[id.Org]*org
}

// An org is the data of one organization.
type org struct {
	tenant    tenant.Tenant
	months    map[credit.Month]credit.Balance
	agents    map[id.Agent]agent.Agent
	versions  map[id.Agent]map[int]agent.Version
	requests  map[string]agent.Request // by key
	pauses    map[id.Agent]pause       // of system agents
	stats     map[id.Agent]agent.Stats
	counted   map[string]bool // contributions in the stats
	runs      map[id.Execution]*run
	claims    map[string]claim
	starts    map[id.Agent]dispatch.LimitStarts
	refusals  map[id.Activity]activity.Entry
	approvals map[id.Approval]approval.Approval
	keys      map[id.Key]key.Key
	facts     map[id.Client]map[subject]client.Fact
	begun     map[string]int // deliveries that did not end, by message
	makers    map[catalog.ObjectID]maker
	permits   map[permitKey]int // taken
	revoked   map[string]bool   // ids of sessions

	issuedBefore map[id.User]time.Time // sessions issued before are revoked

	outbox map[id.Event]event.Event // unpublished
	alerts alert.Record

	rotation key.Rotation
	tally    quota.Tally
	messages map[messagesKey]quota.DayTally
	trees    map[id.Event]quota.Tree
	audit    map[id.Audit]audit.Entry
	received map[string]journal.Entry // by type and place
	letters  map[id.Event]journal.Letter

	jobs     map[id.Job]job.Job
	jobArgs  map[id.Job]string
	results  map[id.Job]string
	openJobs map[job.Kind]id.Job

	erasure tenant.Erasure // in the place of a deleted tenant
}

// New returns an empty store.
func New() *Store { return &Store{orgs: make(map[id.Org]*org)} }

// org returns the data of an organization; the caller holds the lock.
func (s *Store) org(o id.Org) *org {
	if s.orgs[o] == nil {
		s.orgs[o] = emptyOrg()
	}
	return s.orgs[o]
}

func emptyOrg() *org {
	return &org{
		months:    map[credit.Month]credit.Balance{},
		agents:    map[id.Agent]agent.Agent{},
		versions:  map[id.Agent]map[int]agent.Version{},
		requests:  map[string]agent.Request{},
		pauses:    map[id.Agent]pause{},
		stats:     map[id.Agent]agent.Stats{},
		counted:   map[string]bool{},
		runs:      map[id.Execution]*run{},
		claims:    map[string]claim{},
		starts:    map[id.Agent]dispatch.LimitStarts{},
		refusals:  map[id.Activity]activity.Entry{},
		approvals: map[id.Approval]approval.Approval{},
		keys:      map[id.Key]key.Key{},
		facts:     map[id.Client]map[subject]client.Fact{},
		begun:     map[string]int{},
		makers:    map[catalog.ObjectID]maker{},
		permits:   map[permitKey]int{},
		revoked:   map[string]bool{},

		issuedBefore: map[id.User]time.Time{},

		messages: map[messagesKey]quota.DayTally{},

		outbox: map[id.Event]event.Event{},
		trees:  map[id.Event]quota.Tree{},
		audit:  map[id.Audit]audit.Entry{},

		received: map[string]journal.Entry{},
		letters:  map[id.Event]journal.Letter{},
		jobs:     map[id.Job]job.Job{},
		jobArgs:  map[id.Job]string{},
		results:  map[id.Job]string{},
		openJobs: make(map[job.Kind]id.Job),
	}
}

// clone returns a deep copy of v. Unexported fields are copied shallowly; only
// time.Time has any.
func clone[T any](v T) T {
	deep(reflect.ValueOf(&v).Elem())
	return v
}

// deep replaces the values that v refers to by copies.
func deep(v reflect.Value) {
	if isPlain(v.Kind()) {
		return
	}
	switch v.Kind() { //nolint:exhaustive // other kinds hold no references.
	case reflect.Struct:
		for _, i := range referring(v.Type()) {
			deep(v.Field(i))
		}
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			v.Set(copied(v))
		}
	case reflect.Slice:
		if v.IsNil() {
			return
		}
		c := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
		reflect.Copy(c, v)
		if refers(v.Type().Elem()) {
			for i := range c.Len() {
				deep(c.Index(i))
			}
		}
		v.Set(c)
	case reflect.Map:
		if v.IsNil() {
			return
		}
		if d, ok := reflect.TypeAssert[map[string]any](v); ok {
			v.Set(reflect.ValueOf(document(d)))
			return
		}
		c := reflect.MakeMapWithSize(v.Type(), v.Len())
		for k, e := range v.Seq2() {
			c.SetMapIndex(k, settable(e))
		}
		v.Set(c)
	}
}

// fields caches the result of referring by type: looking at each field of a struct
// takes longer than its copy.
var fields sync.Map //nolint:gochecknoglobals // a type never changes.

// referring returns the exported fields of a struct type that may hold references.
func referring(t reflect.Type) []int {
	if known, ok := fields.Load(t); ok {
		return known.([]int) //nolint:errcheck,forcetypeassert // nothing else is there.
	}
	var list []int
	for i := range t.NumField() {
		if f := t.Field(i); f.IsExported() && refers(f.Type) {
			list = append(list, i)
		}
	}
	fields.Store(t, list)
	return list
}

// refers reports whether values of a type may hold references that deep copies.
func refers(t reflect.Type) bool {
	return t.Kind() != reflect.Struct && !isPlain(t.Kind()) || t.Kind() == reflect.Struct && len(referring(t)) > 0
}

// isPlain reports whether values of a kind are copied by assigning them.
func isPlain(k reflect.Kind) bool { return k <= reflect.Complex128 || k == reflect.String }

// copied returns a copy of a pointer or an interface.
func copied(v reflect.Value) reflect.Value {
	e := v.Elem()
	if v.Kind() == reflect.Pointer {
		return settable(e).Addr()
	}
	if isPlain(e.Kind()) {
		return e
	}
	if d, ok := reflect.TypeAssert[map[string]any](e); ok {
		return reflect.ValueOf(document(d))
	}
	return settable(e)
}

// document returns a copy of a JSON object. Most stored values are JSON, and
// a copy by reflection takes several times as long.
func document(d map[string]any) map[string]any {
	if d == nil {
		return nil
	}
	c := make(map[string]any, len(d))
	for k, e := range d {
		switch e := e.(type) {
		case string, bool, nil:
			c[k] = e
		case map[string]any:
			c[k] = document(e)
		default:
			c[k] = clone(e)
		}
	}
	return c
}

// settable returns a copy of v that can be changed.
func settable(v reflect.Value) reflect.Value {
	c := reflect.New(v.Type()).Elem()
	c.Set(v)
	deep(c)
	return c
}
