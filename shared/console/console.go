// Package console serves the pages that people see: static files, the same for every
// visitor. It knows no organization and no session, and needs no permission: a page
// gets all its data from the API, with the visitor's own session.
package console

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"html"
	"io/fs"
	"log/slog"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Sections returns the first words of the paths of pages. Every path at or below one of
// them is a page, and so is "/".
func Sections() []string {
	return []string{"approvals", "runs", "agents", "events", "credits", "settings"}
}

// Settings are those of a stage.
type Settings struct {
	// Hub is the base URL of the Hub. People sign in at Hub/sign-in and sign out at
	// Hub/sign-out; both return to the page that the parameter return_to names.
	Hub string

	Log       *slog.Logger
	RequestID func(r *http.Request) string // for the body of an error
}

// policy lets a page load and call only what has its own origin, and no text become
// code: inline scripts, inline styles, and strings that become HTML are all refused.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; " +
	"font-src 'self'; connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; " +
	"frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

const (
	indexFile = "index.html"

	// hubPlace is replaced in the index by the setting Hub.
	hubPlace = "{{hub}}"
)

// Handler returns the handler of the pages and their assets. files has index.html, which
// is every page, and the folder assets: files whose names have the hash of their
// content, each beside its compressed forms with the endings .br and .gz. Every other
// path is 404, with the body of an error of the API.
//
// Files are read for each request, so that a new build is visible at once.
func Handler(files fs.FS, s Settings) http.Handler { return site{files, s} }

type site struct {
	files fs.FS
	s     Settings
}

func (c site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Robots-Tag", "noindex")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Strict-Transport-Security", "max-age=31536000")
	h.Set("Content-Security-Policy", policy)
	asset, isAsset := strings.CutPrefix(r.URL.Path, "/assets/")
	switch {
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		h.Set("Allow", "GET, HEAD")
		c.refuse(w, r, http.StatusMethodNotAllowed, "method_not_allowed", "A page accepts only GET and HEAD.")
	case isAsset:
		c.asset(w, r, asset)
	case IsPage(r.URL.Path):
		c.page(w, r)
	default:
		c.missing(w, r)
	}
}

// IsPage reports whether a path is that of a page.
func IsPage(p string) bool {
	if p == "/" {
		return true
	}
	section, _, _ := strings.Cut(strings.TrimPrefix(p, "/"), "/")
	return path.Clean(p) == strings.TrimSuffix(p, "/") && slices.Contains(Sections(), section)
}

// page answers with the index, which every visit asks for again: it names the assets of
// the newest build.
func (c site) page(w http.ResponseWriter, r *http.Request) {
	data, err := fs.ReadFile(c.files, indexFile)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	data = []byte(strings.ReplaceAll(string(data), hubPlace, html.EscapeString(c.s.Hub)))
	sum := sha256.Sum256(data)
	etag := `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-cache")
	h.Set("ETag", etag)
	if matches(r.Header.Values("If-None-Match"), etag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	c.write(w, r, http.StatusOK, data)
}

// asset answers with a file, in the smallest form that the browser reads. Its name never
// gets another content, so the browser need not ask for it again.
func (c site) asset(w http.ResponseWriter, r *http.Request, name string) {
	kind, known := kinds()[path.Ext(name)]
	if !known || strings.Contains(name, "/") || !fs.ValidPath(name) {
		c.missing(w, r)
		return
	}
	file, accepted := "assets/"+name, strings.Join(r.Header.Values("Accept-Encoding"), ",")
	for _, form := range []struct{ encoding, ending string }{{"br", ".br"}, {"gzip", ".gz"}, {"", ""}} {
		if form.encoding != "" && !accepts(accepted, form.encoding) {
			continue
		}
		data, err := fs.ReadFile(c.files, file+form.ending)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			c.fail(w, r, err)
			return
		}
		h := w.Header()
		h.Set("Content-Type", kind)
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
		h.Set("Vary", "Accept-Encoding")
		if form.encoding != "" {
			h.Set("Content-Encoding", form.encoding)
		}
		c.write(w, r, http.StatusOK, data)
		return
	}
	c.missing(w, r)
}

// kinds returns the media types of assets. A file of another kind is not served.
func kinds() map[string]string {
	return map[string]string{
		".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".woff2": "font/woff2",
		".svg": "image/svg+xml", ".png": "image/png", ".webmanifest": "application/manifest+json",
	}
}

// accepts reports whether an Accept-Encoding header names an encoding with a weight
// other than 0.
func accepts(header, encoding string) bool {
	for part := range strings.SplitSeq(header, ",") {
		name, params, _ := strings.Cut(part, ";")
		if !strings.EqualFold(strings.TrimSpace(name), encoding) {
			continue
		}
		weight, given := strings.CutPrefix(strings.ReplaceAll(params, " ", ""), "q=")
		q, err := strconv.ParseFloat(weight, 64)
		return !given || err == nil && q > 0
	}
	return false
}

// matches reports whether an If-None-Match header names a tag.
func matches(headers []string, etag string) bool {
	for _, header := range headers {
		for tag := range strings.SplitSeq(header, ",") {
			if tag = strings.TrimPrefix(strings.TrimSpace(tag), "W/"); tag == etag || tag == "*" {
				return true
			}
		}
	}
	return false
}

func (c site) missing(w http.ResponseWriter, r *http.Request) {
	c.refuse(w, r, http.StatusNotFound, "not_found", "There is no page or file at this path.")
}

// fail answers a request that a fault of ours ended.
func (c site) fail(w http.ResponseWriter, r *http.Request, err error) {
	c.s.Log.ErrorContext(r.Context(), "read a file of the console", "err", err)
	c.refuse(w, r, http.StatusInternalServerError, "internal_error", "Something went wrong on our side.")
}

// refuse answers with an error in the shape of the API's.
func (c site) refuse(w http.ResponseWriter, r *http.Request, status int, code, message string) {
	id := c.s.RequestID(r)
	w.Header().Set("X-Request-Id", id)
	body, err := json.Marshal(struct {
		Error     string `json:"error"`
		Message   string `json:"message"`
		Status    int    `json:"status"`
		RequestID string `json:"request_id"`
	}{code, message, status, id})
	if err != nil {
		body = nil // texts and numbers always have JSON
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	c.write(w, r, status, append(body, '\n'))
}

func (c site) write(w http.ResponseWriter, r *http.Request, status int, data []byte) {
	w.Header().Set("Content-Length", strconv.Itoa(len(data)))
	w.WriteHeader(status)
	if r.Method == http.MethodHead {
		return
	}
	if _, err := w.Write(data); err != nil { //nolint:gosec // a file of ours, or JSON.
		c.s.Log.InfoContext(r.Context(), "the visitor left", "err", err)
	}
}
