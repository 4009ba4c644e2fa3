package main

import (
	"context"
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
)

// letters lists dead letters.
func letters(ctx context.Context, w surroundings, args []string) error {
	a := argue("letters")
	reason := a.set.String("reason", "", "only letters with this reason, like failed or unknown_org")
	org := a.set.String("org", "", "only letters about events of this organization")
	rest, err := a.parse(w, args)
	if err != nil {
		return err
	}
	a.onlyFlags(rest)
	a.reason(*reason)
	a.org(*org)
	if err := a.err(); err != nil {
		return err
	}
	at, err := a.target(ctx)
	if err != nil {
		return err
	}
	return list(ctx, w, sqs.NewFromConfig(at.config), at, choice{reason: *reason, org: *org}, *a.json)
}

// A listing is the output of letters.
type listing struct {
	Letters []letter `json:"letters"`
	Whole   bool     `json:"whole"` // all letters of the queue were received
	Queues  levels   `json:"queues"`
}

// list prints the chosen letters.
func list(ctx context.Context, w surroundings, api inbox, at target, which choice, asJSON bool) (err error) {
	p := deadLetters{api: api, url: at.deadLetters, now: w.now}
	l := listing{Letters: []letter{}}
	if l.Queues, err = levelsOf(ctx, api, at); err != nil {
		return err
	}
	found, whole, err := p.take(ctx)
	err = errors.Join(err, p.putBack(ctx, found))
	l.Whole = whole && l.Queues.DeadLetters.Hidden == 0
	for _, f := range found {
		if which.has(f) {
			l.Letters = append(l.Letters, f)
		}
	}
	if asJSON {
		return errors.Join(err, w.document(l))
	}
	err = errors.Join(err, w.table(l))
	w.rest(l, len(found), whole)
	return err
}

// table prints one line for each letter.
func (w surroundings) table(l listing) error {
	if len(l.Letters) == 0 {
		return nil
	}
	t := tabwriter.NewWriter(w.out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(t, "AGE\tREASON\tORG\tTYPE\tEVENT\tMESSAGE")
	for _, x := range l.Letters {
		_, _ = fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", age(w.now().Sub(x.Sent)),
			cell(x.Reason), cell(x.about.Org), cell(x.about.name()), cell(x.about.ID), plain(short(x.Message, 160)))
	}
	return t.Flush()
}

// cell returns a text for a table.
func cell(s string) string {
	if s == "" {
		return "–"
	}
	return plain(short(s, 60))
}

// rest prints the numbers of letters and events that the table does not show.
func (w surroundings) rest(l listing, seen int, whole bool) {
	w.say("%d of %d letters shown", len(l.Letters), seen)
	if !whole {
		w.say("The queue has more letters than can be received in %v: redrive some first.", patience)
	}
	if n := l.Queues.DeadLetters.Hidden; n > 0 {
		w.say("About %d more are hidden: another receiver has them, or was killed. They become visible again by themselves (after %v, if the receiver was this program).", n, hold)
	}
	if u := l.Queues.Undelivered; u != (level{}) {
		w.say("About %d events that could not be delivered wait for the dispatcher.", u.Visible+u.Hidden)
	}
	if e := l.Queues.Events; e != (level{}) {
		w.say("About %d events wait for the dispatcher or for a retry.", e.Visible+e.Hidden)
	}
}

// age returns a duration for people.
func age(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(max(d, 0).Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d d", int(d.Hours()/24))
}
