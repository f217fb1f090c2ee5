package officetest_test

import (
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/credential/cwt"
	"github.com/sanad-id/sanad/internal/officetest"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/trust"
	"github.com/sanad-id/sanad/verification"
)

// count is how many of something a test does: at every change, or at night.
func count(change, night int) int {
	switch {
	case os.Getenv("SANAD_SOAK") == "1":
		return night
	case testing.Short():
		return max(change/10, 2)
	}
	return change
}

const (
	// cacheAge is how old a bundle may be that a verifier works with: the office says
	// that it is old after two days.
	cacheAge = 47 * time.Hour
	// margin is how long a key is published before it signs.
	margin = cacheAge + time.Hour
	// asks is how often a verifier with a network asks for news, and spread what its
	// schedule adds at most; every is how often the office publishes.
	asks, spread, every = 10 * time.Minute, 2 * time.Minute, time.Minute
)

// codes is credential/cwt as programs wire it.
type codes struct{}

func (codes) Verify(message []byte, keys verification.IssuerKeys) (*credential.Verified, error) {
	return cwt.Verify(message, cwt.Expect{Keys: keys})
}

// A gate is a verifier that works with the bundle that it has, for as long as it may.
type gate struct {
	state  trust.State
	bundle *trust.Bundle
	skew   time.Duration // of its clock
	next   time.Time     // when it asks for a bundle
	online bool
}

// A paper is a credential that was issued, and when.
type paper struct {
	text   string
	key    keys.ID
	issued time.Time
}

// A country of one office: what it publishes, what it has issued, who checks.
type simulation struct {
	*officetest.Office
	r         *rand.Rand
	published []byte
	papers    []paper
	gates     []*gate
	// since is when each key was first in a bundle that could be had.
	since map[keys.ID]time.Time
	// hasty are keys that signed as soon as they were published.
	hasty    map[keys.ID]bool
	records  int
	checked  int
	verdicts map[verification.Verdict]int
}

func (s *simulation) publish() {
	s.Helper()
	s.published = s.PublishFile()
	b, err := trust.Open(s.published)
	if err != nil {
		s.Fatal(err)
	}
	for _, k := range b.Issuers[0].Keys {
		if _, ok := s.since[k.KeyID]; !ok {
			s.since[k.KeyID] = s.Clock.Now()
		}
	}
}

func (s *simulation) issue() {
	s.Helper()
	s.records++
	i := s.IssueForms("farmer-card", s.records)
	s.papers = append(s.papers, paper{text: i.Forms[0].Text, key: i.Credential.Forms[0].Key, issued: i.Credential.IssuedAt})
}

// pass lets time go by, in which verifiers that are due fetch what is published.
func (s *simulation) pass(d time.Duration) {
	s.Helper()
	s.Clock.Add(d)
	for _, g := range s.gates {
		if s.Clock.Now().Before(g.next) {
			continue
		}
		st, b, err := trust.Accept(g.state, s.published, func(*trust.Bundle) bool { return true })
		if err != nil {
			s.Fatal(err)
		}
		g.state, g.bundle, g.next = st, b, b.AsOf.Add(cacheAge)
		if g.online {
			g.next = s.Clock.Now().Add(asks + time.Duration(s.r.Int64N(int64(spread))))
		}
	}
}

// check has every verifier judge so many credentials, the newest one among them.
func (s *simulation) check(each int) {
	s.Helper()
	for i, g := range s.gates {
		now := s.Clock.Now().Add(g.skew)
		c, err := verification.New(verification.Config{COSE: codes{}, Trust: g.bundle, Now: func() time.Time { return now }, NewestSeen: g.state.NewestSeen})
		if err != nil {
			s.Fatal(err)
		}
		for n := range each {
			p := s.papers[len(s.papers)-1]
			if n > 0 {
				p = s.papers[s.r.IntN(len(s.papers))]
			}
			report := c.Check([]byte(p.text))
			if report.Seen.After(g.state.NewestSeen) {
				g.state.NewestSeen = report.Seen
			}
			s.checked++
			s.verdicts[report.Verdict]++
			late := s.hasty[p.key] && s.since[p.key].After(g.bundle.AsOf) // published after what this verifier has
			unlisted := p.issued.After(g.bundle.AsOf) && slices.Equal(report.Reasons(), []credential.Reason{credential.StatusUnavailable})
			if report.Verdict == verification.Valid || late && report.Verdict == verification.Undetermined || unlisted {
				continue
			}
			s.Fatalf("P19: verifier %d with a bundle of %v says %s at %v to what was issued at %v by %s, published at %v: %v",
				i, g.bundle.AsOf, report.Verdict, now, p.issued, p.key, s.since[p.key], report.Reasons())
		}
	}
}

// work issues, publishes and checks for a while, half a day at a time.
func (s *simulation) work(d time.Duration, each int) {
	s.Helper()
	for end := s.Clock.Now().Add(d); s.Clock.Now().Before(end); {
		s.issue()
		s.publish()
		s.pass(12 * time.Hour)
		s.check(each)
	}
}

// rotate replaces the key that signs, in steps that are as far apart as the margin asks.
func (s *simulation) rotate(each int) {
	s.Helper()
	for {
		r, err := s.Service.RotateKey(s.Context(), keys.Spec{Purpose: keys.Credential}, margin, "tester")
		if err != nil {
			s.Fatal(err)
		}
		if r.Step == keys.StepActivate {
			break
		}
		s.work(12*time.Hour, each)
	}
	s.issue() // at once by the new key
	s.check(each)
}

// emergency replaces a key that was stolen, without any margin, and returns how long it
// takes until every verifier with a network knows both keys for what they are.
func (s *simulation) emergency(each int) time.Duration {
	s.Helper()
	ctx := s.Context()
	stolen := s.papers[len(s.papers)-1].key
	s.pass(time.Second) // what was issued before counts
	since := s.Clock.Now()
	if _, err := s.Service.CompromiseKey(ctx, stolen, since, "tester"); err != nil {
		s.Fatal(err)
	}
	for range 2 { // make one, publish it, let it sign
		if _, err := s.Service.RotateKey(ctx, keys.Spec{Purpose: keys.Credential}, 0, "tester"); err != nil {
			s.Fatal(err)
		}
		s.pass(every)
		s.publish()
	}
	s.pass(time.Second)
	s.issue()
	s.hasty[s.papers[len(s.papers)-1].key] = true
	for {
		known := true
		for _, g := range s.gates {
			if !g.online {
				continue
			}
			for _, k := range g.bundle.Issuers[0].Keys {
				known = known && (k.KeyID != stolen || k.State == keys.Compromised)
			}
		}
		s.check(each)
		if known {
			return s.Clock.Now().Sub(since)
		}
		s.pass(every)
	}
}

// TestP19 rotates the key of an office fifty times while credentials are issued and
// checked, at verifiers that ask for a bundle as seldom as they may and whose clocks
// differ by as much as they may, every tenth time because the key was stolen: what the
// office has issued is never refused, and who asks every ten minutes knows a theft
// within fifteen.
func TestP19(t *testing.T) {
	rotations, want := count(12, 50), count(4000, 1_000_000)
	s := &simulation{
		Office: officetest.New(t, officetest.Options{ListSize: 4096}), r: rand.New(rand.NewPCG(19, 1)),
		since: map[keys.ID]time.Time{}, hasty: map[keys.ID]bool{}, verdicts: map[verification.Verdict]int{},
	}
	s.issue() // so that there is a list
	s.publish()
	for i := range 10 {
		s.gates = append(s.gates, &gate{
			online: i%3 == 0, skew: time.Duration(i-5) * 50 * time.Second,
			next: s.Clock.Now().Add(-time.Duration(i) * time.Hour),
		})
	}
	s.pass(0)
	for i, g := range s.gates { // not all on the same day
		if !g.online {
			g.next = g.next.Add(-time.Duration(i) * 5 * time.Hour)
		}
	}
	steps := rotations * 6
	each := want/(steps*len(s.gates)) + 1
	slowest := time.Duration(0)
	for i := range rotations {
		if i%10 == 9 {
			slowest = max(slowest, s.emergency(each))
			s.work(2*24*time.Hour, each)
			continue
		}
		s.rotate(each)
	}
	last := s.gates[0].bundle
	t.Logf("P19: %d verifications over %d rotations, %v; %d keys; a theft was known after %v", s.checked, rotations, s.verdicts, len(last.Issuers[0].Keys), slowest)
	if len(last.Issuers[0].Keys) <= rotations || s.checked < want || slowest == 0 || slowest > 15*time.Minute {
		t.Errorf("P19: %d keys, %d verifications, a theft known after %v", len(last.Issuers[0].Keys), s.checked, slowest)
	}
}
