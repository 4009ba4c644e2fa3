package stories_test

import (
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	table "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"theoneagents.app/agents/shared/dynamo/schema"
)

// A run whose machine never started is found by the watchdog in the stream of the table,
// and started by the sweeper.
func TestARunThatLostItsMachineMovesOn(t *testing.T) {
	t.Parallel()

	o := open(t).tenant(t)
	o.agent(note("n", "seen"))
	o.escalate()
	done := o.run()
	o.reaches(done, "completed")
	db := table.NewFromConfig(o.config)
	pk := "ORG#" + o.name + "#EXEC#"
	got, err := db.GetItem(t.Context(), &table.GetItemInput{TableName: &o.outputs.Table, Key: map[string]types.AttributeValue{
		schema.PartitionKey: &types.AttributeValueMemberS{Value: pk + done}, schema.SortKey: &types.AttributeValueMemberS{Value: schema.RunKey},
	}})
	if err != nil {
		t.Fatal(err)
	}

	// The record of another run as its dispatcher left it when it died before the start.
	lost := done[:len(done)-1] + map[bool]string{true: "1", false: "0"}[strings.HasSuffix(done, "0")]
	item := maps.Clone(got.Item)
	var at string
	if err := attributevalue.Unmarshal(item["at"], &at); err != nil {
		t.Fatal(err)
	}
	maps.DeleteFunc(item, func(name string, _ types.AttributeValue) bool {
		return strings.Contains(" s e er cr wn lo lu la sd li sb sa h l cn w status_list agent_status_list expires sr ", " "+name+" ")
	})
	for name, value := range map[string]string{
		schema.PartitionKey: pk + lost, "st": "pending", "due": time.Now().Add(25 * time.Second).UTC().Format("2006-01-02T15:04:05.000000000Z"),
		"at": strings.Replace(at, done, lost, 1),
	} {
		item[name] = &types.AttributeValueMemberS{Value: value}
	}
	item["rev"] = &types.AttributeValueMemberN{Value: "1"}
	began := time.Now()
	if _, err := db.PutItem(t.Context(), &table.PutItemInput{
		TableName: &o.outputs.Table, Item: item, ConditionExpression: aws.String("attribute_not_exists(pk)"),
	}); err != nil {
		t.Fatal(err)
	}
	o.within(2*time.Minute, "the run that lost its machine is completed", func() bool {
		return text(o.stored(pk+lost, schema.RunKey), "st") == "completed"
	})
	t.Logf("completed after %s", time.Since(began).Round(time.Second))
	if len(o.done("add_note")) != 2 {
		t.Errorf("%d notes, want one of each run", len(o.done("add_note")))
	}
}
