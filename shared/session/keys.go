package session

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/MicahParks/jwkset"
)

// The lifetime of a set of keys, the pause between fetches, and the bounds of a
// fetch in time and bytes.
const (
	maxAge  = time.Hour
	pause   = 10 * time.Second
	timeout = 3 * time.Second
	maxSet  = 256 << 10
)

// errKey says that no key of the Hub matches a token.
var errKey = errors.New("no key of the Hub matches the token")

// Keys are the Hub's public keys, fetched at first use. An unknown key makes
// Keys fetch the set again, since the Hub may have made a new one, but at most
// every ten seconds, since any client can send a token that names an unknown
// key.
//
// (The cache of keyfunc keeps a goroutine, which a function does not run
// between two requests, and cannot tell a wrong key from a Hub that is down.)
type Keys struct {
	URL    string
	Client *http.Client
	Now    func() time.Time

	mu    sync.Mutex
	set   map[string]jwkset.JWK
	got   time.Time // the time of the last successful fetch
	asked time.Time // the time of the last fetch
	err   error     // the error of the last fetch
}

// key returns the key that h names, or errKey.
func (k *Keys) key(ctx context.Context, h header) (crypto.PublicKey, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	jwk, known := k.set[h.kid]
	if !known || k.Now().Sub(k.got) >= maxAge {
		if err := k.refresh(ctx); err != nil && !known {
			return nil, err
		}
		jwk, known = k.set[h.kid]
	}
	if !known {
		return nil, errKey
	}
	return fit(jwk, h.alg)
}

// refresh fetches the set, unless the last fetch is less than a pause ago: then
// it returns the error of that one.
func (k *Keys) refresh(ctx context.Context) error {
	now := k.Now()
	if now.Sub(k.asked) < pause {
		return k.err
	}
	k.asked = now
	set, err := k.fetch(ctx)
	if err != nil {
		k.err = fmt.Errorf("fetch the keys of the Hub: %w", err)
		return k.err
	}
	k.set, k.got, k.err = set, now, nil
	return nil
}

func (k *Keys) fetch(ctx context.Context) (map[string]jwkset.JWK, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, k.URL, nil)
	if err != nil {
		return nil, err
	}
	res, err := k.Client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close() //nolint:errcheck // the body was only read.
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the status is %s, want 200 OK", res.Status)
	}
	var set jwkset.JWKSMarshal
	if err := json.NewDecoder(io.LimitReader(res.Body, maxSet)).Decode(&set); err != nil {
		return nil, err
	}
	return usable(set), nil
}

// usable returns the signing keys of a set by name.
func usable(set jwkset.JWKSMarshal) map[string]jwkset.JWK {
	keys := map[string]jwkset.JWK{}
	for _, m := range set.Keys {
		jwk, err := jwkset.NewJWKFromMarshal(m, jwkset.JWKMarshalOptions{}, jwkset.JWKValidateOptions{})
		if _, twice := keys[m.KID]; err == nil && m.KID != "" && !twice && (m.USE == "" || m.USE == jwkset.UseSig) {
			keys[m.KID] = jwk
		}
	}
	return keys
}

// fit returns the key of jwk if it can verify alg, or errKey.
func fit(jwk jwkset.JWK, alg string) (crypto.PublicKey, error) {
	if named := jwk.Marshal().ALG.String(); named != "" && named != alg {
		return nil, errKey
	}
	const minRSA = 2048
	ok := false
	switch key := jwk.Key().(type) {
	case *rsa.PublicKey:
		ok = alg == "RS256" && key.N.BitLen() >= minRSA
	case *ecdsa.PublicKey:
		ok = alg == "ES256" && key.Curve == elliptic.P256()
	case ed25519.PublicKey:
		ok = alg == "EdDSA"
	}
	if !ok {
		return nil, errKey
	}
	return jwk.Key(), nil
}
