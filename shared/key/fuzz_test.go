package key_test

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"theoneagents.app/agents/shared/key"
)

func FuzzSecret(f *testing.F) {
	const secret = "ik_live_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
	for _, seed := range []string{
		secret, secret + "\n", " " + secret, secret[:50], strings.ToUpper(secret), "", "ik_live_",
		"ik_live_" + strings.Repeat("é", 43), "ik_live_" + strings.Repeat("-", 42) + "=",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, secret string) {
		hash, ok := key.HashOf(secret)
		if want := fmt.Sprintf("%x", sha256.Sum256([]byte(secret))); string(hash) != want {
			t.Errorf("the hash of %q is %s, want %s", secret, hash, want)
		}
		rest, live := strings.CutPrefix(secret, "ik_live_")
		data, err := base64.RawURLEncoding.DecodeString(strings.NewReplacer("\r", "=", "\n", "=").Replace(rest))
		if want := live && err == nil && len(data) == 32; ok != want {
			t.Errorf("%q looks like a secret: %t, want %t", secret, ok, want)
		}
	})
}
