package programme

import (
	"bytes"
	"crypto/sha256"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Parse reads a programme file. Its error is [Faults] with everything that is
// wrong with the file.
func Parse(b []byte) (*Programme, error) {
	f := &file{}
	root := f.document(b)
	if root == nil {
		return nil, f.faults.sorted()
	}
	f.p = &Programme{Digest: sha256.Sum256(b), text: bytes.Clone(b), Languages: []string{"en"}, Status: Status{Bits: 1}, Photo: Photo{Policy: PhotoNone}, zone: time.UTC, codes: map[string]*codeList{}}
	f.read(root)
	f.connect()
	if len(f.faults) > 0 {
		return nil, f.faults.sorted()
	}
	return f.p, nil
}

// A file is a programme on the way from its text, with the places of what is
// checked only when all of it is known.
type file struct {
	reader
	p *Programme

	top    map[string]at
	labels []labelled
	forms  []formAt
}

// labelled is a set of labels and where it stands.
type labelled struct {
	at     at
	labels map[string]string
}

// formAt is a form with the claims that the file names.
type formAt struct {
	at    at
	names []at
	all   bool

	disclosure []disclosedAt
}

var (
	idPattern    = regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)*$`)
	namePattern  = regexp.MustCompile(`^[a-z][a-z0-9]*(_[a-z0-9]+)*$`)
	typePattern  = regexp.MustCompile(`^urn:[a-z]{2,8}(:[a-z0-9]+(-[a-z0-9]+)*){1,4}:[1-9][0-9]{0,3}$`)
	vctPattern   = regexp.MustCompile(`^https://[a-z0-9][a-z0-9.-]*(:[1-9][0-9]{0,4})?(/[A-Za-z0-9._-]+)+$`)
	tagPattern   = regexp.MustCompile(`^[a-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}$`)
	codePattern  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$`)
	agePattern   = regexp.MustCompile(`^([1-9][0-9]{0,4})([hdw])$`)
	termPattern  = regexp.MustCompile(`^([1-9][0-9]{0,3})([dwmy])$`)
	zonePattern  = regexp.MustCompile(`^[+-](0[0-9]|1[0-4]):([03]0|45)$`)
	claimPattern = "lower-case letters and digits with _ between words, such as birth_date"
	pathPattern  = regexp.MustCompile(`^[a-z][a-z0-9]*(_[a-z0-9]+)*(\.[a-z][a-z0-9]*(_[a-z0-9]+)*){0,3}$`)
)

// read reads the top of the file.
func (f *file) read(root *yaml.Node) {
	p := f.p
	top := []struct {
		key      string
		required bool
		read     func(n *yaml.Node, path string)
	}{
		{"id", true, func(n *yaml.Node, path string) {
			p.ID = f.word(n, path, idPattern, "lower-case letters and digits with - between words, such as farmer-card")
		}},
		{"version", true, func(n *yaml.Node, path string) { p.Version = int(f.integer(n, path, 1, 1_000_000)) }},
		{"type", true, func(n *yaml.Node, path string) {
			p.Type = f.word(n, path, typePattern, "a type such as urn:xx:farmer:1 (country code, name, number)")
		}},
		{"labels", true, func(n *yaml.Node, path string) { p.Labels = f.readLabels(n, path) }},
		{"languages", false, f.languages},
		{"logo", false, f.readLogo},
		{"zone", false, f.zone},
		{"records", true, f.records},
		{"validity", true, f.readValidity},
		{"status", false, f.status},
		{"freshness", true, f.freshness},
		{"approval", false, func(n *yaml.Node, path string) { p.Approval = f.choice(n, path, ApprovalOne, ApprovalTwo) }},
		{"person_check", false, func(n *yaml.Node, path string) { p.PersonCheck = f.choice(n, path, "photo", "other_id", "none") }},
		{"photo", false, f.readPhoto},
		{"code_lists", false, f.codeLists},
		{"claims", true, f.claims},
		{"forms", true, f.readForms},
	}
	// Code lists and the zone are needed by the claims, wherever they stand in
	// the file: find every key first, then read them in the order above.
	found := map[string]at{}
	fields := make([]field, len(top))
	for i, t := range top {
		fields[i] = field{t.key, t.required, func(n *yaml.Node, path string) { found[t.key] = at{n, path} }}
	}
	f.object(root, "", fields)
	for _, t := range top {
		if a, ok := found[t.key]; ok {
			t.read(a.node, a.path)
		}
	}
	f.top = found
}

// readLabels reads words by language; "en" is always one of the languages.
func (f *file) readLabels(n *yaml.Node, path string) map[string]string {
	m := map[string]string{}
	f.entries(n, path, func(key string, k, v *yaml.Node, path string) {
		if !tagPattern.MatchString(key) {
			f.fault(k, path, "%q is not a language tag such as en or bn", clip(key))
			return
		}
		if m[key] = f.text(v, path); len([]rune(m[key])) > 120 {
			f.fault(v, path, "is longer than 120 characters")
		}
	})
	f.labels = append(f.labels, labelled{at{n, path}, m})
	return m
}

func (f *file) languages(n *yaml.Node, path string) {
	list := []string{"en"}
	f.list(n, path, false, func(n *yaml.Node, path string) {
		tag := f.word(n, path, tagPattern, "a language tag such as en or bn")
		if tag != "" && !slices.Contains(list, tag) {
			list = append(list, tag)
		}
	})
	f.p.Languages = list
}

func (f *file) zone(n *yaml.Node, path string) {
	s := f.word(n, path, zonePattern, "a distance from UTC such as \"+06:00\"")
	if s == "" {
		return
	}
	hours, _ := strconv.Atoi(s[1:3])
	minutes, _ := strconv.Atoi(s[4:6])
	seconds := (hours*60 + minutes) * 60
	if s[0] == '-' {
		seconds = -seconds
	}
	f.p.zone = time.FixedZone(s, seconds)
}

func (f *file) codeLists(n *yaml.Node, path string) {
	f.entries(n, path, func(key string, k, v *yaml.Node, path string) {
		if !namePattern.MatchString(key) {
			f.fault(k, path, "%q is not %s", clip(key), claimPattern)
			return
		}
		f.p.codes[key] = f.codeList(key, v, path)
	})
}

func (f *file) codeList(name string, n *yaml.Node, path string) *codeList {
	l := &codeList{name: name, labels: map[string]map[string]string{}, source: map[string]string{}}
	f.list(n, path, false, func(n *yaml.Node, path string) {
		var code string
		var from []at
		var labels map[string]string
		f.object(n, path, []field{
			{"code", true, func(n *yaml.Node, path string) {
				code = f.word(n, path, codePattern, "a code of letters, digits, - . and _, at most 32")
				from = append(from, at{n, path})
			}},
			{"from", false, func(n *yaml.Node, path string) {
				from = nil
				f.list(n, path, true, func(n *yaml.Node, path string) { from = append(from, at{n, path}) })
			}},
			{"labels", true, func(n *yaml.Node, path string) { labels = f.readLabels(n, path) }},
		})
		if code == "" {
			return
		}
		if slices.Contains(l.codes, code) {
			f.fault(n, path, "the code %q stands here a second time", clip(code))
			return
		}
		l.codes, l.labels[code] = append(l.codes, code), labels
		for _, a := range from {
			word := f.text(a.node, a.path)
			for _, w := range slices.Compact([]string{word, strings.ToLower(word)}) {
				if old, ok := l.source[w]; ok && old != code {
					f.faultAt(a, "%q already stands for the code %q", clip(word), clip(old))
					break
				}
				l.source[w] = code
			}
		}
	})
	return l
}

func (f *file) records(n *yaml.Node, path string) {
	rec := &f.p.Records
	f.object(n, path, []field{
		{"id_column", true, func(n *yaml.Node, path string) { rec.IDColumn = f.text(n, path) }},
		{"one_per_record", false, func(n *yaml.Node, path string) { f.p.AllowMany = !f.boolean(n, path) }},
		{"empty", false, func(n *yaml.Node, path string) {
			rec.empty = map[string]bool{}
			for _, s := range f.texts(n, path) {
				rec.empty[s] = true
			}
		}},
		{"only_if", false, func(n *yaml.Node, path string) {
			f.entries(n, path, func(key string, _, v *yaml.Node, path string) {
				rec.OnlyIf = append(rec.OnlyIf, Condition{Column: key, Values: f.condition(v, path)})
			})
		}},
	})
}

// condition reads the values that a column may have; "" is that it is empty.
func (f *file) condition(n *yaml.Node, path string) []string {
	var values []string
	f.list(n, path, true, func(n *yaml.Node, path string) {
		if n.Kind == yaml.ScalarNode && n.Tag == "!!str" && n.Value == "" {
			values = append(values, "")
		} else if s := f.text(n, path); s != "" {
			values = append(values, s)
		}
	})
	return values
}

func (f *file) readValidity(n *yaml.Node, path string) {
	if n.Kind == yaml.ScalarNode && n.Value == "none" {
		return
	}
	v := &f.p.Validity
	f.object(n, path, []field{
		{"from", false, func(n *yaml.Node, path string) { v.From = f.text(n, path) }},
		{"until", false, func(n *yaml.Node, path string) { v.Until = f.text(n, path) }},
		{"for", false, func(n *yaml.Node, path string) { f.term(n, path, v) }},
	})
	if n.Kind == yaml.MappingNode && !f.has(n, "for") && !f.has(n, "until") {
		f.fault(n, path, "needs for (such as 5y) or until (the claim with the last day); write validity: none if credentials never expire")
	}
	if v.Until != "" && v.Years+v.Months+v.Days > 0 {
		f.fault(n, path, "has both for and until; one of them says the end")
	}
}

// term reads how long a credential is valid.
func (f *file) term(n *yaml.Node, path string, v *Validity) {
	s := f.word(n, path, termPattern, "a time such as 90d, 12w, 18m (months) or 5y")
	if s == "" {
		return
	}
	count, _ := strconv.Atoi(s[:len(s)-1])
	switch s[len(s)-1] {
	case 'd':
		v.Days = count
	case 'w':
		v.Days = 7 * count
	case 'm':
		v.Months = count
	case 'y':
		v.Years = count
	}
	if v.Days > 36525 || v.Months > 1200 || v.Years > 100 {
		f.fault(n, path, "is longer than a hundred years")
	}
}

func (f *file) status(n *yaml.Node, path string) {
	s, bits := &f.p.Status, int64(0)
	f.object(n, path, []field{
		{"suspend", false, func(n *yaml.Node, path string) { s.Suspend = f.boolean(n, path) }},
		{"bits", false, func(n *yaml.Node, path string) { bits = f.integer(n, path, 1, 2) }},
	})
	switch {
	case bits == 1 && s.Suspend:
		f.fault(n, path, "one bit cannot say suspended; leave bits out")
	case bits != 0:
		s.Bits = int(bits)
	case s.Suspend:
		s.Bits = 2
	}
}

func (f *file) freshness(n *yaml.Node, path string) {
	f.object(n, path, []field{
		{"fresh_for", true, func(n *yaml.Node, path string) { f.p.FreshFor = f.age(n, path) }},
		{"old_after", true, func(n *yaml.Node, path string) { f.p.OldAfter = f.age(n, path) }},
	})
	if f.p.OldAfter < f.p.FreshFor {
		f.fault(n, path, "old_after is less than fresh_for")
	}
}

// age reads how old something may be.
func (f *file) age(n *yaml.Node, path string) time.Duration {
	s := f.word(n, path, agePattern, "a time such as 12h, 7d or 4w")
	if s == "" {
		return 0
	}
	count, _ := strconv.Atoi(s[:len(s)-1])
	unit := map[byte]time.Duration{'h': time.Hour, 'd': 24 * time.Hour, 'w': 7 * 24 * time.Hour}[s[len(s)-1]]
	d := time.Duration(count) * unit
	if d > 20*365*24*time.Hour {
		f.fault(n, path, "is longer than twenty years")
		return 0
	}
	return d
}

// has says whether a mapping has this key.
func (f *file) has(n *yaml.Node, key string) bool {
	for k := range pairs(n) {
		if k.Value == key {
			return true
		}
	}
	return false
}

// versionLimit is the largest version that is read reliably from paper and
// screens (qr-and-offline, print and screen targets).
func versionLimit(level string, photo bool) int {
	switch {
	case photo:
		return 25
	case level == "Q":
		return 18
	}
	return 20
}

// Where the file names no max_version: what is aimed at.
func usualVersion(level string, photo bool) int {
	switch {
	case photo:
		return 23
	case level == "Q":
		return 13
	}
	return 16
}
