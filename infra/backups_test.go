package main

import (
	"strings"
	"testing"
)

func TestTheTableIsCopiedEveryDayAndNoCopyIsKeptLongerThanErasureAllows(t *testing.T) {
	for name, tc := range map[string]struct {
		context map[string]any
		table   string // a part of its ARN
	}{
		"its own table":    {map[string]any{"stage": "dev"}, `"one-agents-dev"`},
		"a restored table": {map[string]any{"stage": "dev", "tableName": "one-agents-dev-2", "tableStreamArn": streamOf("one-agents-dev-2")}, ":table/one-agents-dev-2"},
	} {
		tmpl := inContext(t, tc.context)
		rules := 0
		for _, plan := range tmpl.of("AWS::Backup::BackupPlan") {
			for _, rule := range each(dig(plan.Properties, "BackupPlan", "BackupPlanRule")) {
				rules++
				if at := dig(rule, "ScheduleExpression"); at != "cron(0 3 * * ? *)" {
					t.Errorf("%s: a copy is made at %v", name, at)
				}
				if days := dig(rule, "Lifecycle", "DeleteAfterDays"); days != 35.0 {
					t.Errorf("%s: a copy is kept for %v days", name, days)
				}
			}
		}
		if rules != 1 {
			t.Errorf("%s: %d rules, want one", name, rules)
		}
		for _, s := range tmpl.of("AWS::Backup::BackupSelection") {
			if got := dump(tmpl.resolved(dig(s.Properties, "BackupSelection", "Resources"))); !strings.Contains(got, tc.table) {
				t.Errorf("%s: %s is copied", name, got)
			}
		}
		for id, vault := range tmpl.of("AWS::Backup::BackupVault") {
			if vault.DeletionPolicy != "RetainExceptOnCreate" {
				t.Errorf("%s: with the stack, %s is %s", name, id, vault.DeletionPolicy)
			}
		}
	}
	if n := len(inContext(t, map[string]any{"stage": "dev", "backups": "false"}).of("AWS::Backup::BackupPlan")); n != 0 {
		t.Errorf("%d plans without backups", n)
	}
}
