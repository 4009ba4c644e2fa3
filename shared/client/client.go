// Package client keeps what products say about the clients of an organization:
// how secure they are, which devices they have, and which tickets they opened.
//
// Events come twice, late and in any order, so nothing is counted as it comes.
// An event is a fact, and each fact has a place: the posture, one device, one
// ticket. A place keeps the fact that outweighs all others, which is the same
// one in whatever order they come. A profile is made of these facts when
// somebody asks for it.
//
// If the table is down an event is not dispatched before its fact is kept; the
// queue brings it again.
package client

import (
	"context"
	"slices"
	"time"

	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/id"
)

// The bounds of a profile.
const (
	Recent     = 30 * 24 * time.Hour // for how long a ticket counts
	MaxDevices = 1000                // how many devices are listed; all are counted
)

// A Profile is what is known of a client. The zero value is of one of whom
// nothing is known.
type Profile struct {
	Known     bool
	Score     any      // the posture's, a document's number; nil until a product told it
	Incidents int      // tickets that were opened within Recent
	Devices   []string // all of them, sorted
}

// ProfileOf returns what facts say at a time, one of each place. A ticket that
// no longer counts says nothing: its fact may be deleted at any time.
func ProfileOf(facts []Fact, now time.Time) Profile {
	var p Profile
	for _, f := range facts {
		switch f.Kind {
		case Posture:
			p.Known, p.Score = true, f.Score
		case Device:
			p.Known = true
			if !f.Ended {
				p.Devices = append(p.Devices, f.Name)
			}
		case Ticket:
			if f.At.After(now.Add(-Recent)) {
				p.Known = true
				p.Incidents++
			}
		}
	}
	slices.Sort(p.Devices)
	return p
}

// Document returns the profile as conditions and templates see it, or nil when
// nothing is known.
func (p Profile) Document() map[string]any {
	if !p.Known {
		return nil
	}
	devices := make([]any, 0, min(len(p.Devices), MaxDevices))
	for _, d := range p.Devices[:min(len(p.Devices), MaxDevices)] {
		devices = append(devices, d)
	}
	doc := map[string]any{
		"recent_incidents": int64(p.Incidents),
		"device_inventory": map[string]any{"count": int64(len(p.Devices)), "devices": devices},
	}
	if p.Score != nil {
		doc["security_posture_score"] = p.Score
	}
	return doc
}

// Store keeps facts.
type Store interface {
	// KeepFact puts a fact in its place, unless what is there outweighs it or
	// is the same: then it changes nothing.
	KeepFact(ctx context.Context, org id.Org, client id.Client, f Fact) error

	// Facts returns the fact of each place of a client, in any order, those
	// that were just kept included.
	Facts(ctx context.Context, org id.Org, client id.Client) ([]Fact, error)
}

// Service keeps what events say about clients, and tells it.
type Service struct {
	Store Store
	Now   func() time.Time
}

// Project records what e says about its client. It may be called again with the
// same event, and an event that says nothing changes nothing.
func (s *Service) Project(ctx context.Context, e event.Event) error {
	f, ok := FactOf(e)
	if !ok {
		return nil
	}
	return s.Store.KeepFact(ctx, e.Org, e.Client, f)
}

// Profile returns what is known of a client now; nil when nothing is.
func (s *Service) Profile(ctx context.Context, org id.Org, client id.Client) (map[string]any, error) {
	facts, err := s.Store.Facts(ctx, org, client)
	if err != nil {
		return nil, err
	}
	return ProfileOf(facts, s.Now()).Document(), nil
}
