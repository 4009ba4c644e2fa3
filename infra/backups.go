package main

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsbackup"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsdynamodb"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"
	"github.com/aws/jsii-runtime-go"
)

// backupDays is how long a backup is kept: as long as point-in-time recovery reaches
// back. No backup is kept longer, because an erasure reaches none: 35 days after an
// organization was deleted, no copy of its data is left.
const backupDays = 35

// vaultName is the name of the vault, without that of the stack.
const vaultName = "backups"

// newBackups declares a copy of the table every day. Point-in-time recovery ends with
// the table; these copies stay when the table is deleted, and the vault stays with them
// when the stack is.
func newBackups(stack awscdk.Stack, s settings, table awsdynamodb.ITable) {
	if !s.Backups {
		return
	}
	vault := awsbackup.NewBackupVault(stack, jsii.String("Backups"), &awsbackup.BackupVaultProps{
		BackupVaultName: named(stack, vaultName),
		RemovalPolicy:   awscdk.RemovalPolicy_RETAIN_ON_UPDATE_OR_DELETE,
	})
	plan := awsbackup.NewBackupPlan(stack, jsii.String("BackupPlan"), &awsbackup.BackupPlanProps{
		BackupPlanName: named(stack, "daily"), BackupVault: vault,
	})
	plan.AddRule(awsbackup.NewBackupPlanRule(&awsbackup.BackupPlanRuleProps{
		RuleName:           jsii.String("daily"),
		ScheduleExpression: awsevents.Schedule_Cron(&awsevents.CronOptions{Hour: jsii.String("3"), Minute: jsii.String("0")}),
		StartWindow:        awscdk.Duration_Hours(jsii.Number(1)),
		CompletionWindow:   awscdk.Duration_Hours(jsii.Number(12)),
		DeleteAfter:        awscdk.Duration_Days(jsii.Number(backupDays)),
	}))
	plan.AddSelection(jsii.String("Table"), &awsbackup.BackupSelectionOptions{
		BackupSelectionName: named(stack, "table"),
		Resources:           &[]awsbackup.BackupResource{awsbackup.BackupResource_FromDynamoDbTable(table)},
	})
}
