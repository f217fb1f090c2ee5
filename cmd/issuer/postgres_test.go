package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/sanad-id/sanad/internal/pgtest"
)

// TestPostgresScripts run commands, each script on a PostgreSQL database of its own.
func TestPostgresScripts(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/postgres",
		Setup: func(env *testscript.Env) error {
			owner, service := pgtest.New(t)
			env.Setenv("OWNER", owner)
			env.Setenv("SERVICE", service)
			env.Setenv("PROGRAMMES", filepath.Join(root, "examples", "programmes"))
			env.Setenv("HOME", env.WorkDir)
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){"status": status, "column": column},
	})
}

// TestReadSecret: a password that others may read is none.
func TestReadSecret(t *testing.T) {
	path := filepath.Join(t.TempDir(), "password")
	for _, tt := range []struct {
		name, content, want string
		mode                os.FileMode
		ok                  bool
	}{
		{"a line", "pass word\n", "pass word", 0o600, true},
		{"a line from Windows", "pass\r\n", "pass", 0o400, true},
		{"more lines", "pass\nother", "pass", 0o600, true},
		{"nothing", "", "", 0o600, false},
		{"an empty line", "\npass", "", 0o600, false},
		{"readable to the group", "pass\n", "", 0o640, false},
		{"readable to all", "pass\n", "", 0o604, false},
	} {
		_ = os.Remove(path)
		if err := os.WriteFile(path, []byte(tt.content), tt.mode); err != nil {
			t.Fatal(err)
		}
		if got, err := readSecret(path); got != tt.want || (err == nil) != tt.ok {
			t.Errorf("%s: %q, %v", tt.name, got, err)
		}
	}
	if got, err := readSecret(""); got != "" || err != nil {
		t.Errorf("no file: %q, %v", got, err)
	}
}
