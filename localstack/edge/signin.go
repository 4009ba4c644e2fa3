package main

import (
	"crypto/rand"
	_ "embed" // for the page
	"html/template"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"theoneagents.app/agents/localstack/hub"
	"theoneagents.app/agents/localstack/products/reply"
	"theoneagents.app/agents/shared/caller"
	"theoneagents.app/agents/shared/id"
)

//go:embed signin.html.tmpl
var signInPage string

// A signIn stands in for the Hub's sign-in page: a button signs the visitor in as the
// role that it names, without a password.
type signIn struct {
	key *hub.Key
	now func() time.Time
	log *slog.Logger
}

const (
	sessionCookie = "hub_session"
	sessionTime   = 12 * time.Hour
	demoOrg       = "org_demo"
)

// form answers with the page that offers one button for each role.
func (s signIn) form(w http.ResponseWriter, r *http.Request) {
	page, err := template.New("sign-in").Parse(signInPage)
	if err != nil {
		reply.Error(w, http.StatusInternalServerError, err.Error())
		return
	}
	org := r.URL.Query().Get("org")
	if org == "" {
		org = demoOrg
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	if err := page.Execute(w, map[string]string{"Org": org, "ReturnTo": returnTo(r, r.URL.Query().Get("return_to"))}); err != nil {
		s.log.WarnContext(r.Context(), "sign-in page", "err", err)
	}
}

// enter sets the cookie of a new session and leads back to the page.
func (s signIn) enter(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, reply.MaxBody)
	if err := r.ParseForm(); err != nil {
		reply.Error(w, http.StatusBadRequest, err.Error())
		return
	}
	org, role, user := r.PostForm.Get("org"), r.PostForm.Get("role"), r.PostForm.Get("user")
	if user == "" {
		user = "user_" + role
	}
	if _, ok := id.ParseOrg(org); !ok || !id.ValidExternal(user) {
		reply.Error(w, http.StatusBadRequest, "an organization is like org_demo, a user like user_ann")
		return
	}
	switch caller.Role(role) {
	case caller.Owner, caller.Admin, caller.Member, caller.Viewer:
	default:
		reply.Error(w, http.StatusBadRequest, "a role is owner, admin, member or viewer")
		return
	}
	token, err := s.key.Mint(hub.Claims{Org: org, User: user, Roles: []string{role}, ID: "jti_" + rand.Text(), Issued: s.now(), TTL: sessionTime})
	if err != nil {
		reply.Error(w, http.StatusInternalServerError, err.Error())
		return
	}
	http.SetCookie(w, cookie(token, int(sessionTime.Seconds())))
	http.Redirect(w, r, returnTo(r, r.PostForm.Get("return_to")), http.StatusSeeOther) //nolint:gosec // returnTo lets only paths of this origin through.
}

// leave removes the cookie.
func (s signIn) leave(w http.ResponseWriter, r *http.Request) {
	http.SetCookie(w, cookie("", -1))
	http.Redirect(w, r, returnTo(r, r.URL.Query().Get("return_to")), http.StatusSeeOther) //nolint:gosec // the same.
}

// cookie returns the session's cookie as the Hub sets it, except that it needs no TLS.
func cookie(value string, age int) *http.Cookie {
	return &http.Cookie{ //nolint:gosec // a local origin has no TLS.
		Name: sessionCookie, Value: value, Path: "/", MaxAge: age, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
}

// returnTo returns the path to which a sign-in leads back: only to a page of this
// origin, whatever the request asks for.
func returnTo(r *http.Request, asked string) string {
	u, err := url.Parse(asked)
	if err != nil || u.Host != "" && u.Host != r.Host || u.Opaque != "" || !strings.HasPrefix(u.Path, "/") ||
		strings.HasPrefix(u.Path, "//") || strings.Contains(asked, `\`) || strings.HasPrefix(u.Path, hubPath+"/") {
		return "/"
	}
	return (&url.URL{Path: u.Path, RawQuery: u.RawQuery, Fragment: u.Fragment}).String()
}
