package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"theoneagents.app/agents/shared/fault"
)

// redrive puts the events of letters back on the bus.
func redrive(ctx context.Context, w surroundings, args []string) error {
	a := argue("redrive")
	reason := a.set.String("reason", "", "only letters with this reason, like failed or unknown_org")
	org := a.set.String("org", "", "only letters about events of this organization")
	event := a.set.String("id", "", "only letters about the event of this id")
	force := a.set.Bool("force", false, "also put back events that are likely to fail again")
	dry := a.set.Bool("dry-run", false, "only print the letters that would be redriven")
	all := a.set.Bool("all", false, "move all letters inside AWS, 500 in a second, and report only their number")
	rest, err := a.parse(w, args)
	if err != nil {
		return err
	}
	a.onlyFlags(rest)
	a.reason(*reason)
	a.org(*org)
	a.refuse(*all && (*reason != "" || *org != "" || *event != "" || *force || *dry),
		"-all moves every letter: leave out -reason, -org, -id, -force and -dry-run")
	why := hopeless(*reason)
	a.refuse(why != "" && !*force, "-reason %s would fail again: %s (-force puts back every complete event)", *reason, why)
	if err := a.err(); err != nil {
		return err
	}
	at, err := a.target(ctx)
	if err != nil {
		return err
	}
	if *all {
		return mover{surroundings: w, api: sqs.NewFromConfig(at.config), from: at.deadLetters, to: at.undelivered, json: *a.json}.run(ctx)
	}
	return redriver{
		surroundings: w, letters: deadLetters{api: sqs.NewFromConfig(at.config), url: at.deadLetters, now: w.now},
		bus: at.publisher, which: choice{reason: *reason, org: *org, event: *event}, force: *force, dry: *dry, json: *a.json,
	}.run(ctx)
}

// A putter puts an event on the bus of its source.
type putter interface {
	Put(ctx context.Context, source, detailType, detail string) error
}

// A redriver puts the events of letters back on the bus.
type redriver struct {
	surroundings

	letters deadLetters
	bus     putter
	which   choice
	force   bool
	dry     bool
	json    bool
}

// A redriven is the outcome for one chosen letter.
type redriven struct {
	Event  string `json:"event_id"`
	Name   string `json:"event"`
	Org    string `json:"org_id"`
	Reason string `json:"reason"`
	Done   bool   `json:"redriven"`
	Why    string `json:"why,omitempty"` // the letter stays in the queue
}

// A report is the output of redrive.
type report struct {
	Letters []redriven `json:"letters"`
	DryRun  bool       `json:"dry_run,omitempty"`
	Whole   bool       `json:"whole"`
}

// run redrives the letters that it received at the start. An event that fails
// again becomes a new letter, which this run does not receive.
func (r redriver) run(ctx context.Context) error {
	found, whole, err := r.letters.take(ctx) // letters received before an error are redriven too
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

// missing returns a misuse when no letter is about the event of -id.
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
	there := "there are no letters, unless another receiver has them now"
	if ids = slices.Compact(ids); len(ids) > 0 {
		there = "there are letters about " + fault.Offer(r.which.event, ids)
	}
	return &misuse{command: "operate redrive", faults: []string{fmt.Sprintf("no letter is about the event %q; %s", r.which.event, there)}}
}

// one redrives a letter, or returns why it stays. It deletes the letter only
// after the bus has accepted the event. A kill in between leaves the letter in
// the queue and loses no event; the event's id makes a second delivery harmless.
func (r redriver) one(ctx context.Context, l letter) (why string, err error) {
	if why = l.stays(r.force); why != "" || r.dry {
		return why, nil
	}
	if err := r.put(ctx, l); err != nil {
		return "the bus has not accepted it", err
	}
	if err := r.letters.throwAway(ctx, l); err != nil {
		return "the bus has accepted it, but the letter is still in the queue", err
	}
	return "", nil
}

func (r redriver) put(ctx context.Context, l letter) error {
	// The names that the bus said, so that no envelope gets another product's name.
	product, kind := cmp.Or(l.Source, l.about.Product), cmp.Or(l.DetailType, l.about.Type)
	if err := r.bus.Put(ctx, product, kind, string(l.Event)); err != nil {
		return fmt.Errorf("put %q on the bus: %w", l.about.ID, err)
	}
	return nil
}

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
			r.say("kept      %s: %s", name, l.Why)
		}
	}
	r.say("%d redriven, %d kept", done, left)
	if !told.Whole {
		r.say("The queue may have more letters than were received: run the command again.")
	}
	return nil
}
