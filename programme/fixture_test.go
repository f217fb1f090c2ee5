package programme_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"iter"
	"maps"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sanad-id/sanad/credential/cwt"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/programme"
	"github.com/sanad-id/sanad/registry"
)

// now is the moment of issue in the tests: 15 January 2026 in the morning, in
// Dhaka as in London.
var now = time.Date(2026, 1, 15, 4, 0, 0, 0, time.UTC)

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func parse(t testing.TB, text []byte) *programme.Programme {
	t.Helper()
	p, err := programme.Parse(text)
	if err != nil {
		t.Fatalf("Parse:\n%v", err)
	}
	return p
}

func goodProgramme(t testing.TB) *programme.Programme {
	t.Helper()
	return parse(t, readFile(t, "testdata/good.yaml"))
}

// goodRow is a record for testdata/good.yaml of which every value comes through.
func goodRow() map[string]string {
	return map[string]string{
		"number": "AB-1", "state": "active", "given": "Rahima", "family": "Khatun",
		"names": `[{"language":"en","value":"Rahima Khatun"},{"language":"bn","value":"রহিমা খাতুন"}]`,
		"born":  "18/04/1984", "sex": "Female", "nation": "Bangladeshi", "tongue": "bn", "kind": "Alpha", "kinds": "First, b",
		"marks": "MAT|Mathematics|A;ENG|English|B", "persons": "৪", "land": "2.5 bighas", "alive": "ndiyo",
		"address": "Road 3\r\n\r\n Jessore ", "whole": "Khatun, Rahima", "place": "Khulna / Jessore",
		"starts": "2025-12-31T18:00:00Z", "ends": "2026-12-31", "face": webPURI(64, 80, 300), "secret": "S-1",
	}
}

// record makes a record of a row; its columns are in alphabetical order.
func record(t testing.TB, row map[string]string) registry.Record {
	t.Helper()
	names := slices.Sorted(maps.Keys(row))
	columns, err := registry.NewColumns(names)
	if err != nil {
		t.Fatal(err)
	}
	values := make([]string, len(names))
	for i, n := range names {
		values[i] = row[n]
	}
	return registry.NewRecord(row["number"], 7, columns, values)
}

// webP is the head of a lossy WebP picture of this size, filled up to size bytes.
func webP(width, height, size int) []byte {
	b := make([]byte, size)
	copy(b, "RIFF")
	binary.LittleEndian.PutUint32(b[4:], uint32(size-8))
	copy(b[8:], "WEBPVP8 ")
	binary.LittleEndian.PutUint32(b[16:], uint32(size-20))
	copy(b[23:], []byte{0x9d, 0x01, 0x2a})
	binary.LittleEndian.PutUint16(b[26:], uint16(width))
	binary.LittleEndian.PutUint16(b[28:], uint16(height))
	return b
}

func webPURI(width, height, size int) string {
	return "data:image/webp;base64," + base64.StdEncoding.EncodeToString(webP(width, height, size))
}
func rows(t testing.TB, list ...map[string]string) iter.Seq2[registry.Record, error] {
	return func(yield func(registry.Record, error) bool) {
		for _, row := range list {
			if !yield(record(t, row), nil) {
				return
			}
		}
	}
}

// draft says whether credential/cwt would issue the token.
func draft(token cwt.Token) error {
	token.Issuer, token.IssuedAt = "xx-registry", now
	_, err := cwt.NewDraft(token, testKey())
	return err
}

var testKey = sync.OnceValue(func() keys.PublicKey {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	public, err := keys.NewPublicKey(keys.ES256, private.Public())
	if err != nil {
		panic(err)
	}
	return public
})
