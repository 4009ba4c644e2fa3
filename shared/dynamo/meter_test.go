package dynamo

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

func TestNumbersHaveTheSizeThatDynamoDBGivesThem(t *testing.T) {
	t.Parallel()

	for number, want := range map[string]int{
		"0": 1, "1": 2, "12": 2, "123": 3, "100": 2, "1000": 2, "-5": 3, "1773066181123456789": 11, "1773066181000000000": 7,
	} {
		if got := numberSize(number); got != want {
			t.Errorf("numberSize(%s) = %d, want %d", number, got, want)
		}
	}
}

func TestAReadCostsAUnitForEach4KBThatIsBegun(t *testing.T) {
	t.Parallel()

	i := item{"text": text(strings.Repeat("é", 2044)), "yes": &types.AttributeValueMemberBOOL{Value: true}}
	for name, c := range map[string]struct{ got, want float64 }{
		"nothing":          {units(0, true), 1},
		"4 KB":             {units(sizeOf(i), true), 1},
		"a byte more":      {units(sizeOf(i)+1, true), 2},
		"a moment old":     {units(sizeOf(i), false), 0.5},
		"a refused write":  {writeUnits(1025), 2},
		"nothing to write": {writeUnits(0), 1},
	} {
		if c.got != c.want {
			t.Errorf("%s: %v units, want %v", name, c.got, c.want)
		}
	}
}
