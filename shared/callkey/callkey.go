// Package callkey has the keys that sign our calls of products.
//
// The secret has one key, or two during a rotation: a product must know the new key
// before the first call that it signs, and the old one until the last call has
// expired. The current key signs the calls. Two functions read the secret: the runner,
// which calls products, and jwks, which serves the public halves of all keys and
// nothing else.
//
// A key is a seed, 64 random letters and digits, as Secrets Manager makes them when
// the stack is deployed. Or it is a P-256 key of one's own, as base64 of PKCS #8 DER.
package callkey

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"regexp"
	"slices"
	"strings"

	"github.com/MicahParks/jwkset"
	"github.com/golang-jwt/jwt/v5"
)

// errKey says what a key must be; it does not quote it.
var errKey = errors.New("want a seed of 64 letters and digits, or a private key of the curve P-256 as base64 of PKCS #8 DER")

// A Key signs tokens. It is safe for concurrent use.
type Key struct {
	private *ecdsa.PrivateKey
	public  jwkset.JWKMarshal
}

// seed matches the seed of a key. The base64 of a private key is longer.
var seed = regexp.MustCompile(`^[A-Za-z0-9]{64}$`)

// Parse returns the key in a generation of the secret.
func Parse(text string) (Key, error) {
	private, err := parse(strings.TrimSpace(text))
	if err != nil {
		return Key{}, err
	}
	public, err := jwkOf(&private.PublicKey)
	return Key{private: private, public: public}, err
}

func parse(text string) (*ecdsa.PrivateKey, error) {
	if seed.MatchString(text) {
		return derive(text)
	}
	der, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, errKey
	}
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	key, ok := parsed.(*ecdsa.PrivateKey)
	if err != nil || !ok || key.Curve != elliptic.P256() {
		return nil, errKey
	}
	return key, nil
}

// derive returns the key of a seed: the scalar is made from 128 bits more than the
// order of the curve has, so that it has no bias (FIPS 186-5, A.2.1).
func derive(seed string) (*ecdsa.PrivateKey, error) {
	const size, extra = 32, 16
	random, err := hkdf.Key(sha256.New, []byte(seed), nil, "one-agents call key P-256", size+extra)
	if err != nil {
		return nil, fmt.Errorf("derive a key: %w", err)
	}
	scalar := new(big.Int).SetBytes(random)
	scalar.Mod(scalar, new(big.Int).Sub(elliptic.P256().Params().N, big.NewInt(1)))
	scalar.Add(scalar, big.NewInt(1))
	return ecdsa.ParseRawPrivateKey(elliptic.P256(), scalar.FillBytes(make([]byte, size)))
}

// Sign returns a signed token that names the key.
func (k Key) Sign(claims jwt.Claims) (string, error) {
	if k.private == nil {
		return "", errKey
	}
	t := jwt.NewWithClaims(jwt.SigningMethodES256, claims)
	t.Header["kid"] = k.public.KID
	return t.SignedString(k.private)
}

// Set returns the public halves of keys as a JSON Web Key Set. The name of a key is
// its thumbprint by RFC 7638.
func Set(keys ...Key) ([]byte, error) {
	set := jwkset.JWKSMarshal{Keys: []jwkset.JWKMarshal{}}
	for _, key := range keys {
		if key.private == nil {
			return nil, errKey
		}
		if !slices.ContainsFunc(set.Keys, func(other jwkset.JWKMarshal) bool { return other.KID == key.public.KID }) {
			set.Keys = append(set.Keys, key.public)
		}
	}
	return json.Marshal(set)
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
