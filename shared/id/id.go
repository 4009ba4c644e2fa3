// Package id names things: one type for each kind of identifier, and the rules
// for making and reading them.
//
// An identifier is a prefix and a ULID (github.com/ulid/spec): 26 characters of
// Crockford base 32 whose first ten are the milliseconds since 1970, so that
// identifiers sort by time. What may happen twice has a derived identifier: the
// time of its cause and a hash of what makes it unique, so that the second time
// finds the first.
package id

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"
)

// The kinds of identifier.
type (
	// Org names an organization: a tenant.
	Org string
	// Agent names an agent.
	Agent string
	// Execution names a run.
	Execution string
	// Event names an event; products make it.
	Event string
	// Approval names a question put to people.
	Approval string
	// Activity names what became of an event at an agent.
	Activity string
	// Template names an agent template, by a word and not a ULID.
	Template string
	// Key names an integration key.
	Key string
	// User names a person; the Hub makes it.
	User string
	// Client names a client of an organization; products make it.
	Client string
	// Step names a step within its agent; tenants make it.
	Step string
)

// System is the organization that owns the agents every organization has. It
// is never a caller.
const System Org = "system"

// orgs is what an organization may be called: nothing that could end one part
// of a storage key and begin another.
var orgs = regexp.MustCompile(`^org_[A-Za-z0-9]{1,40}$`)

// ParseOrg returns s as the name of a tenant's organization and whether it is
// one. The system organization is not.
func ParseOrg(s string) (Org, bool) { return Org(s), orgs.MatchString(s) }

// words is what may stand behind a prefix in an identifier that a caller sends.
var words = regexp.MustCompile(`^[A-Za-z0-9_]{1,64}$`)

// Valid reports whether s may be an identifier with this prefix ("agent_"). One
// that is not cannot name anything, and must not become part of a key.
func Valid(prefix, s string) bool {
	rest, ok := strings.CutPrefix(s, prefix)
	return ok && words.MatchString(rest)
}

// printable is what an identifier made elsewhere may look like: users, clients
// and events are named by other products.
var printable = regexp.MustCompile(`^[\x21\x22\x24-\x7e]{1,128}$`)

// ValidExternal reports whether s may be an identifier that another product made: 1
// to 128 printable ASCII characters without spaces and without '#', which
// separates the parts of a storage key.
func ValidExternal(s string) bool { return printable.MatchString(s) }

// Derive returns the ULID of at and of parts: the same for the same, and
// different for different parts, however they are split.
func Derive(at time.Time, parts ...string) string {
	var u ulid.ULID
	// A time before 1970 or beyond the year 10889 cannot be kept: zero is as
	// good as any, since only uniqueness is promised then.
	if ms := at.UnixMilli(); ms > 0 && uint64(ms) <= ulid.MaxTime() {
		if err := u.SetTime(uint64(ms)); err != nil {
			u = ulid.ULID{}
		}
	}
	sum := Hash(parts...)
	copy(u[6:], sum[:10])
	return u.String()
}

// TimeOf returns when an identifier was made, and whether it says: a prefix and a
// ULID does.
func TimeOf[T ~string](name T) (time.Time, bool) {
	_, text, _ := strings.Cut(string(name), "_")
	u, err := ulid.ParseStrict(text)
	if err != nil {
		return time.Time{}, false
	}
	return u.Timestamp(), true
}

// Hash returns a hash of parts in which ("ab", "c") and ("a", "bc") differ.
func Hash(parts ...string) [sha256.Size]byte {
	h := sha256.New()
	for _, p := range parts {
		sum := sha256.Sum256([]byte(p))
		h.Write(sum[:])
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// Digest returns Hash as 32 hexadecimal digits: enough to tell contents apart.
func Digest(parts ...string) string {
	sum := Hash(parts...)
	return hex.EncodeToString(sum[:16])
}
