package samplecountry_test

import (
	"context"
	"io"
	"testing"

	"github.com/sanad-id/sanad/registry/samplecountry"
)

func BenchmarkWrite(b *testing.B) {
	for _, r := range samplecountry.Registries() {
		b.Run(r.Name, func(b *testing.B) {
			c := samplecountry.Config{Seed: 1, Persons: 50_000}
			rows, err := samplecountry.Rows(c, r.Name)
			if err != nil {
				b.Fatal(err)
			}
			n := 0
			for range rows {
				n++
			}
			b.ReportAllocs()
			for b.Loop() {
				if err := samplecountry.Write(context.Background(), c, r.Name, io.Discard); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}
