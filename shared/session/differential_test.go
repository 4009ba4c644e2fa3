package session

import (
	"crypto"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// FuzzVerdict compares our verdict with that of another library: a token that
// we accept must be accepted by the other, for the same organization.
func FuzzVerdict(f *testing.F) {
	signers := []string{"ES256", "EdDSA", "RS256", "ES384", "weak"}
	for n, name := range signers {
		f.Add(uint8(n), head(name), good(), uint16(0xffff), byte(0))
	}
	f.Add(uint8(0), head("ES256"), other(), uint16(0xffff), byte(0))
	f.Add(uint8(0), head("ES256"), good("exp", unix(-2)), uint16(0xffff), byte(0))
	f.Add(uint8(0), head("ES256"), good("exp", "1e12", "nbf", unix(2)), uint16(0xffff), byte(0))
	f.Add(uint8(0), head("ES256"), good("aud", `["x", "one-agents"]`, "iss", `"https://hub.example/"`), uint16(0xffff), byte(0))
	f.Add(uint8(0), `{"alg": "EdDSA", "kid": "ES256"}`, good(), uint16(0xffff), byte(0))
	f.Add(uint8(1), head("EdDSA"), good(), uint16(70), byte('A'))
	f.Add(uint8(1), head("EdDSA"), good(), uint16(3), byte('.'))
	v := verifier(newHub())
	f.Fuzz(func(t *testing.T, signer uint8, header, claims string, at uint16, with byte) {
		token := []byte(sign(t, signers[int(signer)%len(signers)], header, claims))
		if int(at) < len(token) {
			token[at] = with
		}
		who, err := v.Caller(t.Context(), string(token))
		if err != nil || elsewhere(string(token)) {
			return
		}
		org, err := verdict(string(token))
		if err != nil || org != string(who.Org) {
			t.Errorf("%s of %s %s is accepted as %s; another library says %q, %v", token, header, claims, who.Org, org, err)
		}
	})
}

// verdict returns the organization that go-jose finds in a token, or why it
// finds none.
func verdict(token string) (string, error) {
	parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.RS256, jose.ES256, jose.EdDSA})
	if err != nil {
		return "", err
	}
	var public crypto.PublicKey
	if key, ok := keys()[parsed.Headers[0].KeyID]; ok {
		public = key.Public()
	}
	var (
		said jwt.Claims
		own  struct {
			Org    string `json:"org_id"`
			Tenant string `json:"tenantId"`
		}
	)
	if err := parsed.Claims(public, &said, &own); err != nil {
		return "", err
	}
	if said.Expiry == nil {
		return "", jwt.ErrExpired
	}
	err = said.ValidateWithLeeway(jwt.Expected{
		Issuer: "https://hub.example", AnyAudience: jwt.Audience{"one-agents"}, Time: now,
	}, leeway)
	return own.Org + own.Tenant, err
}

// elsewhere reports whether a token's header holds more than its signing
// algorithm and key: go-jose reads keys and certificates in it, which we never
// do.
func elsewhere(token string) bool {
	segment, _, _ := strings.Cut(token, ".")
	var said map[string]any
	data, err := base64.RawURLEncoding.DecodeString(segment)
	if err != nil || json.Unmarshal(data, &said) != nil {
		return false
	}
	for name := range said {
		if !slices.Contains([]string{"alg", "kid", "typ"}, name) {
			return true
		}
	}
	return false
}
