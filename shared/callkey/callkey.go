// Package callkey has the keys that sign our calls of products.
//
// The function that calls holds one private key. The public keys are a setting
// of their own, so that the function that serves them holds no secret. During a
// rotation there are several: a product must know the new key before the first
// call that it signs, and the old one until the last call has expired.
//
// Keys are P-256 keys as base64 of DER, which fits on one line: a private key
// as PKCS #8, a public key as PKIX.
package callkey

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/MicahParks/jwkset"
	"github.com/golang-jwt/jwt/v5"
)

// The errors of a setting. None quotes the setting.
var (
	errPrivate = errors.New("want a private key of the curve P-256 as base64 of PKCS #8 DER")
	errPublic  = errors.New("want public keys of the curve P-256, comma separated, each as base64 of PKIX DER")
	errUnknown = errors.New("the private key has none of the public keys; products would refuse every call")
)

// A Key signs tokens. It is safe for concurrent use.
type Key struct {
	private *ecdsa.PrivateKey
	id      string
}

// Parse returns the key in a setting. Its public half must be among the public
// keys, or products would refuse every call.
func Parse(private string, public []string) (Key, error) {
	der, err := base64.StdEncoding.DecodeString(strings.TrimSpace(private))
	if err != nil {
		return Key{}, errPrivate
	}
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	key, ok := parsed.(*ecdsa.PrivateKey)
	if err != nil || !ok || key.Curve != elliptic.P256() {
		return Key{}, errPrivate
	}
	known, err := parse(public)
	if err != nil {
		return Key{}, err
	}
	if !slices.ContainsFunc(known, func(p *ecdsa.PublicKey) bool { return key.PublicKey.Equal(p) }) {
		return Key{}, errUnknown
	}
	jwk, err := jwkOf(&key.PublicKey)
	return Key{private: key, id: jwk.KID}, err
}

// Sign returns a signed token that names the key.
func (k Key) Sign(claims jwt.Claims) (string, error) {
	if k.private == nil {
		return "", errPrivate
	}
	t := jwt.NewWithClaims(jwt.SigningMethodES256, claims)
	t.Header["kid"] = k.id
	return t.SignedString(k.private)
}

// Set returns the public keys as a JSON Web Key Set. The name of a key is its
// thumbprint by RFC 7638.
func Set(public []string) ([]byte, error) {
	keys, err := parse(public)
	if err != nil {
		return nil, err
	}
	var set jwkset.JWKSMarshal
	for _, key := range keys {
		jwk, err := jwkOf(key)
		if err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(set.Keys, func(other jwkset.JWKMarshal) bool { return other.KID == jwk.KID }) {
			set.Keys = append(set.Keys, jwk)
		}
	}
	return json.Marshal(set)
}

func parse(public []string) ([]*ecdsa.PublicKey, error) {
	var keys []*ecdsa.PublicKey
	for _, text := range public {
		der, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return nil, errPublic
		}
		parsed, err := x509.ParsePKIXPublicKey(der)
		key, ok := parsed.(*ecdsa.PublicKey)
		if err != nil || !ok || key.Curve != elliptic.P256() {
			return nil, errPublic
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil, errPublic
	}
	return keys, nil
}

func jwkOf(key *ecdsa.PublicKey) (jwkset.JWKMarshal, error) {
	options := jwkset.JWKOptions{Metadata: jwkset.JWKMetadataOptions{ALG: jwkset.AlgES256, USE: jwkset.UseSig}}
	jwk, err := jwkset.NewJWKFromKey(key, options)
	if err != nil {
		return jwkset.JWKMarshal{}, fmt.Errorf("describe a public key: %w", err)
	}
	m := jwk.Marshal()
	sum := sha256.Sum256(fmt.Appendf(nil, `{"crv":%q,"kty":%q,"x":%q,"y":%q}`, m.CRV, m.KTY, m.X, m.Y))
	m.KID = base64.RawURLEncoding.EncodeToString(sum[:])
	return m, nil
}
