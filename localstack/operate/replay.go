package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"theoneagents.app/agents/localstack/local/cloud"
	"theoneagents.app/agents/shared/id"
)

// replay replays events from the archives.
func replay(ctx context.Context, w surroundings, args []string) error {
	a := argue("replay")
	from := a.set.String("from", "", "time of the first event, like 2026-03-09T14:00:00Z")
	to := a.set.String("to", "", "time of the last event")
	org := a.set.String("org", "", "only events of this organization")
	kind := a.set.String("type", "", "only events of this type, like psa:ticket.created")
	name := a.set.String("name", "", "name of the replay; by default derived from the flags, so that equal flags replay once")
	rest, err := a.parse(w, args)
	if err != nil {
		return err
	}
	a.onlyFlags(rest)
	s := span{From: a.moment("from", *from), To: a.moment("to", *to), Org: a.org(*org)}
	a.refuse(!s.From.Before(s.To) && !s.To.IsZero(), "-from must be before -to")
	a.refuse(s.To.After(w.now()), "-to must not be in the future")
	s.Product, s.Type = a.kind(*kind)
	a.refuse(strings.Trim(*name, letterDigits) != "" || len(*name) > maxName, "-name may have at most %d letters, digits, dots, dashes and underscores", maxName)
	if err := a.err(); err != nil {
		return err
	}
	at, err := a.target(ctx)
	if err != nil {
		return err
	}
	var all replays
	for _, from := range at.channels(s.Product) {
		all = append(all, replayer{
			surroundings: w, events: eventbridge.NewFromConfig(at.config), queues: sqs.NewFromConfig(at.config), at: at, from: from,
			span: s, name: cmp.Or(*name, s.name()) + from.suffix, json: *a.json,
		})
	}
	return all.run(ctx)
}

// replays replay a span from the archive of each bus, one after the other.
type replays []replayer

func (all replays) run(ctx context.Context) error {
	var told []outcome
	for _, r := range all {
		o, err := r.run(ctx)
		if err != nil {
			return err
		}
		told = append(told, o)
	}
	return all[0].tell(told)
}

const (
	letterDigits = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"
	maxName      = 60
	// poll is the interval of asking for the state of a replay.
	poll = 2 * time.Second
)

// A span selects the events to replay; an empty field selects all.
type span struct {
	From, To      time.Time
	Org           id.Org
	Product, Type string
}

// narrow reports whether the span is narrower than the rules of the bus.
func (s span) narrow() bool { return s.Org != "" || s.Type != "" }

// name returns the default name of the span's replay. It is derived from the
// span, so that a repeated command waits for the first replay instead of starting
// a second.
func (s span) name() string {
	sum := sha256.Sum256(fmt.Append(nil, s.From.Unix(), s.To.Unix(), s.Org, " ", s.Product, " ", s.Type))
	return "replay-" + hex.EncodeToString(sum[:8])
}

// A replayer replays events from the archive of a bus to the rules of that bus.
type replayer struct {
	surroundings

	events *eventbridge.Client
	queues inbox
	at     target
	from   channel
	span   span
	name   string
	json   bool
}

// An outcome is the result of a replay. EventBridge does not report how many
// events it has delivered.
type outcome struct {
	Name       string    `json:"name"`
	Bus        string    `json:"bus"`
	State      string    `json:"state"`
	Reason     string    `json:"reason,omitempty"`
	Repeated   bool      `json:"repeated"` // an earlier command had started it
	Started    time.Time `json:"started_at,omitzero"`
	Ended      time.Time `json:"ended_at,omitzero"`
	LastEvent  time.Time `json:"last_event_at,omitzero"` // of the last replayed event, if EventBridge reports it
	Archived   int64     `json:"archived"`               // events in the whole archive
	LettersWas int       `json:"dead_letters_before"`
	Queues     levels    `json:"queues"`
}

// run replays the span, or waits for the replay of the same name.
func (r replayer) run(ctx context.Context) (outcome, error) {
	archive, err := r.archive(ctx)
	if err != nil {
		return outcome{}, err
	}
	before, err := levelsOf(ctx, r.queues, r.at)
	if err != nil {
		return outcome{}, err
	}
	o := outcome{Name: r.name, Bus: r.from.bus, Archived: archive.EventCount, LettersWas: before.DeadLetters.Visible}
	now, err := r.state(ctx)
	switch {
	case err != nil:
		return o, err
	case now != nil:
		o.Repeated = true
	default:
		if err := r.start(ctx, archive); err != nil {
			return o, errors.Join(err, r.tidy(ctx))
		}
	}
	if now, err = r.wait(ctx); err != nil {
		return o, fmt.Errorf("%w\nthe replay %s continues by itself; the same command waits for it and deletes its rules", err, r.name)
	}
	o.State, o.Reason = string(now.State), aws.ToString(now.StateReason)
	o.Started, o.Ended, o.LastEvent = aws.ToTime(now.ReplayStartTime), aws.ToTime(now.ReplayEndTime), aws.ToTime(now.EventLastReplayedTime)
	o.Queues, err = levelsOf(ctx, r.queues, r.at)
	return o, errors.Join(err, r.tidy(ctx))
}

func (r replayer) archive(ctx context.Context) (*eventbridge.DescribeArchiveOutput, error) {
	found, err := r.events.DescribeArchive(ctx, &eventbridge.DescribeArchiveInput{ArchiveName: &r.from.archive})
	if _, gone := errors.AsType[*types.ResourceNotFoundException](err); gone {
		return nil, fmt.Errorf("the bus %s has no archive %s to replay from: deploy the system again", r.from.bus, r.from.archive)
	}
	if err != nil {
		return nil, fmt.Errorf("look for the archive %s: %w", r.from.archive, err)
	}
	days := int(aws.ToInt32(found.RetentionDays))
	if oldest := r.now().AddDate(0, 0, -days); days > 0 && r.span.To.Before(oldest) {
		return nil, fmt.Errorf("the archive %s keeps events for %d days; the whole span is older", r.from.archive, days)
	}
	return found, nil
}

// state returns the replay of the name, or nil when there is none.
func (r replayer) state(ctx context.Context) (*eventbridge.DescribeReplayOutput, error) {
	now, err := r.events.DescribeReplay(ctx, &eventbridge.DescribeReplayInput{ReplayName: &r.name})
	if _, none := errors.AsType[*types.ResourceNotFoundException](err); none {
		return nil, nil //nolint:nilnil // there is none.
	}
	if err != nil {
		return nil, fmt.Errorf("describe the replay %s: %w", r.name, err)
	}
	return now, nil
}

// start starts the replay to the rules of the bus, or to narrower rules that it
// makes for the span.
func (r replayer) start(ctx context.Context, archive *eventbridge.DescribeArchiveOutput) error {
	rules, err := r.rules(ctx)
	if err != nil {
		return err
	}
	var arns []string
	for i, rule := range rules {
		arn := aws.ToString(rule.Arn)
		if r.span.narrow() {
			if arn, err = r.narrower(ctx, i, rule); err != nil {
				return err
			}
		}
		arns = append(arns, arn)
	}
	if r.span.narrow() { // rules not yet in force would miss replayed events
		if err := r.sleep(ctx, r.at.settle); err != nil {
			return err
		}
	}
	_, err = r.events.StartReplay(ctx, &eventbridge.StartReplayInput{
		ReplayName: &r.name, EventSourceArn: archive.ArchiveArn,
		EventStartTime: &r.span.From, EventEndTime: &r.span.To,
		Destination: &types.ReplayDestination{Arn: archive.EventSourceArn, FilterArns: arns},
	})
	if _, exists := errors.AsType[*types.ResourceAlreadyExistsException](err); err != nil && !exists {
		return fmt.Errorf("start the replay %s: %w", r.name, err)
	}
	return nil
}

// wait waits until the replay has ended.
func (r replayer) wait(ctx context.Context) (*eventbridge.DescribeReplayOutput, error) {
	for {
		now, err := r.state(ctx)
		if err != nil {
			return nil, err
		}
		if now != nil {
			switch now.State {
			case types.ReplayStateCompleted, types.ReplayStateCancelled, types.ReplayStateFailed:
				return now, nil
			case types.ReplayStateStarting, types.ReplayStateRunning, types.ReplayStateCancelling:
			}
		}
		if err := r.sleep(ctx, poll); err != nil {
			return nil, err
		}
	}
}

// A pattern is the event pattern of a rule.
type pattern struct {
	Source []string       `json:"source"`
	Type   []string       `json:"detail-type"`
	Detail map[string]any `json:"detail,omitempty"`
	Replay []string       `json:"replay-name,omitempty"`
}

// rules returns the rules of the bus that match the span's type. It leaves out
// disabled rules, rules that AWS manages (such as the archive's) and rules of
// replays.
func (r replayer) rules(ctx context.Context) ([]types.Rule, error) {
	var found []types.Rule
	in := &eventbridge.ListRulesInput{EventBusName: &r.from.bus}
	for {
		page, err := r.events.ListRules(ctx, in)
		if err != nil {
			return nil, fmt.Errorf("list the rules of the bus %s: %w", r.from.bus, err)
		}
		for _, rule := range page.Rules {
			p, err := patternOf(rule)
			if err == nil && r.meant(rule, p) {
				found = append(found, rule)
			}
		}
		if in.NextToken = page.NextToken; in.NextToken == nil {
			break
		}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("no rule of the bus %s matches %s", r.from.bus, cmp.Or(r.span.Product+":"+r.span.Type, "any event"))
	}
	return found, nil
}

func (r replayer) meant(rule types.Rule, p pattern) bool {
	return rule.State == types.RuleStateEnabled && rule.ManagedBy == nil && len(p.Replay) == 0 &&
		(r.span.Type == "" || slices.Contains(p.Source, r.span.Product) && slices.Contains(p.Type, r.span.Type))
}

func patternOf(rule types.Rule) (p pattern, err error) {
	return p, json.Unmarshal([]byte(aws.ToString(rule.EventPattern)), &p)
}

// narrower makes a rule that matches only the span's events of this replay, with
// the targets of the given rule, and returns its ARN. It is needed since a replay
// itself can be limited only to rules and times.
func (r replayer) narrower(ctx context.Context, n int, rule types.Rule) (arn string, err error) {
	p, err := patternOf(rule)
	if err != nil {
		return "", err
	}
	p.Replay = []string{r.name}
	if r.span.Type != "" {
		p.Source, p.Type = []string{r.span.Product}, []string{r.span.Type}
	}
	if r.span.Org != "" {
		p.Detail = map[string]any{"org_id": []string{string(r.span.Org)}}
	}
	text, err := json.Marshal(p)
	if err != nil {
		return "", err
	}
	targets, err := r.events.ListTargetsByRule(ctx, &eventbridge.ListTargetsByRuleInput{EventBusName: &r.from.bus, Rule: rule.Name})
	if err != nil {
		return "", fmt.Errorf("list the targets of %s: %w", aws.ToString(rule.Name), err)
	}
	name := r.ruleName(n)
	made, err := r.events.PutRule(ctx, &eventbridge.PutRuleInput{
		Name: &name, EventBusName: &r.from.bus, EventPattern: aws.String(string(text)),
		Description: aws.String("Made for the replay " + r.name + "; may be deleted when the replay has ended."),
	})
	if err != nil {
		return "", fmt.Errorf("make the rule %s: %w", name, err)
	}
	put, err := r.events.PutTargets(ctx, &eventbridge.PutTargetsInput{EventBusName: &r.from.bus, Rule: &name, Targets: targets.Targets})
	if err != nil {
		return "", fmt.Errorf("set the targets of %s: %w", name, err)
	}
	if put.FailedEntryCount > 0 {
		e := put.FailedEntries[0]
		return "", fmt.Errorf("set the targets of %s: %w", name, &cloud.Refusal{Code: aws.ToString(e.ErrorCode), Message: aws.ToString(e.ErrorMessage)})
	}
	return aws.ToString(made.RuleArn), nil
}

func (r replayer) ruleName(n int) string { return fmt.Sprintf("%s-%d", r.name, n) }

// tidy deletes the rules that were made for the replay, also the rules of a
// killed command. Until then they are harmless: they match only events of this
// replay.
func (r replayer) tidy(ctx context.Context) error {
	if !r.span.narrow() {
		return nil
	}
	ctx = context.WithoutCancel(ctx)
	page, err := r.events.ListRules(ctx, &eventbridge.ListRulesInput{EventBusName: &r.from.bus, NamePrefix: aws.String(r.name + "-")})
	if err != nil {
		return fmt.Errorf("list the rules of the replay %s: %w", r.name, err)
	}
	var errs []error
	for _, rule := range page.Rules {
		if p, err := patternOf(rule); err == nil && slices.Equal(p.Replay, []string{r.name}) {
			errs = append(errs, r.remove(ctx, rule.Name))
		}
	}
	return errors.Join(errs...)
}

func (r replayer) remove(ctx context.Context, name *string) error {
	targets, err := r.events.ListTargetsByRule(ctx, &eventbridge.ListTargetsByRuleInput{EventBusName: &r.from.bus, Rule: name})
	if err != nil {
		return fmt.Errorf("list the targets of %s: %w", *name, err)
	}
	if len(targets.Targets) > 0 {
		var ids []string
		for _, t := range targets.Targets {
			ids = append(ids, aws.ToString(t.Id))
		}
		gone, err := r.events.RemoveTargets(ctx, &eventbridge.RemoveTargetsInput{EventBusName: &r.from.bus, Rule: name, Ids: ids})
		if err != nil || gone.FailedEntryCount > 0 {
			return errors.Join(err, fmt.Errorf("the rule %s still has targets; delete it by hand", *name))
		}
	}
	if _, err := r.events.DeleteRule(ctx, &eventbridge.DeleteRuleInput{EventBusName: &r.from.bus, Name: name}); err != nil {
		return fmt.Errorf("delete the rule %s: %w", *name, err)
	}
	return nil
}

// tell prints the outcomes. It returns an error unless every replay completed.
func (r replayer) tell(told []outcome) error {
	var failed []error
	for _, o := range told {
		if o.State != string(types.ReplayStateCompleted) {
			failed = append(failed, fmt.Errorf("the replay %s is %s: %s", o.Name, o.State, cmp.Or(o.Reason, "EventBridge gives no reason; try again under another -name")))
		}
	}
	if r.json {
		return errors.Join(r.document(map[string]any{"replays": told}), errors.Join(failed...))
	}
	for _, o := range told {
		if o.Repeated {
			r.say("These events were replayed before, and not again now: another -name replays them again.")
		}
		r.say("%s  %s  on the bus %s, started %s, ended %s", o.Name, o.State, o.Bus, stamp(o.Started), stamp(o.Ended))
		if !o.LastEvent.IsZero() {
			r.say("The last replayed event is of %s.", stamp(o.LastEvent))
		}
		r.say("EventBridge does not count replayed events; the archive holds %d events in all.", o.Archived)
	}
	first, last := told[0], told[len(told)-1]
	r.say("About %d events wait for the dispatcher. Dead letters: about %d before, %d now.",
		last.Queues.Events.Visible+last.Queues.Events.Hidden, first.LettersWas, last.Queues.DeadLetters.Visible)
	return errors.Join(failed...)
}

// stamp returns a time for people; a dash for none.
func stamp(t time.Time) string {
	if t.IsZero() {
		return "–"
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z")
}
