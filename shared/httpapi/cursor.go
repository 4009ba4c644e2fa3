package httpapi

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strings"

	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/jsonvalue"
)

// A place is where a walk through a list has come to.
type place struct {
	After string `json:"a"`           // the position, in the words of the store
	Total int    `json:"t,omitempty"` // counted at the first page
	More  bool   `json:"m,omitempty"` // whether there are more than Total
}

// A walk is a walk through one list by one organization. Its cursors are signed
// over what the list is, and so of no use anywhere else.
type walk struct {
	key  signer
	list [sha256.Size]byte
}

// A signer makes the cursors of a group.
type signer []byte

// signer returns what makes cursors. A key that is too short must not go
// unnoticed: it would sign for anybody.
func (e Edge) signer() signer {
	if len(e.CursorKey) < sha256.Size {
		panic("httpapi: a cursor key has at least 32 bytes")
	}
	return e.CursorKey
}

// walk returns the walk through a list with these filters.
func (s signer) walk(ctx context.Context, list string, filters ...any) walk {
	return walk{s, id.Hash(list, string(whoIn(ctx).Org), jsonvalue.Canonical(filters))}
}

// from returns the place that a cursor stands for, or ErrRequest. The place
// without a cursor is the beginning.
func (w walk) from(cursor *string) (place, error) {
	var p place
	if cursor == nil {
		return p, nil
	}
	broken := ErrRequest.Sayf("The cursor is not one of this list.")
	data, err := base64.RawURLEncoding.Strict().DecodeString(*cursor)
	if err != nil || len(data) < sha256.Size || strings.ContainsAny(*cursor, "\r\n") { // which the decoder skips
		return p, broken
	}
	mac, text := data[:sha256.Size], data[sha256.Size:]
	if !hmac.Equal(mac, w.sign(text)) || json.Unmarshal(text, &p) != nil {
		return p, broken
	}
	return p, nil
}

// to returns the cursor of a place, or nil at the end.
func (w walk) to(p place) *string {
	if p.After == "" {
		return nil
	}
	text, err := json.Marshal(p)
	if err != nil {
		panic(err) // a place always has JSON
	}
	cursor := base64.RawURLEncoding.EncodeToString(append(w.sign(text), text...))
	return &cursor
}

func (w walk) sign(text []byte) []byte {
	h := hmac.New(sha256.New, w.key)
	h.Write(w.list[:])
	h.Write(text)
	return h.Sum(nil)
}
