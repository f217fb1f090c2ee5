package officetest

import (
	"context"
	"crypto/rand"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sanad-id/sanad/internal/vectors"
	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/programme"
	"github.com/sanad-id/sanad/registry"
	"github.com/sanad-id/sanad/registry/csvfile"
	"github.com/sanad-id/sanad/registry/samplecountry"
)

// An Example is a credential of one of the programmes in examples/programmes.
type Example struct {
	Programme *programme.Programme
	issuance.Issued
}

// registries are those of the sample country that the programmes are made for.
var registries = map[string]string{
	"birth-certificate": "births", "farmer-card": "farmers", "trade-licence": "trade_licences", "school-certificate": "school_certificates",
	"vaccination-dose": "vaccinations", "g2p-beneficiary": "beneficiaries",
}

// published are the registers, among the test vectors, of the other programmes.
var published = map[string]string{
	"vaccination":         "divoc/rows/enrollments.csv",
	"registered-provider": "public-register/social-housing-providers-england/regulator-list.tsv",
	"school-register":     "public-register/schools-wales/school-wls.tsv",
}

// Examples takes every programme of examples/programmes into use and issues one
// credential of each: for the first record that it can be issued for, of a registry of
// the sample country, or of a published one. Where the test vectors are absent the
// programmes that need them are left out.
func (o *Office) Examples() []Example {
	o.Helper()
	paths, err := filepath.Glob(filepath.Join(vectors.Root(o), "examples", "programmes", "*.yaml"))
	o.must(err)
	var all []Example
	for _, path := range paths {
		text, err := os.ReadFile(path)
		o.must(err)
		p, err := programme.Parse(text)
		o.must(err)
		records := o.records(p)
		if records == nil {
			o.Logf("%s is left out: no test vectors (docs/test-vectors.md)", p.ID)
			continue
		}
		if p.ID != "farmer-card" { // of which the office has one of its own
			_, err = o.Service.AddProgramme(context.Background(), text, "tester")
		} else {
			text = []byte(strings.NewReplacer("\nid: farmer-card\n", "\nid: example-farmer-card\n").Replace(string(text)))
			p, err = o.Service.AddProgramme(context.Background(), text, "tester")
		}
		o.must(err)
		all = append(all, o.example(p, records))
	}
	if len(all) < 6 {
		o.Fatalf("%d programmes in %q", len(all), paths)
	}
	return all
}

// example issues for the first record that it can be issued for.
func (o *Office) example(p *programme.Programme, records iter.Seq2[registry.Record, error]) Example {
	o.Helper()
	n := 0
	for r, err := range records {
		o.must(err)
		if n++; n > 200 {
			break
		}
		if _, problems := p.Map(r, o.Clock.Now()); programme.Fatal(problems) {
			continue
		}
		i, err := o.Service.Issue(context.Background(), issuance.Request{Programme: p.ID, Record: r, Actor: "tester", Idempotency: p.ID + rand.Text()})
		o.must(err)
		return Example{p, i}
	}
	o.Fatalf("%s can be issued for none of %d records", p.ID, n)
	return Example{}
}

// records are those of the registry that the programme is made for, nil without it.
func (o *Office) records(p *programme.Programme) iter.Seq2[registry.Record, error] {
	o.Helper()
	if name, ok := registries[p.ID]; ok {
		all := samplecountry.Registries()
		i := slices.IndexFunc(all, func(r samplecountry.Registry) bool { return r.Name == name })
		columns, err := registry.NewColumns(all[i].Header())
		o.must(err)
		rows, err := samplecountry.Rows(samplecountry.Config{Seed: 1, Persons: 400, Date: o.Clock.Now()}, name)
		o.must(err)
		id, ok := columns.Index(p.Records.IDColumn)
		if !ok {
			o.Fatalf("%s has no column %s", name, p.Records.IDColumn)
		}
		return func(yield func(registry.Record, error) bool) {
			line := 1
			for row := range rows {
				if line++; !yield(registry.NewRecord(row[id], line, columns, slices.Clone(row)), nil) {
					return
				}
			}
		}
	}
	file, ok := published[p.ID]
	if !ok {
		o.Fatalf("which registry is %s for?", p.ID)
	}
	path, ok := vectors.Find(o, "registry-samples", file)
	if !ok {
		return nil
	}
	source, err := csvfile.Open(path, csvfile.Options{IDColumn: p.Records.IDColumn})
	o.must(err)
	return source.Records(context.Background())
}
