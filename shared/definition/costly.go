package definition

import (
	"strconv"
	"strings"
)

//go:generate go -C ../../.ci/tools run ./phoneranges ../../shared/definition/ranges.gen.go

// satelliteRanges are the country codes of satellite and other networks without a
// country: Inmarsat, the global mobile satellite systems, and the international
// networks of E.164, among them Thuraya.
const satelliteRanges = " 870 871 872 873 874 881 882 883 "

// costly returns the kind of the range in which a number of E.164 is, if a text message
// to it costs more than others or charges its sender; "" for any other number. It judges
// the range and not the number: a number without a plan is in no range.
func costly(number string) string {
	digits := strings.TrimPrefix(number, "+")
	for n := 1; n <= min(len(digits), deepestRange); n++ {
		for _, length := range []string{"", "/" + strconv.Itoa(len(digits))} {
			prefix := " " + digits[:n] + length + " "
			switch {
			case strings.Contains(satelliteRanges, prefix):
				return "satellite"
			case strings.Contains(premiumRanges, prefix):
				return "premium-rate"
			case strings.Contains(sharedRanges, prefix):
				return "shared-cost"
			}
		}
	}
	return ""
}

// deepestRange is the length of the longest prefix, with its country code.
const deepestRange = 9
