package main

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsdynamodb"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"theoneagents.app/agents/shared/dynamo/schema"
)

// newTable declares the table. It outlives the stack: a deployment must not
// delete the records of organizations. Its indexes hold keys only, so that a
// write is not charged for the whole item once more for each index.
//
// When the first deployment of a stage fails, CloudFormation deletes the table, if it
// is not protected, and the deployment can be repeated.
func newTable(scope constructs.Construct, s settings) awsdynamodb.ITable {
	if s.Table != "" {
		return existingTable(scope, s)
	}
	table := awsdynamodb.NewTable(scope, jsii.String("Table"), &awsdynamodb.TableProps{
		TableName:           jsii.String(prefix(scope)),
		PartitionKey:        attribute(schema.PartitionKey),
		SortKey:             attribute(schema.SortKey),
		BillingMode:         awsdynamodb.BillingMode_PAY_PER_REQUEST,
		Encryption:          awsdynamodb.TableEncryption_AWS_MANAGED,
		TimeToLiveAttribute: jsii.String(schema.Expires),
		// A consumer tells by the image before a change whether it was this change that
		// brought a contribution: the stream costs the same with it.
		Stream: awsdynamodb.StreamViewType_NEW_AND_OLD_IMAGES,
		PointInTimeRecoverySpecification: &awsdynamodb.PointInTimeRecoverySpecification{
			PointInTimeRecoveryEnabled: jsii.Bool(true),
		},
		DeletionProtection: jsii.Bool(s.Protect),
		RemovalPolicy:      awscdk.RemovalPolicy_RETAIN_ON_UPDATE_OR_DELETE,
	})
	for _, index := range schema.Indexes() {
		table.AddGlobalSecondaryIndex(&awsdynamodb.GlobalSecondaryIndexProps{
			IndexName:      jsii.String(index.Name),
			PartitionKey:   attribute(index.PartitionKey),
			SortKey:        attribute(index.SortKey),
			ProjectionType: awsdynamodb.ProjectionType_KEYS_ONLY,
		})
	}
	return table
}

// existingTable returns a table that the stack does not make, such as a table that
// was restored from a backup under another name. Its stream must have both images.
func existingTable(scope constructs.Construct, s settings) awsdynamodb.ITable {
	var indexes []string
	for _, index := range schema.Indexes() {
		indexes = append(indexes, index.Name)
	}
	return awsdynamodb.Table_FromTableAttributes(scope, jsii.String("Table"), &awsdynamodb.TableAttributes{
		TableName: jsii.String(s.Table), TableStreamArn: jsii.String(s.Stream), GlobalIndexes: jsii.Strings(indexes...),
	})
}

func attribute(name string) *awsdynamodb.Attribute {
	return &awsdynamodb.Attribute{Name: jsii.String(name), Type: awsdynamodb.AttributeType_STRING}
}
