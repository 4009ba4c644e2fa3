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

// A position is a position in a list.
type position struct {
	After string `json:"a"`           // the store's cursor
	Total int    `json:"t,omitempty"` // counted at the first page
	More  bool   `json:"m,omitempty"` // whether the list has more than Total entries
}

// A walk reads one list of one organization page by page. The signature of its
// cursors covers the list, the filters and the organization, so that a cursor is
// valid nowhere else.
type walk struct {
	key  signer
	list [sha256.Size]byte
}

// A signer has the keys of the cursors of a group: the current one signs, and both
// are accepted.
type signer struct{ current, previous []byte }

// signer returns the signer of the edge's key. It panics when the key is too
// short, since anyone could forge the cursors of such a key.
func (e Edge) signer() signer {
	if len(e.CursorKey) < sha256.Size {
		panic("httpapi: the cursor key must have at least 32 bytes")
	}
	return signer{e.CursorKey, e.OldCursorKey}
}

// walk returns the walk through a list with these filters.
func (s signer) walk(ctx context.Context, list string, filters ...any) walk {
	return walk{s, id.Hash(list, string(callerIn(ctx).Org), jsonvalue.Canonical(filters))}
}

// from returns the position of a cursor, or ErrRequest. Without a cursor it
// returns the beginning of the list.
func (w walk) from(cursor *string) (position, error) {
	var p position
	if cursor == nil {
		return p, nil
	}
	broken := ErrRequest.Sayf("The cursor is not valid for this list and its filters.")
	data, err := base64.RawURLEncoding.Strict().DecodeString(*cursor)
	if err != nil || len(data) < sha256.Size || strings.ContainsAny(*cursor, "\r\n") { // the decoder skips line breaks
		return p, broken
	}
	mac, text := data[:sha256.Size], data[sha256.Size:]
	signed := hmac.Equal(mac, w.sign(w.key.current, text)) ||
		len(w.key.previous) >= sha256.Size && hmac.Equal(mac, w.sign(w.key.previous, text))
	if !signed || json.Unmarshal(text, &p) != nil {
		return p, broken
	}
	return p, nil
}

// to returns the cursor of a position, or nil at the end of the list.
func (w walk) to(p position) *string {
	if p.After == "" {
		return nil
	}
	text, err := json.Marshal(p)
	if err != nil {
		panic(err) // a position always marshals
	}
	cursor := base64.RawURLEncoding.EncodeToString(append(w.sign(w.key.current, text), text...))
	return &cursor
}

func (w walk) sign(key, text []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write(w.list[:])
	h.Write(text)
	return h.Sum(nil)
}
