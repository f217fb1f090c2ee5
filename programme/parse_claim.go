package programme

import (
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/sanad-id/sanad/programme/crosswalk"
)

func (f *file) claims(n *yaml.Node, path string) {
	f.list(n, path, false, func(n *yaml.Node, path string) {
		if len(f.p.Claims) < maxClaims {
			f.p.Claims = append(f.p.Claims, f.claim(n, path))
		}
	})
	if len(n.Content) > maxClaims {
		f.fault(n, path, "has more than %d claims; a code cannot carry them", maxClaims)
	}
}

// maxClaims is how many claims a programme has at most.
const maxClaims = 100

// claim reads one claim.
func (f *file) claim(n *yaml.Node, path string) Claim {
	c := Claim{at: at{n, path}, OnLoss: OnLossError, onlyWith: -1, differs: -1, formats: crosswalk.ISOFormats()}
	c.Kind = f.kindOf(n)
	var constraintNode *yaml.Node
	fields := []field{
		{"name", true, func(n *yaml.Node, path string) {
			c.Name = f.word(n, path, pathPattern, claimPattern+", or address.village for one within an object, up to four deep")
			c.at = at{n, path}
		}},
		{"labels", true, func(n *yaml.Node, path string) { c.Labels = f.readLabels(n, path) }},
		{"type", true, func(n *yaml.Node, path string) { f.choice(n, path, kinds...) }},
		{"key", false, func(n *yaml.Node, path string) {
			if key := f.integer(n, path, 1, 65535); !c.Person {
				c.Key = key
			}
		}},
		{"person", false, func(n *yaml.Node, path string) { f.person(n, path, &c) }},
		{"from", true, func(n *yaml.Node, path string) { c.from = f.expression(n, path, 1) }},
		{"required", false, func(n *yaml.Node, path string) { c.Required = f.boolean(n, path) }},
		{"sensitive", false, func(n *yaml.Node, path string) { c.Sensitive = f.boolean(n, path) }},
		{"never_qr", false, func(n *yaml.Node, path string) { c.NeverQR = f.boolean(n, path) }},
		{"on_loss", false, func(n *yaml.Node, path string) {
			c.OnLoss = f.choice(n, path, OnLossError, OnLossOmit, OnLossKeep)
		}},
		{"only_with", false, func(n *yaml.Node, path string) { c.OnlyWith = f.text(n, path) }},
		{"differs_from", false, func(n *yaml.Node, path string) { c.DiffersFrom = f.text(n, path) }},
		{"constraint", false, func(n *yaml.Node, _ string) { constraintNode = n }},
	}
	f.object(n, path, append(fields, f.kindFields(&c)...))
	if constraintNode != nil || c.Kind != "" {
		c.constraint = f.constraint(constraintNode, join(path, "constraint"), c.Kind)
	}
	f.checkClaim(&c, at{n, path})
	return c
}

// kindOf looks up the type of a claim, on which its other keys depend.
func (f *file) kindOf(n *yaml.Node) Kind {
	if n.Kind == yaml.MappingNode {
		for k, v := range pairs(n) {
			if k.Value == "type" && slices.Contains(kinds, v.Value) {
				return Kind(v.Value)
			}
		}
	}
	return ""
}

// kindFields are the keys that only some types of claims have.
func (f *file) kindFields(c *Claim) []field {
	all := []struct {
		field
		kinds []Kind
	}{
		{field{"formats", false, func(n *yaml.Node, path string) { c.formats = f.formats(n, path) }}, []Kind{KindDate, KindBoolean}},
		{field{"take", false, func(n *yaml.Node, path string) { c.take = f.choice(n, path, takeYear, takePartial) }}, []Kind{KindDate}},
		{field{"age_over", false, func(n *yaml.Node, path string) { c.ageOver = int(f.integer(n, path, 1, 150)) }}, []Kind{KindBoolean}},
		{field{"code_list", c.Kind == KindCode, func(n *yaml.Node, path string) { c.codes = f.listNamed(n, path) }}, []Kind{KindCode, KindList}},
		{field{"words", false, func(n *yaml.Node, path string) { f.claimWords(n, path, c) }}, []Kind{KindSex, KindCountry, KindBoolean}},
		{field{"names", false, func(n *yaml.Node, path string) { c.names = f.codeNames(n, path, c.Kind) }}, []Kind{KindCountry, KindLanguage}},
		{field{"as", false, func(n *yaml.Node, path string) { c.alpha3 = f.choice(n, path, "alpha-2", "alpha-3") == "alpha-3" }}, []Kind{KindCountry}},
		{field{"split_at", true, func(n *yaml.Node, path string) { c.splitAt = f.raw(n, path) }}, []Kind{KindList}},
		{field{"each", false, func(n *yaml.Node, path string) { c.each = f.each(n, path) }}, []Kind{KindList}},
	}
	var fields []field
	for _, a := range all {
		if slices.Contains(a.kinds, c.Kind) {
			fields = append(fields, a.field)
			continue
		}
		if c.Kind == "" { // the type is wrong: no further complaint
			fields = append(fields, field{a.key, false, func(*yaml.Node, string) {}})
			continue
		}
		fields = append(fields, field{a.key, false, func(n *yaml.Node, path string) {
			f.fault(n, path, "is for claims of type %s, not %s", kindList(a.kinds), c.Kind)
		}})
	}
	return fields
}

func kindList(kinds []Kind) string {
	words := make([]string, len(kinds))
	for i, k := range kinds {
		words[i] = string(k)
	}
	return strings.Join(words, " or ")
}

func (f *file) formats(n *yaml.Node, path string) []crosswalk.Format {
	var list []crosswalk.Format
	f.list(n, path, true, func(n *yaml.Node, path string) {
		s := f.text(n, path)
		if s == "" {
			return
		}
		format, err := crosswalk.ParseFormat(s, f.zoneIfNamed())
		if err != nil {
			f.fault(n, path, "%v", err)
			return
		}
		list = append(list, format)
	})
	for i, a := range list {
		for _, b := range list[:i] {
			if ambiguous(a.String(), b.String()) {
				f.fault(n, path, "%s and %s fit the same text; a registry writes dates one way, keep that one", b, a)
			}
		}
	}
	return list
}

// zoneIfNamed is the zone of the file, or nil if it names none: a date-time
// that needs one is then a loss.
func (f *file) zoneIfNamed() *time.Location {
	if f.p.zone == time.UTC {
		return nil
	}
	return f.p.zone
}

// ambiguous says whether two formats differ only in what their parts mean.
func ambiguous(a, b string) bool {
	shape := func(s string) string {
		return strings.NewReplacer("YYYY", "9999", "MMM", "A", "MM", "99", "DD", "99", "M", "9", "D", "9").Replace(s)
	}
	short := func(s string) string { return strings.ReplaceAll(shape(s), "99", "9") }
	return shape(a) == shape(b) || short(a) == short(b)
}

func (f *file) listNamed(n *yaml.Node, path string) *codeList {
	s := f.text(n, path)
	l, ok := f.p.codes[s]
	if !ok && s != "" {
		names := make([]string, 0, len(f.p.codes))
		for name := range f.p.codes {
			names = append(names, name)
		}
		slices.Sort(names)
		f.fault(n, path, "there is no code list %q under code_lists%s", clip(s), meant(s, names))
		return &codeList{}
	}
	return l
}

// claimWords reads words: the meanings of the words of this registry.
func (f *file) claimWords(n *yaml.Node, path string, c *Claim) {
	switch c.Kind {
	case KindSex:
		meanings := map[string]crosswalk.Sex{}
		for _, s := range []crosswalk.Sex{crosswalk.SexNotKnown, crosswalk.SexMale, crosswalk.SexFemale, crosswalk.SexOther,
			crosswalk.SexInter, crosswalk.SexDiverse, crosswalk.SexOpen, crosswalk.SexNotApplicable} {
			meanings[strings.ReplaceAll(s.String(), " ", "_")] = s
		}
		words := f.words(n, path, func(s string) string {
			if _, ok := meanings[s]; ok {
				return ""
			}
			return "male, female, other, inter, diverse, open, not_known or not_applicable"
		})
		c.sexes = map[string]crosswalk.Sex{}
		for w, meaning := range words {
			c.sexes[w] = meanings[meaning]
		}
	case KindCountry:
		c.own = f.words(n, path, notCountry)
	case KindBoolean:
		c.own = f.words(n, path, func(s string) string {
			if s == "true" || s == "false" {
				return ""
			}
			return "true or false"
		})
	}
}

// notCountry says what a country's code looks like, or nothing if s is one.
func notCountry(s string) string {
	if country, err := crosswalk.LookupCountry(s, nil); err == nil && country.Alpha2 == s || crosswalk.UserAssigned(s) {
		return ""
	}
	return "a country code of two capital letters (ISO 3166), such as BD"
}

// notLanguage says what a language's code looks like, or nothing if s is one.
func notLanguage(s string) string {
	if code, err := crosswalk.ISO6393(s); err == nil && code == s {
		return ""
	}
	return "a language code of three small letters (ISO 639-3), such as ben"
}

// codeNames reads what codes of countries or languages are called by whoever shows the
// claim.
func (f *file) codeNames(n *yaml.Node, path string, kind Kind) map[string]map[string]string {
	wrong := notCountry
	if kind == KindLanguage {
		wrong = notLanguage
	}
	names := map[string]map[string]string{}
	f.entries(n, path, func(key string, k, v *yaml.Node, path string) {
		if want := wrong(key); want != "" {
			f.fault(k, path, "%q is not %s", clip(key), want)
			return
		}
		names[key] = f.readLabels(v, path)
	})
	return names
}

func (f *file) each(n *yaml.Node, path string) *each {
	e := &each{with: " "}
	f.object(n, path, []field{
		{"split_at", true, func(n *yaml.Node, path string) { e.splitAt = f.raw(n, path) }},
		{"take", true, func(n *yaml.Node, path string) {
			f.list(n, path, true, func(n *yaml.Node, path string) { e.take = append(e.take, int(f.integer(n, path, 1, 50))) })
		}},
		{"with", false, func(n *yaml.Node, path string) { e.with = f.raw(n, path) }},
	})
	return e
}

// checkClaim checks what concerns several keys of one claim.
func (f *file) checkClaim(c *Claim, a at) {
	if c.Name != "" {
		a.path += " (" + c.Name + ")"
	}
	switch {
	case c.Person && f.has(a.node, "key"):
		f.faultAt(a, "has key and person; an attribute of Claim 169 has a number already, remove key")
	case c.Key == 0 && !c.Person:
		f.faultAt(a, "needs key (a number of its own) or person (an attribute of Claim 169)")
	case c.Required && c.OnLoss == OnLossOmit:
		f.faultAt(a, "is required and may be omitted on loss; only one can be so")
	case c.Kind == KindBoolean && c.ageOver == 0 && f.has(a.node, "formats"):
		f.faultAt(a, "has formats, which need age_over")
	case c.take == takePartial && c.Required:
		f.faultAt(a, "takes what is known of incomplete dates, so it cannot be required")
	case c.ageOver > 0 && c.own != nil:
		f.faultAt(a, "has age_over, which needs no words")
	}
	e, isConstant := c.from.(constant)
	ready := c.Kind != "" && (c.Kind != KindList || c.splitAt != "") && (c.Kind != KindCode || c.codes != nil)
	if !isConstant || !ready {
		return
	}
	m := &mapping{programme: f.p, today: crosswalk.Date{Year: 2000, Month: 1, Day: 1}}
	if _, t := c.read(m, string(e)); t != nil {
		f.faultAt(a, "the constant cannot be a value of type %s: %s", c.Kind, t.detail)
	}
}
