package definition_test

import (
	"strings"
	"testing"

	"theoneagents.app/agents/shared/definition"
)

func TestNoTextMessageIsSentToACostlyRange(t *testing.T) {
	t.Parallel()

	for number, kind := range map[string]string{
		// The example of the API and the placeholder of the templates are in no plan.
		"+15551234567": "", "+15550000000": "",
		"+12025550123": "", "+14155552671": "", "+18005550199": "", // toll-free
		"+447400123456": "", "+442079460958": "", "+4915123456789": "", "+33612345678": "", "+390612345678": "",
		"+61412345678": "", "+819012345678": "", "+918123456789": "", "+5511961234567": "", "+27711234567": "",
		// Judged by the range, also where the number is not valid.
		"+19002345678": "premium-rate", "+19000000000": "premium-rate",
		"+449001234567": "premium-rate", "+449098790000": "premium-rate",
		"+33899123456": "premium-rate", "+49900123456": "premium-rate", "+491900123456": "",
		"+611900123456": "premium-rate", "+97912345678": "premium-rate", "+39899123456": "premium-rate", "+3531520123456": "premium-rate", "+35315201234": "", "+390899123456": "",
		"+80812345678": "shared-cost", "+33820123456": "shared-cost", "+34901123456": "shared-cost",
		"+881612345678": "satellite", "+870773123456": "satellite", "+88216123456789": "satellite", "+8835100123456": "satellite",
	} {
		got, err := definition.Rules{}.Recipient(definition.SMS, number)
		switch {
		case kind == "" && (err != nil || got != number):
			t.Errorf("%s: %v", number, err)
		case kind != "" && (err == nil || !strings.Contains(err.Error(), number+" is in a range of "+kind+" numbers")):
			t.Errorf("%s: %v, want a %s number", number, err, kind)
		}
	}
	if _, err := (definition.Rules{}).Recipient(definition.SMS, "tel:+44 (0)909 879 0000"); err == nil {
		t.Error("a written premium-rate number is accepted")
	}
}
