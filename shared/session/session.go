// Package session reads the Hub's session tokens.
//
// The library that checks signatures (golang-jwt) is too lenient: it accepts
// unknown critical headers and any typ, and of a repeated claim it takes the
// last. So this package first parses a token strictly, with one type for each
// claim. The result is a caller; no other part of a token is ever used.
package session

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"theoneagents.app/agents/shared/caller"
	"theoneagents.app/agents/shared/fault"
	"theoneagents.app/agents/shared/jsonvalue"
)

// ErrInvalid refuses a token. Its cause is only logged.
var ErrInvalid = fault.New(fault.Unauthenticated, "unauthorized", "The session is not valid.")

// MaxToken is the maximum length of a token. A longer one would not fit into
// the headers of a request.
const MaxToken = 8192

// leeway is the permitted difference between the Hub's clock and ours.
const leeway = 2 * time.Second

// A Verifier reads tokens and checks them.
type Verifier struct {
	Keys     *Keys
	Issuer   string
	Audience string
	Now      func() time.Time
}

// Caller returns the caller whose session token is, or ErrInvalid. Any other error is
// ours: the keys could not be read. Whether the Hub has revoked the session since is
// known to the table; httpapi.Auth looks there.
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
	c.who.Session, c.who.Issued = c.jti, c.iat.Time
	return c.who, nil
}

// A header names the algorithm and the key that signed a token.
type header struct{ alg, kid string }

// headerOf returns the header of a token. It refuses a header with parameters
// that it does not understand.
func headerOf(token string) (header, error) {
	if len(token) > MaxToken {
		return header{}, fmt.Errorf("the token has %d characters, want at most %d", len(token), MaxToken)
	}
	segment, _, _ := strings.Cut(token, ".")
	data, err := base64.RawURLEncoding.Strict().DecodeString(segment)
	if err != nil {
		return header{}, errors.New("the header is not base64url")
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
	f.refuse(critical, "the header has critical parameters")
	f.refuse(h.alg != "RS256" && h.alg != "ES256" && h.alg != "EdDSA", "alg is not RS256, ES256 or EdDSA")
	f.refuse(h.kid == "", "the header has no kid")
	return h, f.err
}

// fields are a JSON object of a token during parsing; err is the first error.
type fields struct {
	doc map[string]any
	err error
}

func read(data []byte) (*fields, error) {
	doc, err := jsonvalue.Object(data)
	if err != nil {
		return nil, err
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

// text returns a string; a missing one is empty.
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
		f.refuse(!ok, name+" holds an element that is not a string")
		out = append(out, s)
	}
	return out
}

// lastSecond is the last second whose year has four digits.
const lastSecond = 253402300799

// date returns a time in seconds since 1970, or nil for a missing one.
func (f *fields) date(name string) *jwt.NumericDate {
	v, ok := f.doc[name]
	if !ok {
		return nil
	}
	text, ok := jsonvalue.NumberText(v)
	if !ok {
		f.refuse(true, name+" is not a number")
		return nil
	}
	whole, _, _ := strings.Cut(text, ".")
	seconds, err := strconv.ParseInt(whole, 10, 64)
	f.refuse(err != nil || strings.HasPrefix(text, "-") || seconds > lastSecond, name+" is not a time")
	return jwt.NewNumericDate(time.Unix(seconds, 0))
}
