package docpdf_test

import (
	"bytes"
	"io"
	"testing"
)

// BenchmarkRender prints one sheet by itself.
func BenchmarkRender(b *testing.B) {
	p, c := printer(b), certificate(b, "sheet", "bn")
	var out bytes.Buffer
	for b.Loop() {
		out.Reset()
		if _, err := p.Render(&out, c); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(out.Len()), "B/file")
}

// BenchmarkDocument prints sheets of one file.
func BenchmarkDocument(b *testing.B) {
	c := certificate(b, "sheet", "bn")
	d := printer(b).Document(io.Discard, c.Info())
	for b.Loop() {
		if _, err := d.Add(c); err != nil {
			b.Fatal(err)
		}
	}
}
