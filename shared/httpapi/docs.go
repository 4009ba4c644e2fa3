package httpapi

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // for the files below
	"encoding/base64"
	"fmt"
	"html/template"
	"net/http"
	"sync"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"
)

// The contract in its served form, and the parts of the page that shows it.
var (
	//go:embed openapi.gen.json
	openAPI []byte
	//go:embed docs/docs.html.tmpl
	docsPage string
	//go:embed docs/docs.css
	docsStyle string
	//go:embed docs/docs.js
	docsScript string
)

// Documents returns the handler of the endpoints that show the contract. They need
// no authentication: the edge needs neither an Authenticator nor a CursorKey.
func Documents(edge Edge) http.Handler { return edge.mount(documents()) }

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

// docs returns the handler of the page that shows the contract. The first request
// renders it. The page loads no other resource, and its policy allows it only to
// call this API.
func docs() handler {
	page := sync.OnceValues(func() ([]byte, error) { return pageOf(openAPI) })
	policy := fmt.Sprintf("default-src 'none'; style-src %s; script-src %s; connect-src 'self'; "+
		"base-uri 'none'; form-action 'none'; frame-ancestors 'none'", hash(docsStyle), hash(docsScript))
	return func(w http.ResponseWriter, r *http.Request) error {
		data, err := page()
		if err != nil {
			return fmt.Errorf("render the contract: %w", err)
		}
		return file("text/html; charset=utf-8", data, policy)(w, r)
	}
}

// hash returns the policy's source expression that allows only this inline text.
func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// pageOf returns the page that shows a document.
func pageOf(document []byte) ([]byte, error) {
	o, err := outlineOf(document)
	if err != nil {
		return nil, err
	}
	page, err := template.New("docs").Funcs(template.FuncMap{"markdown": markdown}).Parse(docsPage)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err = page.Execute(&out, map[string]any{
		"Outline": o,
		"Style":   template.CSS(docsStyle), "Script": template.JS(docsScript), //nolint:gosec // embedded files.
	})
	return out.Bytes(), err
}

// markdown returns the HTML of a description. It omits HTML in the text.
func markdown(text string) (template.HTML, error) {
	var out bytes.Buffer
	err := goldmark.New(goldmark.WithExtensions(extension.Table)).Convert([]byte(text), &out)
	return template.HTML(out.String()), err //nolint:gosec // goldmark lets no HTML of the text through.
}
