package main

import (
	"encoding/csv"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// column puts a cell of a CSV file into the environment, header not counted:
// column ID manifest.csv 1 credential_id
func column(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 4 {
		ts.Fatalf("usage: column VARIABLE FILE ROW NAME")
	}
	rows, err := readCSV(ts.MkAbs(args[1]))
	ts.Check(err)
	n, err := strconv.Atoi(args[2])
	ts.Check(err)
	if n >= len(rows) {
		ts.Fatalf("%s has %d rows", args[1], len(rows)-1)
	}
	for i, name := range rows[0] {
		if name == args[3] {
			ts.Setenv(args[0], rows[n][i])
			return
		}
	}
	ts.Fatalf("%s has no column %q", args[1], args[3])
}

func readCSV(path string) ([][]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return csv.NewReader(f).ReadAll()
}

// keyList is what `issuer keys list --json` prints.
func keyList(ts *testscript.TestScript, dir string) []keyView {
	ts.Check(ts.Exec("issuer", "keys", "list", "--dir", dir, "--json"))
	var all []keyView
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &all))
	return all
}

// bundlekey writes the public key with which an issuer signs its parts.
func bundlekey(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: bundlekey DIR FILE")
	}
	for _, k := range keyList(ts, args[0]) {
		if k.Purpose == "trust_bundle" {
			ts.Check(ts.Exec("issuer", "keys", "export", "--dir", args[0], k.ID, "--out", args[1]))
		}
	}
}

// activekey puts the id of the office's active key of a purpose into the
// environment.
func activekey(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: activekey PURPOSE VARIABLE")
	}
	for _, k := range keyList(ts, "office") {
		if k.Purpose == args[0] && k.State == "active" {
			ts.Setenv(args[1], k.ID)
			return
		}
	}
	ts.Fatalf("no active %s key", args[0])
}

// fingerprint takes the root's fingerprint from the JSON on standard output.
func fingerprint(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: fingerprint VARIABLE")
	}
	var view trustView
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &view))
	ts.Setenv(args[0], view.Fingerprint)
}

// pinned puts the path of the only code in a folder into the environment.
func pinned(ts *testscript.TestScript, neg bool, args []string) {
	found, _ := filepath.Glob(filepath.Join(ts.MkAbs(args[1]), "*.txt"))
	found = slices.DeleteFunc(found, func(name string) bool { return strings.HasSuffix(name, "-strip.txt") })
	if neg || len(found) != 1 {
		ts.Fatalf("%d codes", len(found))
	}
	ts.Setenv(args[0], found[0])
}
