package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/sfn"

	"theoneagents.app/agents/events"
	"theoneagents.app/agents/shared/agent"
	"theoneagents.app/agents/shared/catalog"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/dynamo"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
)

// show prints everything that is stored about a run.
func show(ctx context.Context, w surroundings, args []string) error {
	a := argue("run")
	org := a.set.String("org", "", "organization of the run")
	rest, err := a.parse(w, args)
	if err != nil {
		return err
	}
	o := a.org(*org)
	a.refuse(*org == "", "-org is missing: the organization of the run")
	a.refuse(len(rest) != 1, "name one execution, like exec_01KK9VH6M0AAAAAAAAAAAAAAAA")
	for _, r := range rest {
		a.refuse(!id.Valid("exec_", r), "%q is not an execution id: an id is exec_ and up to 64 letters, digits or underscores", r)
	}
	if err := a.err(); err != nil {
		return err
	}
	at, err := a.target(ctx)
	if err != nil {
		return err
	}
	r, err := readerOf(at)
	if err != nil {
		return err
	}
	all, err := r.read(ctx, o, id.Execution(rest[0]))
	if errors.Is(err, execution.ErrNotFound) {
		return missing(ctx, r.newest, o, rest[0])
	}
	if err != nil {
		return err
	}
	if *a.json {
		return w.document(all)
	}
	_, err = fmt.Fprint(w.out, all.text(w.now()))
	return err
}

// lister is the part of the store that lists runs.
type lister interface {
	Executions(ctx context.Context, o id.Org, q execution.Query) (execution.Page, error)
}

// missing returns a misuse that names the newest runs of the organization.
func missing(ctx context.Context, runs lister, o id.Org, run string) error {
	m := &misuse{command: "operate run"}
	page, err := runs.Executions(ctx, o, execution.Query{Limit: 3})
	switch {
	case err != nil:
		m.faults = []string{fmt.Sprintf("%s has no run %s", o, run)}
	case len(page.Executions) == 0:
		m.faults = []string{fmt.Sprintf("%s has no run %s, and no other run", o, run)}
	default:
		var ids []string
		for _, x := range page.Executions {
			ids = append(ids, string(x.ID))
		}
		m.faults = []string{fmt.Sprintf("%s has no run %s; its newest runs are %s", o, run, strings.Join(ids, ", "))}
	}
	return m
}

// readerOf returns the reader of a system's runs.
func readerOf(at target) (reader, error) {
	known, err := catalog.Load(events.Files)
	if err != nil {
		return reader{}, fmt.Errorf("catalogue: %w", err)
	}
	system, err := agent.SystemAgents(definition.Rules{Catalog: known})
	if err != nil {
		return reader{}, fmt.Errorf("system agents: %w", err)
	}
	store := dynamo.New(dynamodb.NewFromConfig(at.config), at.table)
	return reader{
		records: store, definitions: agent.Definitions{System: system, Versions: store},
		machines: sfn.NewFromConfig(at.config), at: at, newest: store,
	}, nil
}

// A page collects the lines of a report.
type page struct{ strings.Builder }

func (p *page) line(format string, args ...any) { _, _ = fmt.Fprintf(p, format+"\n", args...) }

// field adds a line with a name.
func (p *page) field(name, format string, args ...any) {
	p.line("  %-10s %s", name, fmt.Sprintf(format, args...))
}

// text returns the run for people.
func (a runReport) text(now time.Time) string {
	var p page
	a.Run.print(&p, now)
	p.line("event")
	p.line("  %s  %s  published %s", plain(string(a.Event.ID)), plain(a.Event.Name()), stamp(a.Event.Published))
	if a.Event.Client != "" {
		p.field("client", "%s", plain(string(a.Event.Client)))
	}
	p.field("payload", "%s", inline(a.Event.Payload))
	if a.Activity.ID != "" {
		p.field("activity", "%s  %s at %s", a.Activity.ID, a.Activity.Outcome, stamp(a.Activity.At))
	}
	p.line("steps")
	for _, s := range a.Steps {
		printStep(&p, s)
	}
	for _, q := range a.Approvals {
		q.print(&p)
	}
	a.Ledger.print(&p)
	a.Machines.print(&p)
	return p.String()
}

func (r record) print(p *page, now time.Time) {
	p.line("%s  %s", r.ID, r.Org)
	p.field("status", "%s%s", r.Status, because(r))
	p.field("agent", "%s, version %d", r.Agent, r.Version)
	suspended := ""
	if r.Suspended {
		suspended = ", suspended"
	}
	p.field("plan", "%s%s", r.Plan, suspended)
	if r.RetryOf != "" {
		p.field("retry of", "%s", r.RetryOf)
	}
	p.field("credits", "%d", r.Credits)
	p.field("times", "created %s, started %s, completed %s", stamp(r.Created), stamp(r.Started), stamp(r.Completed))
	p.field("lease", "%s", r.lease(now))
	due := "never: the run needs no sweep"
	if !r.Due.IsZero() {
		due = fmt.Sprintf("%s (%s): then the sweeper takes the run up", stamp(r.Due), distance(r.Due, now))
	}
	p.field("due", "%s", due)
	p.field("revision", "%d", r.Revision)
}

func because(r record) string {
	switch {
	case r.Error != nil:
		return ": " + plain(r.Error.Code+": "+r.Error.Message)
	case r.Reason != "":
		return ": " + string(r.Reason)
	}
	return ""
}

// lease describes the run's lease.
func (r record) lease(now time.Time) string {
	switch {
	case r.Status.Ended():
		return fmt.Sprintf("none: the run has ended, after %d leases", r.Attempt)
	case r.Owner == "":
		return fmt.Sprintf("free, after %d leases", r.Attempt)
	}
	return fmt.Sprintf("number %d, held by %s until %s (%s)", r.Attempt, r.Owner, stamp(r.Until), distance(r.Until, now))
}

func distance(t, now time.Time) string {
	d := t.Sub(now).Round(time.Second)
	if d < 0 {
		return (-d).String() + " ago"
	}
	return "in " + d.String()
}

func printStep(p *page, s execution.StepRecord) {
	p.line("  %-20s %-15s %-9s", s.ID, s.Kind, s.Status)
	if !s.Started.IsZero() {
		p.line("      %s to %s, %d ms, under lease %d, %d tries", stamp(s.Started), stamp(s.Ended), s.Duration().Milliseconds(), s.Attempt, s.Tries)
	}
	if s.Charge != nil {
		p.line("      costs %d credits (%s, %s)", s.Charge.Amount, s.Charge.Tier, s.Charge.Month)
	}
	if s.Usage != nil {
		p.line("      %s, %d tokens in, %d out", plain(s.Usage.Model), s.Usage.InputTokens, s.Usage.OutputTokens)
	}
	if !s.Until.IsZero() {
		p.line("      until %s", stamp(s.Until))
	}
	if s.Error != nil {
		p.line("      %s", plain(s.Error.Code+": "+s.Error.Message))
	}
	if s.Input != nil {
		p.line("      in  %s", inline(s.Input))
	}
	if s.Output != nil {
		p.line("      out %s", inline(s.Output))
	}
}

// inline returns a document on one line, shortened; -json prints all of it.
func inline(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return plain(short(string(text), 200))
}

func (q question) print(p *page) {
	p.line("approval %s  of step %s", q.ID, q.Step)
	waits := "no machine has parked a token"
	if q.Parked {
		waits = "a machine has parked its token"
	}
	p.field("status", "%s, %d of %d votes, requested %s, expires %s; %s",
		q.Status, len(q.Votes), q.Min, stamp(q.Created), stamp(q.Expires), waits)
	p.field("question", "%s", plain(short(q.Message, 200)))
	for _, a := range q.Actions {
		p.field("then", "%s: %s %s %s", a.Step, a.Product, a.Action, inline(a.Params))
	}
	for _, v := range q.Votes {
		said := "denied"
		if v.Approve {
			said = "approved"
		}
		p.field("vote", "%s %s at %s  %s", plain(string(v.User)), said, stamp(v.At), plain(short(v.Note, 200)))
	}
	if q.DecidedBy != "" {
		p.field("decided", "by %s at %s", plain(string(q.DecidedBy)), stamp(q.DecidedAt))
	}
}

func (l ledger) print(p *page) {
	p.line("ledger")
	for _, h := range l.Held {
		p.field("reserved", "%d credits for %s (%s, %s)", h.Amount, h.Step, h.Tier, h.Month)
	}
	for _, c := range l.Charged {
		p.field("charged", "%d credits for %s (%s, %s)", c.Amount, c.Step, c.Tier, c.Month)
	}
	for _, s := range l.Returned {
		p.field("released", "%s cost nothing: its credits were returned, or never reserved", s)
	}
	for _, b := range l.Balances {
		p.field("balance", "%s: %d of %d credits remain", b.Month, b.Remaining, b.Allocation)
		for tier, n := range l.Used[b.Month] {
			p.field("agent", "%s: %d credits used at %s", b.Month, n, tier)
		}
	}
	p.field("agent", "%d runs in all", l.Runs)
}

func (m machines) print(p *page) {
	p.line("machines")
	p.line("  %s", m.Runs)
	if len(m.Waits) == 0 {
		p.line("  no execution of the Waits machine: the run never waited, or AWS has deleted the execution (90 days)")
	}
	if m.More > 0 {
		p.line("  the executions of %d earlier leases were not looked up", m.More)
	}
	for _, w := range m.Waits {
		p.line("  %s  %s  started %s, stopped %s  %s", w.Name, w.Status, stamp(w.Started), stamp(w.Stopped), plain(w.Error))
		for _, e := range w.Last {
			p.line("      %s  %s  %s", stamp(e.At), e.Type, plain(e.State))
		}
	}
}
