// Package client keeps the products' data about the clients of an organization:
// the security score, the devices and the recent tickets of each.
//
// Events come repeatedly, late and in any order, so events are not counted as
// they come. An event is a fact, and each fact has a key: the posture, one
// device or one ticket. Each key keeps the fact that outweighs all others,
// which does not depend on the order of events. A profile is computed from
// these facts when it is read.
//
// The fact of an event is stored before the event is dispatched. While the
// table is down the queue redelivers the event.
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
	Recent     = 30 * 24 * time.Hour // the time for which a ticket counts
	MaxDevices = 1000                // the maximum of listed devices; all are counted
)

// A Profile is the data about a client. The zero value is an unknown client.
type Profile struct {
	Known     bool
	Score     any      // the posture's score, a number of package jsonvalue; nil if unknown
	Incidents int      // tickets that were opened within Recent
	Devices   []string // all device ids, sorted
}

// ProfileOf returns the profile that facts make at a time, with one fact for
// each key. A ticket that no longer counts is ignored: its fact may be deleted
// at any time.
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

// Document returns the profile as conditions and templates see it, or nil for
// an unknown client.
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
	// SaveFact stores a fact at its key. It changes nothing if the stored fact
	// outweighs it or is the same.
	SaveFact(ctx context.Context, org id.Org, client id.Client, f Fact) error

	// Facts returns the fact at each key of a client in any order, those just
	// stored included.
	Facts(ctx context.Context, org id.Org, client id.Client) ([]Fact, error)
}

// Service projects events into facts, and reads profiles.
type Service struct {
	Store Store
	Now   func() time.Time
}

// Project stores the fact in e. It is idempotent, and ignores an event without
// a fact.
func (s *Service) Project(ctx context.Context, e event.Event) error {
	f, ok := FactOf(e)
	if !ok {
		return nil
	}
	return s.Store.SaveFact(ctx, e.Org, e.Client, f)
}

// Profile returns the current profile of a client; nil for an unknown client.
func (s *Service) Profile(ctx context.Context, org id.Org, client id.Client) (map[string]any, error) {
	facts, err := s.Store.Facts(ctx, org, client)
	if err != nil {
		return nil, err
	}
	return ProfileOf(facts, s.Now()).Document(), nil
}
