// Package key manages two kinds of secrets. Programs call the API with the
// integration keys of an organization, which are shown once and stored as a
// hash. Receivers verify our webhooks with the organization's signing secret,
// which is derived from a master secret and the number of its rotations, and not
// stored.
package key

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"regexp"
	"time"

	"theoneagents.app/agents/shared/audit"
	"theoneagents.app/agents/shared/caller"
	"theoneagents.app/agents/shared/fault"
	"theoneagents.app/agents/shared/id"
)

// The faults of this package.
var (
	ErrNotFound = fault.New(fault.Missing, "not_found", "No such key.")
	ErrName     = fault.New(fault.Invalid, "invalid_request", "A key has a name of 1 to 200 characters.")
	ErrLimit    = fault.New(fault.Conflict, "limit_reached", "The organization has 100 keys, the most that it may have; revoke a key first.")
	ErrAccess   = fault.New(fault.Invalid, "invalid_request", "A key's access is read or read_write.")
	ErrExpiry   = fault.New(fault.Invalid, "invalid_request", "expires_at must be in the future and before the year 2200.")
)

// MaxName is the maximum length of a key's name in characters.
const MaxName = 200

// MaxKeys is the number of keys of an organization.
const MaxKeys = 100

// prefix begins every secret, so that scanners recognize a leaked one.
const prefix = "ik_live_"

// secrets matches a secret: the prefix and 32 bytes in base64url.
var secrets = regexp.MustCompile(`^ik_live_[A-Za-z0-9_-]{43}$`)

// A Key is an integration key without its secret.
type Key struct {
	ID      id.Key
	Org     id.Org
	Name    string
	Access  caller.Access
	Hash    Hash
	Created time.Time
	By      id.Actor
	Expires time.Time // when it stops working; zero for never
	Used    time.Time // the day of its last use, its midnight in UTC; zero before the first
}

// Expired reports whether the key no longer works.
func (k Key) Expired(now time.Time) bool { return !k.Expires.IsZero() && !now.Before(k.Expires) }

// UsedAt returns the key after a use, and whether that is its first of the day.
func (k Key) UsedAt(now time.Time) (Key, bool) {
	const day = 24 * time.Hour
	today := now.UTC().Truncate(day)
	if !today.After(k.Used) {
		return k, false
	}
	k.Used = today
	return k, true
}

// A Hash stands for a secret: its SHA-256 in hexadecimal. The secret has 256
// random bits, so that a fast hash is enough.
type Hash string

// HashOf returns the hash of a secret, and whether it looks like one.
func HashOf(secret string) (Hash, bool) {
	sum := sha256.Sum256([]byte(secret))
	return Hash(hex.EncodeToString(sum[:])), secrets.MatchString(secret)
}

// Store keeps keys.
type Store interface {
	// CreateKey stores a key and its acts in one transaction, or returns ErrLimit
	// if the organization has MaxKeys keys.
	CreateKey(ctx context.Context, k Key, acts ...audit.Entry) error

	// Keys returns the keys of the organization, oldest first.
	Keys(ctx context.Context, org id.Org) ([]Key, error)

	// RevokeKey deletes a key of the organization and stores the acts in one
	// transaction, or returns ErrNotFound.
	RevokeKey(ctx context.Context, org id.Org, k id.Key, acts ...audit.Entry) error

	// KeyByHash returns the key with this hash, or ErrNotFound. It may be expired.
	KeyByHash(ctx context.Context, h Hash) (Key, error)

	// MarkUsed stores the day of the last use of a key, unless it has a later one
	// or was revoked.
	MarkUsed(ctx context.Context, k Key) error

	Rotations

	// SaveRotation stores the rotation after another one and its acts in one
	// transaction, or returns ErrRotated when the stored one is not before.
	SaveRotation(ctx context.Context, org id.Org, before, after Rotation, acts ...audit.Entry) error
}

// Service manages the keys of callers, and returns their secrets.
type Service struct {
	Store  Store
	Now    func() time.Time
	NewID  func() id.Key
	Random func() [32]byte

	Masters Masters
}

// lastYear is the last year that an expiry may have: a store keeps times as numbers
// of nanoseconds.
const lastYear = 2199

// Create stores a new key and returns it with its secret, which cannot be read
// again. A zero expiry is none.
func (s *Service) Create(
	ctx context.Context, who caller.Caller, name string, access caller.Access, expires time.Time,
) (Key, string, error) {
	if n := len([]rune(name)); n < 1 || n > MaxName {
		return Key{}, "", ErrName
	}
	if !access.Known() {
		return Key{}, "", ErrAccess
	}
	now := s.Now()
	if expires = expires.UTC().Truncate(time.Second); !expires.IsZero() && (!expires.After(now) || expires.Year() > lastYear) {
		return Key{}, "", ErrExpiry.Sayf("expires_at must be in the future and before the year 2200; it is %s.", expires.Format(time.RFC3339))
	}
	random := s.Random()
	secret := prefix + base64.RawURLEncoding.EncodeToString(random[:])
	hash, _ := HashOf(secret)
	k := Key{ID: s.NewID(), Org: who.Org, Name: name, Access: access, Hash: hash, Created: now, By: who.Actor(), Expires: expires}
	act := audit.Of(who, audit.Change{Kind: audit.KeyCreated, Object: string(k.ID), To: string(access)}, k.Created)
	return k, secret, s.Store.CreateKey(ctx, k, act)
}

// List returns the keys of the caller's organization.
func (s *Service) List(ctx context.Context, who caller.Caller) ([]Key, error) {
	return s.Store.Keys(ctx, who.Org)
}

// Revoke deletes a key of the caller's organization.
func (s *Service) Revoke(ctx context.Context, who caller.Caller, k id.Key) error {
	act := audit.Of(who, audit.Change{Kind: audit.KeyRevoked, Object: string(k), To: "revoked"}, s.Now())
	return s.Store.RevokeKey(ctx, who.Org, k, act)
}
