package id_test

import (
	"strings"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"
	"pgregory.net/rapid"

	"theoneagents.app/agents/shared/id"
)

func TestAnOrganizationHasASafeName(t *testing.T) {
	t.Parallel()

	for name, tc := range map[string]struct {
		in   string
		want bool
	}{
		"letters and digits":         {"org_Abc123", true},
		"one character":              {"org_a", true},
		"forty characters":           {"org_" + strings.Repeat("a", 40), true},
		"forty-one characters":       {"org_" + strings.Repeat("a", 41), false},
		"nothing behind the prefix":  {"org_", false},
		"nothing":                    {"", false},
		"no prefix":                  {"abc123", false},
		"the system organization":    {string(id.System), false},
		"a separator of keys":        {"org_a#AGENT", false},
		"an underscore":              {"org_a_b", false},
		"a line break at the end":    {"org_a\n", false},
		"a line break in the middle": {"org_a\norg_b", false},
		"a blank":                    {"org_a b", false},
		"a NUL":                      {"org_a\x00", false},
		"a letter of another script": {"org_ä", false},
		"the prefix in capitals":     {"ORG_a", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			org, ok := id.ParseOrg(tc.in)
			if ok != tc.want || string(org) != tc.in {
				t.Errorf("ParseOrg(%q) = %q, %t; want %t", tc.in, org, ok, tc.want)
			}
		})
	}
}

func TestAnIdentifierHasItsPrefix(t *testing.T) {
	t.Parallel()

	for name, tc := range map[string]struct {
		prefix, in string
		want       bool
	}{
		"a ULID":                       {"exec_", "exec_01HXYZ0000000000000000ABCD", true},
		"a word":                       {"agent_", "agent_system_dispatch", true},
		"sixty-four characters":        {"evt_", "evt_" + strings.Repeat("x", 64), true},
		"sixty-five characters":        {"evt_", "evt_" + strings.Repeat("x", 65), false},
		"another prefix":               {"agent_", "exec_01", false},
		"the prefix alone":             {"agent_", "agent_", false},
		"nothing":                      {"agent_", "", false},
		"a separator of keys":          {"agent_", "agent_a#b", false},
		"a slash":                      {"agent_", "agent_a/b", false},
		"a line break at the end":      {"agent_", "agent_a\n", false},
		"a hyphen":                     {"agent_", "agent_a-b", false},
		"the prefix in the wrong case": {"agent_", "Agent_a", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			if got := id.Valid(tc.prefix, tc.in); got != tc.want {
				t.Errorf("Valid(%q, %q) = %t", tc.prefix, tc.in, got)
			}
		})
	}
}

func TestAnExternalIdentifierHoldsNoKeySeparator(t *testing.T) {
	t.Parallel()

	for name, tc := range map[string]struct {
		in   string
		want bool
	}{
		"a word":                    {"cli_acme", true},
		"an address":                {"jane.doe+x@acme.example", true},
		"a UUID":                    {"6f1e…"[:4] + "-0000", true},
		"marks of every other kind": {`!"$%&'()*+,-./:;<=>?@[\]^_{|}~` + "`", true},
		"128 characters":            {strings.Repeat("c", 128), true},
		"129 characters":            {strings.Repeat("c", 129), false},
		"nothing":                   {"", false},
		"a separator of keys":       {"cli#acme", false},
		"a blank":                   {"cli acme", false},
		"a line break":              {"cli\n", false},
		"a delete":                  {"cli\x7f", false},
		"a letter of another alphabet": {
			"клиент", false,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			if got := id.ValidExternal(tc.in); got != tc.want {
				t.Errorf("ValidExternal(%q) = %t", tc.in, got)
			}
		})
	}
}

func TestADerivedIdentifierIsAULIDOfItsTime(t *testing.T) {
	t.Parallel()

	rapid.Check(t, func(t *rapid.T) {
		at := time.UnixMilli(rapid.Int64Range(1, int64(ulid.MaxTime())).Draw(t, "ms"))
		parts := rapid.SliceOf(rapid.String()).Draw(t, "parts")
		got := id.Derive(at, parts...)
		u, err := ulid.ParseStrict(got)
		if err != nil {
			t.Fatalf("Derive(%v, %q) = %q: %v", at, parts, got, err)
		}
		if int64(u.Time()) != at.UnixMilli() {
			t.Errorf("the time of %s is %d, want %d", got, u.Time(), at.UnixMilli())
		}
		if again := id.Derive(at, parts...); again != got {
			t.Errorf("the second time it is %s", again)
		}
		if !id.Valid("exec_", "exec_"+got) {
			t.Errorf("%s is not valid", got)
		}
	})
}

func TestDerivedIdentifiersSortByTime(t *testing.T) {
	t.Parallel()

	rapid.Check(t, func(t *rapid.T) {
		early := rapid.Int64Range(0, 1<<46).Draw(t, "early")
		late := early + rapid.Int64Range(1, 1<<40).Draw(t, "later by")
		a := id.Derive(time.UnixMilli(early), rapid.String().Draw(t, "a"))
		b := id.Derive(time.UnixMilli(late), rapid.String().Draw(t, "b"))
		if a >= b {
			t.Errorf("%s of %d comes after %s of %d", a, early, b, late)
		}
	})
}

func TestATimeOutsideTheRangeOfAULIDBecomesZero(t *testing.T) {
	t.Parallel()

	want := id.Derive(time.UnixMilli(0), "a")
	for name, at := range map[string]time.Time{
		"no time":         {},
		"before 1970":     time.UnixMilli(-1),
		"after 10889":     time.UnixMilli(int64(ulid.MaxTime()) + 1),
		"the year 200000": time.Date(200_000, 1, 1, 0, 0, 0, 0, time.UTC),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			if got := id.Derive(at, "a"); got != want {
				t.Errorf("Derive(%v) = %s, want %s", at, got, want)
			}
		})
	}
}

func TestPartsThatAreSplitDifferentlyHaveDifferentHashes(t *testing.T) {
	t.Parallel()

	at := time.UnixMilli(1_700_000_000_000)
	all := [][]string{
		{}, {""}, {"", ""}, {"ab", "c"}, {"a", "bc"}, {"abc"}, {"c", "ab"}, {"ab", "c", ""}, {"", "ab", "c"}, {"ab\x00c"},
	}
	seen, digests := map[string][]string{}, map[string][]string{}
	for _, parts := range all {
		u, d := id.Derive(at, parts...), id.Digest(parts...)
		if other, ok := seen[u]; ok {
			t.Errorf("%q and %q have one identifier", other, parts)
		}
		if other, ok := digests[d]; ok {
			t.Errorf("%q and %q have one digest", other, parts)
		}
		if len(d) != 32 || strings.Trim(d, "0123456789abcdef") != "" {
			t.Errorf("the digest %q is not 32 hexadecimal digits", d)
		}
		seen[u], digests[d] = parts, parts
	}
}
