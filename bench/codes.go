package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"iter"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/credential/cwt"
	"github.com/sanad-id/sanad/internal/cbor"
	message "github.com/sanad-id/sanad/internal/cose"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/programme"
	"github.com/sanad-id/sanad/qr"
	"github.com/sanad-id/sanad/qr/image"
	"github.com/sanad-id/sanad/registry"
	"github.com/sanad-id/sanad/registry/samplecountry"
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

// versions is the QR version at error correction M that nineteen of twenty birth
// certificates of the sample country stay within: with ten fields and names in Latin
// letters, with the names in both scripts, and as examples/programmes issues them.
func versions(issue func(cwt.Token) string, now time.Time) []row {
	rows := []row{
		{id: "P16", measure: "QR version, one script", goal: 13},
		{id: "P16", measure: "QR version, two scripts", goal: 16},
		{id: "P16", measure: "QR version, the programme (18 claims)", goal: 16},
	}
	p := must(programme.Parse(must(os.ReadFile("examples/programmes/birth-certificate.yaml"))))
	all := make([][]int, len(rows))
	for r := range births(now) {
		if strings.Contains(value(r, "status"), "CANCELLED") {
			continue
		}
		content, problems := p.Map(r, now)
		if programme.Fatal(problems) || strings.HasSuffix(value(r, "date_of_birth"), "-00") {
			continue // as an office would not issue it, or not with all ten
		}
		all[0] = append(all[0], image.VersionFor(len(issue(tenFields(r, now, false))), image.M))
		all[1] = append(all[1], image.VersionFor(len(issue(tenFields(r, now, true))), image.M))
		t := content.Token("qr")
		t.Issuer, t.IssuedAt, t.Status = "xa-civil", now, &credential.StatusRef{URI: "https://registry.gov.xa/status/1", Index: 734_511}
		all[2] = append(all[2], image.VersionFor(len(issue(t)), image.M))
	}
	for i := range rows {
		r, v := &rows[i], all[i]
		slices.Sort(v)
		r.subject, r.baseline, r.floor, r.lower, r.format = fmt.Sprintf("95 %% of %d births", len(v)), "-", 16, true, "V%.0f"
		r.value, r.low, r.high = float64(v[len(v)*95/100]), float64(v[len(v)/4]), float64(v[len(v)*3/4])
	}
	return rows
}

// births are records of the sample country's register, in all of its scripts.
func births(now time.Time) iter.Seq[registry.Record] {
	all := samplecountry.Registries()
	i := slices.IndexFunc(all, func(r samplecountry.Registry) bool { return r.Name == "births" })
	columns := must(registry.NewColumns(all[i].Header()))
	return func(yield func(registry.Record) bool) {
		n := 0
		for cells := range must(samplecountry.Rows(samplecountry.Config{Seed: 1, Persons: 4000, Date: now}, "births")) {
			if n++; !yield(registry.NewRecord(cells[0], n, columns, slices.Clone(cells))) {
				return
			}
		}
	}
}

// value is what stands in a column, "" if there is none.
func value(r registry.Record, column string) string {
	v, _ := r.Value(column)
	return v
}

// tenFields is a birth certificate of ten fields: number, name, birth date, sex, place,
// mother and father; with those three names in the local script, too, or else country,
// date and office of the registration.
func tenFields(r registry.Record, at time.Time, bothScripts bool) cwt.Token {
	name := func(suffix string) string {
		return strings.Join(strings.Fields(value(r, "given_names"+suffix)+" "+value(r, "middle_names"+suffix)+" "+value(r, "family_name"+suffix)), " ")
	}
	day := func(s string) string { return strings.ReplaceAll(s, "-", "") }
	t := cwt.Token{
		Issuer: "xa-civil", Type: "urn:xa:birth-certificate:1", IssuedAt: at, Status: &credential.StatusRef{URI: "https://registry.gov.xa/status/1", Index: 734_511},
		Person: map[int64]any{1: value(r, "registration_number"), 4: name(""), 8: day(value(r, "date_of_birth")), 9: map[string]int64{"1": 1, "2": 2}[value(r, "sex")]},
		Fields: map[int64]any{1: value(r, "place_of_birth_code"), 2: value(r, "mother_name"), 3: value(r, "father_name")},
	}
	if local := name("_local"); bothScripts && local != "" {
		t.Person[19], t.Person[20] = local, "ben"
		t.Fields[7], t.Fields[8] = value(r, "mother_name_local"), value(r, "father_name_local")
	} else {
		t.Fields[4], t.Fields[5], t.Fields[6] = value(r, "country_of_birth"), day(value(r, "registration_date")), value(r, "registration_office_code")
	}
	for _, m := range []map[int64]any{t.Person, t.Fields} {
		for k, v := range m {
			if v == "" || v == int64(0) {
				delete(m, k) // not known, and not written
			}
		}
	}
	return t
}

// worst compares what takes a reader most time of all that is accepted with an ordinary
// code: the fullest code, claims that are much work for their size, and a live code with
// as much hidden as can be.
func worst(rounds int, signer keys.Signer, public keys.PublicKey, now time.Time, ordinary func()) row {
	r := row{id: "P18", measure: "worst accepted / usual", baseline: "usual code", floor: 20, goal: 10, lower: true, format: "%.2f"}
	for name, message := range heavy(signer, now) {
		text := must(qr.Encode(message))
		fast, low, high := ratio(rounds, func() {
			must(cwt.Verify(must(qr.Decode(text)), cwt.Expect{Keys: pinned{public}}))
		}, ordinary)
		fmt.Printf("P18: %s: %.2f\n", name, 1/fast)
		if 1/fast > r.value {
			r.subject, r.value, r.low, r.high = name, 1/fast, 1/high, 1/low
		}
	}
	return r
}

// heavy are the messages of worst.
func heavy(signer keys.Signer, now time.Time) map[string][]byte {
	id := signer.Key().ID()
	sign := func(claims any) []byte {
		return must(message.Sign1(rand.Reader, signer, message.Header{KeyID: id.Bytes()}, must(cbor.Marshal(map[int64]any{
			cwt.ClaimIssuer: "xa-civil", cwt.ClaimType: "urn:xa:birth-certificate:1", cwt.ClaimIssuedAt: now.Unix(), cwt.ClaimFields: map[int64]any{1: claims},
		}))))
	}
	lists := func(n int, item any) any { // of lists of as many items as may be in one
		inner := make([]any, cbor.Token.Items)
		for i := range inner {
			inner[i] = item
		}
		outer := make([]any, n)
		for i := range outer {
			outer[i] = inner
		}
		return outer
	}
	keyed := map[int64]any{}
	for i := range int64(cbor.Token.Items) - 16 {
		keyed[4096+i] = int64(0)
	}
	all := map[string][]byte{
		"lists of numbers": sign(lists(3, int64(0x1234))), "lists of empty lists": sign(lists(3, []any{})), "lists of texts": sign(lists(3, "a")),
		"maps of many keys": sign([]any{keyed, keyed}), "long text": sign(strings.Repeat("a", 0x3d00)),
	}
	t := birthCertificate(now, true)
	for i := int64(10); i < 60; i++ {
		t.Fields[i] = strings.Repeat("ন", 12)
	}
	for {
		if draft, err := cwt.NewDraft(t, signer.Key().Public); err == nil {
			signed := must(draft.Sign(rand.Reader, signer, now))
			if _, err := qr.Encode(signed); err == nil {
				all["fullest code"] = signed
				break
			}
		}
		delete(t.Fields, int64(len(t.Fields)+2))
	}
	holder, _ := newSigner(keys.Holder, now)
	key := holder.Key().Public
	hidden := make([]any, 0, 36)
	for range cap(hidden) {
		hidden = append(hidden, cwt.Hidden{Value: int64(1)})
	}
	paths := []cwt.Path{}
	for i := range hidden {
		paths = append(paths, cwt.Path{int64(cwt.ClaimFields), int64(1), i})
	}
	draft := must(cwt.NewDraft(cwt.Token{Issuer: "xa-civil", Type: "urn:xa:birth-certificate:1", IssuedAt: now, Holder: &key, Fields: map[int64]any{1: hidden}}, signer.Key().Public))
	shown := must(cwt.Present(must(draft.Sign(rand.Reader, signer, now)), paths...))
	all["live code, 36 disclosures"] = must(cwt.Bind(rand.Reader, shown, cwt.Proof{Audience: cwt.AudienceInPerson, IssuedAt: now}, holder))
	return all
}
