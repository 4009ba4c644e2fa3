package storetest

func deliveries() []promise {
	return []promise{
		{"deliveries that did not end are counted", func(t trial, s Store) {
			o := anOrg()
			for want := range 3 {
				got, err := s.BeginDelivery(t.Context(), o, "msg#1", day())
				ok(t, err)
				same(t, "crashes", got, want)
			}
			other, err := s.BeginDelivery(t.Context(), o, "msg#2", day())
			ok(t, err)
			same(t, "crashes of another message", other, 0)
			elsewhere, err := s.BeginDelivery(t.Context(), anOrg(), "msg#1", day())
			ok(t, err)
			same(t, "crashes in another organization", elsewhere, 0)
		}},
		{"a delivery that ended takes those before it along", func(t trial, s Store) {
			o := anOrg()
			for range 2 {
				_, err := s.BeginDelivery(t.Context(), o, "msg_1", day())
				ok(t, err)
			}
			for range 2 {
				ok(t, s.EndDelivery(t.Context(), o, "msg_1"))
			}
			got, err := s.BeginDelivery(t.Context(), o, "msg_1", day())
			ok(t, err)
			same(t, "crashes", got, 0)
		}},
	}
}
