package proof

import (
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sanad-id/sanad/credential/cwt"
	"github.com/sanad-id/sanad/qr"
)

// A ledger is what the client keeps: everything that it received and was told.
type ledger struct {
	// codes are files of codes that `issuer issue` wrote, whole or not: the client
	// got an answer about those that are whole.
	codes []code
	// tokens are credentials that came some other way, by the id that came with
	// each.
	tokens []token
	// folders are those of batches.
	folders []string
	acks    []ack
	// copies are what was published, each in a file of its own.
	copies []published
	// exports are folders of `issuer audit export`.
	exports []string
}

type code struct {
	path  string
	whole bool
}

type token struct {
	id    string
	bytes []byte
}

// An ack is a revocation that the issuer has said yes to, by the clock of the
// clients, which never goes back and is the same for all processes.
type ack struct {
	id string
	at int64
}

// A published is a trust bundle or status list as the client received it.
type published struct {
	path string
	// The client asked for it at began and had it at ended. Served is set if it
	// did not ask the issuer but looked at what a web server serves.
	began, ended int64
	served       bool

	// What the file says, and what the log says of it.
	name   string
	number int64 // 0 if the file does not say
	date   time.Time
	lists  map[string][32]byte
	same   *published // the first sight of the same file
	logged bool
	entry  int64
}

// A tally is a ledger that several goroutines keep.
type tally struct {
	sync.Mutex
	ledger
}

// tick is the time since the machine was started, in nanoseconds.
func tick() int64 {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		panic(err)
	}
	return t.Nano()
}

// with changes the ledger.
func (t *tally) with(f func(l *ledger)) {
	t.Lock()
	defer t.Unlock()
	f(&t.ledger)
}

// copy is the ledger as it stands.
func (t *tally) copy() ledger {
	t.Lock()
	defer t.Unlock()
	l := t.ledger
	l.codes, l.tokens, l.folders = slices.Clone(l.codes), slices.Clone(l.tokens), slices.Clone(l.folders)
	l.acks, l.copies, l.exports = slices.Clone(l.acks), slices.Clone(l.copies), slices.Clone(l.exports)
	return l
}

// readReceived holds every byte that the client has to what is on record.
func (c *checker) readReceived() error {
	for _, k := range c.codes {
		text, err := os.ReadFile(k.path)
		if err != nil && !(errors.Is(err, fs.ErrNotExist) && !k.whole) {
			return err
		}
		if err == nil {
			c.code(k.path, text, k.whole)
		}
	}
	for _, t := range c.tokens {
		c.token("a token", t.id, t.bytes)
	}
	for _, dir := range c.folders {
		if err := c.folder(dir); err != nil {
			return err
		}
	}
	return nil
}

// code looks at the file of a code.
func (c *checker) code(path string, text []byte, whole bool) (id string, slot uint64) {
	message, err := qr.Decode(string(text))
	if err != nil {
		if whole {
			c.report(badReceived, "%s: %v", path, err)
		}
		return "", 0 // it was being written: no reader takes it for a code
	}
	id, _, _ = strings.Cut(strings.TrimSuffix(filepath.Base(path), ".txt"), "-")
	return id, c.token(path, id, message)
}

// token looks at the signed bytes of a form.
func (c *checker) token(from, id string, message []byte) (slot uint64) {
	f, ok := c.forms[digestOf(message)]
	if !ok || c.creds[f.cred].id != toID(id) {
		c.report(notRecorded, "%s: %s", from, id)
		return 0
	}
	k := &c.creds[f.cred]
	if !k.signed {
		c.report(notSigned, "%s: %s is %s", from, id, k.state)
	}
	parsed, err := cwt.Parse(message)
	if err != nil || parsed.Status == nil {
		c.report(badReceived, "%s: %v", from, err)
		return 0
	}
	if parsed.Status.URI != c.lists[f.list].uri || parsed.Status.Index != uint64(f.slot) {
		c.report(otherSlot, "%s: slot %d of %s", from, parsed.Status.Index, parsed.Status.URI)
	}
	return parsed.Status.Index
}

// folder looks at the folder of a batch.
func (c *checker) folder(dir string) error {
	listed, err := c.manifest(dir)
	if err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	for {
		entries, err := d.ReadDir(1000)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		for _, e := range entries {
			if !strings.HasSuffix(e.Name(), ".txt") {
				continue
			}
			row, inManifest := listed[digestOf([]byte(e.Name()))]
			delete(listed, digestOf([]byte(e.Name())))
			text, err := os.ReadFile(filepath.Join(dir, e.Name()))
			if err != nil {
				return err
			}
			id, slot := c.code(filepath.Join(dir, e.Name()), text, inManifest)
			if inManifest && id != "" && slot != row {
				c.report(badManifest, "%s: slot %d, by the manifest %d", e.Name(), slot, row)
			}
			if !inManifest && c.finished {
				c.report(badManifest, "%s is not listed", e.Name())
			}
		}
	}
	if len(listed) > 0 {
		c.report(badManifest, "%s lists %d files that are not there", dir, len(listed))
	}
	return nil
}

// manifest reads the rows that are whole: the slot of each file by the digest of
// its name. A file or a record must not be listed twice.
func (c *checker) manifest(dir string) (map[digest]uint64, error) {
	listed, issued := map[digest]uint64{}, map[digest]credID{}
	text, err := os.ReadFile(filepath.Join(dir, "manifest.csv"))
	if errors.Is(err, fs.ErrNotExist) {
		return listed, nil
	}
	if err != nil {
		return nil, err
	}
	rows := csv.NewReader(bytes.NewReader(text[:bytes.LastIndexByte(text, '\n')+1]))
	rows.FieldsPerRecord, rows.ReuseRecord = 6, true
	for first := true; ; first = false {
		row, err := rows.Read()
		if errors.Is(err, io.EOF) {
			return listed, nil
		}
		if err != nil {
			c.report(badManifest, "%s: %v", dir, err)
			return listed, nil
		}
		if first || row[4] == "" {
			continue
		}
		slot, err := strconv.ParseUint(row[3], 10, 64)
		if err != nil {
			c.report(badManifest, "%s: a row without a slot: %q", dir, row[4])
		}
		file, record, id := digestOf([]byte(row[4])), digestOf([]byte(row[0])), toID(row[1])
		if _, twice := listed[file]; twice {
			c.report(badManifest, "%s lists %s twice", dir, row[4])
		}
		if other, twice := issued[record]; twice && other != id {
			c.report(badManifest, "%s issues twice for one record: %s and %s", dir, other, id)
		}
		listed[file], issued[record] = slot, id
	}
}
