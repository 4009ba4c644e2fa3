package key

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"theoneagents.app/agents/shared/audit"
	"theoneagents.app/agents/shared/caller"
	"theoneagents.app/agents/shared/fault"
	"theoneagents.app/agents/shared/id"
)

// ErrRotated says that another rotation was faster.
var ErrRotated = fault.New(fault.Stale, "conflict", "The secret is being rotated by others; try again.")

// A Master is the secret from which the signing secret of every organization is
// derived. Its holder can sign for all organizations; it is never shown.
type Master []byte

// Secret returns the 32 bytes that sign the webhooks of the organization. They
// are always the same for a generation, and reveal nothing about those of another
// generation or organization.
func (m Master) Secret(org id.Org, generation int) []byte {
	mac := hmac.New(sha256.New, m)
	mac.Write([]byte("webhook\n" + string(org)))
	if generation > 0 {
		mac.Write([]byte("\n" + strconv.Itoa(generation)))
	}
	return mac.Sum(nil)
}

// Masters are the generations of the master: while the platform replaces it,
// webhooks are signed with the secrets of both.
type Masters struct {
	Current  Master
	Previous Master // nil for none
}

// Overlap is the time for which a secret is valid after its rotation.
const Overlap = 24 * time.Hour

// maxFormer bounds the earlier generations that sign, and so the header of a
// message.
const maxFormer = 3

// A Rotation has the generations of an organization's secret. The zero value is
// that of one that was never rotated.
type Rotation struct {
	Generation int      // the current one
	Former     []Former // those that are still valid, newest first
}

// A Former is an earlier generation.
type Former struct {
	Generation int
	Until      time.Time
}

// Next returns the rotation after another one. A former generation keeps its time,
// unless too many follow it.
func (r Rotation) Next(now time.Time) Rotation {
	next := Rotation{Generation: r.Generation + 1, Former: []Former{{r.Generation, now.Add(Overlap)}}}
	for _, f := range r.Former {
		if now.Before(f.Until) && len(next.Former) < maxFormer {
			next.Former = append(next.Former, f)
		}
	}
	return next
}

// Valid returns the valid generations, the current one first.
func (r Rotation) Valid(now time.Time) []int {
	valid := []int{r.Generation}
	for _, f := range r.Former {
		if now.Before(f.Until) {
			valid = append(valid, f.Generation)
		}
	}
	return valid
}

// Rotations reads rotations.
type Rotations interface {
	// Rotation returns the rotation of the organization's webhook secret; the zero
	// value if it was never rotated.
	Rotation(ctx context.Context, org id.Org) (Rotation, error)
}

// shown returns a secret in the form of the Standard Webhooks libraries: whsec_ and
// base64.
func (s *Service) shown(org id.Org, r Rotation) string {
	return "whsec_" + base64.StdEncoding.EncodeToString(s.Masters.Current.Secret(org, r.Generation))
}

// WebhookSecret returns the current secret of the caller's organization.
func (s *Service) WebhookSecret(ctx context.Context, who caller.Caller) (string, error) {
	r, err := s.Store.Rotation(ctx, who.Org)
	return s.shown(who.Org, r), err
}

// RotateWebhookSecret makes a new secret for the caller's organization, and returns
// it with the time until which the one before it is valid.
func (s *Service) RotateWebhookSecret(ctx context.Context, who caller.Caller) (secret string, until time.Time, err error) {
	const tries = 5
	for range tries {
		var r Rotation
		if r, err = s.Store.Rotation(ctx, who.Org); err != nil {
			return "", time.Time{}, err
		}
		now := s.Now()
		next := r.Next(now)
		act := audit.Of(who, audit.Change{
			Kind: audit.WebhookSecretRotated, Object: "webhook_secret",
			From: fmt.Sprint("generation ", r.Generation), To: fmt.Sprint("generation ", next.Generation),
		}, now)
		err = s.Store.SaveRotation(ctx, who.Org, r, next, act)
		if !errors.Is(err, ErrRotated) {
			return s.shown(who.Org, next), next.Former[0].Until, err
		}
	}
	return "", time.Time{}, err
}

// A Signer finds the secrets that sign a message. It is safe for concurrent use. It
// reads the rotation of an organization at most once a minute: a new secret signs a
// minute later at most, and the old one still signs then.
type Signer struct {
	Store   Rotations
	Masters Masters
	Now     func() time.Time

	mu    sync.Mutex
	known map[id.Org]knownRotation
}

type knownRotation struct {
	rotation Rotation
	at       time.Time
}

const (
	fresh    = time.Minute
	mostOrgs = 10_000 // in the memory of a signer
)

// Secrets returns the secrets that sign a message of the organization, the current
// one first.
func (s *Signer) Secrets(ctx context.Context, org id.Org) ([][]byte, error) {
	now := s.Now()
	r, err := s.rotation(ctx, org, now)
	if err != nil {
		return nil, err
	}
	var secrets [][]byte
	for _, m := range []Master{s.Masters.Current, s.Masters.Previous} {
		if len(m) == 0 {
			continue
		}
		for _, generation := range r.Valid(now) {
			secrets = append(secrets, m.Secret(org, generation))
		}
	}
	return secrets, nil
}

func (s *Signer) rotation(ctx context.Context, org id.Org, now time.Time) (Rotation, error) {
	s.mu.Lock()
	k, ok := s.known[org]
	s.mu.Unlock()
	if ok && now.Sub(k.at) < fresh {
		return k.rotation, nil
	}
	r, err := s.Store.Rotation(ctx, org)
	if err != nil {
		return Rotation{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known == nil || len(s.known) >= mostOrgs {
		s.known = make(map[id.Org]knownRotation)
	}
	s.known[org] = knownRotation{r, now}
	return r, nil
}
