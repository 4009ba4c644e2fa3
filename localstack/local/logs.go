package main

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"

	"theoneagents.app/agents/localstack/local/cloud"
	"theoneagents.app/agents/shared/fault"
)

// groupPrefix begins the name of the log group of every function.
const groupPrefix = "/aws/lambda/"

// logs prints the logs of the functions.
func logs(ctx context.Context, w world, args []string) error {
	f, state := flags(w, "logs")
	name := f.String("function", "", "only the log of this function, like runner")
	text := f.String("find", "", "only lines with this text, like exec_…")
	since := f.Duration("since", 10*time.Minute, "maximum age of the lines")
	if err := parse(f, args); err != nil {
		return err
	}
	if *since <= 0 {
		return misusef("-since is %v, not a positive duration like 10m or 2h", *since)
	}
	o, err := home(*state).readOutputs(ctx, w)
	if err != nil {
		return err
	}
	api := cloudwatchlogs.NewFromConfig(cloud.Config(o.Endpoint))
	groups, err := logGroups(ctx, api)
	if err != nil {
		return err
	}
	if *name != "" {
		i := slices.IndexFunc(groups, func(g string) bool { return functionOf(g) == *name })
		if i < 0 {
			return misusef("no function %q has a log; %s", *name, fault.Suggest(*name, functionsOf(groups)))
		}
		groups = groups[i : i+1]
	}
	lines, err := logLines(ctx, api, groups, w.now().Add(-*since))
	if err != nil {
		return err
	}
	shown := 0
	for _, l := range lines {
		if strings.Contains(l.text, *text) {
			w.say("%s  %-10s  %s", l.at.Local().Format("15:04:05.000"), l.function, l.text)
			shown++
		}
	}
	if shown == 0 {
		w.say("No function has logged a matching line in the last %v.", *since)
	}
	return nil
}

// functionOf returns the function of a log group, without the stack's name.
func functionOf(group string) string {
	name := path.Base(group)
	return name[strings.LastIndexByte(name, '-')+1:]
}

func functionsOf(groups []string) []string {
	var names []string
	for _, g := range groups {
		names = append(names, functionOf(g))
	}
	return names
}

func logGroups(ctx context.Context, api *cloudwatchlogs.Client) ([]string, error) {
	var names []string
	pages := cloudwatchlogs.NewDescribeLogGroupsPaginator(api, &cloudwatchlogs.DescribeLogGroupsInput{
		LogGroupNamePrefix: aws.String(groupPrefix),
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("list the logs: %w", err)
		}
		for _, g := range page.LogGroups {
			names = append(names, aws.ToString(g.LogGroupName))
		}
	}
	slices.Sort(names)
	return names, nil
}

// A line is one line of a function's log.
type line struct {
	at             time.Time
	function, text string
}

func logLines(ctx context.Context, api *cloudwatchlogs.Client, groups []string, from time.Time) ([]line, error) {
	var all []line
	for _, g := range groups {
		pages := cloudwatchlogs.NewFilterLogEventsPaginator(api, &cloudwatchlogs.FilterLogEventsInput{
			LogGroupName: aws.String(g), StartTime: aws.Int64(from.UnixMilli()),
		})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if _, gone := errors.AsType[*types.ResourceNotFoundException](err); gone {
				break
			}
			if err != nil {
				return nil, fmt.Errorf("read the log %s: %w", g, err)
			}
			for _, e := range page.Events {
				for text := range strings.SplitSeq(strings.TrimSpace(aws.ToString(e.Message)), "\n") {
					all = append(all, line{
						at: time.UnixMilli(aws.ToInt64(e.Timestamp)), function: functionOf(g), text: strings.Map(printable, text),
					})
				}
			}
		}
	}
	slices.SortStableFunc(all, func(a, b line) int { return a.at.Compare(b.at) })
	return all, nil
}

// printable replaces white space by a space, and characters that a terminal would
// obey or not show by a dot.
func printable(r rune) rune {
	switch {
	case unicode.IsSpace(r):
		return ' '
	case !unicode.IsGraphic(r):
		return '·'
	}
	return r
}
