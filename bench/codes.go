package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"strings"
	"testing"
	"time"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/credential/cwt"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/qr"
	"github.com/sanad-id/sanad/qr/image"
)

// pinned is a verifier's list of one key.
type pinned struct{ key keys.PublicKey }

func (p pinned) KeysFor(string, []byte) []keys.PublicKey { return []keys.PublicKey{p.key} }

// birthCertificate is a certificate with ten fields, names in one or two
// scripts.
func birthCertificate(at time.Time, bothScripts bool) cwt.Token {
	t := cwt.Token{
		Issuer: "xa-civil", Type: "urn:xa:birth-certificate:1", IssuedAt: at,
		Status: &credential.StatusRef{URI: "https://registry.gov.xa/status/1", Index: 734_511},
		Person: map[int64]any{
			1: "B-07-2019-00012345", 3: "eng", 4: "Rahima Khatun Chowdhury", 8: "20190412", 9: int64(2),
		},
		Fields: map[int64]any{
			1: "2019-04-20", 2: "Jessore Sadar", 3: "XA-07-03", 4: "Fatema Begum", 5: "Abdul Karim Chowdhury",
		},
	}
	if bothScripts {
		t.Person[19], t.Person[20] = "রহিমা খাতুন চৌধুরী", "ben"
		t.Fields[6], t.Fields[7] = "ফাতেমা বেগম", "আব্দুল করিম চৌধুরী"
	}
	return t
}

// codes measures one code: issuing, checking, drawing, sizes.
func codes(rounds int) []row {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	private := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	public := must(keys.PublicKeyOf(&private.PublicKey))
	signer := must(keys.NewSigner(keys.Key{
		Public: public, Purpose: keys.Credential, State: keys.Active, Created: now, Published: now,
		SignFrom: now.AddDate(-1, 0, 0), SignUntil: now.AddDate(1, 0, 0),
	}, private))
	issue := func(t cwt.Token) string {
		draft := must(cwt.NewDraft(t, public))
		return must(qr.Encode(must(draft.Sign(rand.Reader, signer, now))))
	}
	token := birthCertificate(now, true)
	text := issue(token)
	verify := func() {
		must(cwt.Verify(must(qr.Decode(text)), cwt.Expect{Keys: pinned{public}}))
	}
	digest := sha256.Sum256([]byte(text))
	signature := must(ecdsa.SignASN1(rand.Reader, private, digest[:]))
	rawSign := func() { must(ecdsa.SignASN1(rand.Reader, private, digest[:])) }
	rawVerify := func() {
		if !ecdsa.VerifyASN1(&private.PublicKey, digest[:], signature) {
			panic("bench: internal error: own signature does not verify")
		}
	}

	small := birthCertificate(now, false)
	p6s := row{id: "P6", measure: "CWT code, issue, one script", subject: "draft+sign+encode", baseline: "raw ES256 sign", floor: 0.70, goal: 0.88, format: "%.2f"}
	p6s.value, p6s.low, p6s.high = ratio(rounds, func() { issue(small) }, rawSign)
	p6i := row{id: "P6", measure: "CWT code, issue, two scripts", subject: "draft+sign+encode", baseline: "raw ES256 sign", floor: 0.70, goal: 0.88, format: "%.2f"}
	p6i.value, p6i.low, p6i.high = ratio(rounds, func() { issue(token) }, rawSign)
	p6v := row{id: "P6", measure: "CWT code, verify", subject: "decode+verify", baseline: "raw ES256 verify", floor: 0.75, goal: 0.90, format: "%.2f"}
	p6v.value, p6v.low, p6v.high = ratio(rounds, verify, rawVerify)
	p7 := row{id: "P7", measure: "signed picture (SVG)", subject: "issue+draw", baseline: "raw ES256 sign", floor: 0.005, goal: 0.10, format: "%.4f"}
	p7.value, p7.low, p7.high = ratio(rounds, func() { must(image.Draw(issue(token), image.M)).SVG() }, rawSign)

	rows := []row{p6s, p6i, p6v, p7}
	rows = append(rows, versions(issue, now)...)
	message := must(qr.Decode(text))
	allocations := testing.AllocsPerRun(200, func() { must(cwt.Verify(message, cwt.Expect{Keys: pinned{public}})) })
	rows = append(rows, row{
		id: "P17", measure: "allocations", subject: "verify", baseline: "-",
		value: allocations, low: allocations, high: allocations, floor: 60, goal: 25, lower: true, format: "%.0f",
	})
	return append(rows, worst(rounds, signer, public, now, verify))
}

// versions is the QR version of birth certificates at error correction M.
func versions(issue func(cwt.Token) string, now time.Time) []row {
	var rows []row
	for _, both := range []bool{false, true} {
		r := row{id: "P16", measure: "QR version, one script", subject: "birth certificate", baseline: "-", floor: 16, goal: 13, lower: true, format: "V%.0f"}
		if both {
			r.measure, r.goal = "QR version, two scripts", 16
		}
		v := float64(image.VersionFor(len(issue(birthCertificate(now, both))), image.M))
		r.value, r.low, r.high = v, v, v
		rows = append(rows, r)
	}
	return rows
}

// worst compares the largest code that is accepted with an ordinary one.
func worst(rounds int, signer keys.Signer, public keys.PublicKey, now time.Time, ordinary func()) row {
	t := birthCertificate(now, true)
	for i := int64(10); i < 60; i++ {
		t.Fields[i] = strings.Repeat("ন", 12)
	}
	var text string
	for {
		draft, err := cwt.NewDraft(t, public)
		if err == nil {
			if text, err = qr.Encode(must(draft.Sign(rand.Reader, signer, now))); err == nil && len(text) <= qr.MaxText {
				break
			}
		}
		delete(t.Fields, int64(len(t.Fields)+2))
	}
	r := row{id: "P18", measure: "worst accepted / usual", subject: "fullest code", baseline: "usual code", floor: 20, goal: 10, lower: true, format: "%.2f"}
	fast, low, high := ratio(rounds, func() {
		must(cwt.Verify(must(qr.Decode(text)), cwt.Expect{Keys: pinned{public}}))
	}, ordinary)
	r.value, r.low, r.high = 1/fast, 1/high, 1/low
	return r
}
