package tenant

import (
	"slices"
	"strings"
)

// A Use says that agents of the organization make objects of a kind, or listen for
// events about them. Uses only grow, when an agent becomes active or makes objects of
// a kind for the first time. Where no agent makes objects of a kind, no event about
// one was caused by an agent, and where no agent listens, no record of their makers
// is needed.
type Use string

// Makes returns the use of an agent with an action that makes objects of a kind.
func Makes(kind string) Use { return Use("makes " + kind) }

// Hears returns the use of an agent that listens for events about objects of a kind.
func Hears(kind string) Use { return Use("hears " + kind) }

// Made returns the kind of objects that the use makes, and whether it makes any.
func (u Use) Made() (kind string, ok bool) { return strings.CutPrefix(string(u), "makes ") }

// Has reports whether an agent of the organization was ever active with a use.
func (t Tenant) Has(u Use) bool { return slices.Contains(t.Uses, u) }
