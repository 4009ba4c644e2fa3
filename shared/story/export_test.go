package story

import (
	"theoneagents.app/agents/shared/approval"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/execution"
)

// Unknown is a value that no words are for. The words for it name it or are general.
const Unknown = "of a newer release"

// Kinds returns the kinds of steps that have a row with all its words.
func Kinds() []definition.Kind {
	var all []definition.Kind
	for _, k := range tellers() {
		if k.subject != nil && k.source != nil && k.completed != nil && k.waiting != nil {
			all = append(all, k.kind)
		}
	}
	return all
}

// Words returns the words for each value of a set, by the name of the set. A value whose
// words are those of an unknown one has none.
func Words() map[string]map[string]string {
	all := map[string]map[string]string{"channel": {}, "result": {}, "occasion": {}, "verdict": {}}
	for _, c := range definition.Channels() {
		all["channel"][string(c)] = known(message(c), message(Unknown))
	}
	for _, s := range execution.DeliveryStatuses() {
		all["result"][string(s)] = known(result(s), "is "+string(s))
	}
	for _, on := range execution.Occasions() {
		all["occasion"][string(on)] = known("said: "+occasion(on), "said: "+string(on)+".")
	}
	for _, s := range approval.Statuses() {
		all["verdict"][string(s)] = known(verdict(s, "user_1", "x", "", definition.Deny), verdict(Unknown, "user_1", "x", "", definition.Deny))
	}
	return all
}

func known(words, unknown string) string {
	if words == unknown {
		return Unknown
	}
	return words
}
