package verifier

import (
	"cmp"
	"crypto/x509"
	"slices"
	"time"

	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/keys/chain"
	"github.com/sanad-id/sanad/trust"
)

// A Level says how fresh something is that verdicts rest on.
type Level string

// The levels, best first.
const (
	// LevelFresh: nothing to do.
	LevelFresh Level = "fresh"
	// LevelSoon: it will be due before long.
	LevelSoon Level = "soon"
	// LevelDue: something newer should be there; for lists, verdicts are check_needed.
	LevelDue Level = "due"
	// LevelOld: too old to rely on, or over.
	LevelOld Level = "old"
	// LevelMissing: there is none.
	LevelMissing Level = "missing"
)

// Levels are all of them, best first.
func Levels() []Level { return []Level{LevelFresh, LevelSoon, LevelDue, LevelOld, LevelMissing} }

func worse(a, b Level) Level {
	all := Levels()
	if slices.Index(all, b) > slices.Index(all, a) {
		return b
	}
	return a
}

// What a [Freshness] is about.
const (
	// OfBundle is the trust bundle as a whole.
	OfBundle = "bundle"
	// OfRoot is the root above it.
	OfRoot = "root"
	// OfKeys are the keys of an issuer.
	OfKeys = "keys"
	// OfLists are the status lists that a type is judged by.
	OfLists = "lists"
	// OfIssuerRoot is a certificate of a root of the settings, under which issuers are known.
	OfIssuerRoot = "issuer_root"
	// OfCertificate is that of the key which signs requests to wallets.
	OfCertificate = "certificate"
)

// A Freshness says how fresh one thing is and when that ends. Times that there are not
// are zero.
type Freshness struct {
	// What is one of OfBundle and its relatives.
	What string `json:"what"`
	// Subject is the id of the type or of the issuer, or the SHA-256 of the root's certificate
	// in base64url. Optional.
	Subject string `json:"subject,omitempty"`
	// Names are what people call it, by language. Optional.
	Names map[string]string `json:"names,omitempty"`
	Level Level             `json:"level"`
	AsOf  time.Time         `json:"as_of,omitzero"`
	// Soon is from when on somebody should see to it, Due from when on something newer
	// should be there, Old from when on it counts for little or nothing.
	Soon time.Time `json:"soon,omitzero"`
	Due  time.Time `json:"due,omitzero"`
	Old  time.Time `json:"old,omitzero"`
}

// keyNotice is how long before a key or a certificate ends somebody should see to it:
// replacing one takes people.
const keyNotice = 30 * 24 * time.Hour

// at sets level and Soon for the time now.
func (f Freshness) at(now time.Time) Freshness {
	end := f.Due
	if end.IsZero() {
		end = f.Old
	}
	if !end.IsZero() && f.Level == "" {
		notice := end.Sub(f.AsOf) / 5 // as trust.Bundle.Age has it
		if f.What == OfKeys || f.What == OfCertificate || f.What == OfRoot || f.What == OfIssuerRoot {
			notice = min(notice, keyNotice)
		}
		f.Soon = end.Add(-notice)
	}
	passed := func(t time.Time) bool { return !t.IsZero() && !now.Before(t) }
	switch {
	case f.Level != "":
	case passed(f.Old):
		f.Level = LevelOld
	case passed(f.Due):
		f.Level = LevelDue
	case passed(f.Soon):
		f.Level = LevelSoon
	default:
		f.Level = LevelFresh
	}
	return f
}

// FreshnessOf says how fresh everything is that verdicts by this bundle and these roots rest
// on, and the certificate of requests where there is one. A nil bundle is missing.
func FreshnessOf(b *trust.Bundle, roots []IssuerRoot, certificate []byte, now time.Time) []Freshness {
	var all []Freshness
	if b == nil {
		all = append(all, Freshness{What: OfBundle, Level: LevelMissing})
	} else {
		all = append(all,
			Freshness{What: OfBundle, AsOf: b.AsOf, Due: b.RefreshBy, Old: b.OldAfter},
			Freshness{What: OfRoot, AsOf: b.Root.Issued, Old: b.Root.Expires})
		for i := range b.Issuers {
			all = append(all, keysOf(&b.Issuers[i]))
		}
		all = append(all, listsOf(b)...)
	}
	for _, r := range roots {
		for _, c := range r.Certificates {
			all = append(all, Freshness{
				What: OfIssuerRoot, Subject: chain.Hash(c.Raw), Names: map[string]string{"en": r.Name}, AsOf: c.NotBefore.UTC(), Old: c.NotAfter.UTC(),
			})
		}
	}
	if leaf, err := x509.ParseCertificate(certificate); err == nil {
		all = append(all, Freshness{What: OfCertificate, AsOf: leaf.NotBefore.UTC(), Old: leaf.NotAfter.UTC()})
	}
	for i := range all {
		all[i] = all[i].at(now)
	}
	return all
}

// keysOf is due when no key of the issuer may sign any more, and old when nothing is
// valid that any of them signed.
func keysOf(i *trust.Issuer) Freshness {
	f := Freshness{What: OfKeys, Subject: i.ID, Names: i.Names}
	signs, verifies := false, false // without an end
	usable := false
	for _, k := range i.Keys {
		if k.State == keys.Compromised || k.Key.IsZero() {
			continue
		}
		usable = true
		if k.State != keys.Retired {
			signs = signs || k.SignUntil.IsZero()
			f.Due = latest(f.Due, k.SignUntil)
			f.AsOf = latest(f.AsOf, k.ValidFrom)
		}
		verifies = verifies || k.ValidTo.IsZero()
		f.Old = latest(f.Old, k.ValidTo)
	}
	if !usable {
		f.Level = LevelMissing
		return f
	}
	if signs {
		f.Due = time.Time{}
	} else if f.Due.IsZero() { // all retired: nothing new is issued, which ages nothing
		f.AsOf = time.Time{}
	}
	if verifies {
		f.Old = time.Time{}
	}
	return f
}

// listsOf is one row for each type that needs lists. A type is as fresh as the oldest
// list of the bundle: a bundle does not say which list a type's credentials are in.
func listsOf(b *trust.Bundle) []Freshness {
	var oldest time.Time
	for _, s := range b.Status {
		if oldest.IsZero() || s.IssuedAt.Before(oldest) {
			oldest = s.IssuedAt
		}
	}
	var all []Freshness
	for _, t := range b.Types {
		f := Freshness{What: OfLists, Subject: t.ID, Names: t.Labels, AsOf: oldest}
		switch {
		case oldest.IsZero() && !t.StatusRequired:
			continue
		case oldest.IsZero():
			f.Level = LevelMissing
		default:
			f.Due = oldest.Add(t.FreshFor)
			if t.OldAfter > t.FreshFor {
				f.Old = oldest.Add(t.OldAfter)
			}
		}
		all = append(all, f)
	}
	slices.SortStableFunc(all, func(a, b Freshness) int { return cmp.Compare(a.Subject, b.Subject) })
	return all
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// Worst is the level of the worst of all.
func Worst(all []Freshness) Level {
	w := LevelFresh
	for _, f := range all {
		w = worse(w, f.Level)
	}
	return w
}
