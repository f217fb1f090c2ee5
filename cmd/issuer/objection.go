package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/sanad-id/sanad/audit"
	"github.com/sanad-id/sanad/internal/cli"
	"github.com/sanad-id/sanad/internal/durable"
	"github.com/sanad-id/sanad/internal/web"
	"github.com/sanad-id/sanad/issuance"
)

// objectionsName is the folder, beside the settings, with what witnesses object to: a
// file each. It lasts until that witness co-signs again.
const objectionsName = "objections"

// A contradiction is an answer of a witness that knows another past of the log.
type contradiction struct{ text string }

func (e *contradiction) Error() string { return e.text }

// The contradictions.
var (
	errForked       = &contradiction{"it has seen another log of this name and size; find out who signed that"}
	errInconsistent = &contradiction{"what it has co-signed before is not the beginning of this log"}
)

// errLost says that a witness has co-signed more than there is.
func errLost(size, have int64) error {
	return &contradiction{fmt.Sprintf("it has co-signed %d entries, and the log has %d: this database has lost what it had confirmed", size, have)}
}

// An objection is a contradiction as it is kept. Nothing is issued while there is one.
type objection struct {
	Origin  string    `json:"origin"`
	Witness string    `json:"witness"`
	Since   time.Time `json:"since"`
	What    string    `json:"what"`
}

// String is the objection as a sentence.
func (o objection) String() string {
	return fmt.Sprintf("%s says since %s: %s", o.Witness, o.Since.Format(time.RFC3339), o.What)
}

// whatToDo is what a person does about an objection.
const whatToDo = "keep database, journal and " + objectionsName + "/ as they are and find out what happened; if the database is an old one, restore it with the journal " +
	"(docs/operating.md, \"The audit log and its witnesses\"); `issuer audit checkpoint --witness` asks again"

// A watch is what the open issuers of a process share about the witnesses.
type watch struct {
	mu    sync.Mutex // held while issuing asks them, so that nobody issues past an answer
	asked time.Time  // when issuing last asked
	// first has the witnesses asked before the first credential of this process.
	first bool
	// alarm is told of a new objection; optional.
	alarm func(objection)
}

// objectionPath is the file of a witness in the folder.
func objectionPath(folder, witness string) string {
	sum := sha256.Sum256([]byte(witness))
	return filepath.Join(folder, hex.EncodeToString(sum[:8])+".json")
}

func (a *app) objectionPath(witness string) string {
	return objectionPath(filepath.Join(a.dir, objectionsName), witness)
}

// object keeps what a witness objects to.
func (a *app) object(witness string, c *contradiction) error {
	o := objection{Origin: a.origin(), Witness: witness, Since: a.now().UTC().Truncate(time.Second), What: c.text}
	found, err := a.objections()
	if err != nil {
		return err
	}
	isNew := true
	for _, old := range found {
		if old.Witness == witness {
			isNew, o.Since = false, old.Since
		}
	}
	b, err := json.MarshalIndent(o, "", "  ")
	if err != nil {
		return err
	}
	if isNew && a.watch.alarm != nil {
		a.watch.alarm(o)
	}
	if err := os.MkdirAll(filepath.Join(a.dir, objectionsName), 0o700); err != nil {
		return err
	}
	return durable.Replace(a.objectionPath(witness), append(b, '\n'), 0o600)
}

// agrees forgets what a witness objected to: it has co-signed.
func (a *app) agrees(witness string) error {
	if err := os.Remove(a.objectionPath(witness)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// objections are those of the witnesses of the settings against the present log.
func (a *app) objections() ([]objection, error) {
	var found []objection
	for _, w := range a.cfg.Audit.Witnesses {
		id, err := audit.CheckWitnessKey(w.Key)
		if err != nil {
			return nil, err
		}
		b, err := os.ReadFile(a.objectionPath(id))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		var o objection
		if err == nil {
			err = json.Unmarshal(b, &o)
		}
		if err != nil {
			return nil, fmt.Errorf("what the witness %s objects to: %w", id, err)
		}
		if o.Origin == a.origin() {
			found = append(found, o)
		}
	}
	return found, nil
}

// objected is the error that stops issuing because of an objection; nil without one.
func (a *app) objected() error {
	found, err := a.objections()
	if err != nil || len(found) == 0 {
		return err
	}
	return cli.Hint(fmt.Errorf("%w: %s", issuance.ErrAuditContradicted, found[0]), whatToDo)
}

// watchWitnesses has a server ask the witnesses before its first credential, and tell its
// log and its figures what they object to.
func (p *program) watchWitnesses(cfg Config, metrics *web.Metrics, log *slog.Logger) {
	p.watch.first = true
	p.watch.alarm = func(o objection) {
		log.Error("a witness has seen another audit log of this issuer; nothing is issued", "witness", o.Witness, "what", o.What)
	}
	folder := filepath.Join(filepath.Dir(p.settings()), objectionsName)
	metrics.Gauge("audit_objections", "Witnesses that have seen another audit log of this issuer than the database has.", func() float64 {
		return float64(countObjections(cfg, folder))
	})
}

// countObjections is how many witnesses of the settings object; one more for each file
// that cannot be read.
func countObjections(cfg Config, folder string) (n int) {
	for _, w := range cfg.Audit.Witnesses {
		id, err := audit.CheckWitnessKey(w.Key)
		if err != nil {
			continue // the settings were checked
		}
		if _, err := os.Stat(objectionPath(folder, id)); !errors.Is(err, fs.ErrNotExist) {
			n++
		}
	}
	return n
}
