package main

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/sanad-id/sanad/audit"
	"github.com/sanad-id/sanad/internal/cli"
	"github.com/sanad-id/sanad/issuance"
)

// TestConfirmGivesUp: the log names the batches that restore confirm gives up, with a journal
// and without, and fsck agrees.
func TestConfirmGivesUp(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	issuer := commands(t)
	office := in("office")
	issuer(0, "init", office, "--name", "Civil Registry", "--country", "XA", "--url", "https://registry.example")
	issuer(0, "programme", "add", "--dir", office, "../../examples/programmes/farmer-card.yaml")
	begin := func(id string) {
		t.Helper()
		cmd := &cobra.Command{}
		cmd.SetContext(t.Context())
		a, err := (&program{Program: cli.Program{Name: "issuer", Now: time.Now}, dir: office}).open(cmd, readWrite)
		if err != nil {
			t.Fatal(err)
		}
		defer a.close()
		b := issuance.Batch{ID: id, Programme: "farmer-card", Version: 1, Source: "s", State: issuance.BatchRunning, Started: a.now(), Changed: a.now()}
		err = a.store.Write(t.Context(), func(tx issuance.Tx) error {
			return errors.Join(tx.SaveBatch(b), tx.Append([]audit.Event{b.Event(audit.BatchStarted, "tester", b.Started)}))
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	const monday, tuesday = "01K90000000000000000000001", "01K90000000000000000000002"
	begin(monday)
	write(t, in("pass"), "correct horse battery staple\n")
	issuer(0, "backup", "--dir", office, "--out", in("monday.backup"), "--passphrase-file", in("pass"))
	begin(tuesday)
	if err := os.Rename(office, in("gone")); err != nil {
		t.Fatal(err)
	}
	for n, tt := range []struct {
		name string
		with []string
		want []string
	}{
		{"with the journal", []string{"--journal", in("gone/journal")}, []string{monday, tuesday}},
		{"without", []string{"--without-journal", "--nothing-published"}, []string{monday}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			issuer := commands(t)
			to := in("office" + strconv.Itoa(n))
			issuer(0, "restore", in("monday.backup"), "--dir", to, "--passphrase-file", in("pass"), "--key-passphrase-file", in("gone/secrets/passphrase"))
			confirm := append([]string{"restore", "confirm", "--dir", to, "--alone", "--reason", "rehearsal"}, tt.with...)
			out, _ := issuer(0, confirm...)
			for _, id := range tt.want {
				if !strings.Contains(out, "batch "+id+" was under way and is given up") {
					t.Errorf("confirm does not name %s: %s", id, out)
				}
			}
			issuer(0, "fsck", "--dir", to)
			entries, err := os.ReadFile(filepath.Join(to, "journal", audit.EntriesFile))
			if err != nil {
				t.Fatal(err)
			}
			var given []string
			for line := range strings.Lines(string(entries)) {
				if _, e, err := audit.ParseEntry([]byte(strings.TrimSuffix(line, "\n"))); err != nil {
					t.Error(err)
				} else if e.Kind == audit.BatchGivenUp {
					given = append(given, e.Batch)
				}
			}
			if strings.Join(given, " ") != strings.Join(tt.want, " ") {
				t.Errorf("the log gives up %v, want %v", given, tt.want)
			}
		})
	}
}
