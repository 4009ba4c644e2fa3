// Package id defines identifiers: one type for each kind, and the rules for
// making and reading them.
//
// An identifier is a prefix and a ULID (github.com/ulid/spec): 26 characters of
// Crockford base 32 whose first ten are the milliseconds since 1970, so that
// identifiers sort by time. A record that may be created twice has a derived
// identifier: the time of its cause and a hash of its unique properties, so
// that the second attempt finds the first.
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
	// Approval names an approval.
	Approval string
	// Activity names an entry of an agent's activity.
	Activity string
	// Template names an agent template, by a word and not a ULID.
	Template string
	// Audit names an entry of the audit log.
	Audit string
	// Key names an integration key.
	Key string
	// Job names a job.
	Job string
	// User names a person; the Hub makes it.
	User string
	// Actor names the author of a change: user_…, key_… or Platform.
	Actor string
	// Client names a client of an organization; products make it.
	Client string
	// Step names a step within its agent; tenants make it.
	Step string
)

// Platform is the author of a change that no person and no key asked for.
const Platform Actor = "platform"

// System is the organization that owns the agents of every organization. It is
// never a caller.
const System Org = "system"

// orgs matches the id of a tenant's organization, which holds no separator of
// storage keys.
var orgs = regexp.MustCompile(`^org_[A-Za-z0-9]{1,40}$`)

// ParseOrg returns s as the id of a tenant's organization, and whether it is
// valid. The id of the system organization is not.
func ParseOrg(s string) (Org, bool) { return Org(s), orgs.MatchString(s) }

// words matches the part behind the prefix of an identifier from a caller.
var words = regexp.MustCompile(`^[A-Za-z0-9_]{1,64}$`)

// Valid reports whether s may be an identifier with this prefix ("agent_"). An
// invalid one names no record, and must not become part of a key.
func Valid(prefix, s string) bool {
	rest, ok := strings.CutPrefix(s, prefix)
	return ok && words.MatchString(rest)
}

// printable matches an external identifier: other products name users, clients
// and events.
var printable = regexp.MustCompile(`^[\x21\x22\x24-\x7e]{1,128}$`)

// ValidExternal reports whether s may be an identifier that another product
// made: 1 to 128 printable ASCII characters without spaces and without '#',
// which separates the parts of a storage key.
func ValidExternal(s string) bool { return printable.MatchString(s) }

// Derive returns a ULID of at and parts. Equal arguments give the same ULID and
// different ones different ULIDs, also when the parts are split differently.
func Derive(at time.Time, parts ...string) string {
	var u ulid.ULID
	// A ULID cannot hold a time before 1970 or after the year 10889. Zero
	// replaces it, since only uniqueness is promised then.
	if ms := at.UnixMilli(); ms > 0 && uint64(ms) <= ulid.MaxTime() {
		if err := u.SetTime(uint64(ms)); err != nil {
			u = ulid.ULID{}
		}
	}
	sum := Hash(parts...)
	copy(u[6:], sum[:10])
	return u.String()
}

// TimeOf returns the time in an identifier, and whether it has one: a prefix
// and a ULID does.
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

// Digest returns Hash as 32 hexadecimal digits, which is enough to tell
// contents apart.
func Digest(parts ...string) string {
	sum := Hash(parts...)
	return hex.EncodeToString(sum[:16])
}
