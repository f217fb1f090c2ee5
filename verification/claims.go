package verification

import (
	"fmt"
	"log/slog"
	"math"
	"strconv"

	"github.com/sanad-id/sanad/credential"
)

// LogValue names the claim and says nothing of its value, so that a claim never
// reaches a log.
func (c Claim) LogValue() slog.Value { return slog.StringValue("claim " + strconv.Quote(c.Name)) }

// String is LogValue, so that a claim does not print by accident either.
func (c Claim) String() string { return c.LogValue().String() }

// GoString is String.
func (c Claim) GoString() string { return c.String() }

// LogValue is the verdict with its reasons, without the claims.
func (r Report) LogValue() slog.Value {
	return slog.GroupValue(slog.String("verdict", string(r.Verdict)), slog.Any("reasons", r.Reasons()), slog.String("kind", r.Kind))
}

// describe fills in what the credential says, now that somebody answers for it.
func (j *judgement) describe() {
	v, r := j.v, &j.r
	r.Format, r.Type, r.Issuer = v.Format, j.typeID(), v.Issuer
	r.IssuedAt, r.NotBefore, r.Expires = v.IssuedAt, v.NotBefore, v.Expires
	if j.known {
		r.IssuerNames = j.issuer.Names
	}
	r.TypeLabels = j.typ.Labels
	r.PersonCheck = personCheck(j.typ.PersonCheck, v)
	r.Claims = name(v, j.typ)
}

// personCheck is what to compare, so that paper can be tied to a person: what the
// type says, but no photo where the credential carries none. A photo that is only
// printed beside the code was signed by nobody.
func personCheck(wanted string, v *credential.Verified) string {
	switch {
	case wanted == "photo" && v.Face == nil, wanted == "" && len(v.Person) > 0:
		return "other_id"
	case wanted == "":
		return "none"
	}
	return wanted
}

// name gives the claims the names and the order of the type. What the type does
// not know comes last, under the name of its format or as field_N or person_N. A
// claim that has a name and no key is the field of the type with that name.
func name(v *credential.Verified, typ credential.Type) []Claim {
	named := namer{used: map[string]bool{}, out: []Claim{}}
	person, fields, byName := byKey(v.Person), byKey(v.Fields), byName(v)
	for _, f := range typ.Fields {
		if c, ok := byName[f.Name]; ok {
			named.add(c, f)
			delete(byName, f.Name)
			continue
		}
		if v.Format == credential.FormatSDJWT {
			if c, ok := takeNested(byName, f.Name); ok {
				named.add(c, f)
				continue
			}
		}
		from := fields
		if f.Person {
			from = person
		}
		if c, ok := from[f.Key]; ok && !pictured(v, c, f.Person) {
			named.add(c, f)
		}
		delete(from, f.Key)
	}
	for _, c := range v.Person {
		if _, left := person[c.Key]; (left || textKeyed(c)) && !pictured(v, c, true) {
			named.add(c, credential.TypeField{Key: c.Key, Name: c.Name, Person: true})
		}
	}
	for _, c := range v.Fields {
		_, left := fields[c.Key]
		if textKeyed(c) {
			rest, ok := byName[c.Name]
			if ok {
				c = rest // without what was named
			}
			left = ok || v.Format != credential.FormatSDJWT
		}
		if left {
			named.add(c, credential.TypeField{Key: c.Key, Name: c.Name})
		}
	}
	for _, c := range v.Health {
		named.add(c, credential.TypeField{Key: c.Key, Name: c.Name})
	}
	if f := v.Face; f != nil {
		value := map[string]any{"media_type": f.MediaType, "data": f.Data}
		named.add(credential.Claim{Value: value}, credential.TypeField{Name: "face", Kind: "photo", Labels: faceLabels(typ)})
	}
	return named.out
}

// byName are the claims of a format whose claims have names and no keys. In a map
// of keys a text says nothing that a type would know.
func byName(v *credential.Verified) map[string]credential.Claim {
	if v.Format != credential.FormatSDJWT {
		return nil
	}
	m := make(map[string]credential.Claim, len(v.Fields))
	for _, c := range v.Fields {
		m[c.Name] = c
	}
	return m
}

// textKeyed reports whether a claim has text for a key.
func textKeyed(c credential.Claim) bool { return c.Key == 0 && c.Name != "" }

// pictured reports whether a person's claim is one of those that the portrait was
// taken from, which is shown once.
func pictured(v *credential.Verified, c credential.Claim, person bool) bool {
	return v.Face != nil && person && (c.Name == "face" || c.Name == "photo" || c.Name == "photoFormat")
}

func faceLabels(typ credential.Type) map[string]string {
	for _, f := range typ.Fields {
		if f.Person && f.Name == "face" {
			return f.Labels
		}
	}
	return nil
}

func byKey(cs credential.Claims) map[int64]credential.Claim {
	m := make(map[int64]credential.Claim, len(cs))
	for _, c := range cs {
		if !textKeyed(c) {
			m[c.Key] = c
		}
	}
	return m
}

// A namer collects claims under names that occur once.
type namer struct {
	used map[string]bool
	out  []Claim
}

func (n *namer) add(c credential.Claim, f credential.TypeField) {
	called := f.Name
	for i := 0; called == "" || n.used[called]; i++ {
		called = "field_"
		if f.Person {
			called = "person_"
		}
		called += strconv.FormatInt(f.Key, 10)
		if i > 0 {
			called += "_" + strconv.Itoa(i)
		}
	}
	n.used[called] = true
	n.out = append(n.out, Claim{
		Name: called, Value: c.Value, Labels: f.Labels, Kind: f.Kind, Words: f.Values, Sensitive: f.Sensitive,
	})
}

// Plain is a value of a claim that JSON can hold: keys become text, and numbers that are
// none become words.
func Plain(v any) any {
	switch v := v.(type) {
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return strconv.FormatFloat(v, 'g', -1, 64)
		}
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = Plain(e)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			out[k] = Plain(e)
		}
		return out
	case map[int64]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			out[strconv.FormatInt(k, 10)] = Plain(e)
		}
		return out
	case map[any]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			out[fmt.Sprint(k)] = Plain(e)
		}
		return out
	}
	return v
}
