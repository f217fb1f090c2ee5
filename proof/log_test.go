package proof

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
)

// A merkle is the right edge of a Merkle tree of RFC 6962, section 2.1, largest
// subtree first.
type merkle struct {
	size int64
	edge [][32]byte
}

func leafHash(line []byte) [32]byte {
	h := sha256.New()
	h.Write([]byte{0})
	h.Write(line)
	return [32]byte(h.Sum(nil))
}

func nodeHash(left, right [32]byte) [32]byte {
	return sha256.Sum256(slices.Concat([]byte{1}, left[:], right[:]))
}

// add adds a leaf and returns its hash and that of each subtree which it
// completes.
func (m *merkle) add(line []byte) [][32]byte {
	h := leafHash(line)
	made := [][32]byte{h}
	for n := m.size; n&1 == 1; n >>= 1 {
		last := len(m.edge) - 1
		h = nodeHash(m.edge[last], h)
		m.edge = m.edge[:last]
		made = append(made, h)
	}
	m.edge = append(m.edge, h)
	m.size++
	return made
}

func (m *merkle) root() [32]byte {
	if m.size == 0 {
		return sha256.Sum256(nil)
	}
	h := m.edge[len(m.edge)-1]
	for i := len(m.edge) - 2; i >= 0; i-- {
		h = nodeHash(m.edge[i], h)
	}
	return h
}

// An entry is a line of the audit log, as far as it concerns us.
type entry struct {
	N          *int64    `json:"n"`
	Time       time.Time `json:"time"`
	Kind       string    `json:"kind"`
	Credential string    `json:"credential"`
	Digest     string    `json:"digest"`
	Detail     string    `json:"detail"`
	Slots      []struct {
		List  string `json:"list"`
		Index uint64 `json:"index"`
	} `json:"slots"`
}

// A mark is a checkpoint: what the log was when it had so many entries.
type mark struct {
	size int64
	root [32]byte
	from string
}

// A logReader goes through the audit log once.
type logReader struct {
	tree   merkle
	last   time.Time
	marks  []mark // in ascending order of size
	hashes io.Writer
	sum    [32]byte // of all hashes, in the order in which they are stored
	count  int64
	// by name of a publication: how many there were, the last one's entry and date
	numbers map[string]int64
	digests map[string][32]byte
	// entries are those of the last publications, and restored that of the last restore,
	// behind which the number of each may be any that is higher.
	entries  map[string]int64
	restored int64
}

// readLog goes through the audit log of the database.
func (c *checker) readLog(ctx context.Context, db database) error {
	if err := c.readMarks(ctx, db); err != nil {
		return err
	}
	l := &c.log
	l.numbers, l.digests, l.entries, l.restored = map[string]int64{}, map[string][32]byte{}, map[string]int64{}, -1
	all := sha256.New()
	l.hashes = all
	const query = `SELECT first_entry, entry_count, entries FROM audit_block ORDER BY first_entry`
	err := each(ctx, db, query, func(scan func(...any) error) error {
		var first, count int64
		var entries string
		if err := scan(&first, &count, &entries); err != nil {
			return err
		}
		if first != l.tree.size {
			c.report(badLog, "a block begins at entry %d where %d should be", first, l.tree.size)
		}
		for line := range strings.Lines(entries) {
			count--
			whole, ended := strings.CutSuffix(line, "\n")
			if !ended {
				c.report(badLog, "entry %d breaks off", l.tree.size)
			}
			c.entry([]byte(whole))
		}
		if count != 0 {
			c.report(badLog, "the block before entry %d counts %d entries too many", l.tree.size, count)
		}
		return nil
	})
	if err != nil {
		return err
	}
	l.sum = [32]byte(all.Sum(nil))
	for _, m := range l.marks {
		c.report(forkedLog, "%s is of %d entries, there are %d", m.from, m.size, l.tree.size)
	}
	return nil
}

// readMarks gathers every checkpoint that was ever signed: those of the database
// and those that the client holds.
func (c *checker) readMarks(ctx context.Context, db database) error {
	const query = `SELECT size, root, note FROM audit_checkpoint`
	err := each(ctx, db, query, func(scan func(...any) error) error {
		m := mark{from: "a checkpoint of the database"}
		var root, note []byte
		if err := scan(&m.size, &root, &note); err != nil {
			return err
		}
		copy(m.root[:], root)
		c.log.marks = append(c.log.marks, m)
		size, signed, err := parseNote(string(note))
		if err != nil || size != m.size || signed != m.root {
			c.report(badLog, "the checkpoint of %d entries says something else than its note", m.size)
		}
		return nil
	})
	for _, dir := range c.exports {
		m, e := openExport(dir)
		if e != nil {
			c.report(badLog, "%v", e)
			continue
		}
		c.log.marks = append(c.log.marks, m)
	}
	slices.SortFunc(c.log.marks, func(a, b mark) int { return cmp.Compare(a.size, b.size) })
	return err
}

// parseNote reads the text of a checkpoint (C2SP tlog-checkpoint).
func parseNote(text string) (size int64, root [32]byte, err error) {
	lines := strings.Split(text, "\n")
	if len(lines) < 5 {
		return 0, root, errors.New("a checkpoint of fewer than five lines")
	}
	if size, err = strconv.ParseInt(lines[1], 10, 64); err != nil {
		return 0, root, err
	}
	b, err := base64.StdEncoding.DecodeString(lines[2])
	if err != nil || len(b) != 32 {
		return 0, root, errors.New("a checkpoint without a root")
	}
	return size, [32]byte(b), nil
}

// openExport verifies the signature of an exported checkpoint.
func openExport(dir string) (mark, error) {
	text, err := os.ReadFile(filepath.Join(dir, "checkpoint.txt"))
	if err != nil {
		return mark{}, err
	}
	vkeys, err := os.ReadFile(filepath.Join(dir, "key.txt"))
	if err != nil {
		return mark{}, err
	}
	var known []note.Verifier
	for line := range strings.Lines(string(vkeys)) {
		v, err := note.NewVerifier(strings.TrimSpace(line))
		if err != nil {
			return mark{}, fmt.Errorf("%s: %w", dir, err)
		}
		known = append(known, v)
	}
	if _, err := note.Open(text, note.VerifierList(known...)); err != nil {
		return mark{}, fmt.Errorf("%s: %w", dir, err)
	}
	size, root, err := parseNote(string(text))
	return mark{size, root, dir}, err
}

// passMarks checks the checkpoints of the present size.
func (c *checker) passMarks() {
	l := &c.log
	for len(l.marks) > 0 && l.marks[0].size <= l.tree.size {
		if m := l.marks[0]; m.root != l.tree.root() {
			c.report(forkedLog, "%s: the first %d entries have another root", m.from, m.size)
		}
		l.marks = l.marks[1:]
	}
}

// entry takes the next entry of the log.
func (c *checker) entry(line []byte) {
	l := &c.log
	n := l.tree.size
	for _, h := range l.tree.add(line) {
		_, _ = l.hashes.Write(h[:])
		l.count++
	}
	c.passMarks()
	var e entry
	if err := json.Unmarshal(line, &e); err != nil || e.N == nil {
		c.report(badLog, "entry %d is no entry", n)
		return
	}
	if *e.N != n {
		c.report(badLog, "entry %d says that it is %d", n, *e.N)
	}
	if e.Time.Before(l.last) {
		c.report(badLog, "entry %d is of a time before the one above", n)
	}
	l.last = e.Time
	switch e.Kind {
	case "trust.published", "status.published":
		c.publication(n, &e)
	case "issuer.restored":
		l.restored = n
	default:
		if kind, ok := strings.CutPrefix(e.Kind, "credential."); ok {
			c.change(n, kind, &e)
		}
	}
}

// moves are the changes of state that there are: to which state, and from which.
var moves = map[string]struct {
	to   state
	from []state
}{
	"intended":   {intended, []state{unknown}},
	"signed":     {active, []state{intended}},
	"revoked":    {revoked, []state{intended, active, suspended}},
	"suspended":  {suspended, []state{active}},
	"resumed":    {active, []state{suspended}},
	"superseded": {revoked, []state{intended, active, suspended}},
	"leftover":   {revoked, []state{intended}},
}

// change follows a credential.
func (c *checker) change(n int64, kind string, e *entry) {
	m, ok := moves[kind]
	if !ok {
		c.report(badLog, "entry %d is of a kind that there is not: %.40q", n, e.Kind)
		return
	}
	at, ok := c.byID[toID(e.Credential)]
	if !ok {
		c.report(badSequence, "entry %d is about %.40q, which the database does not have", n, e.Credential)
		return
	}
	k := &c.creds[at]
	if !slices.Contains(m.from, k.logged) {
		c.report(badSequence, "entry %d: %s is %s when it was %s", n, k.id, e.Kind, k.logged)
	}
	k.logged = m.to
	k.signed = k.signed || kind == "signed"
	var slots uint64
	for _, s := range e.Slots {
		if s.List == "" {
			continue
		}
		l := c.byURI[s.List]
		if l == nil || s.Index >= l.size {
			c.report(slotBeyond, "entry %d names slot %d of %.80q", n, s.Index, s.List)
			continue
		}
		slots = addSlot(slots, s.List, s.Index)
		if kind == "intended" && l.logged.add(s.Index) {
			c.report(slotTwice, "entry %d gives out slot %d of %s again", n, s.Index, s.List)
		}
		l.set(s.Index, m.to.value())
	}
	if kind == "intended" {
		k.byLog = slots
		if whole, ok := strings.CutPrefix(e.Detail, "part of "); ok {
			c.loggedWholes[at] = toID(whole)
		}
	} else if slots != k.byLog && (kind != "signed" || len(e.Slots) > 0) {
		c.report(otherSlots, "entry %d names other slots of %s than its intent", n, k.id)
	}
}

// publication holds what was published to the state of its time.
func (c *checker) publication(n int64, e *entry) {
	c.loggedFates(n)
	name, number := "trust", int64(0)
	switch {
	case strings.HasPrefix(e.Detail, "part "):
		name = "part"
		_, _ = fmt.Sscanf(e.Detail, "part %d,", &number)
	case e.Kind == "status.published":
		_, _ = fmt.Sscanf(e.Detail, "number %d of %s", &number, &name)
	default:
		_, _ = fmt.Sscanf(e.Detail, "version %d,", &number)
	}
	l := &c.log
	if before := l.numbers[name]; number != before+1 && !(number > before && l.entries[name] < l.restored) {
		c.report(wentBack, "entry %d publishes number %d of %s after %d", n, number, name, before)
	}
	l.numbers[name], l.entries[name] = number, n
	b, err := hex.DecodeString(e.Digest)
	if err != nil || len(b) != 32 {
		c.report(badLog, "entry %d has no digest", n)
		return
	}
	l.digests[name] = [32]byte(b)
	p := c.byDigest[[32]byte(b)]
	if p == nil {
		return // nobody received it
	}
	p.entry, p.byNumber, p.logged = n, number, true
	if p.number != 0 && p.number != number {
		c.report(wentBack, "%s is number %d, by the log %d", p.path, p.number, number)
	}
	for _, known := range c.lists {
		sum, shown := p.lists[known.uri]
		switch {
		case !shown && name == "trust" && !slices.ContainsFunc(known.logged, func(w uint64) bool { return w != 0 }):
		case !shown && name != "trust" && name != known.uri:
		case !shown:
			c.report(otherList, "%s lacks the list %s", p.path, known.uri)
		case sum != sha256.Sum256(known.values):
			c.report(otherList, "%s shows another state of %s than entry %d had", p.path, known.uri, n)
		}
	}
}

// readHashes compares the hashes that are stored with our own.
func (c *checker) readHashes(ctx context.Context, db database) error {
	all := sha256.New()
	var next int64
	err := each(ctx, db, `SELECT first_hash, hashes FROM audit_hashes ORDER BY first_hash`, func(scan func(...any) error) error {
		var first int64
		var hashes []byte
		if err := scan(&first, &hashes); err != nil {
			return err
		}
		if first != next {
			c.report(badLog, "stored hashes begin at %d where %d should be", first, next)
		}
		next = first + int64(len(hashes)/32)
		all.Write(hashes)
		return nil
	})
	if next != c.log.count || [32]byte(all.Sum(nil)) != c.log.sum {
		c.report(badLog, "the stored hashes are not those of the entries")
	}
	return err
}

// readCurrent compares the publications of the database with the newest ones of
// the log.
func (c *checker) readCurrent(ctx context.Context, db database) error {
	seen := map[string]bool{}
	err := each(ctx, db, `SELECT name, number, digest, content FROM publication`, func(scan func(...any) error) error {
		var name string
		var number int64
		var digest, content []byte
		if err := scan(&name, &number, &digest, &content); err != nil {
			return err
		}
		seen[name] = true
		if sum := sha256.Sum256(content); number != c.log.numbers[name] || sum != c.log.digests[name] || !bytes.Equal(sum[:], digest) {
			c.report(otherCurrent, "number %d of %s, by the log %d", number, name, c.log.numbers[name])
		}
		return nil
	})
	for name := range c.log.numbers {
		if !seen[name] {
			c.report(otherCurrent, "%s is not in the database", name)
		}
	}
	return err
}

// readExports goes through each exported log and compares it with its checkpoint,
// which readLog has compared with the log of the database.
func (c *checker) readExports() error {
	for _, dir := range c.exports {
		m, err := openExport(dir)
		if err != nil {
			continue // reported
		}
		f, err := os.Open(filepath.Join(dir, "entries.jsonl"))
		if err != nil {
			return err
		}
		var tree merkle
		for lines := bufio.NewScanner(f); lines.Scan(); {
			tree.add(lines.Bytes())
		}
		if err := f.Close(); err != nil {
			return err
		}
		if tree.size != m.size || tree.root() != m.root {
			c.report(forkedLog, "the entries in %s are not those of the checkpoint beside them", dir)
		}
	}
	return nil
}
