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

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/credential/cwt"
	"github.com/sanad-id/sanad/credential/sdjwt"
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
	// placed is what the issuer said that it had put where a web server takes it.
	placed []placed
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
	name     string
	number   int64 // 0 if the file does not say
	date     time.Time
	lists    map[string][32]byte
	same     *published // the first sight of the same file
	logged   bool
	entry    int64
	byNumber int64 // the number that the log gives it
}

// A placed is an answer of the issuer: from the moment at on, what is served under
// a name has at least this number.
type placed struct {
	name   string
	number int64
	at     int64
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
	l.acks, l.copies, l.exports, l.placed = slices.Clone(l.acks), slices.Clone(l.copies), slices.Clone(l.exports), slices.Clone(l.placed)
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
func (c *checker) code(path string, text []byte, whole bool) (id, uri string, slot uint64) {
	message, err := qr.Decode(string(text))
	if err != nil {
		if whole {
			c.report(badReceived, "%s: %v", path, err)
		}
		return "", "", 0 // it was being written: no reader takes it for a code
	}
	id, _, _ = strings.Cut(strings.TrimSuffix(filepath.Base(path), ".txt"), "-")
	uri, slot = c.token(path, id, message)
	return id, uri, slot
}

// token looks at the signed bytes of a form and returns its slot.
func (c *checker) token(from, id string, message []byte) (uri string, slot uint64) {
	f, ok := c.forms[digestOf(message)]
	if !ok || c.creds[f.cred].id != toID(id) {
		c.report(notRecorded, "%s: %s", from, id)
		return "", 0
	}
	k := &c.creds[f.cred]
	if !k.signed {
		c.report(notSigned, "%s: %s is %s", from, id, k.state)
	}
	at, err := slotOf(message)
	if err != nil {
		c.report(badReceived, "%s: %v", from, err)
		return "", 0
	}
	if at.URI != c.lists[f.list].uri || at.Index != uint64(f.slot) {
		c.report(otherSlot, "%s: slot %d of %s", from, at.Index, at.URI)
	}
	return at.URI, at.Index
}

// slotOf is the slot that stands in a form: in a code, or in a copy for a wallet.
func slotOf(message []byte) (*credential.StatusRef, error) {
	var at *credential.StatusRef
	if !bytes.ContainsRune(message, '~') || message[0] != 'e' {
		parsed, err := cwt.Parse(message)
		if err != nil {
			return nil, err
		}
		at = parsed.Status
	} else {
		parsed, err := sdjwt.Parse(string(message))
		if err == nil {
			err = parsed.Problem
		}
		if err != nil {
			return nil, err
		}
		at = parsed.Credential.Status
	}
	if at == nil {
		return nil, errors.New("a form without a slot")
	}
	return at, nil
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
			path := filepath.Join(dir, e.Name())
			switch {
			case strings.HasSuffix(e.Name(), ".txt"):
				err = c.codeOf(path, listed)
			case strings.HasPrefix(e.Name(), "codes-"):
				err = c.codesOf(path, listed)
			}
			if err != nil {
				return err
			}
		}
	}
	if len(listed) > 0 {
		c.report(badManifest, "%s lists %d codes that are not there", dir, len(listed))
	}
	return nil
}

// codeOf looks at a file of one code, and takes it off the list.
func (c *checker) codeOf(path string, listed map[digest]uint64) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	key := digestOf([]byte(filepath.Base(path)))
	row, inManifest := listed[key]
	if id, _, slot := c.code(path, text, inManifest); inManifest && id != "" && slot != row {
		c.report(badManifest, "%s: slot %d, by the manifest %d", path, slot, row)
	}
	delete(listed, key)
	if !inManifest && c.finished {
		c.report(badManifest, "%s is not listed", path)
	}
	return nil
}

// codesOf looks at a file of many codes, as far as its rows are whole, and takes
// them off the list.
func (c *checker) codesOf(path string, listed map[digest]uint64) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	rows := csv.NewReader(bytes.NewReader(text[:bytes.LastIndexByte(text, '\n')+1]))
	rows.FieldsPerRecord, rows.ReuseRecord = 3, true
	for first := true; ; first = false {
		row, err := rows.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			c.report(badReceived, "%s: %v", path, err)
			return nil
		}
		if first {
			continue
		}
		message, err := qr.Decode(row[2])
		if err != nil {
			c.report(badReceived, "%s: %s: %v", path, row[0], err)
			continue
		}
		uri, slot := c.token(path, row[0], message)
		key := digestOf([]byte(row[0] + " " + uri))
		if at, inManifest := listed[key]; inManifest && at != slot {
			c.report(badManifest, "%s: %s has slot %d, by the manifest %d", path, row[0], slot, at)
		} else if !inManifest && c.finished {
			c.report(badManifest, "%s: %s is not listed, or twice there", path, row[0])
		}
		delete(listed, key)
	}
}

// manifest reads the rows that are whole: the slot of each code, by the digest of
// its file's name or, in a file of many, of its id and list. A code must not be
// listed twice, and a record not with two credentials.
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
		key := row[4]
		if strings.HasPrefix(key, "codes-") {
			key = row[1] + " " + row[2]
		}
		file, record, id := digestOf([]byte(key)), digestOf([]byte(row[0])), toID(row[1])
		if _, twice := listed[file]; twice {
			c.report(badManifest, "%s lists %s twice", dir, key)
		}
		if other, twice := issued[record]; twice && other != id {
			c.report(badManifest, "%s issues twice for one record: %s and %s", dir, other, id)
		}
		listed[file], issued[record] = slot, id
	}
}
