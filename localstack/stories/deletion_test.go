package stories_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// stored returns an item of the table, or nil.
func (o *org) stored(pk, sk string) doc {
	o.t.Helper()
	got, err := dynamodb.NewFromConfig(o.config).GetItem(o.t.Context(), &dynamodb.GetItemInput{
		TableName: &o.outputs.Table, ConsistentRead: aws.Bool(true),
		Key: map[string]types.AttributeValue{"pk": &types.AttributeValueMemberS{Value: pk}, "sk": &types.AttributeValueMemberS{Value: sk}},
	})
	if err != nil {
		o.t.Fatal(err)
	}
	var item doc
	if err := attributevalue.UnmarshalMap(got.Item, &item); err != nil {
		o.t.Fatal(err)
	}
	return item
}

func TestADeletedOrganizationIsRefusedAtOnceAndItsRunsEnd(t *testing.T) {
	t.Parallel()

	o := open(t).tenant(t)
	o.agent(doc{"id": "gate", "type": "approval_gate", "message": "May I?"}, note("n", "never"))
	o.escalate()
	run := o.run()
	o.approvalOf(run)
	made := o.must(http.StatusCreated, o.post("/api/keys", doc{"name": "CI", "access": "read"}))
	secret := http.Header{"X-Integration-Key": {text(made, "key")}}
	o.must(http.StatusOK, o.send(http.MethodGet, o.outputs.API+"/api/agents", nil, secret))

	deletion := o.publish("hub", "org.deleted", doc{"reason": "requested"})
	o.eventually("its sessions are refused", func() bool { return o.get("/api/agents").status == http.StatusForbidden })
	o.eventually("its key is refused", func() bool {
		return o.send(http.MethodGet, o.outputs.API+"/api/agents", nil, secret).status == http.StatusUnauthorized
	})
	o.publish("hub", "org.created", doc{"plan": "growth"})
	o.escalate()
	o.within(2*time.Minute, "the sweeper, which comes once a minute, cancelled the run", func() bool {
		return text(o.stored("ORG#"+o.name+"#EXEC#"+run, "META"), "st") == "cancelled"
	})
	if e := o.stored("ORG#"+o.name, "ORG"); text(e, "erasing") != "stopping" || text(e, "event") != deletion || at(e, "plan") != nil {
		t.Errorf("the erasure is %v", e)
	}
	if o.get("/api/agents").status != http.StatusForbidden || len(o.done("add_note")) > 0 {
		t.Error("the organization came back")
	}
	o.waitForLetters("")
}
