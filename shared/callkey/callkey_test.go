package callkey_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	josejwt "github.com/go-jose/go-jose/v4/jwt"
	"github.com/golang-jwt/jwt/v5"

	"theoneagents.app/agents/shared/callkey"
)

func private(t *testing.T, key any) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(der)
}

func public(t *testing.T, key crypto.Signer) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(der)
}

func ec(t *testing.T, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// The test verifies by another library, with the set alone.
func TestTheSetVerifiesTokensOfEachOfItsKeys(t *testing.T) {
	t.Parallel()

	old, next := ec(t, elliptic.P256()), ec(t, elliptic.P256())
	all := []string{public(t, old), public(t, next), public(t, old)}
	text, err := callkey.Set(all)
	if err != nil {
		t.Fatal(err)
	}
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(text, &set); err != nil || len(set.Keys) != 2 {
		t.Fatalf("%s has %d keys, want 2, %v", text, len(set.Keys), err)
	}
	if strings.Contains(string(text), `"d"`) {
		t.Errorf("the set has a private key: %s", text)
	}
	for _, signer := range []*ecdsa.PrivateKey{old, next} {
		key, err := callkey.Parse(private(t, signer), all)
		if err != nil {
			t.Fatal(err)
		}
		signed, err := key.Sign(jwt.MapClaims{"sub": "exec_1"})
		if err != nil {
			t.Fatal(err)
		}
		token, err := josejwt.ParseSigned(signed, []jose.SignatureAlgorithm{jose.ES256})
		if err != nil {
			t.Fatal(err)
		}
		named := set.Key(token.Headers[0].KeyID)
		var claims josejwt.Claims
		if len(named) != 1 || named[0].Algorithm != "ES256" || named[0].Use != "sig" {
			t.Fatalf("the token names %q, the set has %v", token.Headers[0].KeyID, named)
		}
		if err := token.Claims(named[0].Key, &claims); err != nil || claims.Subject != "exec_1" {
			t.Errorf("%+v, %v", claims, err)
		}
	}
}

func TestAKeyThatProductsCouldNotVerifyIsRefused(t *testing.T) {
	t.Parallel()

	good, other, wide := ec(t, elliptic.P256()), ec(t, elliptic.P256()), ec(t, elliptic.P384())
	rs, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		private string
		public  []string
		want    string
	}{
		"another key":        {private(t, good), []string{public(t, other)}, "none of the public keys"},
		"no public key":      {private(t, good), nil, "public keys"},
		"a private key":      {private(t, good), []string{private(t, good)}, "public keys"},
		"no base64":          {private(t, good), []string{"-----BEGIN PUBLIC KEY-----"}, "public keys"},
		"one of two":         {private(t, good), []string{public(t, good), "x"}, "public keys"},
		"nothing":            {"", []string{public(t, good)}, "private key"},
		"a public key":       {public(t, good), []string{public(t, good)}, "private key"},
		"no key":             {"aGVsbG8=", []string{public(t, good)}, "private key"},
		"another curve":      {private(t, wide), []string{public(t, good)}, "P-256"},
		"another public one": {private(t, good), []string{public(t, good), public(t, wide)}, "P-256"},
		"RSA":                {private(t, rs), []string{public(t, good)}, "P-256"},
	} {
		_, err := callkey.Parse(tc.private, tc.public)
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: err = %v, want %q", name, err, tc.want)
		}
		if err != nil && len(tc.private) > 0 && strings.Contains(err.Error(), tc.private) {
			t.Errorf("%s: the error shows the key", name)
		}
	}
	if _, err := (callkey.Key{}).Sign(jwt.MapClaims{}); err == nil {
		t.Error("no key signs")
	}
}
