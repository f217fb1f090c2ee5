package main

import (
	"bytes"
	"encoding/csv"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sanad-id/sanad/registry/samplecountry"
)

// personal are the columns of the births registry that say something about a
// person.
var personal = []string{
	"registration_number", "national_number", "given_names", "family_name", "given_names_local", "family_name_local",
	"mother_name", "mother_name_local", "father_name", "father_name_local", "mother_national_number",
}

// TestPersonalDataStaysInside is promise P22: it runs persons through every
// command, failing ones included, and searches everything that is written but the
// certificates themselves and the manifest that goes with them.
func TestPersonalDataStaysInside(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	canaries, record := writeBirths(t, in("births.csv"))

	var said bytes.Buffer
	issuer := func(want int, args ...string) string {
		t.Helper()
		var stdout bytes.Buffer
		code := run(t.Context(), args, strings.NewReader(""), &stdout, &said)
		said.Write(stdout.Bytes())
		if code != want {
			t.Fatalf("issuer %s: exit status %d, want %d\n%s", strings.Join(args, " "), code, want, said.String())
		}
		return stdout.String()
	}
	office, programme := in("office"), "../../examples/programmes/birth-certificate.yaml"
	issuer(0, "init", office, "--name", "Office", "--country", "XA")
	issuer(0, "programme", "add", "--dir", office, programme)
	batch := []string{"batch", "--dir", office, "--programme", "birth-certificate", "--source", in("births.csv"), "--form", "text"}
	issuer(3, append(batch, "--out", in("out"))...)
	issuer(3, append(batch, "--out", in("again"))...)
	issue := []string{"issue", "--dir", office, "--programme", "birth-certificate", "--source", in("births.csv"), "--record", record, "--out", in("one")}
	issuer(1, issue...)
	issuer(0, append(issue, "--supersede", "--idempotency-key", record)...)
	issuer(1, append(issue, "--supersede", "--idempotency-key", record)...)
	id := strings.Fields(issuer(0, "status", "--dir", office, "--programme", "birth-certificate", "--record", record))[0]
	issuer(1, "suspend", "--dir", office, id, "--reason", "lost")
	issuer(1, "revoke", "--dir", office, id, "--reason", "lost") // the first one was superseded
	issuer(1, "issue", "--dir", office, "--programme", "birth-certificate", "--source", in("births.csv"), "--record", "no such record", "--out", in("one"))
	issuer(0, "source", "show", in("births.csv"), "--id-column", "registration_number")
	issuer(0, "status", "publish", "--dir", office, "--out", in("public"))
	issuer(0, "trust", "export", "--dir", office, "--out", in("office.trust"))
	issuer(0, "audit", "export", "--dir", office, "--out", in("audit"))

	search := func(where string, content []byte) {
		t.Helper()
		for _, c := range canaries {
			if bytes.Contains(content, []byte(c)) {
				t.Errorf("%s contains personal data (a value of %d bytes)", where, len(c))
			}
		}
	}
	search("output", said.Bytes())
	searched := 0
	for _, folder := range []string{"office", "public", "audit"} {
		err := filepath.WalkDir(in(folder), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			content, err := os.ReadFile(path)
			search(path, content)
			searched++
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if searched < 10 {
		t.Errorf("only %d files searched", searched)
	}
	// The search itself must be able to find something.
	found := false
	manifest, err := os.ReadFile(filepath.Join(in("out"), "manifest.csv"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range canaries {
		found = found || bytes.Contains(manifest, []byte(c))
	}
	if !found {
		t.Error("not even the manifest contains a record's id")
	}
}

// writeBirths writes a registry with some broken lines and returns values that
// must not show up elsewhere, and the id of one good record.
func writeBirths(t *testing.T, path string) (canaries []string, record string) {
	t.Helper()
	var b bytes.Buffer
	if err := samplecountry.Write(t.Context(), samplecountry.Config{Seed: 7, Persons: 60}, "births", &b); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(bytes.NewReader(b.Bytes())).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for i, column := range rows[0] {
		for _, want := range personal {
			if column != want {
				continue
			}
			for _, row := range rows[1:] {
				if len(row[i]) >= 6 { // shorter ones occur by chance
					canaries = append(canaries, row[i])
				}
			}
		}
	}
	// A line with a cell too many, and one with a stray quotation mark.
	broken := rows[5]
	b.WriteString(strings.Join(broken, ",") + ",one more,and more\n")
	b.WriteString(strings.Join(broken[:3], ",") + `,"` + broken[5] + "\n")
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return canaries, rows[8][0]
}
