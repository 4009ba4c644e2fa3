package dynamo

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"

	"theoneagents.app/agents/shared/approval"
	"theoneagents.app/agents/shared/audit"
	"theoneagents.app/agents/shared/caller"
	"theoneagents.app/agents/shared/catalog"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/dynamo/schema"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/jsonvalue"
)

type approvalItem struct {
	primary

	OrgList    string `dynamodbav:"org_list"`
	StatusList string `dynamodbav:"status_list"`
	At         string `dynamodbav:"at"`

	ID        string `dynamodbav:"id"`
	Execution string `dynamodbav:"execution"`
	Agent     string `dynamodbav:"agent"`
	Version   int    `dynamodbav:"version,omitempty"` // of the agent
	Step      string `dynamodbav:"step"`
	StepName  string `dynamodbav:"step_name,omitempty"`
	Message   string `dynamodbav:"message,omitempty"`
	Actions   string `dynamodbav:"actions,omitempty"` // JSON
	Then      string `dynamodbav:"then,omitempty"`    // JSON
	Chat      string `dynamodbav:"chat,omitempty"`    // JSON
	Status    string `dynamodbav:"status"`
	Approvers string `dynamodbav:"approvers"` // JSON
	Min       int    `dynamodbav:"min"`
	OnExpiry  string `dynamodbav:"on_expiry,omitempty"`
	Escalated bool   `dynamodbav:"escalated,omitempty"`
	Token     string `dynamodbav:"token,omitempty"`
	Created   int64  `dynamodbav:"created"`
	Expires   int64  `dynamodbav:"expires_at"`
	Remind    int64  `dynamodbav:"remind_at,omitempty"`
	Votes     string `dynamodbav:"votes,omitempty"` // JSON
	Risk      string `dynamodbav:"risk,omitempty"`
	Behind    string `dynamodbav:"behind,omitempty"` // JSON
	Renews    string `dynamodbav:"renews,omitempty"` // JSON
	DecidedBy string `dynamodbav:"decided_by,omitempty"`
	DecidedAt int64  `dynamodbav:"decided_at,omitempty"`
	Note      string `dynamodbav:"note,omitempty"`
	Revision  int64  `dynamodbav:"rev"`
	Kept      int64  `dynamodbav:"expires,omitempty"`
}

type approversDoc struct {
	Roles []caller.Role `json:"roles,omitempty"`
	Users []id.User     `json:"users,omitempty"`
}

type voteDoc struct {
	User    id.User   `json:"user"`
	Approve bool      `json:"approve"`
	Note    string    `json:"note,omitempty"`
	At      time.Time `json:"at"`
	Issued  time.Time `json:"issued,omitzero"`
}

type renewalDoc struct {
	Approval  id.Approval `json:"approval"`
	DecidedBy id.User     `json:"decided_by"`
	DecidedAt time.Time   `json:"decided_at"`
}

func renewalJSON(r *approval.Renewal) (string, error) {
	if r == nil {
		return "", nil
	}
	return toJSON(renewalDoc(*r))
}

type behindDoc struct {
	Wrote     []id.Actor `json:"wrote,omitempty"`
	Activated []id.Actor `json:"activated,omitempty"`
	Started   []id.Actor `json:"started,omitempty"`
	Known     bool       `json:"known,omitempty"`
}

func behindJSON(b approval.Behind) (string, error) {
	if !b.Known && len(b.Wrote)+len(b.Activated)+len(b.Started) == 0 {
		return "", nil
	}
	return toJSON(behindDoc(b))
}

// The stored documents of the steps after a gate and of its chat messages.
type (
	followingDoc struct {
		Step    id.Step         `json:"step"`
		Kind    definition.Kind `json:"kind"`
		Name    string          `json:"name,omitempty"`
		Certain bool            `json:"certain,omitempty"`
		Within  *placeDoc       `json:"within,omitempty"`
		Message *messageDoc     `json:"message,omitempty"`
		Branch  *wayDoc         `json:"branch,omitempty"`
		Wait    *waitDoc        `json:"wait,omitempty"`
	}
	placeDoc struct {
		Step id.Step `json:"step"`
		Case int     `json:"case"`
	}
	messageDoc struct {
		Channel    definition.Channel `json:"channel"`
		Recipients []string           `json:"recipients"`
		More       int                `json:"more,omitempty"`
		Text       *textDoc           `json:"text,omitempty"`
	}
	textDoc struct {
		Subject string `json:"subject,omitempty"`
		Body    string `json:"body"`
		Cut     int    `json:"cut,omitempty"`
	}
	wayDoc struct {
		Open bool `json:"open,omitempty"`
		Case int  `json:"case"`
	}
	waitDoc struct {
		Seconds int64  `json:"seconds,omitempty"`
		Until   string `json:"until,omitempty"`
	}
	chatDoc struct {
		Question string   `json:"question"`
		Values   []string `json:"values,omitempty"`
		Cut      bool     `json:"cut,omitempty"`
	}
)

func thenJSON(then []approval.Following) (string, error) {
	if len(then) == 0 {
		return "", nil
	}
	docs := make([]followingDoc, 0, len(then))
	for _, f := range then {
		d := followingDoc{
			Step: f.Step, Kind: f.Kind, Name: f.Name, Certain: f.Certain,
			Within: (*placeDoc)(f.Within), Branch: (*wayDoc)(f.Branch), Wait: (*waitDoc)(f.Wait),
		}
		if m := f.Message; m != nil {
			d.Message = &messageDoc{m.Channel, m.Recipients, m.More, (*textDoc)(m.Text)}
		}
		docs = append(docs, d)
	}
	return toJSON(docs)
}

func (d followingDoc) following() approval.Following {
	f := approval.Following{
		Step: d.Step, Kind: d.Kind, Name: d.Name, Certain: d.Certain,
		Within: (*approval.Place)(d.Within), Branch: (*approval.Way)(d.Branch), Wait: (*approval.Wait)(d.Wait),
	}
	if m := d.Message; m != nil {
		f.Message = &approval.Message{Channel: m.Channel, Recipients: m.Recipients, More: m.More, Text: (*approval.Text)(m.Text)}
	}
	return f
}

func chatJSON(c approval.Chat) (string, error) {
	if c.Question == "" {
		return "", nil
	}
	return toJSON(chatDoc(c))
}

// approvalWrite stores an approval that is still at its revision.
func approvalWrite(a approval.Approval) write {
	list, listErr := approvalsOfOrg(a.Org)
	statusList, statusErr := approvalsOfStatus(a.Org, a.Status)
	approvers, approversErr := toJSON(approversDoc(a.Approvers))
	votes, votesErr := votesJSON(a.Votes)
	actions, actionsErr := actionsJSON(a.Actions)
	then, thenErr := thenJSON(a.Then)
	chat, chatErr := chatJSON(a.Chat)
	behind, behindErr := behindJSON(a.Behind)
	renews, renewsErr := renewalJSON(a.Renews)
	cond, args := revised(a.Revision)
	w := put(approvalItem{
		primary: approvalKey(a.Org, a.ID), OrgList: list, StatusList: statusList, At: sortKey(a.Created, string(a.ID)),
		ID: string(a.ID), Execution: string(a.Execution), Agent: string(a.Agent), Version: a.Version, Step: string(a.Step), StepName: a.StepName,
		Message: a.Message, Actions: actions, Then: then, Chat: chat, Status: string(a.Status),
		Approvers: approvers, Min: a.Min, OnExpiry: string(a.OnExpiry), Escalated: a.Escalated, Token: a.Token,
		Created: nanos(a.Created), Expires: nanos(a.Expires), Remind: nanos(a.Remind), Votes: votes,
		Risk: string(a.Risk), Behind: behind, Renews: renews,
		DecidedBy: string(a.DecidedBy), DecidedAt: nanos(a.DecidedAt), Note: a.Note, Revision: a.Revision + 1, Kept: seconds(a.KeptUntil),
	}, cond, args)
	w.err = errors.Join(w.err, listErr, statusErr, approversErr, votesErr, actionsErr, thenErr, chatErr, behindErr, renewsErr)
	return w
}

func votesJSON(votes []approval.Vote) (string, error) {
	if len(votes) == 0 {
		return "", nil
	}
	docs := make([]voteDoc, 0, len(votes))
	for _, v := range votes {
		docs = append(docs, voteDoc(v))
	}
	return toJSON(docs)
}

type actionDoc struct {
	Step    id.Step          `json:"step"`
	Product string           `json:"product"`
	Action  string           `json:"action"`
	Params  jsonvalue.Values `json:"params"`
}

func actionsJSON(actions []approval.Action) (string, error) {
	if len(actions) == 0 {
		return "", nil
	}
	docs := make([]actionDoc, 0, len(actions))
	for _, a := range actions {
		docs = append(docs, actionDoc{a.Step, a.Product, a.Action, a.Params})
	}
	return toJSON(docs)
}

func (i approvalItem) approval(o id.Org) (approval.Approval, error) {
	a := approval.Approval{
		ID: id.Approval(i.ID), Org: o, Execution: id.Execution(i.Execution), Agent: id.Agent(i.Agent),
		Version: i.Version, Step: id.Step(i.Step), StepName: i.StepName, Message: i.Message, Status: approval.Status(i.Status), Min: i.Min, Token: i.Token,
		Created: timeOf(i.Created), Expires: timeOf(i.Expires), Remind: timeOf(i.Remind), DecidedBy: id.User(i.DecidedBy),
		DecidedAt: timeOf(i.DecidedAt), Note: i.Note, Revision: i.Revision, KeptUntil: secondsOf(i.Kept),
		OnExpiry: definition.OnExpiry(i.OnExpiry), Escalated: i.Escalated, Risk: catalog.Risk(i.Risk),
	}
	var approvers approversDoc
	var votes []voteDoc
	var actions []actionDoc
	var then []followingDoc
	var chat chatDoc
	var behind behindDoc
	var renews *renewalDoc
	err := errors.Join(fromJSON(i.Approvers, &approvers), fromJSON(i.Votes, &votes), fromJSON(i.Actions, &actions),
		fromJSON(i.Then, &then), fromJSON(i.Chat, &chat), fromJSON(i.Behind, &behind), fromJSON(i.Renews, &renews))
	a.Approvers, a.Chat, a.Behind = approval.Approvers(approvers), approval.Chat(chat), approval.Behind(behind)
	a.Renews = (*approval.Renewal)(renews)
	for _, d := range then {
		a.Then = append(a.Then, d.following())
	}
	for _, v := range votes {
		a.Votes = append(a.Votes, approval.Vote(v))
	}
	for _, d := range actions {
		a.Actions = append(a.Actions, approval.Action{Step: d.Step, Product: d.Product, Action: d.Action, Params: d.Params})
	}
	return a, err
}

// Approval implements approval.Store.
func (s *Store) Approval(ctx context.Context, o id.Org, appr id.Approval) (approval.Approval, error) {
	var i approvalItem
	switch found, err := s.get(ctx, approvalKey(o, appr), &i); {
	case err != nil:
		return approval.Approval{}, err
	case !found:
		return approval.Approval{}, approval.ErrNotFound
	}
	return i.approval(o)
}

// Approvals implements approval.Store.
func (s *Store) Approvals(ctx context.Context, o id.Org, q approval.Query) (approval.Page, error) {
	index := schema.ByOrg()
	list, err := approvalsOfOrg(o)
	l := listing{after: q.After, want: q.Limit}
	if q.Status != "" {
		index = schema.ByStatus()
		list, err = approvalsOfStatus(o, q.Status)
		l.keep = func(i item) bool { return textOf(i, "status") == string(q.Status) }
	}
	l.parts = []query{{index: &index, partition: list, err: err, from: first, to: last}}
	rows, next, err := s.list(ctx, l)
	if err != nil {
		return approval.Page{}, err
	}
	p := approval.Page{Next: next}
	for _, r := range rows {
		var i approvalItem
		if err := attributevalue.UnmarshalMap(r.item, &i); err != nil {
			return approval.Page{}, err
		}
		a, err := i.approval(o)
		if err != nil {
			return approval.Page{}, fmt.Errorf("read %s: %w", i.ID, err)
		}
		p.Approvals = append(p.Approvals, a)
	}
	return p, nil
}

// SaveDecision implements approval.Store. The run's revision stays, so that the
// worker that moves the run at the same time need not read the run again.
func (s *Store) SaveDecision(ctx context.Context, a approval.Approval, due time.Time, acts ...audit.Entry) error {
	run := execution.Execution{ID: a.Execution, Due: due}
	err := s.write(ctx, append(auditWrites(acts), approvalWrite(a), write{
		op: opUpdate, key: metaKey(a.Org, a.Execution), shared: true,
		set:  map[string]any{"due": dueOf(run), "open_shard": shardOf(run.ID)},
		cond: "st = :asking", args: map[string]any{":asking": string(execution.WaitingApproval)},
	})...)
	if refused(err) != nil {
		return approval.ErrStale
	}
	return err
}
