// Package key lets programs know each other: by the integration keys of one
// organization they call the API, shown once and stored as a hash; by its secret
// they tell that a webhook comes from us, derived from a master and not stored.
package key

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"regexp"
	"time"

	"theoneagents.app/agents/shared/caller"
	"theoneagents.app/agents/shared/fault"
	"theoneagents.app/agents/shared/id"
)

// The faults of this package.
var (
	ErrNotFound = fault.New(fault.Missing, "not_found", "No such key.")
	ErrName     = fault.New(fault.Invalid, "invalid_request", "A key has a name of 1 to 200 characters.")
	ErrAccess   = fault.New(fault.Invalid, "invalid_request", "A key's access is read or read_write.")
)

// MaxName is how many characters the name of a key may have.
const MaxName = 200

// prefix begins every secret, so that a leaked one is recognized.
const prefix = "ik_live_"

// secrets is what a secret looks like: the prefix and 32 bytes in base64url.
var secrets = regexp.MustCompile(`^ik_live_[A-Za-z0-9_-]{43}$`)

// A Key is an integration key without its secret.
type Key struct {
	ID      id.Key
	Org     id.Org
	Name    string
	Access  caller.Access
	Hash    Hash
	Created time.Time
	By      id.User
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
	CreateKey(ctx context.Context, k Key) error

	// Keys returns the keys of the organization, oldest first.
	Keys(ctx context.Context, org id.Org) ([]Key, error)

	// RevokeKey forgets a key of the organization, or returns ErrNotFound.
	RevokeKey(ctx context.Context, org id.Org, k id.Key) error

	// KeyByHash returns the key that has this hash, or ErrNotFound.
	KeyByHash(ctx context.Context, h Hash) (Key, error)
}

// Service keeps keys on behalf of callers, and tells them their secret.
type Service struct {
	Store  Store
	Now    func() time.Time
	NewID  func() id.Key
	Random func() [32]byte
	Master Master
}

// Create stores a new key and returns it with its secret, which nobody can
// learn again.
func (s *Service) Create(ctx context.Context, who caller.Caller, name string, access caller.Access) (Key, string, error) {
	if n := len([]rune(name)); n < 1 || n > MaxName {
		return Key{}, "", ErrName
	}
	if !access.Known() {
		return Key{}, "", ErrAccess
	}
	random := s.Random()
	secret := prefix + base64.RawURLEncoding.EncodeToString(random[:])
	hash, _ := HashOf(secret)
	k := Key{ID: s.NewID(), Org: who.Org, Name: name, Access: access, Hash: hash, Created: s.Now(), By: who.User}
	return k, secret, s.Store.CreateKey(ctx, k)
}

// List returns the keys of the caller's organization.
func (s *Service) List(ctx context.Context, who caller.Caller) ([]Key, error) {
	return s.Store.Keys(ctx, who.Org)
}

// Revoke forgets a key of the caller's organization.
func (s *Service) Revoke(ctx context.Context, who caller.Caller, k id.Key) error {
	return s.Store.RevokeKey(ctx, who.Org, k)
}
