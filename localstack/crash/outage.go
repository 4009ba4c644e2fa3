package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"theoneagents.app/agents/localstack/crash/audit"
	"theoneagents.app/agents/shared/clock"
)

// An outage is a fault of the platform: the dispatcher may not use the table. No
// event may become a dead letter by it.
type outage struct {
	*system

	length time.Duration
	roles  *iam.Client
	role   string // of the dispatcher
}

// outageName is the name of the policy that denies the table.
const outageName = "crash-outage"

const outagePolicy = `{"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "dynamodb:*", "Resource": "*"}]}`

func (s *system) outage(ctx context.Context, length time.Duration) (*outage, error) {
	o := &outage{system: s, length: length, roles: iam.NewFromConfig(s.aws)}
	pages := iam.NewListRolesPaginator(o.roles, &iam.ListRolesInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("list the roles: %w", err)
		}
		for _, r := range page.Roles {
			if strings.Contains(aws.ToString(r.RoleName), "FunctiondispatcherServiceRole") {
				o.role = aws.ToString(r.RoleName)
			}
		}
	}
	if o.role == "" {
		return nil, errors.New("no role of the dispatcher was found")
	}
	return o, nil
}

// pass denies the table to the dispatcher, and allows it again after the length of
// the outage, also when ctx ends meanwhile.
func (o *outage) pass(ctx context.Context) error {
	_, err := o.roles.PutRolePolicy(ctx, &iam.PutRolePolicyInput{
		RoleName: &o.role, PolicyName: aws.String(outageName), PolicyDocument: aws.String(outagePolicy),
	})
	if err != nil {
		return fmt.Errorf("deny the table to %s: %w", o.role, err)
	}
	o.say("The dispatcher may not use the table for %v.", o.length)
	waited := clock.Sleep(ctx, o.length)
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	_, err = o.roles.DeleteRolePolicy(limited, &iam.DeleteRolePolicyInput{RoleName: &o.role, PolicyName: aws.String(outageName)})
	if err != nil {
		return errors.Join(waited, fmt.Errorf("allow the table to %s: %w", o.role, err))
	}
	return waited
}

// judge returns a violation for each dead letter about an event that failed.
func (o *outage) judge(letters []audit.Letter) []audit.Violation {
	var all []audit.Violation
	for _, l := range letters {
		if l.Reason == "failed" {
			all = append(all, audit.Violation{Invariant: audit.OutageIsOurs, What: l.Message})
		}
	}
	if len(all) == 0 {
		o.say("The outage of %v made no dead letter.", o.length)
	}
	return all
}
