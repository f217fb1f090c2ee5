package programme_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sanad-id/sanad/programme"
)

func TestParse(t *testing.T) {
	p := goodProgramme(t)
	if p.ID != "test-card" || p.Version != 3 || p.Type != "urn:xx:test:1" || p.AllowMany || p.Status.Bits != 2 || !p.Status.Suspend {
		t.Errorf("%+v", p)
	}
	if p.Digest == [32]byte{} {
		t.Error("no digest")
	}
	strip, ok := p.Form("strip")
	if !ok || strip.Level != "Q" || strip.MaxVersion != 16 || len(strip.Claims) != 3 || strip.Photo {
		t.Errorf("strip: %+v", strip)
	}
	if photo, _ := p.Form("photo"); !photo.Photo || photo.MaxVersion != 25 {
		t.Errorf("photo: %+v", photo)
	}
	if qr, _ := p.Form("qr"); qr.Photo || len(qr.Claims) != len(p.Claims)-1 {
		t.Errorf("qr: %+v, want every claim but the one that is never_qr", qr)
	}
	if _, ok := p.Form("none"); ok {
		t.Error("there is a form called none")
	}
}

// TestParseRefuses spoils one thing at a time in a file that is good otherwise.
func TestParseRefuses(t *testing.T) {
	good := string(readFile(t, "testdata/good.yaml"))
	tests := []struct {
		name     string
		old, new string
		want     string // what the first fault must say
	}{
		{"unknown key", "version: 3", "version: 3\nverison: 4", `line 3, column 1: "verison" is not known here; did you mean "version"?`},
		{"unknown key in a claim", "    required: true\n    from: number", "    requierd: true\n    from: number", `did you mean "required"?`},
		{"key twice", "version: 3", "version: 3\nversion: 4", `line 3, column 1: "version" stands here a second time`},
		{"no id", "id: test-card\n", "", `line 1, column 1: "id" is missing`},
		{"no version", "version: 3\n", "", `"version" is missing`},
		{"no type", "type: urn:xx:test:1\n", "", `"type" is missing`},
		{"no validity", "validity: {from: starts, until: ends}\n", "", `"validity" is missing`},
		{"no freshness", "freshness: {fresh_for: 7d, old_after: 4w}\n", "", `"freshness" is missing`},
		{"id with spaces", "id: test-card", "id: Test Card", `id: "Test Card" is not lower-case letters`},
		{"id empty", "id: test-card", "id:", "id: must be a text, not nothing"},
		{"version zero", "version: 3", "version: 0", "version: must be a whole number from 1"},
		{"version in words", "version: 3", "version: three", "version: must be a whole number"},
		{"version with leading zero", "version: 3", "version: 03", "version: must be a whole number"},
		{"version in hex", "version: 3", "version: 0x3", "version: must be a whole number"},
		{"type without country", "type: urn:xx:test:1", "type: test", "type: \"test\" is not a type such as urn:xx:farmer:1"},
		{"type without number", "type: urn:xx:test:1", "type: urn:xx:test", "is not a type such as"},
		{"no English", "labels: {en: Test card, bn", "labels: {bn", `labels: has no label in "en"`},
		{"a language missing", "labels: {en: Number, bn: নম্বর}", "labels: {en: Number}", `claims[1].labels: has no label in "bn"`},
		{"a language missing in a code list", "labels: {en: alpha, bn: আলফা}", "labels: {en: alpha}", `code_lists.kind[1].labels: has no label in "bn"`},
		{"labels without a language", "labels: {en: Test card, bn: পরীক্ষা কার্ড}", "labels: Test card", `labels: must be keys and values (key: value), not "Test card"`},
		{"not a language", "languages: [en, bn]", "languages: [en, bangla]", `languages[2]: "bangla" is not a language tag`},
		{"label with a direction override", "en: Test card", "en: \"Test\\u202Ecard\"", "labels.en: contains a control character"},
		{"zone by name", `zone: "+06:00"`, `zone: Asia/Dhaka`, `zone: "Asia/Dhaka" is not a distance from UTC such as "+06:00"`},

		{"no id column", "  id_column: number\n", "", `records: "id_column" is missing`},
		{"records as a word", "records:\n  id_column: number\n  empty: [\"N/A\", \"-\"]\n  only_if:\n    state: [active, \"\"]", "records: number", "records: must be keys and values"},
		{"only_if without values", `state: [active, ""]`, "state: []", "records.only_if.state: is empty"},
		{"yes for true", "suspend: true", "suspend: yes", `status.suspend: must be true or false, not "yes"`},
		{"one bit for suspension", "{suspend: true}", "{suspend: true, bits: 1}", "status: one bit cannot say suspended"},
		{"three bits", "{suspend: true}", "{bits: 3}", "status.bits: must be a whole number from 1 to 2"},
		{"validity without an end", "{from: starts, until: ends}", "{from: starts}", "validity: needs for (such as 5y) or until"},
		{"validity with two ends", "{from: starts, until: ends}", "{for: 5y, until: ends}", "validity: has both for and until"},
		{"validity in words", "{from: starts, until: ends}", "{for: five years}", `validity.for: "five years" is not a time such as 90d`},
		{"validity too long", "{from: starts, until: ends}", "{for: 101y}", "validity.for: is longer than a hundred years"},
		{"validity of no claim", "until: ends}", "until: end}", `validity.until: there is no claim "end"; did you mean "ends"?`},
		{"validity of no date", "until: ends}", "until: kind}", `validity.until: the claim "kind" must be of type date`},
		{"validity of a date that may be missing", "until: ends}", "until: birth_date}", `validity.until: the claim "birth_date" must be required`},
		{"freshness without unit", "fresh_for: 7d", "fresh_for: 7", `freshness.fresh_for: "7" is not a time such as 12h`},
		{"old before fresh", "old_after: 4w", "old_after: 3d", "freshness: old_after is less than fresh_for"},

		{"photo without form", ", form: photo", "", "photo: needs form"},
		{"photo without column", "from: face, ", "", "photo: needs from"},
		{"photo in no form", "form: photo", "form: foto", `photo: names the form "foto", which is not under forms`},
		{"photo in the main form", "form: photo", "form: qr", "photo: second_code puts the picture into a form other than the main one"},
		{"photo inline, too large", "policy: second_code", "policy: inline", "photo: a picture in the main code has at most 600 bytes"},
		{"photo of another type", "max_bytes: 700", "types: [gif]", `photo.types[1]: "gif" is not one of webp, avif, jpeg`},
		{"photo check without photo", "photo: {policy: second_code, from: face, form: photo, max_bytes: 700, on_loss: omit}", "photo: {policy: none}\nperson_check: photo", "person_check: is photo, but the programme carries none"},

		{"logo of nothing", "languages: [en, bn]", "languages: [en, bn]\nlogo: {alt_text: {en: Seal, bn: সিল}}", "logo: needs either file"},
		{"logo from two places", "languages: [en, bn]", "languages: [en, bn]\nlogo: {file: seal.svg, uri: https://a.example/seal.svg}", "logo: needs either file"},
		{"logo as a word", "languages: [en, bn]", "languages: [en, bn]\nlogo: seal.svg", "logo: must be keys and values"},
		{"logo of another folder", "languages: [en, bn]", "languages: [en, bn]\nlogo: {file: ../secrets/seal.svg}", `logo.file: "../secrets/seal.svg" is not the name of a file`},
		{"logo that is a key", "languages: [en, bn]", "languages: [en, bn]\nlogo: {file: keystore.sanad}", `logo.file: "keystore.sanad" is not`},
		{"logo without TLS", "languages: [en, bn]", "languages: [en, bn]\nlogo: {uri: \"http://a.example/seal.svg\"}", `logo.uri: "http://a.example/seal.svg" is not an https address`},
		{"logo that is a script", "languages: [en, bn]", "languages: [en, bn]\nlogo: {uri: \"javascript:alert(1)\"}", "logo.uri:"},
		{"logo that counts who looks", "languages: [en, bn]", "languages: [en, bn]\nlogo: {uri: \"https://a.example/seal.svg?wallet=1\"}", "logo.uri:"},
		{"logo that is too far", "languages: [en, bn]", "languages: [en, bn]\nlogo: {uri: \"https://a.example/" + strings.Repeat("a", 240) + "\"}", "logo.uri: has more than 255"},
		{"logo that one language does not describe", "languages: [en, bn]", "languages: [en, bn]\nlogo: {file: seal.svg, alt_text: {en: Seal}}", `logo.alt_text: has no label in "bn"`},
		{"logo with another key", "languages: [en, bn]", "languages: [en, bn]\nlogo: {file: seal.svg, width: 20}", `"width" is not known here`},
		{"approval by three", "labels: {en: Test card", "approval: three\nlabels: {en: Test card", `approval: "three" is not one of one, two`},
		{"approval as a number", "labels: {en: Test card", "approval: 2\nlabels: {en: Test card", `approval:`},
		{"code twice", "- code: B", "- code: A", `code_lists.kind[2]: the code "A" stands here a second time`},
		{"word for two codes", "from: [Alpha, First]", "from: [Alpha, b]", `"B" already stands for the code "A"`},
		{"code with spaces", "- code: B", "- code: B 1", `code_lists.kind[2].code: "B 1" is not a code`},
		{"code list of that name", "    code_list: kind\n    key: 4", "    code_list: kinds\n    key: 4", `claims[10].code_list: there is no code list "kinds" under code_lists; did you mean "kind"?`},
		{"code without list", "    code_list: kind\n    key: 4", "    key: 4", `claims[10]: "code_list" is missing`},

		{"no claims", "claims:\n", "claims: []\nclams:\n", `did you mean "claims"?`},
		{"claims as a word", "languages: [en, bn]", "languages: en", "languages: must be a list"},
		{"no type of claim", "    type: text\n    person: id\n", "    person: id\n", `claims[1]: "type" is missing`},
		{"wrong type of claim", "    type: text\n    person: id\n", "    type: string\n    person: id\n", `claims[1].type: "string" is not one of text, date`},
		{"claim without key", "    key: 7\n", "", `claims[13] (persons): needs key (a number of its own) or person`},
		{"key twice in the type", "key: 7", "key: 8", `claims[14].name: has the same key as the claim "persons"`},
		{"key zero", "key: 7", "key: 0", "claims[13].key: must be a whole number from 1 to 65535"},
		{"name twice", "name: persons", "name: amount", `there is another claim called "amount"`},
		{"name in capitals", "name: persons", "name: Persons", `claims[13].name: "Persons" is not lower-case letters`},
		{"attribute that is not issued", "person: fullName", "person: phone", `claims[2].person: "phone" is no attribute that goes into codes; use one of id, language, fullName`},
		{"attribute of another type", "person: fullName", "person: gender", "claims[2].person: gender needs a claim of type sex, not text"},
		{"attribute and key", "person: fullName", "person: fullName\n    key: 30", "claims[2] (full_name): has key and person"},
		{"no source", "    from: kinds\n", "", `claims[11]: "from" is missing`},
		{"formats for text", "    from: number\n    constraint", "    from: number\n    formats: YYYY\n    constraint", "claims[1].formats: is for claims of type date or boolean, not text"},
		{"not a format", "formats: date-time", "formats: DD-MM-YY", `claims[20].formats: date format "DD-MM-YY"`},
		{"formats that fit the same text", "    formats: date-time", "    formats: [DD/MM/YYYY, MM/DD/YYYY]", "DD/MM/YYYY and MM/DD/YYYY fit the same text"},
		{"formats that nearly fit the same text", "    formats: date-time", "    formats: [DD/MM/YYYY, M/D/YYYY]", "fit the same text"},
		{"formats without age", "    age_over: 18\n", "", "has formats, which need age_over"},
		{"take of nothing known", "take: partial", "take: month", `claims[5].take: "month" is not one of year, partial`},
		{"partial and required", "take: partial", "take: partial\n    required: true", "so it cannot be required"},
		{"required and omitted", "    on_loss: omit\n    from: kinds", "    on_loss: omit\n    required: true\n    from: kinds", "is required and may be omitted on loss"},
		{"on_loss of another kind", "on_loss: keep\n    from: kind", "on_loss: guess\n    from: kind", `claims[10].on_loss: "guess" is not one of error, omit, keep`},
		{"only_with of nothing", "only_with: amount", "only_with: amont", `only_with names "amont", which is no claim; did you mean "amount"?`},
		{"only_with itself", "only_with: amount", "only_with: unit", "only_with must name another claim"},
		{"only_with and required", "only_with: amount", "only_with: amount\n    required: true", "is required and may be left out by only_with"},
		{"word with two meanings", "{other: [x, third]}", "{other: [x], male: [X]}", `claims[7].words.male[1]: "x" already means other`},
		{"meaning of another kind", "{other: [x, third]}", "{third: [x]}", `claims[7].words.third: "third" is not male, female`},
		{"country by name", "words: {BD: [Bangladeshi]}", "words: {Bangladesh: [Bangladeshi]}", `"Bangladesh" is not a country code of two capital letters`},
		{"country of small letters", "words: {BD: [Bangladeshi]}", "words: {bd: [Bangladeshi]}", `"bd" is not a country code`},
		{"name of no country", "words: {BD: [Bangladeshi]}", "names: {Bangladesh: {en: Bangladesh}}", `"Bangladesh" is not a country code of two capital letters`},
		{"name of a country in no language", "words: {BD: [Bangladeshi]}", "names: {BD: {Bangla: x}}", `"Bangla" is not a language tag`},
		{"name of a country in one language", "words: {BD: [Bangladeshi]}", "names: {XA: {en: Kestara}}", `claims[8].names.XA: has no label in "bn"`},
		{"name of a language by its tag", "    from: tongue", "    from: tongue\n    names: {bn: {en: Bengali, bn: বাংলা}}", `claims[9].names.bn: "bn" is not a language code of three small letters`},
		{"name of a text", "    from: number\n    constraint", "    from: number\n    names: {XA: {en: a, bn: b}}\n    constraint", "claims[1].names: is for claims of type country or language, not text"},
		{"country as numbers", "as: alpha-3", "as: numeric", `"numeric" is not one of alpha-2, alpha-3`},
		{"list without separator", "    split_at: \",\"\n", "", `claims[11]: "split_at" is missing`},

		{"constraint of another type", "constraint: {minimum: 1, maximum: 20}", "constraint: {maxLength: 20}", `claims[13].constraint: "maxLength" is not known here; known are minimum, maximum`},
		{"constraint that nothing satisfies", "constraint: {minimum: 1, maximum: 20}", "constraint: {minimum: 20, maximum: 1}", "no value can satisfy that"},
		{"pattern with look-ahead", `pattern: "^[A-Z0-9-]+$"`, `pattern: "^(?=A)"`, "claims[1].constraint.pattern: is not a regular expression"},
		{"length of any length", "maxLength: 20", "maxLength: 100000", "maxLength: must be a whole number from 1 to 256"},
		{"date that is none", "minimum: 1900-01-01", "minimum: 1900", "minimum: must be a date such as 2020-01-31, or today"},

		{"expression of nothing", "{join: [given, family]}", "{jion: [given, family]}", "claims[2].from: must be the name of a column, or have one of the keys"},
		{"expression with another key", "{join: [given, family]}", "{join: [given, family], by: x}", `claims[2].from: "by" is not known here`},
		{"empty join", "{join: [given, family]}", "{join: []}", "claims[2].from.join: is empty"},
		{"nested too deep", "{join: [given, family]}", "{join: [{join: [{join: [{join: [given]}]}]}]}", "stands 5 deep"},
		{"position zero", "item: 2", "item: 0", "claims[19].from.item: must be a whole number from 1 to 100"},
		{"path of JSON", `path: "[language=bn].value"`, `path: "[language].value"`, "claims[3].from.path: write names and positions"},
		{"working on a constant", "{split: place, at: \"/\", item: 2}", "{split: {constant: x}, at: \"/\", item: 2}", "reads no column"},
		{"constant of another type", "    from: persons\n", "    from: {constant: many}\n", "the constant cannot be a value of type integer"},
		{"constant that is no code", "    from: kind\n", "    from: {constant: Gamma}\n", "the constant cannot be a value of type code"},
		{"part of a name", "name_part: family", "name_part: last", `"last" is not one of given, middle, family`},

		{"no forms", "forms:\n  qr:", "froms:\n  qr:", `did you mean "forms"?`},
		{"form of no level", "level: Q", "level: H", `forms.strip.level: "H" is not one of L, M, Q`},
		{"form too dense", "qr: {level: M, max_version: 20}", "qr: {level: M, max_version: 21}", "forms.qr: max_version 21 is too dense"},
		{"laminated form too dense", "max_version: 16, claims", "max_version: 19, claims", "forms.strip: max_version 19 is too dense to be read from paper; at level Q it is at most 18"},
		{"form with an unknown claim", "claims: [number, full_name, adult]", "claims: [number, fullname]", `forms.strip.claims[2]: there is no claim "fullname"; did you mean "full_name"?`},
		{"form with a claim twice", "claims: [number, full_name, adult]", "claims: [number, number]", `"number" stands here a second time`},
		{"form with what must be in no code", "claims: [number, full_name, adult]", "claims: [secret]", `forms.strip.claims[1]: the claim "secret" is never_qr`},
		{"form with capitals", "strip: {", "Strip: {", `"Strip" is not a name`},

		{"anchor", "labels: {en: Test card, bn: পরীক্ষা কার্ড}", "labels: &l {en: Test card, bn: পরীক্ষা কার্ড}", "anchors (&name) and aliases (*name) are not used"},
		{"merge", "status: {suspend: true}", "status: &s {suspend: true}\nstatus2: {<<: *s}", "anchors (&name) and aliases (*name) are not used"},
		{"tag", "id: test-card", "id: !!str test-card", "tags (!name) are not used"},
		{"second document", "id: test-card", "id: test-card\n---\nid: x", "a second document begins here"},
		{"syntax", "version: 3", "version: 3: x", "line 2: mapping values are not allowed"},
		{"tab", "  id_column: number", "\tid_column: number", "line 8"},
	}
	if len(tests) == 0 {
		t.Fatal("no tests")
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if !strings.Contains(good, tt.old) {
				t.Fatalf("the good file does not contain %q", tt.old)
			}
			_, err := programme.Parse([]byte(strings.Replace(good, tt.old, tt.new, 1)))
			faults, ok := errors.AsType[programme.Faults](err)
			if !ok {
				t.Fatalf("Parse: %v, want Faults", err)
			}
			if !strings.Contains(faults.Error(), tt.want) {
				t.Errorf("Parse:\n%v\nwant\n%s", faults, tt.want)
			}
		})
	}
}

// TestParseFromWindows: editors there write a mark before the text and two
// characters at the end of a line.
func TestParseFromWindows(t *testing.T) {
	unix := readFile(t, "testdata/good.yaml")
	windows := "\ufeff" + strings.ReplaceAll(string(unix), "\n", "\r\n")
	want, got := goodProgramme(t), parse(t, []byte(windows))
	if diff := cmp.Diff(want.CredentialType(), got.CredentialType()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if want.Digest == got.Digest {
		t.Error("two files have one digest")
	}
}

func TestParseRefusesWhole(t *testing.T) {
	for name, tt := range map[string]struct{ text, want string }{
		"nothing":        {"", "the file is empty"},
		"comment only":   {"# nothing\n", "the file is empty"},
		"a list":         {"- a\n- b\n", "must be keys and values"},
		"a word":         {"hello", "must be keys and values"},
		"too large":      {strings.Repeat("# x\n", 70000), "a programme has at most 131072"},
		"not UTF-8":      {"id: caf\xe9\n", "the file is not UTF-8"},
		"too many nodes": {"id: [" + strings.Repeat("a,", 30000) + "]\n", "more than 20000 values"},
		"alias bomb": {"a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: [*c,*c,*c,*c,*c,*c,*c,*c,*c]\n",
			"anchors (&name) and aliases (*name) are not used"},
		"deep nesting": {strings.Repeat("[", 20000), "depth"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := programme.Parse([]byte(tt.text))
			if faults, ok := errors.AsType[programme.Faults](err); !ok || !strings.Contains(faults.Error(), tt.want) {
				t.Errorf("Parse: %v, want %s", err, tt.want)
			}
		})
	}
}

// TestParseReportsAllAtOnce: who writes a file learns of every fault, in the
// order of the file.
func TestParseReportsAllAtOnce(t *testing.T) {
	text := `id: Farmer Card
version: one
type: urn:xx:farmer:1
labels: {fr: Carte}
records: {id_colunm: no}
validity: {for: 5}
freshness: {fresh_for: 7d, old_after: 1d}
claims:
  - name: number
    labels: {en: Number}
    type: txt
    key: 1
    from: no
  - name: crop
    labels: {en: Crop}
    type: code
    code_list: crops
    key: 1
    from: crop
forms:
  qr: {level: H, claims: [nummer]}
`
	_, err := programme.Parse([]byte(text))
	faults, ok := errors.AsType[programme.Faults](err)
	if !ok {
		t.Fatalf("Parse: %v, want Faults", err)
	}
	want := []string{
		`line 1, column 5: id: "Farmer Card" is not`,
		`line 2, column 10: version: must be a whole number`,
		`line 4, column 9: labels: has no label in "en"`,
		`line 5, column 10: records: "id_column" is missing`,
		`line 5, column 11: records: "id_colunm" is not known here; did you mean "id_column"?`,
		`line 6, column 17: validity.for: "5" is not a time`,
		`line 7, column 12: freshness: old_after is less than fresh_for`,
		`line 11, column 11: claims[1].type: "txt" is not one of`,
		`line 14, column 11: claims[2].name: has the same key as the claim "number"`,
		`line 17, column 16: claims[2].code_list: there is no code list "crops"`,
		`line 21, column 15: forms.qr.level: "H" is not one of`,
		`line 21, column 27: forms.qr.claims[1]: there is no claim "nummer"; did you mean "number"?`,
	}
	lines := strings.Split(faults.Error(), "\n")
	for i, w := range want {
		if i >= len(lines) || !strings.HasPrefix(lines[i], w) {
			t.Fatalf("fault %d:\n%s\nwant %s", i+1, strings.Join(lines, "\n"), w)
		}
	}
	if len(lines) != len(want) {
		t.Errorf("%d faults, want %d:\n%v", len(lines), len(want), faults)
	}
}
