package callkey_test

import (
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

// signs returns the key of a generation of the secret.
func signs(t *testing.T, text string) callkey.Key {
	t.Helper()
	key, err := callkey.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// A seed as Secrets Manager makes it.
const seed = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ01"

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

	old, next, own := signs(t, seed), signs(t, strings.Repeat("x", 64)), signs(t, private(t, ec(t, elliptic.P256())))
	text, err := callkey.Set(old, next, own, old)
	if err != nil {
		t.Fatal(err)
	}
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(text, &set); err != nil || len(set.Keys) != 3 {
		t.Fatalf("%s has %d keys, want 3, %v", text, len(set.Keys), err)
	}
	if strings.Contains(string(text), `"d"`) {
		t.Errorf("the set has a private key: %s", text)
	}
	for _, key := range []callkey.Key{old, next, own} {
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

// The figures were computed with another implementation of HKDF and of the curve. A
// change would replace the keys of every deployed system without a rotation.
func TestASeedIsTheSameKeyInEveryRelease(t *testing.T) {
	t.Parallel()

	text, err := callkey.Set(signs(t, seed))
	if err != nil || !strings.Contains(string(text), `"x":"b3RyUJNq2bzSP7Xo3hJyBJj7rkgJEVkFaB42oEt4cC8"`) || !strings.Contains(string(text), `"y":"qfn3-FYovZKtNITR6MTKsUC1SGxuyYer31a5XRdzgsY"`) {
		t.Errorf("%s, %v", text, err)
	}
}

func TestATextThatIsNoKeyIsRefusedAndNotQuoted(t *testing.T) {
	t.Parallel()

	rs, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(ec(t, elliptic.P256()).Public())
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"nothing":       "",
		"a short seed":  seed[:63],
		"a long seed":   seed + "x",
		"punctuation":   seed[:63] + "-",
		"no key":        "aGVsbG8=",
		"PEM":           "-----BEGIN PRIVATE KEY-----",
		"a public key":  base64.StdEncoding.EncodeToString(public),
		"another curve": private(t, ec(t, elliptic.P384())),
		"RSA":           private(t, rs),
	} {
		_, err := callkey.Parse(text)
		if err == nil || !strings.Contains(err.Error(), "64 letters and digits") || !strings.Contains(err.Error(), "P-256") {
			t.Errorf("%s: err = %v, want it to say what a key is", name, err)
		}
		if err != nil && text != "" && strings.Contains(err.Error(), text) {
			t.Errorf("%s: the error shows the key", name)
		}
	}
	if _, err := (callkey.Key{}).Sign(jwt.MapClaims{}); err == nil {
		t.Error("no key signs")
	}
	if _, err := callkey.Set(callkey.Key{}); err == nil {
		t.Error("no key is served")
	}
}
