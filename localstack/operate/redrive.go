package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"theoneagents.app/agents/shared/fault"
)

// redrive puts the events of letters back on the bus.
func redrive(ctx context.Context, w surroundings, args []string) error {
	a := argue("redrive")
	reason := a.set.String("reason", "", "only letters with this reason, like failed or unknown_org")
	org := a.set.String("org", "", "only letters about events of this organization")
	event := a.set.String("id", "", "only letters about the event of this id")
	force := a.set.Bool("force", false, "put back too what can hardly succeed")
	dry := a.set.Bool("dry-run", false, "only say what would be done")
	rest, err := a.parse(w, args)
	if err != nil {
		return err
	}
	a.nothing(rest)
	a.reason(*reason)
	a.org(*org)
	why := hopeless(*reason)
	a.refuse(why != "" && !*force, "-reason %s cannot succeed: %s (-force puts back what is whole all the same)", *reason, why)
	if err := a.err(); err != nil {
		return err
	}
	at, err := a.target(ctx)
	if err != nil {
		return err
	}
	return redriver{
		surroundings: w, letters: deadLetters{api: sqs.NewFromConfig(at.config), url: at.deadLetters, now: w.now},
		bus: eventbridge.NewFromConfig(at.config), name: at.bus,
		which: choice{reason: *reason, org: *org, event: *event}, force: *force, dry: *dry, json: *a.json,
	}.run(ctx)
}

// putter is the part of the EventBridge client that puts events on a bus.
type putter interface {
	PutEvents(ctx context.Context, in *eventbridge.PutEventsInput, opts ...func(*eventbridge.Options)) (*eventbridge.PutEventsOutput, error)
}

// A redriver puts the events of letters back on the bus.
type redriver struct {
	surroundings

	letters deadLetters
	bus     putter
	name    string // of the bus
	which   choice
	force   bool
	dry     bool
	json    bool
}

// A redriven says what became of a letter that was meant.
type redriven struct {
	Event  string `json:"event_id"`
	Name   string `json:"event"`
	Org    string `json:"org_id"`
	Reason string `json:"reason"`
	Done   bool   `json:"redriven"`
	Why    string `json:"why,omitempty"` // it was left where it is
}

// A report is what a redrive has done.
type report struct {
	Letters []redriven `json:"letters"`
	DryRun  bool       `json:"dry_run,omitempty"`
	Whole   bool       `json:"whole"`
}

// run redrives the letters that were there when it began: what fails again at
// once is a new letter, and not met.
func (r redriver) run(ctx context.Context) error {
	found, whole, err := r.letters.take(ctx) // what was taken before an error is redriven too
	if missing := r.missing(found, whole); err == nil && missing != nil {
		return errors.Join(missing, r.letters.putBack(ctx, found))
	}
	told := report{Letters: []redriven{}, DryRun: r.dry, Whole: whole}
	var back []letter
	for _, l := range found {
		if ctx.Err() != nil || !r.which.has(l) {
			back = append(back, l)
			continue
		}
		why, failed := r.one(ctx, l)
		err = errors.Join(err, failed)
		done := why == "" && !r.dry
		if !done {
			back = append(back, l)
		}
		told.Letters = append(told.Letters, redriven{
			Event: l.about.ID, Name: l.about.name(), Org: l.about.Org, Reason: l.Reason, Done: done, Why: why,
		})
	}
	return errors.Join(err, ctx.Err(), r.letters.putBack(ctx, back), r.tell(told))
}

// missing returns a misuse when no letter is about the event that is meant.
func (r redriver) missing(found []letter, whole bool) error {
	if r.which.event == "" || !whole || slices.ContainsFunc(found, func(l letter) bool { return l.about.ID == r.which.event }) {
		return nil
	}
	var ids []string
	for _, l := range found {
		if l.about.ID != "" {
			ids = append(ids, plain(short(l.about.ID, 80)))
		}
	}
	slices.Sort(ids)
	there := "there are no letters, unless another program looks at them now"
	if ids = slices.Compact(ids); len(ids) > 0 {
		there = "there are letters about " + fault.Offer(r.which.event, ids)
	}
	return &misuse{what: "operate redrive", faults: []string{fmt.Sprintf("no letter is about the event %q; %s", r.which.event, there)}}
}

// one redrives a letter, and says why not. The letter goes only after the bus
// has its event, so that whatever is killed in between leaves a letter too many
// and never an event too few; the event's id makes a second delivery harmless.
func (r redriver) one(ctx context.Context, l letter) (why string, err error) {
	if why = l.stays(r.force); why != "" || r.dry {
		return why, nil
	}
	if err := r.put(ctx, l); err != nil {
		return "the bus has not taken it", err
	}
	if err := r.letters.throwAway(ctx, l); err != nil {
		return "the bus has it, but the letter is still there", err
	}
	return "", nil
}

func (r redriver) put(ctx context.Context, l letter) error {
	out, err := r.bus.PutEvents(ctx, &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{{
		EventBusName: &r.name, Source: &l.about.Product, DetailType: &l.about.Type, Detail: aws.String(string(l.Event)),
	}}})
	if err != nil {
		return fmt.Errorf("put %q on the bus: %w", l.about.ID, err)
	}
	if out.FailedEntryCount > 0 { // which comes with a 200
		e := out.Entries[0]
		return fmt.Errorf("put %q on the bus: %w", l.about.ID, &refusal{aws.ToString(e.ErrorCode), aws.ToString(e.ErrorMessage)})
	}
	return nil
}

// A refusal is what EventBridge says of an entry in an answer of 200.
type refusal struct{ code, message string }

func (r *refusal) Error() string { return r.code + ": " + r.message }

func (r redriver) tell(told report) error {
	if r.json {
		return r.document(told)
	}
	done, left := 0, 0
	for _, l := range told.Letters {
		name := fmt.Sprintf("%s  %s  %s  (%s)", cell(l.Event), cell(l.Name), cell(l.Org), cell(l.Reason))
		switch {
		case l.Done:
			done++
			r.say("redriven  %s", name)
		case l.Why == "":
			r.say("would be redriven  %s", name)
		default:
			left++
			r.say("left      %s: %s", name, l.Why)
		}
	}
	r.say("%d redriven, %d left", done, left)
	if !told.Whole {
		r.say("There may be more than could be taken at once: do it again.")
	}
	return nil
}
