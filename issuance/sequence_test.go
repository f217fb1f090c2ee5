package issuance_test

import (
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sanad-id/sanad/issuance"
)

// TestP06 runs random sequences of what operators can do over a few records.
// Revoked stays revoked with its reason (corpus ST-10), a record never holds two credentials, and
// no slot is used twice.
func TestP06(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		b := newBed(t, newMemory(), func(c *issuance.Config) { c.ListSize = 32 })
		var ids []string
		gone := map[string]string{} // revoked ids and their state then
		some := func() string {
			if len(ids) == 0 {
				return ""
			}
			return rapid.SampledFrom(ids).Draw(rt, "id")
		}
		reason := func() issuance.Reason { return rapid.SampledFrom(issuance.Reasons()).Draw(rt, "reason") }
		note := func(i issuance.Issued, err error) {
			if err == nil {
				ids = append(ids, i.Credential.ID)
			} else if !errors.Is(err, issuance.ErrActiveExists) && !errors.Is(err, issuance.ErrRecord) && !errors.Is(err, issuance.ErrFinal) {
				rt.Fatalf("issue: %v", err)
			}
		}
		request := func() issuance.Request {
			return issuance.Request{Programme: "farmer-card", Record: person(rapid.IntRange(1, 3).Draw(rt, "record")), Actor: "tester"}
		}
		rt.Repeat(map[string]func(*rapid.T){
			"issue": func(*rapid.T) { note(b.service.Issue(t.Context(), request())) },
			"replace": func(*rapid.T) {
				r := request()
				r.Supersede = true
				note(b.service.Issue(t.Context(), r))
			},
			"supersede": func(*rapid.T) {
				if id := some(); id != "" {
					note(b.service.Supersede(t.Context(), id, request()))
				}
			},
			"revoke":  func(*rapid.T) { _, _ = b.service.Revoke(t.Context(), some(), reason(), "tester") },
			"suspend": func(*rapid.T) { _, _ = b.service.Suspend(t.Context(), some(), reason(), "tester") },
			"resume":  func(*rapid.T) { _, _ = b.service.Resume(t.Context(), some(), "tester") },
			"sweep":   func(*rapid.T) { _, _ = b.service.Sweep(t.Context()) },
			"wait":    func(*rapid.T) { b.clock.Add(time.Second) },
			"": func(*rapid.T) {
				holds, used := map[issuance.Pseudonym]string{}, map[issuance.Slot]bool{}
				for _, c := range b.all(issuance.Query{}) {
					state := b.state(c.ID)
					if was, ok := gone[c.ID]; ok && was != state {
						rt.Fatalf("P06: %s was %s and is %s", c.ID, was, state)
					}
					if c.State == issuance.Revoked {
						gone[c.ID] = state
					} else if other, ok := holds[c.Record]; ok {
						rt.Fatalf("one record holds %s and %s", other, c.ID)
					} else {
						holds[c.Record] = c.ID
					}
					for _, f := range c.Forms {
						if used[f.Slot] {
							rt.Fatalf("P04: slot %v is used twice", f.Slot)
						}
						used[f.Slot] = true
					}
				}
			},
		})
	})
}
