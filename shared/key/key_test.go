package key_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"theoneagents.app/agents/shared/audit"
	"theoneagents.app/agents/shared/caller"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/key"
)

// shelf is a store of keys.
type shelf struct {
	keys []key.Key
	fail error

	rotation key.Rotation
	races    int // lost before one is won
	reads    int // of the rotation
	acts     []audit.Entry
}

func (s *shelf) CreateKey(_ context.Context, k key.Key, acts ...audit.Entry) error {
	s.keys = append(s.keys, k)
	return s.fail
}

func (s *shelf) Keys(_ context.Context, org id.Org) ([]key.Key, error) {
	var ofOrg []key.Key
	for _, k := range s.keys {
		if k.Org == org {
			ofOrg = append(ofOrg, k)
		}
	}
	return ofOrg, s.fail
}

func (s *shelf) RevokeKey(_ context.Context, org id.Org, revoked id.Key, acts ...audit.Entry) error {
	for i, k := range s.keys {
		if k.Org == org && k.ID == revoked {
			s.keys = append(s.keys[:i], s.keys[i+1:]...)
			return nil
		}
	}
	return key.ErrNotFound
}

func (s *shelf) KeyByHash(context.Context, key.Hash) (key.Key, error) {
	return key.Key{}, key.ErrNotFound
}

func (s *shelf) Rotation(context.Context, id.Org) (key.Rotation, error) {
	s.reads++
	return s.rotation, s.fail
}

func (s *shelf) SaveRotation(_ context.Context, _ id.Org, before, after key.Rotation, acts ...audit.Entry) error {
	if before.Generation != s.rotation.Generation || s.races > 0 {
		s.races--
		return key.ErrRotated
	}
	s.rotation, s.acts = after, append(s.acts, acts...)
	return nil
}

func (s *shelf) MarkUsed(context.Context, key.Key) error { return nil }

var owner = caller.Caller{Org: "org_a", User: "user_1", Roles: []caller.Role{caller.Owner}}

func service(s *shelf) *key.Service {
	var n byte
	return &key.Service{
		Store: s, Now: func() time.Time { return time.Date(2026, 3, 9, 14, 23, 1, 0, time.UTC) },
		NewID: func() id.Key { return id.Key("key_" + string('1'+rune(len(s.keys)))) },
		Random: func() [32]byte {
			n++
			return [32]byte{n, 0xff, 0xfe}
		},
	}
}

func TestANewKeyIsStoredAsAHash(t *testing.T) {
	t.Parallel()

	s := &shelf{}
	k, secret, err := service(s).Create(t.Context(), owner, "ci", caller.ReadWrite, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	hash, ok := key.HashOf(secret)
	if !ok || !strings.HasPrefix(secret, "ik_live_") {
		t.Errorf("the secret is %q", secret)
	}
	want := key.Key{
		ID: "key_1", Org: "org_a", Name: "ci", Access: caller.ReadWrite, Hash: hash,
		Created: time.Date(2026, 3, 9, 14, 23, 1, 0, time.UTC), By: "user_1",
	}
	if k != want || len(s.keys) != 1 || s.keys[0] != want {
		t.Errorf("Create = %+v, stored %+v; want %+v", k, s.keys, want)
	}
	if strings.Contains(string(s.keys[0].Hash), secret[len("ik_live_"):]) {
		t.Error("the secret is stored")
	}
}

func TestTwoKeysHaveTwoSecrets(t *testing.T) {
	t.Parallel()

	svc := service(&shelf{})
	_, a, err := svc.Create(t.Context(), owner, "a", caller.Read, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	_, b, err := svc.Create(t.Context(), owner, "b", caller.Read, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	if a == b {
		t.Errorf("both are %s", a)
	}
}

func TestAKeyNeedsANameAndAnAccess(t *testing.T) {
	t.Parallel()

	for name, tc := range map[string]struct {
		name   string
		access caller.Access
		want   string
	}{
		"no name":                   {"", caller.Read, "name"},
		"too long a name":           {strings.Repeat("ä", 201), caller.Read, "name"},
		"no access":                 {"ci", "", "access"},
		"an unknown access":         {"ci", "admin", "access"},
		"an access in capitals":     {"ci", "READ", "access"},
		"the longest name is right": {strings.Repeat("ä", 200), caller.Read, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			s := &shelf{}
			_, secret, err := service(s).Create(t.Context(), owner, tc.name, tc.access, time.Time{})
			if tc.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tc.want) || secret != "" || len(s.keys) != 0 {
				t.Errorf("Create = %q, %v with %d stored; want an error about the %s", secret, err, len(s.keys), tc.want)
			}
		})
	}
}

func TestOnlyTheFormOfASecretIsHashedAsOne(t *testing.T) {
	t.Parallel()

	body := strings.Repeat("aB3_-", 8) + "abc"
	for name, tc := range map[string]struct {
		in   string
		want bool
	}{
		"a secret":               {"ik_live_" + body, true},
		"another prefix":         {"ik_test_" + body, false},
		"no prefix":              {body, false},
		"one character too few":  {"ik_live_" + body[1:], false},
		"one character too many": {"ik_live_" + body + "a", false},
		"a character of base 64": {"ik_live_" + body[1:] + "+", false},
		"a line break":           {"ik_live_" + body + "\n", false},
		"nothing":                {"", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			if _, ok := key.HashOf(tc.in); ok != tc.want {
				t.Errorf("HashOf(%q) says %t", tc.in, ok)
			}
		})
	}
	a, _ := key.HashOf("ik_live_" + body)
	b, _ := key.HashOf("ik_live_" + body[:42] + "d")
	if a == b || len(a) != 64 {
		t.Errorf("the hashes are %s and %s", a, b)
	}
}

func TestAnOrganizationLearnsTheSecretThatItsWebhooksAreSignedWith(t *testing.T) {
	t.Parallel()

	svc := service(&shelf{})
	svc.Masters.Current = key.Master("a master")
	shown, err := svc.WebhookSecret(t.Context(), owner)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(shown, "whsec_"))
	if err != nil || !strings.HasPrefix(shown, "whsec_") || !bytes.Equal(secret, svc.Masters.Current.Secret(owner.Org, 0)) {
		t.Errorf("the secret is %s, %v; want whsec_ and %x in base64", shown, err, svc.Masters.Current.Secret(owner.Org, 0))
	}
	// OpenSSL made this value. With another secret every receiver would refuse
	// our signatures.
	if want := "whsec_C7YOGWUEdfn3eyNES+BZW4iRp02qHfjkdFWi3mYJ1o4="; shown != want {
		t.Errorf("the secret is %s, want %s", shown, want)
	}
	stranger := owner
	stranger.Org = "org_b"
	if got, err := svc.WebhookSecret(t.Context(), stranger); err != nil || got == shown {
		t.Error("another organization has the same secret")
	}
}

func TestAKeyBelongsToItsOrganization(t *testing.T) {
	t.Parallel()

	s := &shelf{}
	svc := service(s)
	k, _, err := svc.Create(t.Context(), owner, "ci", caller.Read, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	stranger := owner
	stranger.Org = "org_b"
	if keys, err := svc.List(t.Context(), stranger); err != nil || len(keys) != 0 {
		t.Errorf("a stranger sees %v, %v", keys, err)
	}
	if err := svc.Revoke(t.Context(), stranger, k.ID); !errors.Is(err, key.ErrNotFound) {
		t.Errorf("a stranger revokes: %v", err)
	}
	if keys, err := svc.List(t.Context(), owner); err != nil || len(keys) != 1 {
		t.Errorf("the owner sees %v, %v", keys, err)
	}
	if err := svc.Revoke(t.Context(), owner, k.ID); err != nil {
		t.Error(err)
	}
	if err := svc.Revoke(t.Context(), owner, k.ID); !errors.Is(err, key.ErrNotFound) {
		t.Errorf("the second time: %v", err)
	}
}

func TestAKeyExpiresInTheFutureOrNever(t *testing.T) {
	t.Parallel()

	now := time.Date(2026, 3, 9, 14, 23, 1, 0, time.UTC)
	for name, tc := range map[string]struct {
		expires time.Time
		ok      bool
	}{
		"never":                  {time.Time{}, true},
		"in an hour":             {now.Add(time.Hour), true},
		"in another zone":        {now.Add(time.Hour).In(time.FixedZone("", 7200)), true},
		"in the last second":     {time.Date(2199, 12, 31, 23, 59, 59, 0, time.UTC), true},
		"now":                    {now, false},
		"within this second":     {now.Add(time.Millisecond), false},
		"a second ago":           {now.Add(-time.Second), false},
		"beyond every calendar":  {time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC), false},
		"beyond the last second": {time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC), false},
	} {
		s := &shelf{}
		k, _, err := service(s).Create(t.Context(), owner, "ci", caller.Read, tc.expires)
		if tc.ok != (err == nil) || !tc.ok && (!errors.Is(err, key.ErrExpiry) || len(s.keys) > 0) {
			t.Errorf("%s: %v", name, err)
		}
		if tc.ok && (!k.Expires.Equal(tc.expires) || k.Expired(now) || !tc.expires.IsZero() != k.Expired(tc.expires)) {
			t.Errorf("%s: the key expires at %v", name, k.Expires)
		}
	}
}

func TestAUseIsTheFirstOfItsDayOnce(t *testing.T) {
	t.Parallel()

	var k key.Key
	for _, tc := range []struct {
		at    string
		first bool
	}{
		{"2026-03-09T23:59:59Z", true},
		{"2026-03-09T00:00:00Z", false},
		{"2026-03-10T00:00:00Z", true},
		{"2026-03-10T23:59:59+14:00", false},
		{"2026-03-08T10:00:00Z", false},
		{"2026-03-12T10:00:00Z", true},
	} {
		now, err := time.Parse(time.RFC3339, tc.at)
		if err != nil {
			t.Fatal(err)
		}
		var first bool
		if k, first = k.UsedAt(now); first != tc.first {
			t.Errorf("%s: first is %t", tc.at, first)
		}
	}
	if got := k.Used.Format(time.DateOnly); got != "2026-03-12" {
		t.Errorf("last used on %s", got)
	}
}

func TestARotatedSecretIsValidForADayBesideTheNewOne(t *testing.T) {
	t.Parallel()

	s := &shelf{races: 2}
	svc := service(s)
	now := svc.Now()
	svc.Now = func() time.Time { return now }
	svc.Masters = key.Masters{Current: key.Master("a master")}
	signer := func() *key.Signer { return &key.Signer{Store: s, Masters: svc.Masters, Now: svc.Now} }
	first, err := svc.WebhookSecret(t.Context(), owner)
	if err != nil {
		t.Fatal(err)
	}
	second, until, err := svc.RotateWebhookSecret(t.Context(), owner)
	if err != nil || second == first || !until.Equal(now.Add(24*time.Hour)) {
		t.Fatalf("rotated to %s until %v, %v", second, until, err)
	}
	if shown, err := svc.WebhookSecret(t.Context(), owner); err != nil || shown != second {
		t.Errorf("shown %s, %v", shown, err)
	}
	if len(s.acts) != 1 || s.acts[0].Kind != audit.WebhookSecretRotated || s.acts[0].From != "generation 0" || s.acts[0].To != "generation 1" {
		t.Errorf("acts %+v", s.acts)
	}
	signs := func(want ...string) {
		t.Helper()
		secrets, err := signer().Secrets(t.Context(), owner.Org)
		var got []string
		for _, secret := range secrets {
			got = append(got, "whsec_"+base64.StdEncoding.EncodeToString(secret))
		}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("signed with %v, %v; want %v", got, err, want)
		}
	}
	signs(second, first)
	now = until.Add(-1)
	signs(second, first)
	now = until
	signs(second)
	var all []string
	for range 6 {
		shown, _, err := svc.RotateWebhookSecret(t.Context(), owner)
		if err != nil {
			t.Fatal(err)
		}
		all = append([]string{shown}, all...)
		now = now.Add(time.Minute)
	}
	signs(all[:4]...)
	svc.Masters = key.Masters{Current: key.Master("another master"), Previous: key.Master("a master")}
	if secrets, err := signer().Secrets(t.Context(), owner.Org); err != nil || len(secrets) != 8 {
		t.Errorf("%d signatures while the master is replaced, %v", len(secrets), err)
	}
	s.races = 100
	if _, _, err := svc.RotateWebhookSecret(t.Context(), owner); !errors.Is(err, key.ErrRotated) {
		t.Errorf("a rotation that loses every race: %v", err)
	}
}

func TestASignerReadsARotationOnceAMinute(t *testing.T) {
	t.Parallel()

	s := &shelf{}
	now := time.Date(2026, 3, 9, 14, 23, 1, 0, time.UTC)
	signer := &key.Signer{Store: s, Masters: key.Masters{Current: key.Master("m")}, Now: func() time.Time { return now }}
	for range 120 {
		if _, err := signer.Secrets(t.Context(), "org_a"); err != nil {
			t.Fatal(err)
		}
		now = now.Add(time.Second)
	}
	if s.reads != 2 {
		t.Errorf("%d reads in two minutes", s.reads)
	}
	s.fail = errors.New("no table")
	if _, err := signer.Secrets(t.Context(), "org_b"); !errors.Is(err, s.fail) {
		t.Errorf("err = %v", err)
	}
}
