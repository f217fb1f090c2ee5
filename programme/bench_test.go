package programme_test

import (
	"slices"
	"testing"

	"github.com/sanad-id/sanad/programme"
	"github.com/sanad-id/sanad/registry"
	"github.com/sanad-id/sanad/registry/samplecountry"
)

// sampleRecords are the records of a registry of the sample country.
func sampleRecords(tb testing.TB, name, idColumn string, persons int) []registry.Record {
	tb.Helper()
	i := slices.IndexFunc(samplecountry.Registries(), func(r samplecountry.Registry) bool { return r.Name == name })
	columns, err := registry.NewColumns(samplecountry.Registries()[i].Header())
	if err != nil {
		tb.Fatal(err)
	}
	rows, err := samplecountry.Rows(samplecountry.Config{Seed: 7, Persons: persons}, name)
	if err != nil {
		tb.Fatal(err)
	}
	var list []registry.Record
	for row := range rows {
		r := registry.NewRecord("", len(list)+2, columns, slices.Clone(row))
		id, _ := r.Value(idColumn)
		list = append(list, registry.NewRecord(id, len(list)+2, columns, slices.Clone(row)))
	}
	return list
}

// BenchmarkMap maps the births of the sample country; an iteration is a record.
func BenchmarkMap(b *testing.B) {
	for name, registry := range map[string]string{"birth-certificate": "births", "farmer-card": "farmers", "school-certificate": "school_certificates"} {
		b.Run(name, func(b *testing.B) {
			p := example(b, name)
			records := sampleRecords(b, registry, p.Records.IDColumn, 2000)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				p.Map(records[i%len(records)], now)
			}
		})
	}
}

// BenchmarkToken adds what it takes to hand the content to credential/cwt.
func BenchmarkToken(b *testing.B) {
	p := example(b, "birth-certificate")
	c, problems := p.Map(sampleRecords(b, "births", p.Records.IDColumn, 200)[0], now)
	if programme.Fatal(problems) {
		b.Fatal(problems)
	}
	b.ReportAllocs()
	for b.Loop() {
		c.Token("qr")
	}
}

func BenchmarkParse(b *testing.B) {
	text := readFile(b, "../examples/programmes/birth-certificate.yaml")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := programme.Parse(text); err != nil {
			b.Fatal(err)
		}
	}
}
