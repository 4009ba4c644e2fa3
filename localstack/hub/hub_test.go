package hub_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/base64"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"

	"theoneagents.app/agents/localstack/hub"
)

func TestProgramsThatStartTogetherGetOneKey(t *testing.T) {
	t.Parallel()

	path := filepath.Join(t.TempDir(), "new", "hub.pem")
	ids := make([]string, 20)
	var wg sync.WaitGroup
	for n := range ids {
		wg.Go(func() {
			k, err := hub.Open(path)
			if err != nil {
				t.Error(err)
				return
			}
			ids[n] = k.ID()
		})
	}
	wg.Wait()
	for _, id := range ids {
		if id == "" || id != ids[0] {
			t.Fatalf("ids %q differ", ids)
		}
	}

	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := info.Mode().Perm(), os.FileMode(0o600); got != want {
		t.Errorf("mode %v, want %v", got, want)
	}
	left, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(left) != 1 {
		t.Errorf("%d files beside the key, err %v", len(left), err)
	}
}

func TestAFileWithoutAKeyIsRefused(t *testing.T) {
	t.Parallel()

	path := filepath.Join(t.TempDir(), "hub.pem")
	if err := os.WriteFile(path, []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := hub.Open(path); err == nil {
		t.Error("opened")
	}
}

func TestASessionCanBeCheckedByTheJWKS(t *testing.T) {
	t.Parallel()

	now := time.Unix(1_790_000_000, 0)
	tests := []struct {
		name   string
		claims hub.Claims
		want   jwt.MapClaims
	}{
		{
			"a session names org, user, roles and itself",
			hub.Claims{Org: "org_a", User: "user_1", Roles: []string{"admin", "member"}, ID: "jti_1", Issued: now, TTL: time.Hour},
			jwt.MapClaims{"org_id": "org_a", "user_id": "user_1", "roles": []any{"admin", "member"}, "jti": "jti_1"},
		},
		{
			"a session without roles has an empty list",
			hub.Claims{Form: hub.Session, Org: "org_a", User: "user_1", ID: "jti_1", Issued: now, TTL: time.Hour},
			jwt.MapClaims{"org_id": "org_a", "user_id": "user_1", "roles": []any{}, "jti": "jti_1"},
		},
		{
			"the other form names tenant, subject and one role",
			hub.Claims{Form: hub.Tenant, Org: "org_a", User: "user_1", Roles: []string{"owner"}, ID: "jti_1", Issued: now, TTL: time.Hour},
			jwt.MapClaims{"tenantId": "org_a", "sub": "user_1", "orgRole": "owner", "jti": "jti_1"},
		},
	}
	key := open(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()

			signed, err := key.Mint(tt.claims)
			if err != nil {
				t.Fatal(err)
			}
			token, got := check(t, key, signed, now)
			want := tt.want
			want["iss"], want["aud"] = "https://hub.theoneagents.app", "one-agents"
			want["iat"], want["nbf"], want["exp"] = float64(now.Unix()), float64(now.Unix()), float64(now.Unix()+3600)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("claims (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(map[string]any{"alg": "ES256", "kid": key.ID(), "typ": "JWT"}, token.Header); diff != "" {
				t.Errorf("header (-want +got):\n%s", diff)
			}
		})
	}
}

func TestClaimsOfAnUnknownFormAreRefused(t *testing.T) {
	t.Parallel()

	key := open(t)
	for _, c := range []hub.Claims{{Form: "saml"}, {Form: hub.Tenant}} {
		if _, err := key.Mint(c); !errors.Is(err, hub.ErrForm) {
			t.Errorf("%+v: err = %v, want ErrForm", c, err)
		}
	}
}

func open(t *testing.T) *hub.Key {
	t.Helper()
	key, err := hub.Open(filepath.Join(t.TempDir(), "hub.pem"))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// check verifies signed by the JWKS alone.
func check(t *testing.T, key *hub.Key, signed string, now time.Time) (*jwt.Token, jwt.MapClaims) {
	t.Helper()
	text, err := key.JWKS()
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Keys []struct {
			Alg string `json:"alg"`
			Crv string `json:"crv"`
			Kid string `json:"kid"`
			Kty string `json:"kty"`
			Use string `json:"use"`
			X   string `json:"x"`
			Y   string `json:"y"`
		} `json:"keys"`
	}
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	got := jwt.MapClaims{}
	token, err := jwt.ParseWithClaims(signed, got, func(tok *jwt.Token) (any, error) {
		for _, k := range doc.Keys {
			if k.Kid == tok.Header["kid"] && k.Kty == "EC" && k.Crv == "P-256" && k.Alg == "ES256" && k.Use == "sig" {
				return public(k.X, k.Y)
			}
		}
		return nil, errors.New("no such key")
	}, jwt.WithValidMethods([]string{"ES256"}), jwt.WithIssuer(hub.Issuer), jwt.WithAudience(hub.Audience),
		jwt.WithExpirationRequired(), jwt.WithTimeFunc(func() time.Time { return now }))
	if err != nil {
		t.Fatal(err)
	}
	return token, got
}

func public(x, y string) (*ecdsa.PublicKey, error) {
	px, errX := base64.RawURLEncoding.DecodeString(x)
	py, errY := base64.RawURLEncoding.DecodeString(y)
	if err := errors.Join(errX, errY); err != nil {
		return nil, err
	}
	return ecdsa.ParseUncompressedPublicKey(elliptic.P256(), append(append([]byte{4}, px...), py...))
}
