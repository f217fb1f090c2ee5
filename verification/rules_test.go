package verification_test

import (
	"bytes"
	"compress/zlib"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/credential/cwt"
	"github.com/sanad-id/sanad/internal/boundtest"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/qr"
	"github.com/sanad-id/sanad/trust"
	"github.com/sanad-id/sanad/verification"
)

// A scene is one check before it is made: spoil one thing and see.
type scene struct {
	*country
	signer keys.Signer
	token  cwt.Token
	conf   verification.Config
	input  []byte        // set: checked as it is
	bundle *trust.Bundle // nil: the country's
}

func newScene(t testing.TB) *scene {
	c := newCountry(t)
	return &scene{country: c, signer: c.active, token: card(), conf: verification.Config{Now: at(now)}}
}

func (s *scene) check(t testing.TB) verification.Report {
	t.Helper()
	if s.conf.Pinned == nil && s.conf.TrustProblem == "" && s.conf.Trust == nil {
		s.conf.Trust = s.bundle
		if s.bundle == nil {
			s.conf.Trust = s.open(t)
		}
	}
	input := s.input
	if input == nil {
		input = []byte(text(t, sign(t, s.signer, s.token)))
	}
	return newChecker(t, s.conf).Check(input)
}

// state makes the credential one that only the fixture would sign.
func (s *scene) state(change func(*credential.Verified)) {
	id := s.signer.Key().ID()
	v := credential.Verified{
		Format: credential.FormatCWT, Type: s.token.Type, Issuer: s.token.Issuer, Key: s.signer.Key().Public, KeyID: id.Bytes(),
		IssuedAt: s.token.IssuedAt, Expires: s.token.Expires, Status: s.token.Status,
		Person: credential.Claims{{Key: 4, Name: "fullName", Value: "Rahima Begum"}},
	}
	change(&v)
	s.conf.COSE, s.input = stated{v}, anything
}

// beside has a credential name another mechanism beside its list.
func beside(v *credential.Verified) { v.Status.Beside = true }

func TestGoodCredential(t *testing.T) {
	s := newScene(t)
	r := s.check(t)
	if r.Verdict != verification.Valid {
		t.Fatalf("%s, checks %+v", r.Verdict, r.Checks)
	}
	for _, c := range r.Checks {
		want := verification.Pass
		if c.ID == verification.CheckHolder {
			want = verification.NotChecked
		}
		if c.Result != want || c.Reason != "" {
			t.Errorf("%s is %s %s, want %s", c.ID, c.Result, c.Reason, want)
		}
	}
	if r.Issuer != ministry || r.Type != farmer || r.Kind != "proof" || r.IssuerNames["en"] != "Ministry of Agriculture" || r.TypeLabels["fr"] == "" {
		t.Errorf("issuer %q %v, type %q %v, kind %q", r.Issuer, r.IssuerNames, r.Type, r.TypeLabels, r.Kind)
	}
	if r.Basis != (verification.Basis{BundleVersion: 1, KeysAsOf: asOf, StatusAsOf: asOf, Policy: "farmer-card/2"}) || r.StatusAge != 3*day {
		t.Errorf("basis %+v, status age %v", r.Basis, r.StatusAge)
	}
	if r.PersonCheck != "other_id" || r.Holder != verification.BindingNone || !slices.Equal(r.Warnings, []verification.Warning{verification.WarnCopy}) {
		t.Errorf("person check %q, holder %q, warnings %v", r.PersonCheck, r.Holder, r.Warnings)
	}
	if !r.Seen.Equal(issued) || !r.Judged.Equal(now) {
		t.Errorf("seen %v, judged %v", r.Seen, r.Judged)
	}
	var got []string
	for _, c := range r.Claims {
		got = append(got, c.Name)
	}
	if want := []string{"district", "full_name", "crop", "field_9"}; !slices.Equal(got, want) {
		t.Errorf("claims %v, want %v in the order of the type", got, want)
	}
}

// TestVerdicts spoils one thing at a time in a check that is good otherwise.
func TestVerdicts(t *testing.T) {
	type row struct {
		name    string
		spoil   func(*testing.T, *scene)
		verdict verification.Verdict
		check   verification.CheckID
		reason  credential.Reason
	}
	sec := time.Second
	proven := func(issued, begins time.Time) func(*testing.T, *scene) {
		return func(t *testing.T, s *scene) {
			k := newSigner(t, keys.Holder, start).Key().Public
			s.state(func(v *credential.Verified) {
				v.Holder, v.KeyBinding = &k, &credential.KeyBinding{Audience: verification.InPerson, IssuedAt: issued, NotBefore: begins}
			})
		}
	}
	rows := []row{
		// Input.
		{"nothing", func(_ *testing.T, s *scene) { s.input = []byte{} }, "undetermined", "format", credential.UnknownFormat},
		{"QR-02 prefix of another country", func(_ *testing.T, s *scene) { s.input = []byte("NL2:" + strings.Repeat("A", 60)) }, "undetermined", "format", credential.UnsupportedFormat},
		{"QR-02 mixed case", func(t *testing.T, s *scene) { s.input = []byte("hc1:" + text(t, sign(t, s.signer, s.token))) }, "undetermined", "format", credential.UnknownFormat},
		{"QR-02 prefix with a wrong body", func(_ *testing.T, s *scene) { s.input = []byte("HC1:HELLO") }, "undetermined", "format", credential.UnknownFormat},
		{"QR-03 a link", func(_ *testing.T, s *scene) { s.input = []byte("https://check.example/?c=1") }, "undetermined", "format", credential.UnsupportedFormat},
		{"a wallet's request", func(_ *testing.T, s *scene) { s.input = []byte("openid4vp://?request_uri=x") }, "undetermined", "format", credential.UnsupportedFormat},
		{"input of a megabyte", func(_ *testing.T, s *scene) { s.input = make([]byte, 1<<20) }, "undetermined", "format", credential.TooLarge},
		{"QR-01 a code that inflates to two megabytes", func(t *testing.T, s *scene) {
			var b bytes.Buffer
			w := zlib.NewWriter(&b)
			if _, err := w.Write(make([]byte, 2<<20)); err != nil {
				t.Fatal(err)
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			s.input = []byte("HC1:" + qr.EncodeBase45(b.Bytes()))
		}, "undetermined", "format", credential.TooLarge},
		{"bytes of no kind", func(_ *testing.T, s *scene) { s.input = []byte{0, 1, 2, 3} }, "undetermined", "format", credential.UnknownFormat},
		{"half a text", func(t *testing.T, s *scene) {
			b := text(t, sign(t, s.signer, s.token))
			s.input = []byte(b[:len(b)/6*3])
		}, "invalid", "format", credential.Malformed},
		{"half a message", func(t *testing.T, s *scene) { b := sign(t, s.signer, s.token); s.input = b[:len(b)/2] }, "invalid", "format", credential.Malformed},

		// Signature and issuer.
		{"another signature", func(t *testing.T, s *scene) {
			b := sign(t, s.signer, s.token)
			b[len(b)-1] ^= 1
			s.input = b
		}, "invalid", "signature", credential.BadSignature},
		{"another issuer's name", func(_ *testing.T, s *scene) { s.token.Issuer = school }, "invalid", "issuer", credential.WrongIssuer},
		{"a name that nobody has, with a known key", func(_ *testing.T, s *scene) { s.token.Issuer = "nobody.xa" }, "invalid", "issuer", credential.WrongIssuer},
		{"a key that nobody has", func(t *testing.T, s *scene) { s.signer = newSigner(t, keys.Credential, start) }, "undetermined", "issuer", credential.UnknownIssuer},
		{"OFF-08 a certificate of its own", func(t *testing.T, s *scene) {
			s.signer = newSigner(t, keys.Credential, start)
			s.token.X5Chain = [][]byte{certificate(t, s.signer)}
		}, "undetermined", "issuer", credential.UnknownIssuer},
		{"no bundle", func(_ *testing.T, s *scene) { s.conf.TrustProblem = "none given" }, "undetermined", "trust", credential.NoTrust},
		{"a pinned key", func(_ *testing.T, s *scene) { k := s.signer.Key().Public; s.conf.Pinned = &k }, "check_needed", "issuer", credential.IssuerNotEstablished},
		{"the wrong pinned key", func(_ *testing.T, s *scene) { k := s.teacher.Key().Public; s.conf.Pinned = &k }, "invalid", "signature", credential.BadSignature},

		// Type.
		{"a type of the school's", func(_ *testing.T, s *scene) { s.token.Type = diploma }, "invalid", "type", credential.NotAuthorised},
		{"a type that is not described", func(_ *testing.T, s *scene) { s.token.Type = "urn:xa:new:1" }, "undetermined", "type", credential.UnknownType},
		{"no type, and the bundle does not know such", func(_ *testing.T, s *scene) { s.state(func(v *credential.Verified) { v.Type = "" }) }, "undetermined", "type", credential.UnknownType},

		// Dates.
		{"CWT-01 at the moment of expiry", func(_ *testing.T, s *scene) { s.token.Expires = now }, "invalid", "time", credential.Expired},
		{"CWT-01 a second before expiry", func(_ *testing.T, s *scene) { s.token.Expires = now.Add(sec) }, "valid", "time", ""},
		{"CWT-01 no expiry", func(_ *testing.T, s *scene) { s.token.Expires = time.Time{} }, "valid", "time", ""},
		{"CWT-01 starts in five minutes", func(_ *testing.T, s *scene) { s.token.NotBefore = now.Add(verification.DefaultSkew) }, "valid", "time", ""},
		{"CWT-01 starts in five minutes and a second", func(_ *testing.T, s *scene) { s.token.NotBefore = now.Add(verification.DefaultSkew + sec) }, "invalid", "time", credential.NotYetValid},
		{"CWT-01 no issue date", func(_ *testing.T, s *scene) { s.state(func(v *credential.Verified) { v.IssuedAt = time.Time{} }) }, "invalid", "time", credential.NoIssueDate},
		{"issued in five minutes", func(_ *testing.T, s *scene) { s.token.IssuedAt = now.Add(verification.DefaultSkew) }, "valid", "time", ""},
		{"issued in five minutes and a second", func(_ *testing.T, s *scene) { s.token.IssuedAt = now.Add(verification.DefaultSkew + sec) }, "check_needed", "time", credential.IssuedInFuture},

		// The key's dates.
		{"issued before the key was made", func(_ *testing.T, s *scene) {
			s.state(func(v *credential.Verified) { v.IssuedAt = start.Add(-sec) })
		}, "invalid", "key", credential.KeyNotInWindow},
		{"issued at the first moment of the key", func(_ *testing.T, s *scene) { s.token.IssuedAt = start }, "valid", "key", ""},
		{"by a retired key, while it was in use", func(_ *testing.T, s *scene) { s.signer = s.retired }, "valid", "key", ""},
		{"by a retired key, after it", func(_ *testing.T, s *scene) {
			s.signer, s.token.IssuedAt = s.retired, asOf.AddDate(0, 0, -10)
		}, "invalid", "key", credential.KeyNotInWindow},
		{"by a key that counts for nothing any more", func(_ *testing.T, s *scene) {
			s.content.Issuers[0].Keys[0].ValidTo = now
			s.content.Issuers[0].Keys[0].SignUntil = now.Add(-day)
		}, "invalid", "key", credential.KeyNotInWindow},
		{"by a key that counts for another second", func(_ *testing.T, s *scene) {
			s.content.Issuers[0].Keys[0].ValidTo = now.Add(sec)
			s.content.Issuers[0].Keys[0].SignUntil = now.Add(-day)
		}, "valid", "key", ""},
		{"by a stolen key, after the theft", func(_ *testing.T, s *scene) { s.signer = s.stolen }, "invalid", "key", credential.KeyCompromised},
		{"by a stolen key, at the moment of the theft", func(_ *testing.T, s *scene) { s.signer, s.token.IssuedAt = s.stolen, theft }, "invalid", "key", credential.KeyCompromised},
		{"by a stolen key, before it, slot given out", func(_ *testing.T, s *scene) {
			s.signer, s.token.IssuedAt = s.stolen, theft.Add(-sec)
			s.token.Status = &credential.StatusRef{URI: list2, Index: given}
		}, "valid", "key", ""},
		{"by a stolen key, before it, slot never given out", func(_ *testing.T, s *scene) {
			s.signer, s.token.IssuedAt = s.stolen, theft.Add(-sec)
			s.token.Status = &credential.StatusRef{URI: list2, Index: given + 1}
		}, "invalid", "key", credential.SlotNotIssued},
		{"by a stolen key, before it, slots unknown", func(_ *testing.T, s *scene) {
			s.signer, s.token.IssuedAt = s.stolen, theft.Add(-sec)
		}, "check_needed", "key", credential.StatusUnavailable},
		{"by a stolen key, before it, no slot", func(_ *testing.T, s *scene) {
			s.signer, s.token.IssuedAt, s.token.Type, s.token.Status = s.stolen, theft.Add(-sec), licence, nil
			s.token.Person = nil
		}, "invalid", "key", credential.KeyCompromised},

		// Status.
		{"revoked", func(_ *testing.T, s *scene) { s.token.Status.Index = revoked }, "invalid", "status", credential.Revoked},
		{"suspended", func(_ *testing.T, s *scene) { s.token.Status.Index = paused }, "invalid", "status", credential.Suspended},
		{"ST-02 index beyond the list", func(_ *testing.T, s *scene) { s.token.Status.Index = 1 << 10 }, "invalid", "status", credential.StatusOutOfRange},
		{"ST-08 unknown mechanism", func(_ *testing.T, s *scene) {
			s.conf.COSE, s.input = refusing{credential.Reject(credential.StatusUnsupported, "")}, anything
		}, "undetermined", "status", credential.StatusUnsupported},
		{"ST-08 unknown mechanism beside a list that says good", func(_ *testing.T, s *scene) { s.state(beside) }, "undetermined", "status", credential.StatusUnsupported},
		{"ST-08 unknown mechanism beside a list that says revoked", func(_ *testing.T, s *scene) {
			s.token.Status.Index = revoked
			s.state(beside)
		}, "invalid", "status", credential.Revoked},
		{"ST-08 unknown mechanism beside a list that is not here", func(_ *testing.T, s *scene) {
			s.content.Status = nil
			s.state(beside)
		}, "undetermined", "status", credential.StatusUnsupported},
		{"the type wants a status and there is none", func(_ *testing.T, s *scene) { s.token.Status = nil }, "invalid", "status", credential.StatusMissing},
		{"no status, and the type wants none", func(_ *testing.T, s *scene) {
			s.token.Type, s.token.Status, s.token.Person = licence, nil, nil
		}, "valid", "status", ""},
		{"OFF-01 no such list", func(_ *testing.T, s *scene) { s.token.Status.URI = "https://status.xa/2" }, "check_needed", "status", credential.StatusUnavailable},
		{"OFF-01 no list at all", func(_ *testing.T, s *scene) { s.content.Status = nil }, "check_needed", "status", credential.StatusUnavailable},
		{"a slot outside those given out", func(_ *testing.T, s *scene) {
			s.token.Status = &credential.StatusRef{URI: list2, Index: given - 1}
		}, "invalid", "status", credential.SlotNotIssued},
		{"OFF-02 list just fresh", func(_ *testing.T, s *scene) { s.conf.Now = at(asOf.Add(7 * day)) }, "valid", "status", ""},
		{"OFF-02 list a second too old", func(_ *testing.T, s *scene) { s.conf.Now = at(asOf.Add(7*day + sec)) }, "check_needed", "status", credential.StatusOld},
		{"OFF-02 list an hour too old", func(_ *testing.T, s *scene) { s.conf.Now = at(asOf.Add(7*day + hour)) }, "check_needed", "status", credential.StatusOld},
		{"OFF-02 list a day too old", func(_ *testing.T, s *scene) { s.conf.Now = at(asOf.Add(8 * day)) }, "check_needed", "status", credential.StatusOld},
		{"QR-06 revoked, list too old", func(_ *testing.T, s *scene) {
			s.token.Status.Index = revoked
			s.conf.Now = at(asOf.Add(20 * day))
		}, "invalid", "status", credential.Revoked},
		{"a pinned key and a status", func(_ *testing.T, s *scene) { k := s.signer.Key().Public; s.conf.Pinned = &k }, "check_needed", "status", credential.StatusUnavailable},

		// The bundle's age.
		{"bundle past its refresh date", func(_ *testing.T, s *scene) {
			s.token.Type, s.token.Status, s.token.Person = licence, nil, nil
			s.conf.Now = at(asOf.Add(20 * day))
		}, "valid", "trust", ""},
		{"bundle old", func(_ *testing.T, s *scene) {
			s.token.Type, s.token.Status, s.token.Person = licence, nil, nil
			s.conf.Now = at(asOf.Add(60 * day))
		}, "check_needed", "trust", credential.TrustOld},
		{"OFF-04 root ended", func(_ *testing.T, s *scene) {
			s.token.Type, s.token.Status, s.token.Person, s.token.Expires = licence, nil, nil, time.Time{}
			s.conf.Now = at(asOf.AddDate(8, 0, 0))
		}, "undetermined", "trust", credential.TrustExpired},

		// The clock.
		{"OFF-03 the year 1970", func(_ *testing.T, s *scene) { s.conf.Now = at(time.Unix(0, 0)) }, "check_needed", "clock", credential.ClockDoubtful},
		{"OFF-03 the year 2100, no expiry", func(_ *testing.T, s *scene) {
			s.token.Expires = time.Time{}
			s.conf.Now = at(time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC))
		}, "undetermined", "clock", credential.ClockDoubtful},
		{"OFF-03 a year and a day ahead of the bundle", func(_ *testing.T, s *scene) {
			s.conf.Now = at(asOf.AddDate(1, 0, 1))
		}, "check_needed", "clock", credential.ClockDoubtful},
		{"OFF-03 before the bundle", func(_ *testing.T, s *scene) { s.conf.Now = at(asOf.Add(-verification.DefaultSkew - sec)) }, "check_needed", "clock", credential.ClockDoubtful},
		{"OFF-03 before the bundle by less than clocks differ", func(_ *testing.T, s *scene) { s.conf.Now = at(asOf.Add(-verification.DefaultSkew)) }, "valid", "clock", ""},
		{"OFF-03 before what was seen", func(_ *testing.T, s *scene) { s.conf.NewestSeen = now.Add(hour) }, "check_needed", "clock", credential.ClockDoubtful},
		{"OFF-03 expired by what was seen", func(_ *testing.T, s *scene) {
			s.token.Expires = now.Add(hour)
			s.conf.NewestSeen = now.Add(hour)
		}, "invalid", "time", credential.Expired},
		{"OFF-03 list of the future", func(_ *testing.T, s *scene) {
			s.content.Status[0] = snapshot(t, list1, asOf, nil, nil)
			s.bundle = s.open(t)
			s.bundle.Content.AsOf = asOf.Add(-30 * day) // no signer lets this through
			s.conf.Now = at(asOf.Add(-1 * day))
		}, "check_needed", "clock", credential.ClockDoubtful},

		// The holder.
		{"QR-05 paper, where the holder must be there", func(_ *testing.T, s *scene) {
			s.token.Type = pension
		}, "check_needed", "holder", credential.HolderNotProven},
		{"QR-05 a phone's credential on paper", func(t *testing.T, s *scene) {
			k := newSigner(t, keys.Credential, start).Key().Public
			s.token.Holder = &k
		}, "check_needed", "holder", credential.HolderNotProven},

		// What a proof by the holder's key says of its own time.
		{"KB-06 a proof that begins in five minutes", proven(now, now.Add(verification.DefaultSkew)), "valid", "holder", ""},
		{"KB-06 a proof that begins in five minutes and a second", proven(now, now.Add(verification.DefaultSkew+sec)), "invalid", "holder", credential.HolderProofAhead},
		{"KB-06 a proof without a time", proven(time.Time{}, time.Time{}), "invalid", "holder", credential.HolderProofBad},

		// The heaviest wins.
		{"revoked and expired root", func(_ *testing.T, s *scene) {
			s.token.Status.Index, s.token.Expires = revoked, time.Time{}
			s.conf.Now = at(asOf.AddDate(8, 0, 0))
		}, "invalid", "status", credential.Revoked},
		{"unknown issuer and doubtful clock", func(t *testing.T, s *scene) {
			s.signer = newSigner(t, keys.Credential, start)
			s.conf.Now = at(time.Unix(0, 0))
		}, "undetermined", "issuer", credential.UnknownIssuer},
		{"no decision by the format", func(_ *testing.T, s *scene) {
			s.conf.COSE, s.input = refusing{errors.New("out of order")}, anything
		}, "undetermined", "format", credential.UnsupportedFormat},
		{"no answer by the format", func(_ *testing.T, s *scene) { s.conf.COSE, s.input = refusing{}, anything }, "undetermined", "format", credential.UnsupportedFormat},
	}
	covered := map[credential.Reason]bool{}
	for _, r := range []credential.Reason{
		// Given by the format: see credential/cwt.
		credential.Encrypted, credential.Unsigned, credential.UnsupportedAlgorithm,
		// Given by credential/sdjwt: TestSDJWT.
		credential.HolderProofMissing, credential.HolderProofBad, credential.HolderProofOld, credential.WrongAudience, credential.WrongNonce,
		// Given for live codes: TestLiveCodes.
		credential.HolderProofAhead, credential.Replayed, credential.CopyExpired, credential.RecipientNotConfirmed,
		// Given where entitlements count once: TestOnce.
		credential.AlreadySeen, credential.OnceUnknown,
		// Given for pictures: TestUnread.
		credential.SeveralCodes, credential.NoCode,
		// A snapshot has no such value: TestStatusValues.
		credential.StatusUnknownValue,
	} {
		covered[r] = true
	}
	for _, tt := range rows {
		covered[tt.reason] = true
		t.Run(tt.name, func(t *testing.T) {
			s := newScene(t)
			tt.spoil(t, s)
			r := s.check(t)
			if r.Verdict != tt.verdict {
				t.Errorf("verdict %s, want %s; checks %+v", r.Verdict, tt.verdict, r.Checks)
			}
			if got := r.Check(tt.check); got.Reason != tt.reason {
				t.Errorf("check %s: %s %q, want reason %q", tt.check, got.Result, got.Reason, tt.reason)
			}
			if len(r.Claims) > 0 != (r.Check(verification.CheckSignature).Result == verification.Pass) {
				t.Errorf("%d claims after signature %s", len(r.Claims), r.Check(verification.CheckSignature).Result)
			}
			if tt.reason != "" && !slices.Contains(r.Reasons(), tt.reason) {
				t.Errorf("Reasons() = %v, want %s among them", r.Reasons(), tt.reason)
			}
			if (r.Verdict == verification.Invalid || len(r.Claims) == 0) && !r.Seen.IsZero() {
				t.Error("learned a date from a credential that was refused")
			}
		})
	}
	for _, r := range credential.Reasons() {
		if !covered[r] {
			t.Errorf("no row for reason %s", r)
		}
	}
}

// certificate is one that a signer made for itself.
func certificate(t *testing.T, s keys.Signer) []byte {
	t.Helper()
	template := x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: start, NotAfter: start.AddDate(20, 0, 0)}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, s.Public(), s)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// refusing is a format that refuses everything.
type refusing struct{ err error }

func (f refusing) Verify([]byte, verification.IssuerKeys) (*credential.Verified, error) {
	return nil, f.err
}

// TestReasonTable holds the table complete and closed.
func TestReasonTable(t *testing.T) {
	for _, r := range credential.Reasons() {
		if !verification.HasVerdict(r) {
			t.Errorf("no verdict for %s", r)
		}
		if v := verification.VerdictFor(r); v == verification.Valid {
			t.Errorf("%s leaves a credential valid", r)
		}
	}
	if n := verification.TableSize(); n != len(credential.Reasons()) {
		t.Errorf("%d reasons in the table, want %d", n, len(credential.Reasons()))
	}
	if v := verification.VerdictFor("something else"); v != verification.Undetermined {
		t.Errorf("unknown reason gives %s", v)
	}
	for v, want := range map[verification.Verdict]int{"valid": 0, "check_needed": 10, "invalid": 20, "undetermined": 30, "nonsense": 30} {
		if got := v.ExitStatus(); got != want {
			t.Errorf("exit status of %s is %d, want %d", v, got, want)
		}
	}
}

// TestStatusValues looks at values that no snapshot of ours can hold.
func TestStatusValues(t *testing.T) {
	for value := range 256 {
		c := verification.StatusCheck(byte(value), nil, asOf)
		want := credential.StatusUnknownValue
		switch value {
		case 0:
			want = ""
		case 1:
			want = credential.Revoked
		case 2:
			want = credential.Suspended
		}
		if c.Reason != want || (c.Result == verification.Pass) != (value == 0) {
			t.Errorf("ST-09 value %d: %s %q, want %q", value, c.Result, c.Reason, want)
		}
	}
	if v := verification.VerdictFor(credential.StatusUnknownValue); v == verification.Valid || v == verification.CheckNeeded {
		t.Errorf("ST-09 an unknown value gives %s", v)
	}
}

// elsewhere is a format whose every credential names another list.
type elsewhere struct {
	v credential.Verified
	n *int
}

func (e elsewhere) Verify([]byte, verification.IssuerKeys) (*credential.Verified, error) {
	*e.n++
	e.v.Status = &credential.StatusRef{URI: fmt.Sprint("https://", *e.n, ".example/list"), Index: 1}
	return &e.v, nil
}

// TestManyLists (ST-16, OUT-12): lists come with the trust bundle alone, so that nobody is
// asked, the issuer least of all. Ten thousand credentials
// that each name another one are told apart from those that are listed, at once and alike.
func TestManyLists(t *testing.T) {
	s, n := newScene(t), 0
	s.state(func(*credential.Verified) {})
	s.conf.COSE = elsewhere{s.conf.COSE.(stated).v, &n}
	s.conf.Trust = s.open(t)
	c := newChecker(t, s.conf)
	for range 10_000 {
		if r := c.Check(anything); r.Verdict != verification.CheckNeeded || r.Check("status").Reason != credential.StatusUnavailable {
			t.Fatalf("ST-16 list %d: %s, %+v", n, r.Verdict, r.Check("status"))
		}
	}
	if n != 10_000 {
		t.Errorf("ST-16 and OUT-12: %d credentials were read", n)
	}
}

// TestForms checks one credential in all forms in which it may be presented.
func TestForms(t *testing.T) {
	s := newScene(t)
	message := sign(t, s.signer, s.token)
	code := text(t, message)
	for name, input := range map[string]string{
		"text of a code": code, "with a line end": code + "\r\n", "bytes": string(message),
		"hex": hex.EncodeToString(message), "HEX": strings.ToUpper(hex.EncodeToString(message)),
		"base64": base64.StdEncoding.EncodeToString(message), "base64url": base64.RawURLEncoding.EncodeToString(message),
		"base64 in lines":      base64.StdEncoding.EncodeToString(message)[:76] + "\n" + base64.StdEncoding.EncodeToString(message)[76:] + "\n",
		"tag 61":               "\xd8\x3d" + string(message),
		"without tag":          string(message[1:]),
		"with byte order mark": "\ufeff" + code,
	} {
		t.Run(name, func(t *testing.T) {
			s.input = []byte(input)
			if r := s.check(t); r.Verdict != verification.Valid {
				t.Errorf("%s: %+v", r.Verdict, r.Checks)
			}
		})
	}
}

// TestLinks: QR-03. A link is handed on as text, and nothing else of what is no
// credential is.
func TestLinks(t *testing.T) {
	c := newChecker(t, verification.Config{Trust: newCountry(t).open(t)})
	for _, link := range []string{"https://evil.example/\x1b[31m", "HTTP://A.EXAMPLE", "tel:+123456", "openid4vp://?x=1", "just words", "shc:/5676"} {
		want := link
		if strings.HasPrefix(link, "openid4vp") || strings.HasPrefix(link, "shc") || !strings.Contains(link, ":") {
			want = ""
		}
		if r := c.Check([]byte(link)); r.Text != want || r.Verdict != verification.Undetermined {
			t.Errorf("QR-03 %q: %s with text %q", link, r.Verdict, r.Text)
		}
	}
}

// TestRolesOfTypes checks credentials that state no type, where the bundle knows
// such.
func TestRolesOfTypes(t *testing.T) {
	for name, format := range map[string]credential.Format{
		verification.TypeClaim169: credential.FormatCWT, verification.TypeHealthCert: credential.FormatHealthCert,
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			s.content.Types = append(s.content.Types, credential.Type{ID: name, Labels: map[string]string{"en": "x"}})
			s.content.Issuers[0].Keys[0].Types = append(s.content.Issuers[0].Keys[0].Types, name)
			s.state(func(v *credential.Verified) {
				v.Type, v.Format, v.Status = "", format, nil
				v.Health = credential.Claims{{Key: 1, Name: "hcert", Value: map[string]any{"v": int64(1)}}}
			})
			r := s.check(t)
			if r.Verdict != verification.Valid || r.Type != name || r.PersonCheck != "other_id" {
				t.Errorf("%s, type %q, person check %q: %+v", r.Verdict, r.Type, r.PersonCheck, r.Checks)
			}
		})
	}
	t.Run("pinned, without issue date", func(t *testing.T) {
		s := newScene(t)
		k := s.signer.Key().Public
		s.conf.Pinned = &k
		s.state(func(v *credential.Verified) { v.Type, v.Status, v.IssuedAt = "", nil, time.Time{} })
		if r := s.check(t); r.Verdict != verification.CheckNeeded || len(r.Claims) != 1 {
			t.Errorf("%s with %d claims: %+v", r.Verdict, len(r.Claims), r.Checks)
		}
	})
}

// TestCopy states what a verifier must be told of paper, whoever carries it.
func TestCopy(t *testing.T) {
	s := newScene(t)
	r := s.check(t)
	t.Run("QR-05 copy of another person's code", func(t *testing.T) {
		if r.Holder != verification.BindingNone || r.PersonCheck != "other_id" || !slices.Contains(r.Warnings, verification.WarnCopy) {
			t.Errorf("holder %q, person check %q, warnings %v", r.Holder, r.PersonCheck, r.Warnings)
		}
	})
}

// TestRescan checks one credential as lists come in: QR-06.
func TestRescan(t *testing.T) {
	s := newScene(t)
	s.input = []byte(text(t, sign(t, s.signer, s.token)))
	old := s.open(t)
	s.content.Version, s.content.Previous = 2, old.Hash()
	s.content.AsOf = asOf.Add(6 * day)
	s.content.RefreshBy, s.content.OldAfter = s.content.AsOf.Add(10*day), s.content.AsOf.Add(60*day)
	s.content.Status[0] = snapshot(t, list1, s.content.AsOf, map[uint64]byte{3: 1}, nil)
	newer := s.open(t)
	for _, tt := range []struct {
		name    string
		bundle  *trust.Bundle
		at      time.Time
		verdict verification.Verdict
		age     time.Duration
	}{
		{"QR-06 revoked since, list fresh enough", old, asOf.Add(7 * day), "valid", 7 * day},
		{"QR-06 list older than policy", old, asOf.Add(9 * day), "check_needed", 9 * day},
		{"QR-06 the list says so", newer, asOf.Add(9 * day), "invalid", 3 * day},
		{"QR-06 the list says so, and is old", newer, asOf.Add(40 * day), "invalid", 34 * day},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s.bundle, s.conf = tt.bundle, verification.Config{Now: at(tt.at)}
			if r := s.check(t); r.Verdict != tt.verdict || r.StatusAge != tt.age {
				t.Errorf("%s at age %v, want %s at %v", r.Verdict, r.StatusAge, tt.verdict, tt.age)
			}
		})
	}
}

// TestUpdateWarnings asks for updates in time and stops nobody.
func TestUpdateWarnings(t *testing.T) {
	s := newScene(t)
	s.token.Type, s.token.Status, s.token.Person = licence, nil, nil
	s.bundle = s.open(t)
	for _, tt := range []struct {
		at   time.Duration
		want verification.Warning
	}{
		{8*day - time.Second, ""}, {8 * day, verification.WarnUpdateSoon}, {10*day - time.Second, verification.WarnUpdateSoon},
		{10 * day, verification.WarnUpdateOverdue}, {61 * day, verification.WarnUpdateOverdue},
	} {
		s.conf = verification.Config{Now: at(asOf.Add(tt.at))}
		r := s.check(t)
		for _, w := range []verification.Warning{verification.WarnUpdateSoon, verification.WarnUpdateOverdue} {
			if slices.Contains(r.Warnings, w) != (w == tt.want) {
				t.Errorf("after %v: warnings %v, want %q", tt.at, r.Warnings, tt.want)
			}
		}
	}
}

// TestSeen learns the time from what was verified, and not too much from it.
func TestSeen(t *testing.T) {
	s := newScene(t)
	s.content.Issuers[0].Keys[0].SignUntil = time.Time{}
	s.token.Expires = time.Time{}
	s.bundle = s.open(t)
	for _, tt := range []struct {
		name   string
		issued time.Time
		want   time.Time
	}{
		{"of the past", issued, issued},
		{"ahead of the clock", now.Add(20 * day), now.Add(20 * day)},
		{"years ahead", asOf.AddDate(3, 0, 0), time.Time{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s.conf, s.token.IssuedAt = verification.Config{Now: at(now)}, tt.issued
			if r := s.check(t); !r.Seen.Equal(tt.want) {
				t.Errorf("seen %v, want %v", r.Seen, tt.want)
			}
		})
	}
}

func TestUnread(t *testing.T) {
	c := newChecker(t, verification.Config{Trust: newCountry(t).open(t)})
	for reason, want := range map[credential.Reason]verification.Result{
		credential.NoCode: verification.Missing, credential.SeveralCodes: verification.Unknown, credential.TooLarge: verification.Unknown,
	} {
		r := c.Unread("picture", credential.Reject(reason, "detail"))
		got := r.Check(verification.CheckFormat)
		if r.Verdict != verification.Undetermined || got.Reason != reason || got.Result != want || r.Kind != "picture" || len(r.Claims) != 0 {
			t.Errorf("%s: %s, %+v", reason, r.Verdict, got)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	c := newCountry(t)
	bundle, key := c.open(t), c.active.Key().Public
	for name, conf := range map[string]verification.Config{
		"no format":       {Now: time.Now},
		"no clock":        {COSE: cose{}},
		"two authorities": {COSE: cose{}, Now: time.Now, Trust: bundle, Pinned: &key},
		"an empty key":    {COSE: cose{}, Now: time.Now, Pinned: new(keys.PublicKey)},
		"negative skew":   {COSE: cose{}, Now: time.Now, Skew: -1},
	} {
		if _, err := verification.New(conf); err == nil {
			t.Errorf("%s: New did not fail", name)
		}
	}
}

// TestTampering flips every byte of a text and of a message: nothing of it is
// ever valid, and nothing panics.
func TestTampering(t *testing.T) {
	s := newScene(t)
	message := sign(t, s.signer, s.token)
	c := newChecker(t, verification.Config{Trust: s.open(t)})
	code := []byte(text(t, message))
	for _, original := range [][]byte{code, message} {
		for i := range original {
			for _, flip := range []byte{0x01, 0x80, 0xff, original[i] ^ 'A', original[i] ^ '0'} {
				if flip == 0 {
					continue
				}
				b := slices.Clone(original)
				b[i] ^= flip
				if r := c.Check(b); r.Verdict == verification.Valid {
					// Bits that no reader looks at: the same message after unpacking.
					in, err := verification.Open(b)
					if err != nil || string(in.Message) != string(message) {
						t.Fatalf("byte %d changed by %#x: valid", i, flip)
					}
				}
			}
		}
		for n := range original {
			if r := c.Check(original[:n]); r.Verdict == verification.Valid {
				in, err := verification.Open(original[:n])
				if err != nil || string(in.Message) != string(message) {
					t.Fatalf("cut to %d bytes: valid", n)
				}
			}
		}
	}
}

func FuzzCheck(f *testing.F) {
	s := newScene(f)
	message := sign(f, s.signer, s.token)
	good := text(f, message)
	f.Add([]byte(good))
	f.Add(message)
	f.Add([]byte(hex.EncodeToString(message)))
	f.Add([]byte("HC1:" + good))
	f.Add([]byte("https://example.org"))
	f.Add([]byte{0xd0, 0x83})
	c := newChecker(f, verification.Config{Trust: s.open(f)})
	boundtest.Fuzz(f, func(t *testing.T, b []byte) {
		r := c.Check(b)
		in, err := verification.Open(b)
		same := err == nil && string(in.Message) == string(message)
		if r.Verdict == verification.Valid && !same {
			t.Fatal("valid without the issuer's signature")
		}
		if len(r.Claims) > 0 && r.Check(verification.CheckSignature).Result != verification.Pass {
			t.Fatal("claims without a signature")
		}
		if len(r.Checks) != len(verification.CheckIDs()) {
			t.Fatalf("%d checks", len(r.Checks))
		}
		if _, err := r.MarshalJSON(); err != nil {
			t.Fatalf("report has no JSON: %v", err)
		}
		again := c.Check(b)
		one, _ := r.MarshalJSON()
		two, _ := again.MarshalJSON()
		if string(one) != string(two) {
			t.Fatal("two reports on one input differ")
		}
	})
}

func BenchmarkCheck(b *testing.B) {
	s := newScene(b)
	input := []byte(text(b, sign(b, s.signer, s.token)))
	c := newChecker(b, verification.Config{Trust: s.open(b)})
	if r := c.Check(input); r.Verdict != verification.Valid {
		b.Fatal(r.Verdict)
	}
	b.ReportAllocs()
	for b.Loop() {
		c.Check(input)
	}
}

// TestPersonCheck: a photo counts only if it is inside the credential.
func TestPersonCheck(t *testing.T) {
	face := &credential.Verified{Face: &credential.Face{Data: []byte{1}, MediaType: "image/webp"}}
	person := &credential.Verified{Person: credential.Claims{{Key: 4, Name: "fullName", Value: "A"}}}
	for _, tt := range []struct {
		wanted string
		v      *credential.Verified
		want   string
	}{
		{"photo", face, "photo"}, {"photo", person, "other_id"}, {"other_id", face, "other_id"},
		{"", person, "other_id"}, {"", &credential.Verified{}, "none"}, {"none", person, "none"},
	} {
		if got := verification.PersonCheck(tt.wanted, tt.v); got != tt.want {
			t.Errorf("type wants %q: %q, want %q", tt.wanted, got, tt.want)
		}
	}
}
