package oid4vp_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sanad-id/sanad/oid4vp"
)

var update = flag.Bool("update", false, "write testdata/dcql.json again")

// A dcqlCorpus is what we say of queries, for a second opinion (interop).
type dcqlCorpus struct {
	// Wallets are the credentials that queries are compared with, by name.
	Wallets map[string][]corpusCredential
	Queries []corpusQuery
}

// A corpusQuery is a query and what we say of it.
type corpusQuery struct {
	Section string
	Name    string
	// Query is the text of the query.
	Query string
	Valid bool
	// Wallet is what it is compared with; absent if it is only read.
	Wallet string `json:",omitempty"`
	// Possible says whether they answer it, and Shown which of their claims a wallet
	// discloses then, by the id of the query, as paths and values.
	Possible bool                      `json:",omitempty"`
	Shown    map[string]map[string]any `json:",omitempty"`
}

type corpusCredential struct {
	Format string
	Type   string
	Claims map[string]any
	Holder bool
}

// corpus is every query of the tables and of the standard.
func corpus(t *testing.T) dcqlCorpus {
	usual := newScene(t).held(t)
	for _, name := range []string{"cnf", "iat", "exp"} {
		delete(usual.Claims, name) // not asked for
	}
	wallets := map[string][]oid4vp.Credential{"usual": {usual}, "three": three()}
	c := dcqlCorpus{Wallets: map[string][]corpusCredential{}}
	for name, held := range wallets {
		for _, h := range held {
			c.Wallets[name] = append(c.Wallets[name], corpusCredential{string(h.Format), h.Types[0], h.Claims, h.Holder})
		}
	}
	add := func(section, name, query string, valid bool) {
		c.Queries = append(c.Queries, corpusQuery{Section: section, Name: name, Query: query, Valid: valid})
	}
	for _, name := range queryVectors {
		add("example", name, string(vector(t, "examples", name)), true)
	}
	add("6", "everything", good, true)
	for _, tt := range queryRows {
		add(tt.id, tt.name, strings.Replace(good, tt.old, tt.new, 1), false)
	}
	for _, tt := range matchRows {
		c.Queries = append(c.Queries, matched(t, tt.section, tt.name, ask(t, tt.members), "usual", wallets))
	}
	for _, tt := range setRows {
		c.Queries = append(c.Queries, matched(t, "6.4.2", tt.name, sets(t, tt.sets), "three", wallets))
	}
	return c
}

// matched is a query with what the credentials of a wallet say to it.
func matched(t *testing.T, section, name string, q *oid4vp.Query, wallet string, wallets map[string][]oid4vp.Credential) corpusQuery {
	b, err := q.JSON()
	if err != nil {
		t.Fatal(err)
	}
	m := q.Match(wallets[wallet])
	c := corpusQuery{Section: section, Name: name, Query: string(b), Valid: true, Wallet: wallet, Possible: m.Possible()}
	for _, query := range m.Queries {
		if len(query.Candidates) == 0 {
			continue
		}
		shown := map[string]any{}
		for _, claim := range query.Candidates[0].Claims {
			for i, path := range claim.Paths {
				shown[oid4vp.PathText(path)] = claim.Values[i]
			}
		}
		if c.Shown == nil {
			c.Shown = map[string]map[string]any{}
		}
		c.Shown[query.Query.ID] = shown
	}
	return c
}

// TestCorpusFile: the corpus that others are asked about is the one of these tables.
func TestCorpusFile(t *testing.T) {
	want, err := json.MarshalIndent(corpus(t), "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join("testdata", "dcql.json")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, append(want, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(file); err != nil || !bytes.Equal(bytes.TrimSpace(got), want) {
		t.Errorf("%s is not the corpus of today (go test ./oid4vp -run TestCorpusFile -update): %v", file, err)
	}
}
