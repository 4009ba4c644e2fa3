package dynamo_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"theoneagents.app/agents/shared/dynamo"
	"theoneagents.app/agents/shared/dynamo/schema"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/storetest"
)

// endpoint returns the address of DynamoDB, or skips the test without one. With
// INTEGRATION=must it fails instead.
func endpoint(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL"} {
		if url := os.Getenv(name); url != "" {
			return url
		}
	}
	if os.Getenv("INTEGRATION") == "must" {
		t.Fatal("AWS_ENDPOINT_URL_DYNAMODB and AWS_ENDPOINT_URL are not set")
	}
	t.Skip("AWS_ENDPOINT_URL_DYNAMODB and AWS_ENDPOINT_URL are not set")
	return ""
}

// connect returns a client that sends its requests through a transport.
func connect(t *testing.T, transport http.RoundTripper) *dynamodb.Client {
	t.Helper()
	return dynamodb.New(dynamodb.Options{
		BaseEndpoint: aws.String(endpoint(t)),
		Region:       "us-east-1",
		Credentials:  credentials.NewStaticCredentialsProvider("test", "test", ""),
		HTTPClient:   &http.Client{Transport: transport},
		Retryer: retry.NewStandard(func(o *retry.StandardOptions) {
			o.MaxAttempts, o.MaxBackoff, o.RateLimiter = 6, 5*time.Millisecond, ratelimit.None
		}),
	})
}

// direct returns a transport without faults.
func direct() *http.Transport {
	return &http.Transport{MaxIdleConnsPerHost: 64, MaxConnsPerHost: 64, IdleConnTimeout: time.Second}
}

// table creates a table for a test, and deletes it afterwards.
func table(t *testing.T) string {
	t.Helper()
	db, name := connect(t, direct()), "storetest-"+rand.Text()
	attributes := map[string]bool{schema.PartitionKey: true, schema.SortKey: true}
	in := &dynamodb.CreateTableInput{
		TableName: &name, BillingMode: types.BillingModePayPerRequest,
		KeySchema: keySchema(schema.PartitionKey, schema.SortKey),
	}
	for _, i := range schema.Indexes() {
		attributes[i.PartitionKey], attributes[i.SortKey] = true, true
		in.GlobalSecondaryIndexes = append(in.GlobalSecondaryIndexes, types.GlobalSecondaryIndex{
			IndexName: &i.Name, KeySchema: keySchema(i.PartitionKey, i.SortKey),
			Projection: &types.Projection{ProjectionType: types.ProjectionTypeKeysOnly},
		})
	}
	for a := range attributes {
		in.AttributeDefinitions = append(in.AttributeDefinitions, types.AttributeDefinition{
			AttributeName: &a, AttributeType: types.ScalarAttributeTypeS,
		})
	}
	if _, err := db.CreateTable(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := db.DeleteTable(context.WithoutCancel(t.Context()), &dynamodb.DeleteTableInput{TableName: &name}); err != nil {
			t.Error(err)
		}
	})
	ready := dynamodb.NewTableExistsWaiter(db)
	if err := ready.Wait(t.Context(), &dynamodb.DescribeTableInput{TableName: &name}, time.Minute); err != nil {
		t.Fatal(err)
	}
	return name
}

func keySchema(pk, sk string) []types.KeySchemaElement {
	return []types.KeySchemaElement{
		{AttributeName: &pk, KeyType: types.KeyTypeHash},
		{AttributeName: &sk, KeyType: types.KeyTypeRange},
	}
}

func TestStore(t *testing.T) {
	t.Parallel()

	db, name := connect(t, direct()), table(t)
	s := inspected{dynamo.New(db, name), db, name}
	storetest.Run(t, func(*testing.T) storetest.Store { return s })
}

// inspected is a store with a look at its table.
type inspected struct {
	*dynamo.Store

	db    *dynamodb.Client
	table string
}

// Mentions implements storetest.Inspector. Only a test may scan.
func (s inspected) Mentions(ctx context.Context, o id.Org) ([]string, error) {
	var all []string
	pages := dynamodb.NewScanPaginator(s.db, &dynamodb.ScanInput{TableName: &s.table, ConsistentRead: aws.Bool(true)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, i := range page.Items {
			var attributes map[string]any
			if err := attributevalue.UnmarshalMap(i, &attributes); err != nil {
				return nil, err
			}
			if erasing := attributes["erasing"] != nil; !erasing && strings.Contains(fmt.Sprint(attributes), string(o)) {
				all = append(all, fmt.Sprint(attributes[schema.PartitionKey], " ", attributes[schema.SortKey]))
			}
		}
	}
	return all, nil
}

// Contribution implements storetest.Store: it reads the record of a run as the stream
// shows it.
func (s inspected) Contribution(ctx context.Context, o id.Org, exec id.Execution) (execution.Contribution, bool, error) {
	got, err := s.db.GetItem(ctx, &dynamodb.GetItemInput{
		TableName: &s.table, ConsistentRead: aws.Bool(true), Key: map[string]types.AttributeValue{
			schema.PartitionKey: &types.AttributeValueMemberS{Value: fmt.Sprintf("ORG#%s#EXEC#%s", o, exec)},
			schema.SortKey:      &types.AttributeValueMemberS{Value: "META"},
		},
	})
	if err != nil {
		return execution.Contribution{}, false, err
	}
	return dynamo.Contribution(nil, got.Item)
}

// lossy loses the reply to every third request after the table has applied it,
// but not the reply to the repeat.
type lossy struct {
	http.RoundTripper

	n atomic.Int64
}

var errLost = errors.New("connection reset by peer")

func (l *lossy) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := l.RoundTripper.RoundTrip(r)
	if first := strings.Contains(r.Header.Get("Amz-Sdk-Request"), "attempt=1"); err == nil && first && l.n.Add(1)%3 == 0 {
		if err := res.Body.Close(); err != nil {
			return nil, err
		}
		return nil, errLost
	}
	return res, err
}

// Every promise of the store holds when replies are lost and the SDK repeats
// applied calls.
func TestStoreWhenRepliesAreLost(t *testing.T) {
	t.Parallel()

	db, name := connect(t, direct()), table(t)
	s := inspected{dynamo.New(connect(t, &lossy{RoundTripper: direct()}), name), db, name}
	storetest.Run(t, func(*testing.T) storetest.Store { return s })
}
