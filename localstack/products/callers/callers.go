// Package callers checks, as a product must, that a call of an action comes from
// One Agents and is the call that it signed. It shares no code with the signer.
package callers

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/golang-jwt/jwt/v5"
)

// Issuer is the iss of every token.
const Issuer = "https://agents.theoneagents.app"

// ErrRefused is the error of a call that One Agents did not sign.
var ErrRefused = errors.New("the call is not authorized")

// A Call is a call of an action with the token that came with it.
type Call struct {
	Authorization       string // the header
	Org, Execution, Key string // X-Org-Id, X-One-Agents-Execution, Idempotency-Key
	Product, Action     string
	Body                []byte
}

// Callers checks calls by the public keys of One Agents. It is safe for
// concurrent use.
type Callers struct {
	Outputs string // the file that has the address of the API
	HTTP    *http.Client
	Now     func() time.Time

	mu   sync.Mutex
	keys map[string]any
}

// leeway is the permitted difference between the clocks.
const leeway = 5 * time.Second

// lifetime is the longest lifetime of a token.
const lifetime = time.Minute

type claims struct {
	jwt.RegisteredClaims

	Org    string `json:"org"`
	Step   string `json:"step"`
	Action string `json:"action"`
	Body   string `json:"body_sha256"`
}

// Check returns ErrRefused unless One Agents signed c, for these parameters and
// within the last minute. Any other error means that the keys could not be read.
func (k *Callers) Check(ctx context.Context, c Call) error {
	text, ok := strings.CutPrefix(c.Authorization, "Bearer ")
	if !ok {
		return fmt.Errorf("%w: the header Authorization has no Bearer token", ErrRefused)
	}
	var got claims
	var broken error
	_, err := jwt.ParseWithClaims(text, &got, func(t *jwt.Token) (any, error) {
		kid, _ := t.Header["kid"].(string)
		var key any
		key, broken = k.key(ctx, kid)
		return key, broken
	}, jwt.WithValidMethods([]string{"ES256"}), jwt.WithIssuer(Issuer), jwt.WithAudience(c.Product),
		jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithLeeway(leeway), jwt.WithTimeFunc(k.Now), jwt.WithStrictDecoding())
	switch {
	case broken != nil && !errors.Is(broken, ErrRefused):
		return broken
	case err != nil:
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	return got.fit(c)
}

// fit returns ErrRefused unless the token was made for c.
func (got claims) fit(c Call) error {
	sum := sha256.Sum256(c.Body)
	for _, claim := range []struct{ name, got, want string }{
		{"sub", got.Subject, c.Execution},
		{"org", got.Org, c.Org},
		{"action", got.Action, c.Action},
		{"jti", got.ID, c.Key},
		{"body_sha256", got.Body, hex.EncodeToString(sum[:])},
	} {
		if claim.got != claim.want || claim.got == "" {
			return fmt.Errorf("%w: its token has %s %q, the call %q", ErrRefused, claim.name, claim.got, claim.want)
		}
	}
	switch {
	case got.Step == "":
		return fmt.Errorf("%w: its token has no step", ErrRefused)
	case got.IssuedAt == nil || got.ExpiresAt.Sub(got.IssuedAt.Time) > lifetime:
		return fmt.Errorf("%w: its token is valid for more than %s", ErrRefused, lifetime)
	}
	return nil
}

// key returns the key with this name. It reads the keys again for an unknown
// name, since One Agents may have a new one.
func (k *Callers) key(ctx context.Context, kid string) (any, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if key, known := k.keys[kid]; known {
		return key, nil
	}
	keys, err := k.fetch(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the keys of One Agents: %w", err)
	}
	k.keys = keys
	if key, known := keys[kid]; known {
		return key, nil
	}
	return nil, fmt.Errorf("%w: no key of One Agents is named %q", ErrRefused, kid)
}

func (k *Callers) fetch(ctx context.Context) (map[string]any, error) {
	text, err := os.ReadFile(k.Outputs)
	if err != nil {
		return nil, err
	}
	var outputs struct {
		API string `json:"api_url"`
	}
	if err := json.Unmarshal(text, &outputs); err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, outputs.API+"/.well-known/jwks.json", nil)
	if err != nil {
		return nil, err
	}
	answer, err := k.HTTP.Do(r)
	if err != nil {
		return nil, err
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the API answered %s", answer.Status)
	}
	var set jwkset.JWKSMarshal
	if err := json.NewDecoder(answer.Body).Decode(&set); err != nil {
		return nil, err
	}
	keys := map[string]any{}
	for _, m := range set.Keys {
		jwk, err := jwkset.NewJWKFromMarshal(m, jwkset.JWKMarshalOptions{}, jwkset.JWKValidateOptions{})
		if err != nil {
			return nil, err
		}
		keys[m.KID] = jwk.Key()
	}
	return keys, nil
}
