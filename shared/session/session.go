// Package session reads the Hub's session tokens.
//
// The library that checks signatures (golang-jwt) is lenient where a token can
// lie: it takes unknown critical headers, any type, and of a claim that is
// there twice the last. So a token is read strictly first, here, and every
// claim has one type. What comes out is a caller; nothing else of a token is
// ever used.
package session

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"theoneagents.app/agents/shared/caller"
	"theoneagents.app/agents/shared/document"
	"theoneagents.app/agents/shared/fault"
	"theoneagents.app/agents/shared/id"
)

// ErrInvalid refuses a token. What is wrong with it is for the log only.
var ErrInvalid = fault.New(fault.Unauthenticated, "unauthorized", "The session is not valid.")

// MaxToken is how long a token may be: more does not fit into the headers of a
// request anyway.
const MaxToken = 8192

// leeway is how far the Hub's clock and ours may be apart.
const leeway = 2 * time.Second

// A Verifier reads tokens.
type Verifier struct {
	Keys     *Keys
	Issuer   string
	Audience string
	Now      func() time.Time
	// Revoked reports whether the Hub has taken a token back, by its jti; nil
	// when there is nothing to ask.
	Revoked func(ctx context.Context, org id.Org, jti string) (bool, error)
}

// Caller returns whose session token is, or ErrInvalid. Any other error is
// ours: the keys could not be had.
func (v *Verifier) Caller(ctx context.Context, token string) (caller.Caller, error) {
	h, err := headerOf(token)
	if err != nil {
		return caller.Caller{}, ErrInvalid.Because(err)
	}
	key, err := v.Keys.key(ctx, h)
	switch {
	case errors.Is(err, errKey):
		return caller.Caller{}, ErrInvalid.Because(err)
	case err != nil:
		return caller.Caller{}, err
	}
	var c claims
	parser := jwt.NewParser(
		jwt.WithValidMethods([]string{h.alg}), jwt.WithStrictDecoding(), jwt.WithTimeFunc(v.Now), jwt.WithLeeway(leeway),
		jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithIssuer(v.Issuer), jwt.WithAudience(v.Audience),
	)
	if _, err := parser.ParseWithClaims(token, &c, func(*jwt.Token) (any, error) { return key, nil }); err != nil {
		return caller.Caller{}, ErrInvalid.Because(err)
	}
	return c.who, v.revoked(ctx, c)
}

func (v *Verifier) revoked(ctx context.Context, c claims) error {
	if v.Revoked == nil || c.jti == "" {
		return nil
	}
	revoked, err := v.Revoked(ctx, c.who.Org, c.jti)
	if revoked {
		return ErrInvalid.Because(errors.New("it was revoked"))
	}
	return err
}

// A header says how a token is signed.
type header struct{ alg, kid string }

// headerOf returns the header of a token, if it is one that we understand
// wholly.
func headerOf(token string) (header, error) {
	if len(token) > MaxToken {
		return header{}, fmt.Errorf("it has %d characters", len(token))
	}
	segment, _, _ := strings.Cut(token, ".")
	data, err := base64.RawURLEncoding.Strict().DecodeString(segment)
	if err != nil {
		return header{}, errors.New("its header is not base64url")
	}
	f, err := read(data)
	if err != nil {
		return header{}, fmt.Errorf("header: %w", err)
	}
	h := header{alg: f.text("alg"), kid: f.text("kid")}
	if typ, ok := f.get("typ"); ok {
		s, _ := typ.(string)
		f.refuse(!strings.EqualFold(s, "JWT"), "typ is not JWT")
	}
	_, critical := f.get("crit")
	f.refuse(critical, "it has critical headers")
	f.refuse(h.alg != "RS256" && h.alg != "ES256" && h.alg != "EdDSA", "alg is not one of ours")
	f.refuse(h.kid == "", "it has no kid")
	return h, f.err
}

// fields are a JSON object of a token that is being read; err is the first
// thing wrong with it.
type fields struct {
	doc map[string]any
	err error
}

func read(data []byte) (*fields, error) {
	if err := unambiguous(data); err != nil {
		return nil, err
	}
	doc, err := document.Object(data)
	if err != nil {
		return nil, errors.New("it is not a JSON object")
	}
	return &fields{doc: doc}, nil
}

func (f *fields) refuse(bad bool, why string) {
	if bad && f.err == nil {
		f.err = errors.New(why)
	}
}

func (f *fields) get(name string) (any, bool) {
	v, ok := f.doc[name]
	return v, ok
}

// text returns a string; what is not there is empty.
func (f *fields) text(name string) string {
	v, ok := f.doc[name]
	s, isText := v.(string)
	f.refuse(ok && !isText, name+" is not a string")
	return s
}

// texts returns the strings of an array.
func (f *fields) texts(name string) []string {
	list, ok := f.doc[name].([]any)
	f.refuse(!ok, name+" is not an array")
	out := make([]string, 0, len(list))
	for _, v := range list {
		s, ok := v.(string)
		f.refuse(!ok, name+" holds something else than strings")
		out = append(out, s)
	}
	return out
}

// lastSecond is the last that has four digits in its year.
const lastSecond = 253402300799

// date returns a time in seconds since 1970; nil when it is not there.
func (f *fields) date(name string) *jwt.NumericDate {
	v, ok := f.doc[name]
	if !ok {
		return nil
	}
	var seconds float64
	switch n := v.(type) {
	case int64:
		seconds = float64(n)
	case float64:
		seconds = n
	default:
		f.refuse(true, name+" is not a number")
		return nil
	}
	f.refuse(seconds < 0 || seconds > lastSecond, name+" is not a time")
	return jwt.NewNumericDate(time.Unix(int64(seconds), 0))
}

// unambiguous returns an error when data has a name twice in one object, at any
// depth: readers differ in which they take.
func unambiguous(data []byte) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if err := walk(d, 0); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is something after its end")
	}
	return nil
}

func walk(d *json.Decoder, depth int) error {
	t, err := d.Token()
	if err != nil || depth > document.MaxDepth {
		return errors.New("it is not JSON of a sane depth")
	}
	open, ok := t.(json.Delim)
	if !ok {
		return nil
	}
	names := map[string]bool{}
	for d.More() {
		if open == '{' {
			name, err := d.Token()
			s, ok := name.(string)
			if err != nil || !ok || names[s] {
				return errors.New("it has a name twice")
			}
			names[s] = true
		}
		if err := walk(d, depth+1); err != nil {
			return err
		}
	}
	if _, err := d.Token(); err != nil {
		return errors.New("it has no end")
	}
	return nil
}
