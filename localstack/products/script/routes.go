package script

import (
	"net/http"

	"theoneagents.app/agents/localstack/products/reply"
)

// body is what a request sends, and what each answer shows.
type body[R any] struct {
	Rules []R `json:"rules"`
}

// Mount adds the routes of the rules at path to mux:
//
//	GET                     the rules in force
//	PUT {"rules": [{…}]}    replaces all rules
//	POST {"rules": [{…}]}   adds rules behind those in force
//	DELETE ?org_id=org_a    removes the rules of one org
//
// PUT and POST answer with the rules of the request, DELETE with those that stay.
func (s *Rules[R]) Mount(mux *http.ServeMux, path string) {
	mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) { s.show(w) })
	mux.HandleFunc("PUT "+path, func(w http.ResponseWriter, r *http.Request) { take(w, r, s.Set) })
	mux.HandleFunc("POST "+path, func(w http.ResponseWriter, r *http.Request) { take(w, r, s.Add) })
	mux.HandleFunc("DELETE "+path, func(w http.ResponseWriter, r *http.Request) {
		org := r.URL.Query().Get("org_id")
		if org == "" {
			reply.Error(w, http.StatusBadRequest, "the org_id is missing, as in "+path+`?org_id=org_demo; PUT {"rules": []} removes all rules`)
			return
		}
		s.Remove(org)
		s.show(w)
	})
}

// show answers with the rules in force.
func (s *Rules[R]) show(w http.ResponseWriter) {
	reply.JSON(w, http.StatusOK, body[R]{Rules: s.List()})
}

// take reads the rules of a request and gives them to keep.
func take[R any](w http.ResponseWriter, r *http.Request, keep func([]R) error) {
	text, err := reply.Body(w, r)
	if err != nil {
		reply.Unreadable(w, err)
		return
	}
	rules, err := Read[R](text)
	if err == nil {
		err = keep(rules)
	}
	if err != nil {
		reply.Unreadable(w, err)
		return
	}
	reply.JSON(w, http.StatusOK, body[R]{Rules: rules})
}
