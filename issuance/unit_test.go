package issuance_test

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/csv"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sanad-id/sanad/internal/boundtest"
	"github.com/sanad-id/sanad/issuance"
	"pgregory.net/rapid"
)

func TestIDsAreOrderedByTimeAndDiffer(t *testing.T) {
	at := time.Date(2026, 11, 12, 9, 0, 0, 0, time.UTC)
	var all []string
	for i := range 20 {
		ids, err := issuance.NewIDs(rand.Reader, at.Add(time.Duration(i)*time.Millisecond), 50)
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range ids {
			if !issuance.ValidID(id) {
				t.Errorf("%q is not a valid id", id)
			}
			if len(all) > 0 && i > 0 && id <= all[(i-1)*50] {
				t.Errorf("%q does not come after an id of the millisecond before", id)
			}
		}
		all = append(all, ids...)
	}
	slices.Sort(all)
	if n := len(slices.Compact(all)); n != 1000 {
		t.Errorf("%d different ids of 1000", n)
	}
}

func TestValidIDRefuses(t *testing.T) {
	const good = "01JCG0V7QK4ZR8T2M5N9P3X6YB"
	if !issuance.ValidID(good) {
		t.Fatalf("ValidID(%q) = false", good)
	}
	tests := []struct{ name, id string }{
		{"nothing", ""},
		{"a character short", good[1:]},
		{"a character long", good + "0"},
		{"lower case", strings.ToLower(good)},
		{"a letter that base32 leaves out", "U" + good[1:]},
		{"more than 128 bits", "8" + good[1:]},
		{"a path", "../../" + good[6:]},
		{"a quote", "'" + good[1:]},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if issuance.ValidID(tt.id) {
				t.Errorf("ValidID(%q) = true", tt.id)
			}
		})
	}
}

// TestManifestRows: every reader of CSV gets back what was written.
func TestManifestRows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringOf(rapid.SampledFrom([]rune("ab 7,;\"'\nরিxé")))
		record, why := text.Draw(t, "record"), text.Draw(t, "why")
		line := issuance.ManifestRow(record, "", "", 0, "", why)
		rows, err := csv.NewReader(strings.NewReader(line)).ReadAll()
		if err != nil || len(rows) != 1 || len(rows[0]) != 6 {
			t.Fatalf("%q reads as %q, %v", line, rows, err)
		}
		if got := rows[0][0]; got != strings.ReplaceAll(record, "\r\n", "\n") {
			if got != "'"+record { // neutralised
				t.Fatalf("record %q comes back as %q", record, got)
			}
		}
	})
}

func TestManifestIsNoSpreadsheet(t *testing.T) {
	for _, name := range []string{"=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "  =1", `=HYPERLINK("http://x","y")`} {
		t.Run("OUT-01 "+name, func(t *testing.T) {
			line := issuance.ManifestRow(name, "", "", 0, "", name)
			rows, err := csv.NewReader(strings.NewReader(line)).ReadAll()
			if err != nil {
				t.Fatal(err)
			}
			for _, cell := range []string{rows[0][0], rows[0][5]} {
				if !strings.HasPrefix(cell, "'") {
					t.Errorf("cell %q would be a formula", cell)
				}
			}
		})
	}
}

// resum gives a changed spool file a good checksum.
func resum(b []byte) []byte {
	body := b[:len(b)-sha256.Size]
	sum := sha256.Sum256(body)
	return append(slices.Clone(body), sum[:]...)
}

func TestSpoolRefuses(t *testing.T) {
	good := issuance.SpoolOf(3, 59, "row\n", "01JCG0V7QK4ZR8T2M5N9P3X6YB.txt", "CODE")
	if b, err := issuance.ReencodeSpool(good); err != nil || !bytes.Equal(b, good) {
		t.Fatalf("a good spool file: %v", err)
	}
	replace := func(old, to string) []byte {
		return resum(bytes.Replace(good, []byte(old), []byte(to), 1))
	}
	tests := []struct {
		name string
		b    []byte
	}{
		{"nothing", nil},
		{"another file", []byte(strings.Repeat("not a spool file ", 10))},
		{"cut short", good[:len(good)-1]},
		{"a byte more", append(slices.Clone(good), 0)},
		{"one bit", func() []byte { b := slices.Clone(good); b[30] ^= 1; return b }()},
		{"a name that leads out of the folder", replace("01JCG0V7QK4ZR8T2M5N9P3X6YB.txt", "../../../../../etc/passwd/.txt")},
		{"a name without an id", replace("01JCG0V7QK4ZR8T2M5N9P3X6YB.txt", "manifest.csv/01JCG0V7QK4ZR8.txt")},
		{"another kind of file", replace(".txt", ".exe")},
		{"more text than there is", resum(append(slices.Clone(good[:30]), bytes.Repeat([]byte{0xff}, 60)...))},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := issuance.ReencodeSpool(tt.b); err == nil {
				t.Error("it was read")
			}
		})
	}
}

// FuzzSpool: what is read as a spool file is written again byte for byte, and
// a changed checksum is all that keeps the fuzzer out, so it gets one.
func FuzzSpool(f *testing.F) {
	f.Add(issuance.SpoolOf(0, 59, "a,b\n", "01JCG0V7QK4ZR8T2M5N9P3X6YB-strip.png", "x"))
	f.Add([]byte("sanad spool 1\n"))
	boundtest.Fuzz(f, func(t *testing.T, b []byte) {
		b = resum(append(slices.Clone(b), make([]byte, sha256.Size)...))
		again, err := issuance.ReencodeSpool(b)
		if err == nil && !bytes.Equal(again, b) {
			t.Fatalf("%x was read and written as %x", b, again)
		}
	})
}
