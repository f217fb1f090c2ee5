package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/text/encoding/charmap"

	"github.com/sanad-id/sanad/keys/keystest"
)

// TestMain lets the scripts call issuer: the test binary runs as it then. Package
// proof looks at what a keystore of the shipped program costs to open.
func TestMain(m *testing.M) {
	keyCost = keystest.CheapCost()
	testscript.Main(m, map[string]func(){"issuer": main})
}

// buildVerifier builds the verifier for the scripts of this package: what an
// issuer makes is worth what somebody else's program says of it.
func buildVerifier(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	out, err := exec.Command("go", "build", "-o", filepath.Join(dir, "verifier"), "github.com/sanad-id/sanad/cmd/verifier").CombinedOutput()
	if err != nil {
		t.Fatalf("build the verifier: %v\n%s", err, out)
	}
	return dir
}

func TestScripts(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	verifierDir := buildVerifier(t)
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			env.Setenv("PATH", verifierDir+string(os.PathListSeparator)+env.Getenv("PATH"))
			env.Setenv("PROGRAMMES", filepath.Join(root, "examples", "programmes"))
			env.Setenv("HOME", env.WorkDir)
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"status": status, "column": column, "bundlekey": bundlekey, "activekey": activekey, "fingerprint": fingerprint, "pinned": pinned,
			"sqlite": sqliteRun, "sources": sources, "cards": cards, "typed": typed, "latin1": latin1,
		},
	})
}

// status runs a program and wants this exit status: status 20 verifier check …
func status(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status CODE PROGRAM ARGS...")
	}
	err := ts.Exec(args[1], args[2:]...)
	code := 0
	if err != nil {
		e, ok := err.(*exec.ExitError)
		if !ok {
			ts.Fatalf("%v", err)
		}
		code = e.ExitCode()
	}
	if got := fmt.Sprint(code); got != args[0] {
		ts.Fatalf("exit status %s, want %s", got, args[0])
	}
}

// latin1 writes a file anew as spreadsheets of Western Europe do: latin1 FILE
func latin1(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: latin1 FILE")
	}
	b, err := charmap.Windows1252.NewEncoder().String(ts.ReadFile(args[0]))
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(b), 0o600))
}

// verify runs the verifier with the README's bundle and returns what it says.
func verify(t *testing.T, dir string, want int, file string) string {
	t.Helper()
	cmd := exec.Command(filepath.Join(dir, "verifier"), "check", "--lang", "en", "--trust", "office.trust", file)
	out, err := cmd.Output()
	if got := cmd.ProcessState.ExitCode(); got != want {
		t.Fatalf("verifier check: exit status %d, want %d (%v)\n%s", got, want, err, out)
	}
	return string(out)
}
