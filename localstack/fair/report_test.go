package main

import (
	"errors"
	"testing"
	"time"
)

func times(n int, of func(i int) time.Duration) phase {
	p := make(phase, n)
	for i := range p {
		p[i] = of(i)
	}
	return p
}

func TestAQuantileIsTheTimeOfARun(t *testing.T) {
	t.Parallel()

	p := times(200, func(i int) time.Duration { return time.Duration(200-i) * time.Millisecond })
	for q, want := range map[float64]int64{0: 1, 0.5: 100, 0.9: 180, 0.99: 198, 1: 200} {
		if got := p.quantile(q).Milliseconds(); got != want {
			t.Errorf("quantile %v is %d ms, want %d", q, got, want)
		}
	}
	if got := (phase{time.Second}).quantile(0.99); got != time.Second {
		t.Errorf("the p99 of one run is %v", got)
	}
}

func TestABurstMayDoubleTheP99(t *testing.T) {
	t.Parallel()

	alone := times(100, func(int) time.Duration { return 20 * time.Millisecond })
	behind := times(100, func(i int) time.Duration { return 20*time.Millisecond + time.Duration(i/98)*20*time.Millisecond })
	if ratio, err := judge(alone, behind, 2); ratio != 2 || err != nil {
		t.Errorf("ratio %v, %v", ratio, err)
	}
	behind[98]++
	behind[99]++
	if _, err := judge(alone, behind, 2); !errors.Is(err, errUnfair) {
		t.Errorf("err = %v, want %v", err, errUnfair)
	}
}
