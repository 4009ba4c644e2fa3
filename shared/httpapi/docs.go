package httpapi

import (
	_ "embed" // for the contract
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"regexp"
)

// openAPI is the contract in its served form.
//
//go:embed openapi.gen.json
var openAPI []byte

// Documents returns the handler of the endpoints that show the contract, and of the pages
// of the documentation. They need no authentication: the edge needs neither an
// Authenticator nor a CursorKey. files are the pages, as package docs makes them. A page
// is not an operation of the API: the contract has
// only the first one.
func Documents(edge Edge, files fs.FS) http.Handler {
	pages := pagesOf(files)
	return edge.mount(append(documents(pages), route{"GET /docs/{page}", "", true, nil, pages.serve}))
}

// CallKeys returns the handler of the endpoint that shows the keys that verify our
// calls of products. It needs no authentication either.
func CallKeys(edge Edge, set []byte) http.Handler { return edge.mount(callKeys(set)) }

// file returns the handler of constant data.
func file(contentType string, data []byte, policy string) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		in, err := newRequest(r)
		if err != nil {
			return err
		}
		if err := in.done(); err != nil {
			return err
		}
		w.Header().Set("Content-Type", contentType)
		w.Header().Set("Content-Security-Policy", policy)
		_, err = w.Write(data)
		return err
	}
}

// contract returns the handler of the contract itself.
func contract() handler { return file("application/json", openAPI, "default-src 'none'") }

// pages are the pages of the documentation and their assets.
type pages struct{ files fs.FS }

func pagesOf(files fs.FS) pages { return pages{files} }

// pagesPolicy lets a page load its own style, script, font and index of the search, and
// call this API. No text can become code: inline scripts, inline styles, and strings that
// become HTML are all refused.
const pagesPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; img-src 'self'; " +
	"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; " +
	"require-trusted-types-for 'script'; trusted-types 'none'"

// pageName is the name of a page, and hashed that of an asset, which has the hash of its
// content.
var (
	pageName = regexp.MustCompile(`^[a-z][a-z0-9-]*$`)
	hashed   = regexp.MustCompile(`^[a-z]+-[A-Za-z0-9]{12}\.(css|js|json|svg|woff2)$`)
)

// serve answers with a page, or with a file that pages load.
func (p pages) serve(w http.ResponseWriter, r *http.Request) error {
	in, err := newRequest(r)
	if err != nil {
		return err
	}
	if err := in.done(); err != nil {
		return err
	}
	switch name := r.PathValue("page"); {
	case name == "":
		return p.page(w, r, "index")
	case name != "index" && pageName.MatchString(name):
		return p.page(w, r, name)
	case hashed.MatchString(name):
		return p.asset(w, name)
	}
	return ErrRoute
}

// page answers with a page. A browser asks for it each time, and gets it again only when
// it has changed.
func (p pages) page(w http.ResponseWriter, r *http.Request, name string) error {
	data, err := p.read(name + ".html")
	if err != nil {
		return err
	}
	tag := tagOf(data)
	h := w.Header()
	h.Set("Content-Security-Policy", pagesPolicy)
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Strict-Transport-Security", "max-age=31536000")
	h.Set("Cache-Control", "no-cache")
	h.Set("ETag", tag)
	if known(r.Header.Values("If-None-Match"), tag) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	h.Set("Content-Type", "text/html; charset=utf-8")
	_, err = w.Write(data) //nolint:gosec // a page of the program's own files, not of the request.
	return err
}

// asset answers with a file whose name never gets another content: a browser asks once.
func (p pages) asset(w http.ResponseWriter, name string) error {
	data, err := p.read(name)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Security-Policy", "default-src 'none'")
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("Content-Type", assetTypes()[path.Ext(name)])
	_, err = w.Write(data) //nolint:gosec // a page of the program's own files, not of the request.
	return err
}

// assetTypes returns the media types of assets. Those of hashed are the ones that are
// served.
func assetTypes() map[string]string {
	return map[string]string{
		".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8",
		".json": "application/json", ".svg": "image/svg+xml", ".woff2": "font/woff2",
	}
}

// read returns a file, or ErrRoute without one.
func (p pages) read(name string) ([]byte, error) {
	data, err := fs.ReadFile(p.files, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrRoute
	}
	if err != nil {
		return nil, fmt.Errorf("read %s of the documentation: %w", name, err)
	}
	return data, nil
}
