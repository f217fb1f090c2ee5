package crosswalk_test

import (
	"strings"
	"testing"

	"github.com/sanad-id/sanad/internal/boundtest"
	"github.com/sanad-id/sanad/programme/crosswalk"
)

// FuzzParseSex: what is read names itself in words that are read the same.
func FuzzParseSex(f *testing.F) {
	for _, s := range []string{"1", "Female", "ذكر", "X", "not known", ""} {
		f.Add(s)
	}
	boundtest.Fuzz(f, func(t *testing.T, text string) {
		s, err := crosswalk.ParseSex(text, nil)
		if err != nil {
			if s != crosswalk.SexNotKnown {
				t.Fatalf("refused, and yet %v", s)
			}
			return
		}
		if again, err := crosswalk.ParseSex(s.String(), nil); err != nil || again != s {
			t.Fatalf("%v reads as %v, %v", s, again, err)
		}
	})
}

// FuzzParseDate: a date that is read is a date of the calendar, and what is
// written of it reads as the same date.
func FuzzParseDate(f *testing.F) {
	for _, s := range []string{"1984-04-18", "YYYY-MM-DD", "18/4/1984", "1984-00-00", "1984-04-17T18:00:00Z", "৩১-১২-১৯৯৯"} {
		f.Add("DD-MM-YYYY", s)
		f.Add("date-time", s)
		f.Add("D MMM YYYY", s)
	}
	iso := crosswalk.ISOFormats()
	boundtest.Fuzz(f, func(t *testing.T, spec, text string) {
		format, err := crosswalk.ParseFormat(spec, nil)
		if err != nil {
			return
		}
		if again, err := crosswalk.ParseFormat(format.String(), nil); err != nil || again.String() != spec {
			t.Fatalf("format %q does not read again: %v", spec, err)
		}
		d, err := format.Parse(text)
		if err != nil {
			return
		}
		again, err := crosswalk.ParseDate(d.String(), iso)
		if err != nil || again != d {
			t.Fatalf("%v is written %q, which reads as %v, %v", d, d.String(), again, err)
		}
		if full, err := d.Claim169(); (err == nil) != d.Complete() || err != nil && full != "" {
			t.Fatalf("Claim 169 says %q, %v of %v", full, err, d)
		}
	})
}

// FuzzLookupCountry: what is found is found again by each of its codes.
func FuzzLookupCountry(f *testing.F) {
	for _, s := range []string{"BD", "bgd", "Côte d’Ivoire", "Congo", "XX", ""} {
		f.Add(s)
	}
	boundtest.Fuzz(f, func(t *testing.T, text string) {
		c, err := crosswalk.LookupCountry(text, nil)
		if err != nil {
			return
		}
		for _, word := range []string{c.Alpha2, c.Alpha3, c.Name} {
			if again, err := crosswalk.LookupCountry(word, nil); err != nil || again != c {
				t.Fatalf("%q is %v, %v", word, again, err)
			}
		}
	})
}

// FuzzSplitName: no letter of a name is lost or made up.
func FuzzSplitName(f *testing.F) {
	for _, s := range []string{"Suharto", "Ana Maria Vega", "Vega, Ana Maria", "রহিমা খাতুন", " , ", "a,b,c"} {
		f.Add(s, true)
		f.Add(s, false)
	}
	boundtest.Fuzz(f, func(t *testing.T, full string, familyFirst bool) {
		o := crosswalk.GivenFirst
		if familyFirst {
			o = crosswalk.FamilyFirst
		}
		n, err := crosswalk.SplitName(full, o)
		if isUnreadable(err) {
			return
		}
		squeeze := func(s string) string { return strings.ReplaceAll(strings.Join(strings.Fields(s), ""), ",", "") }
		n.Full = ""
		want, got := squeeze(full), squeeze(n.Join(o))
		if len(want) != len(got) {
			t.Fatalf("%q became %+v", full, n)
		}
		if err == nil && n.Family != "" && !strings.Contains(full, ",") {
			t.Fatalf("%q was split without a word about it", full)
		}
	})
}

// FuzzParseQuantity: what is read is written so that it reads the same.
func FuzzParseQuantity(f *testing.F) {
	for _, s := range []string{"3 hectares", "2.5acre", "1.2.3 ha", ". ha", "৩ m²", "3"} {
		f.Add(s)
	}
	boundtest.Fuzz(f, func(t *testing.T, text string) {
		q, err := crosswalk.ParseQuantity(text, nil)
		if err != nil {
			return
		}
		if again, err := crosswalk.ParseQuantity(q.Amount+" "+q.Unit, nil); err != nil || again != q {
			t.Fatalf("%+v reads as %+v, %v", q, again, err)
		}
	})
}

// FuzzISO6393: a code that is returned is three letters and stands for itself.
func FuzzISO6393(f *testing.F) {
	for _, s := range []string{"bn", "ENG", "sw-KE", "und", "--", ""} {
		f.Add(s)
	}
	boundtest.Fuzz(f, func(t *testing.T, tag string) {
		code, err := crosswalk.ISO6393(tag)
		if err != nil {
			return
		}
		if again, err := crosswalk.ISO6393(code); len(code) != 3 || err != nil || again != code {
			t.Fatalf("%q gave %q, which gives %q, %v", tag, code, again, err)
		}
	})
}

// FuzzParseRegistration: what is read is written so that it reads the same.
func FuzzParseRegistration(f *testing.F) {
	f.Add("BIRTH_REG_NO", "B-07-1")
	f.Add("uin", " 1 ")
	boundtest.Fuzz(f, func(t *testing.T, kind, number string) {
		r, err := crosswalk.ParseRegistration(kind, number)
		if err != nil {
			return
		}
		if again, err := crosswalk.ParseRegistration(r.DCI()); err != nil || again != r {
			t.Fatalf("%+v reads as %+v, %v", r, again, err)
		}
	})
}
