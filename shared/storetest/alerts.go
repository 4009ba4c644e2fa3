package storetest

import (
	"theoneagents.app/agents/shared/alert"
	"theoneagents.app/agents/shared/id"
)

func alerts() []promise {
	return []promise{
		{"an organization without alerts has an empty record", func(t trial, s Store) {
			got, err := s.Alerts(t.Context(), anOrg())
			ok(t, err)
			same(t, "record", got, alert.Record{})
		}},
		{"a record of alerts is read as it was written", func(t trial, s Store) {
			o := anOrg()
			want := alert.Record{
				Mailed: day(), Told: []id.Event{"evt_1"}, More: true,
				Open: []alert.Failure{{Event: "evt_2", Type: "execution.failed", At: day(), Agent: "agent_1", Name: "R&D <b>", Code: "c", Message: "m"}},
			}
			ok(t, s.SaveAlerts(t.Context(), o, want))
			want.Revision = 1
			got, err := s.Alerts(t.Context(), o)
			ok(t, err)
			same(t, "record", got, want)
		}},
		{"one of many racing writes of a record of alerts wins", func(t trial, s Store) {
			o := anOrg()
			for rev := range int64(2) {
				r := alert.Record{Mailed: day(), Revision: rev}
				won := race(t, racers, alert.ErrStale, func(int) error { return s.SaveAlerts(t.Context(), o, r) })
				same(t, "winners", won, 1)
			}
		}},
	}
}
