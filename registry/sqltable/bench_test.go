package sqltable_test

import (
	"bytes"
	"testing"

	"github.com/sanad-id/sanad/registry/samplecountry"
	"github.com/sanad-id/sanad/registry/sqltable"
)

// BenchmarkRecords reads the births of the sample country, 36 columns, and a view
// of 20 of them; and follows the table with and without a changed column.
func BenchmarkRecords(b *testing.B) {
	for name, start := range map[string]func(testing.TB) server{"SQLite": sqliteServer, "PostgreSQL": postgresServer} {
		b.Run(name, func(b *testing.B) {
			var script bytes.Buffer
			if err := samplecountry.WriteSQL(b.Context(), samplecountry.Config{Seed: 1, Persons: 50_000}, "births", &script); err != nil {
				b.Fatal(err)
			}
			s := start(b)
			s.do(b, script.String())
			s.grant(b, "births")
			s.grant(b, "birth_certificate")
			rate := func(b *testing.B, o sqltable.Options, read func(*sqltable.Source) int) {
				o.Database, o.IDColumn = s.database, "registration_number"
				src, n := open(b, o), 0
				for b.Loop() {
					n += read(src)
				}
				b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "rows/s")
			}
			records := func(src *sqltable.Source) (n int) {
				for _, err := range src.Records(b.Context()) {
					if err != nil {
						b.Fatal(err)
					}
					n++
				}
				return n
			}
			b.Run("table", func(b *testing.B) { rate(b, sqltable.Options{Table: "births"}, records) })
			b.Run("view", func(b *testing.B) { rate(b, sqltable.Options{Table: "birth_certificate"}, records) })
			ranges := func(src *sqltable.Source) (n int) {
				for r, err := range src.Ranges(b.Context(), 1000) {
					if err != nil {
						b.Fatal(err)
					}
					n += r.N
				}
				return n
			}
			b.Run("ranges", func(b *testing.B) { rate(b, sqltable.Options{Table: "births"}, ranges) })
			changes := func(src *sqltable.Source) int {
				mark, err := src.Mark(b.Context())
				if err != nil {
					b.Fatal(err)
				}
				for _, err := range src.Changes(b.Context(), mark) {
					if err != nil {
						b.Fatal(err)
					}
				}
				return 100_000 // read twice
			}
			b.Run("changes", func(b *testing.B) { rate(b, sqltable.Options{Table: "births"}, changes) })
			b.Run("changes by column", func(b *testing.B) { rate(b, sqltable.Options{Table: "births", ChangedColumn: "corrected_on"}, changes) })
			b.Run("lookup", func(b *testing.B) {
				rate(b, sqltable.Options{Table: "births"}, func(src *sqltable.Source) int {
					if _, err := src.Lookup(b.Context(), "B-06-1961-27182818"); err != nil {
						b.Fatal(err)
					}
					return 1
				})
			})
		})
	}
}
