package stories_test

import (
	"context"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// exhaust takes all permits of a pot of the organization, in this minute and in the
// next.
func (o *org) exhaust(pot string) {
	o.t.Helper()
	db := dynamodb.NewFromConfig(o.config)
	for _, ahead := range []time.Duration{0, time.Minute} {
		minute := time.Now().UTC().Add(ahead)
		_, err := db.PutItem(context.Background(), &dynamodb.PutItemInput{
			TableName: &o.outputs.Table,
			Item: map[string]types.AttributeValue{
				"pk":      &types.AttributeValueMemberS{Value: "ORG#" + o.name + "#RATE"},
				"sk":      &types.AttributeValueMemberS{Value: "MINUTE#" + minute.Format("2006-01-02T15:04Z") + "#" + pot},
				"taken":   &types.AttributeValueMemberN{Value: "6000"},
				"expires": &types.AttributeValueMemberN{Value: strconv.FormatInt(minute.Add(time.Hour).Unix(), 10)},
			},
		})
		if err != nil {
			o.t.Fatal(err)
		}
	}
}

// with sends a request with an integration key.
func (o *org) with(key, method, path string, body any) reply {
	o.t.Helper()
	return o.send(method, o.outputs.API+path, body, http.Header{"X-Integration-Key": {key}})
}

func TestALeakedKeyThatExhaustsThePermitsStopsNeitherItsRevocationNorADenialNorACancellation(t *testing.T) {
	t.Parallel()

	o := open(t).tenant(t)
	leaked := o.must(http.StatusCreated, o.post("/api/keys", doc{"name": "leaked", "access": "read"}))
	other := o.must(http.StatusCreated, o.post("/api/keys", doc{"name": "robot", "access": "read_write"}))
	gate := doc{"id": "confirm", "type": "approval_gate", "message": "Really?"}
	agent := o.agent(gate)
	o.escalate()
	first := o.run()
	o.escalate()
	second := ""
	o.eventually("the second run", func() bool {
		for _, x := range o.runs() {
			if id := text(x, "id"); id != first {
				second = id
			}
		}
		return second != ""
	})
	o.reaches(first, "waiting_approval")
	o.reaches(second, "waiting_approval")
	approval := o.approvalOf(first)

	for _, pot := range []string{"KEYS", "USER#" + o.user} {
		o.exhaust(pot)
	}
	for _, key := range []doc{leaked, other} {
		o.mustRefuse(http.StatusTooManyRequests, "rate_limited", o.with(text(key, "key"), http.MethodGet, "/api/agents", nil))
	}
	colleague := o.as("user_colleague", "admin")
	o.must(http.StatusOK, colleague.get("/api/agents"))
	if got := text(o.must(http.StatusOK, o.decide(approval, "denied")), "status"); got != "denied" {
		t.Errorf("the approval is %s", got)
	}
	o.must(http.StatusNoContent, o.call(http.MethodDelete, "/api/keys/"+text(leaked, "id"), nil))
	o.mustRefuse(http.StatusUnauthorized, "unauthorized", o.with(text(leaked, "key"), http.MethodGet, "/api/agents", nil))

	// The other key still cancels and pauses: the reserve of a key is its own.
	o.must(http.StatusOK, o.with(text(other, "key"), http.MethodPost, "/api/executions/"+second+"/cancel", nil))
	o.must(http.StatusOK, o.with(text(other, "key"), http.MethodPut, "/api/agents/"+agent, doc{"status": "paused"}))
	o.mustRefuse(http.StatusTooManyRequests, "rate_limited", o.with(text(other, "key"), http.MethodPut, "/api/agents/"+agent, doc{"status": "active"}))
}
