package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"math"
	mathrand "math/rand/v2"
	"slices"
	"time"

	"github.com/sanad-id/sanad/credential/status"
	"github.com/sanad-id/sanad/keys"
)

// lists measures a status list of ten million entries, of which one in a hundred
// is revoked: to rebuild it from the slots that are, and to sign it.
func lists(rounds int) []row {
	const size, revoked = 10_000_000, 100_000
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	private := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	signer := must(keys.NewSigner(keys.Key{
		Public: must(keys.PublicKeyOf(&private.PublicKey)), Purpose: keys.StatusList, State: keys.Active, Created: now, Published: now,
		SignFrom: now.AddDate(-1, 0, 0), SignUntil: now.AddDate(1, 0, 0),
	}, private))
	rnd := mathrand.New(mathrand.NewPCG(15, 1))
	chosen := map[uint64]bool{}
	for len(chosen) < revoked {
		chosen[rnd.Uint64N(size)] = true
	}
	slots := make([]uint64, 0, revoked)
	for i := range chosen {
		slots = append(slots, i)
	}
	slices.Sort(slots)
	var token []byte
	took := make([]float64, rounds)
	for i := range took {
		began := time.Now()
		l := must(status.NewList(1, size))
		for _, s := range slots {
			if err := l.Set(s, status.Invalid); err != nil {
				must(0, err)
			}
		}
		token = must(status.SignToken(rand.Reader, signer, status.TokenInfo{
			URI: "https://example.org/status/1", IssuedAt: now, Expires: now.AddDate(0, 0, 7), TTL: 12 * time.Hour, List: l,
		}, now))
		took[i] = float64(time.Since(began)) / float64(time.Millisecond)
	}
	slices.Sort(took)
	p := float64(revoked) / size
	entropy := -size * (p*math.Log2(p) + (1-p)*math.Log2(1-p)) / 8
	rebuild := row{
		id: "P15", measure: "status list, ms", subject: "10 M entries", baseline: "-",
		value: took[rounds/2], low: took[rounds/4], high: took[rounds*3/4], floor: 250, goal: 60, lower: true, format: "%.0f",
	}
	compact := row{id: "P15", measure: "size / entropy", subject: "10 M entries", baseline: "entropy", floor: 1.6, goal: 1.5, lower: true, format: "%.2f"}
	return []row{rebuild, compact.once(float64(len(token)) / entropy)}
}
