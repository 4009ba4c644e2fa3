// Package hub stands in for the Hub, the service that signs users' sessions in the
// cloud. It has the signing key, the JWKS that verifies the sessions, and the
// sessions themselves.
package hub

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// The issuer and the audience of every session.
const (
	Issuer   = "https://hub.theoneagents.app"
	Audience = "one-agents"
)

// blockType is the type of the PEM block in a key file.
const blockType = "PRIVATE KEY"

// A Key signs sessions. It never changes and may be used by many at once.
type Key struct {
	private *ecdsa.PrivateKey
	jwk     jwk
}

// Open returns the key in the file at path. A missing file is created with a new
// key, readable only by its owner. Programs that start together get the same key:
// the file is created atomically, and the first program wins.
func Open(path string) (*Key, error) {
	k, err := read(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return k, err
	}
	if err := create(path); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("make the hub's key: %w", err)
	}
	return read(path)
}

func read(path string) (*Key, error) {
	text, err := os.ReadFile(path) //nolint:gosec // the path is the operator's.
	if err != nil {
		return nil, fmt.Errorf("read the hub's key: %w", err)
	}
	block, _ := pem.Decode(text)
	if block == nil || block.Type != blockType {
		return nil, fmt.Errorf("read the hub's key: %s holds no %s", path, blockType)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("read the hub's key: %w", err)
	}
	private, ok := parsed.(*ecdsa.PrivateKey)
	if !ok || private.Curve != elliptic.P256() {
		return nil, fmt.Errorf("read the hub's key: %s is not a P-256 key", path)
	}
	return newKey(private)
}

// create writes a new key beside path and links it there. The link fails with
// fs.ErrExist when another program was faster.
func create(path string) (err error) {
	text, err := generate()
	if err != nil {
		return err
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	draft, err := os.CreateTemp(dir, ".hub-key-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(draft.Name())) }()

	_, err = draft.Write(text)
	if err := errors.Join(err, draft.Sync(), draft.Close()); err != nil {
		return err
	}
	return os.Link(draft.Name(), path)
}

func generate() ([]byte, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: blockType, Bytes: der}), nil
}

// A jwk is a public key in the form of RFC 7517.
type jwk struct {
	Alg string `json:"alg"`
	Crv string `json:"crv"`
	Kid string `json:"kid"`
	Kty string `json:"kty"`
	Use string `json:"use"`
	X   string `json:"x"`
	Y   string `json:"y"`
}

func newKey(private *ecdsa.PrivateKey) (*Key, error) {
	point, err := private.PublicKey.Bytes() // 4, then x and y in 32 bytes each
	if err != nil {
		return nil, fmt.Errorf("read the hub's key: %w", err)
	}
	x := base64.RawURLEncoding.EncodeToString(point[1:33])
	y := base64.RawURLEncoding.EncodeToString(point[33:])
	return &Key{
		private: private,
		jwk:     jwk{Alg: "ES256", Crv: "P-256", Kid: thumbprint(x, y), Kty: "EC", Use: "sig", X: x, Y: y},
	}, nil
}

// thumbprint returns the thumbprint of a key by RFC 7638.
func thumbprint(x, y string) string {
	sum := sha256.Sum256([]byte(`{"crv":"P-256","kty":"EC","x":"` + x + `","y":"` + y + `"}`))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// DER returns the private key as PKCS #8.
func (k *Key) DER() ([]byte, error) { return x509.MarshalPKCS8PrivateKey(k.private) }

// ID returns the key's kid.
func (k *Key) ID() string { return k.jwk.Kid }

// JWKS returns the JSON Web Key Set that verifies sessions signed by k.
func (k *Key) JWKS() ([]byte, error) {
	return json.Marshal(map[string][]jwk{"keys": {k.jwk}})
}

// A Form is one of the namings of claims in Hub tokens.
type Form string

// The forms.
const (
	Session Form = "session" // org_id, user_id, roles, jti
	Tenant  Form = "hub"     // tenantId, sub, orgRole, jti
)

// ErrForm says that a form is unknown.
var ErrForm = errors.New("no such form of claims")

// Claims are the contents of a session.
type Claims struct {
	Form   Form // empty means Session
	Org    string
	User   string
	Roles  []string // form Tenant has only the first
	ID     string   // jti, by which the session can be revoked
	Issued time.Time
	TTL    time.Duration
}

// Mint returns a signed session with the claims c.
func (k *Key) Mint(c Claims) (string, error) {
	said, err := c.said()
	if err != nil {
		return "", err
	}
	said["iss"], said["aud"] = Issuer, Audience
	said["iat"], said["nbf"] = c.Issued.Unix(), c.Issued.Unix()
	said["exp"] = c.Issued.Add(c.TTL).Unix()
	return k.Sign(said)
}

// said returns the claims that identify the user.
func (c Claims) said() (map[string]any, error) {
	switch c.Form {
	case Session, "":
		return map[string]any{"org_id": c.Org, "user_id": c.User, "roles": append([]string{}, c.Roles...), "jti": c.ID}, nil
	case Tenant:
		if len(c.Roles) == 0 {
			return nil, fmt.Errorf("%w: %s without a role", ErrForm, c.Form)
		}
		return map[string]any{"tenantId": c.Org, "sub": c.User, "orgRole": c.Roles[0], "jti": c.ID}, nil
	}
	return nil, fmt.Errorf("%w: %s", ErrForm, c.Form)
}

// Sign signs any claims, so that tests can make sessions that must be refused.
func (k *Key) Sign(claims map[string]any) (string, error) {
	t := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims(claims))
	t.Header["kid"] = k.ID()
	signed, err := t.SignedString(k.private)
	if err != nil {
		return "", fmt.Errorf("sign a session: %w", err)
	}
	return signed, nil
}
