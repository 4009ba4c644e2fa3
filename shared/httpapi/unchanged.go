package httpapi

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"
)

// polled returns the handler of a read that callers repeat: its response has an ETag,
// the digest of the body, and is 304 without a body when the caller has this body
// already.
func polled(handle handler) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		held := &heldResponse{header: w.Header(), status: http.StatusOK}
		if err := handle(held, r); err != nil {
			return err
		}
		tag := tagOf(held.body.Bytes())
		w.Header().Set("ETag", tag)
		if known(r.Header.Values("If-None-Match"), tag) {
			w.Header().Del("Content-Type")
			w.WriteHeader(http.StatusNotModified)
			return nil
		}
		w.WriteHeader(held.status)
		_, err := w.Write(held.body.Bytes())
		return err
	}
}

// tagOf returns the ETag of a body, its digest. It is weak, because the gateway may
// compress the body.
func tagOf(body []byte) string {
	const length = 16
	sum := sha256.Sum256(body)
	return `W/"` + hex.EncodeToString(sum[:length]) + `"`
}

// known reports whether If-None-Match names the tag. The comparison is weak, as RFC
// 9110 defines it for this header.
func known(headers []string, tag string) bool {
	for sent := range strings.SplitSeq(strings.Join(headers, ","), ",") {
		sent = strings.TrimSpace(sent)
		if sent == "*" || strings.TrimPrefix(sent, "W/") == strings.TrimPrefix(tag, "W/") {
			return true
		}
	}
	return false
}

// A heldResponse keeps a response until its digest is known.
type heldResponse struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (h *heldResponse) Header() http.Header         { return h.header }
func (h *heldResponse) WriteHeader(status int)      { h.status = status }
func (h *heldResponse) Write(b []byte) (int, error) { return h.body.Write(b) }
