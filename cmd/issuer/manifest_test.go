package main

import (
	"encoding/csv"
	"os"
	"strconv"

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
