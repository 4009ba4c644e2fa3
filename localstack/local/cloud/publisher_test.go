package cloud_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"theoneagents.app/agents/localstack/local/cloud"
)

// stack returns the outputs of a stack with publisher roles.
func stack() map[string]string {
	return map[string]string{
		"BusName": "bus", "HubBusName": "hub-bus",
		"PublisherRolePsa":   "arn:aws:iam::000000000000:role/one-agents-publish-psa",
		"PublisherRoleHub":   "arn:aws:iam::000000000000:role/one-agents-publish-hub",
		"RunnerFunctionName": "one-agents-publish-nothing",
	}
}

// An account answers AssumeRole with a key that names the role, and records the
// role and the bus of each event.
type account struct {
	mu      sync.Mutex
	assumed []string
	puts    []string
	refuses string // a source
}

func (a *account) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if form, err := url.ParseQuery(string(body)); err == nil && form.Get("Action") == "AssumeRole" {
		_, role, _ := strings.Cut(form.Get("RoleArn"), "role/")
		a.assumed = append(a.assumed, role+" as "+form.Get("RoleSessionName"))
		_, _ = fmt.Fprintf(w, `<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>`+
			`<AccessKeyId>%s</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration>`+
			`</Credentials></AssumeRoleResult></AssumeRoleResponse>`, role)
		return
	}
	var in struct {
		Entries []struct{ EventBusName, Source, DetailType, Detail string }
	}
	if err := json.Unmarshal(body, &in); err != nil {
		panic(err)
	}
	e := in.Entries[0]
	_, key, _ := strings.Cut(r.Header.Get("Authorization"), "Credential=")
	key, _, _ = strings.Cut(key, "/")
	if e.Source == a.refuses {
		_, _ = io.WriteString(w, `{"FailedEntryCount": 1, "Entries": [{"ErrorCode": "ThrottlingException", "ErrorMessage": "slow down"}]}`)
		return
	}
	a.puts = append(a.puts, fmt.Sprintf("%s: %s:%s %s on %s", key, e.Source, e.DetailType, e.Detail, e.EventBusName))
	_, _ = io.WriteString(w, `{"FailedEntryCount": 0, "Entries": [{"EventId": "1"}]}`)
}

func TestEachEventIsPutInTheRoleOfItsProductOnItsBus(t *testing.T) {
	t.Parallel()

	var a account
	server := httptest.NewServer(&a)
	t.Cleanup(server.Close)
	p := cloud.NewPublisher(cloud.Config(server.URL), "session", stack())
	for _, source := range []string{"psa", "hub", "psa"} {
		if err := p.Put(t.Context(), source, "x", "{}"); err != nil {
			t.Fatal(err)
		}
	}
	if want := []string{"one-agents-publish-psa as session", "one-agents-publish-hub as session"}; !slices.Equal(a.assumed, want) {
		t.Errorf("assumed %q, want %q", a.assumed, want)
	}
	want := []string{
		"one-agents-publish-psa: psa:x {} on bus", "one-agents-publish-hub: hub:x {} on hub-bus", "one-agents-publish-psa: psa:x {} on bus",
	}
	if !slices.Equal(a.puts, want) {
		t.Errorf("put %q, want %q", a.puts, want)
	}
}

func TestARefusedEntryIsAnError(t *testing.T) {
	t.Parallel()

	server := httptest.NewServer(&account{refuses: "psa"})
	t.Cleanup(server.Close)
	err := cloud.NewPublisher(cloud.Config(server.URL), "session", stack()).Put(t.Context(), "psa", "x", "{}")
	if refused, ok := errors.AsType[*cloud.Refusal](err); !ok || refused.Code != "ThrottlingException" {
		t.Errorf("err = %v, want the refusal of the entry", err)
	}
}

func TestAProductWithoutARoleCannotPublish(t *testing.T) {
	t.Parallel()

	var a account
	server := httptest.NewServer(&a)
	t.Cleanup(server.Close)
	p := cloud.NewPublisher(cloud.Config(server.URL), "session", stack())
	for _, source := range []string{"agents", "nothing", "PSA", ""} {
		if err := p.Put(t.Context(), source, "x", "{}"); err == nil || !strings.Contains(err.Error(), "no publisher role") {
			t.Errorf("%q: err = %v", source, err)
		}
	}
	if len(a.assumed)+len(a.puts) != 0 {
		t.Errorf("assumed %q, put %q", a.assumed, a.puts)
	}
}

func TestOutputsNameThePublisherRoles(t *testing.T) {
	t.Parallel()

	o := cloud.NewOutputs("http://127.0.0.1:4566", "", cloud.Stands{Products: "http://127.0.0.1:4580"}, stack())
	if o.HubBus != "hub-bus" || len(o.Publishers) != 2 || o.Publishers["psa"] != stack()["PublisherRolePsa"] {
		t.Errorf("bus %s, publishers %v", o.HubBus, o.Publishers)
	}
}
