package interop_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

// dcqlDiffers are the queries on which dcql 3.0.0 is of another opinion, with what it
// says and what the standard does (OpenID4VP 1.0).
var dcqlDiffers = map[string]string{
	// It reads drafts, too, in which these could be absent or empty.
	"6.1 no meta":                 "section 6.1: meta is REQUIRED",
	"B.3.5 no vct_values":         "section B.3.5: vct_values is REQUIRED",
	"B.3.5 vct_values empty":      "section B.3.5: a non-empty array",
	"B.2.3 no doctype_value":      "section B.2.3: doctype_value is REQUIRED",
	"6.3 values empty":            "section 6.3: a non-empty array",
	"6.2 an option that is empty": "section 6.2: each option is a non-empty array; an empty one is met by nothing at all",
	// It takes the claim for one of a JSON credential.
	"7.2 an mdoc path of three": "section 7.2: exactly two components",
	// It matches all queries for a claim.
	"6.1 a claim twice": "section 6.1: wallets SHOULD ignore the second query for a claim",
	// In JavaScript an array is an object with the names 0, 1, ...
	"7.1 a name in an array": "section 7.1.1: a text step into anything but an object is an error",
	// It knows the three kinds of section 6.1.1 only.
	"6.1.1 a kind of authority that nobody knows": "section 6.1.1: a type is any text; one that is not known matches nothing",
	// Ours are limits, and rules of JSON that the standard leaves to RFC 8259.
	"7 an index that no array has": "no section: our limit",
	"JSON-01 a member twice":       "no section: the last of two is as good as the first for JSON.parse",
}

// A corpusQuery is one of oid4vp/testdata/dcql.json, which the tables of that package
// write.
type corpusQuery struct {
	Section, Name, Query string
	Valid                bool
	Wallet               string
	Possible             bool
	Shown                map[string]map[string]any
}

func (q corpusQuery) String() string { return q.Section + " " + q.Name }

// TestDCQL asks dcql about every query of our tables and of the standard: whether it
// is one, whether the credentials answer it, and which claims they disclose.
func TestDCQL(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("..", "oid4vp", "testdata", "dcql.json"))
	if err != nil {
		t.Fatal(err)
	}
	var corpus struct {
		Wallets map[string]json.RawMessage
		Queries []corpusQuery
	}
	if err := json.Unmarshal(b, &corpus); err != nil || len(corpus.Queries) < 100 {
		t.Fatalf("%d queries: %v", len(corpus.Queries), err)
	}
	p := startPeer(t, "dcql.mjs")
	agreed, matched, seen := 0, 0, map[string]bool{}
	for _, q := range corpus.Queries {
		theirs := p.ask("parse", map[string]any{"query": q.Query}, nil)
		problem := ""
		if (theirs == "") != q.Valid {
			problem = fmt.Sprintf("valid %v, theirs: %q", q.Valid, theirs)
		} else if q.Wallet != "" {
			problem = q.compare(p, corpus.Wallets[q.Wallet])
			matched++
		}
		switch reason := dcqlDiffers[q.String()]; {
		case problem == "" && reason == "":
			agreed++
		case problem != "" && reason == "":
			t.Errorf("%s: %s", q, problem)
		case problem == "":
			t.Errorf("%s: agrees now; it is listed for: %s", q, reason)
		}
		seen[q.String()] = true
	}
	for name := range dcqlDiffers {
		if !seen[name] {
			t.Errorf("%s is listed and not in the corpus", name)
		}
	}
	t.Logf("%d queries, %d of them with credentials: %d agree, %d differ as listed", len(corpus.Queries), matched, agreed, len(dcqlDiffers))
}

// compare says in what dcql finds other answers than we do.
func (q corpusQuery) compare(p *peer, held json.RawMessage) string {
	var theirs struct {
		Possible bool
		Shown    map[string]any
	}
	p.call("match", map[string]any{"query": q.Query, "held": held}, &theirs)
	if theirs.Possible != q.Possible {
		return fmt.Sprintf("possible %v, theirs %v", q.Possible, theirs.Possible)
	}
	if len(theirs.Shown) != len(q.Shown) {
		return fmt.Sprintf("answers %v, theirs %v", q.Shown, theirs.Shown)
	}
	for id, shown := range q.Shown {
		ours, others := map[string]any{}, map[string]any{}
		for path, v := range shown {
			leaves(ours, path, v)
		}
		leaves(others, "", theirs.Shown[id])
		if !maps.EqualFunc(ours, others, reflect.DeepEqual) {
			return fmt.Sprintf("%s: shows %v, theirs %v", id, ours, others)
		}
	}
	return ""
}

// leaves are the values inside of v that have no parts, by their paths. Null stands
// for an element that is not shown.
func leaves(into map[string]any, path string, v any) {
	switch v := v.(type) {
	case nil:
	case map[string]any:
		for name, e := range v {
			if path == "" {
				leaves(into, name, e)
			} else {
				leaves(into, path+"."+name, e)
			}
		}
	case []any:
		for i, e := range v {
			leaves(into, fmt.Sprintf("%s[%d]", path, i), e)
		}
	default:
		into[path] = v
	}
}
