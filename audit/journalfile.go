package audit

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/sanad-id/sanad/internal/durable"
)

const (
	// slotSize is the size of each half of the file of what is confirmed. They are
	// written in turns, so that a write which breaks off leaves the other.
	slotSize = 4096
	slotHead = "sanad journal 1"
	// rebuilt stands for the sequence number of a file that has to be written anew.
	rebuilt = ^uint64(0)
)

// A journalFile is a file of a journal. Tests put faults into it.
type journalFile interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Truncate(size int64) error
	Sync() error
	Stat() (fs.FileInfo, error)
}

// A position is a place between two entries of a journal: the tree over those
// before it, and where in the file it is.
type position struct {
	tree
	offset int64
	seq    uint64 // counts what was written to the file of what is confirmed
}

func (p *position) clone() position {
	c := *p
	c.edge = append(make([]Hash, 0, 64), p.edge...)
	return c
}

// record is the position as it stands in the file, with blanks up to size bytes.
// Size 0 leaves them out.
func (p *position) record(size int) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%d\n%s\n%d\n%d\n", p.size, slotHead, p.offset, p.seq)
	for _, h := range p.edge {
		fmt.Fprintln(&b, h)
	}
	sum := sha256.Sum256(b.Bytes())
	fmt.Fprintf(&b, "sha256 %s\n", hex.EncodeToString(sum[:]))
	if n := size - b.Len(); n > 0 {
		b.Write(bytes.Repeat([]byte{' '}, n))
	}
	return b.Bytes()
}

// parsePosition reads what record wrote.
func parsePosition(b []byte) (position, error) {
	end := bytes.Index(b, []byte("sha256 "))
	if end < 0 || len(bytes.Trim(b[min(len(b), end+len("sha256 \n")+2*sha256.Size):], " ")) > 0 {
		return position{}, errors.New("no checksum at the end")
	}
	var p position
	var err error
	lines := strings.Split(string(b[:end]), "\n")
	if len(lines) < 5 || lines[1] != slotHead {
		return position{}, errors.New("not the position of a journal")
	}
	for _, f := range []struct {
		to   *int64
		line string
	}{{&p.size, lines[0]}, {&p.offset, lines[2]}} {
		if *f.to, err = strconv.ParseInt(f.line, 10, 64); err != nil || *f.to < 0 {
			return position{}, errors.New("a number is none")
		}
	}
	if p.seq, err = strconv.ParseUint(lines[3], 10, 64); err != nil {
		return position{}, errors.New("a number is none")
	}
	p.edge = make([]Hash, 0, 64)
	for _, line := range lines[4 : len(lines)-1] {
		h, err := base64.StdEncoding.Strict().DecodeString(line)
		if err != nil || len(h) != len(Hash{}) || len(p.edge) == 63 {
			return position{}, errors.New("a hash is none")
		}
		p.edge = append(p.edge, Hash(h))
	}
	// What record writes is the only authority: the checksum with the rest.
	if again := p.record(0); !bytes.HasPrefix(b, again) {
		return position{}, errors.New("the checksum is wrong")
	}
	if want := onesCount(p.size); len(p.edge) != want {
		return position{}, fmt.Errorf("%d hashes, want %d", len(p.edge), want)
	}
	return p, nil
}

func onesCount(n int64) (c int) {
	for ; n > 0; n &= n - 1 {
		c++
	}
	return c
}

// add adds entries to the position and returns them as they stand in the file.
func (p *position) add(entries [][]byte) ([]byte, error) {
	length := len(entries)
	for _, e := range entries {
		length += len(e)
	}
	text := make([]byte, 0, length)
	var stored []Hash
	for _, e := range entries {
		if n, ok := entryNumber(e); !ok || n != p.size || len(e) > maxEntry || bytes.IndexByte(e, '\n') >= 0 {
			return nil, fmt.Errorf("what shall be entry %d is none", p.size)
		}
		stored = p.tree.add(tlog.RecordHash(e), stored[:0])
		text = append(append(text, e...), '\n')
	}
	p.offset += int64(length)
	return text, nil
}

// entryNumber is the number that an entry begins with.
func entryNumber(line []byte) (int64, bool) {
	rest, ok := bytes.CutPrefix(line, []byte(`{"n":`))
	if !ok {
		return 0, false
	}
	end := bytes.IndexByte(rest, ',')
	if end < 1 || end > 19 || end > 1 && rest[0] == '0' {
		return 0, false
	}
	n := int64(0)
	for _, c := range rest[:end] {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, n >= 0
}

// journalFiles are the open files of a journal.
type journalFiles struct {
	entries, confirmed journalFile
	lock               *os.File // of the entries, to lock
}

func openJournalFiles(dir string, open func(string) (journalFile, error)) (*journalFiles, error) {
	path := filepath.Join(dir, EntriesFile)
	lock, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	f := &journalFiles{lock: lock}
	if f.entries, err = open(path); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	f.confirmed, err = open(filepath.Join(dir, AcknowledgedFile))
	if errors.Is(err, fs.ErrNotExist) {
		// Lost. What the entries say is then read from them.
		if err = durable.Create(filepath.Join(dir, AcknowledgedFile), make([]byte, 2*slotSize), 0o600); err == nil || errors.Is(err, fs.ErrExist) {
			f.confirmed, err = open(filepath.Join(dir, AcknowledgedFile))
		}
	}
	if err != nil {
		return nil, errors.Join(err, f.entries.Close(), lock.Close())
	}
	return f, nil
}

func (f *journalFiles) close() error {
	return errors.Join(f.entries.Close(), f.confirmed.Close(), f.lock.Close())
}

func (f *journalFiles) same(info fs.FileInfo) bool {
	mine, err := f.lock.Stat()
	return err == nil && os.SameFile(mine, info)
}

// take waits for the lock of the folder.
func (f *journalFiles) take(ctx context.Context) error {
	for wait := 50 * time.Microsecond; ; wait = min(2*wait, 5*time.Millisecond) {
		err := durable.TryLock(f.lock)
		if !errors.Is(err, durable.ErrLocked) {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: another process writes to it", ErrJournalHangs)
		case <-time.After(wait):
		}
	}
}

func (f *journalFiles) release() error { return durable.Unlock(f.lock) }

// load finds out what is confirmed, and checks that the entries are there. It
// also returns the sequence number that the file holds.
func (f *journalFiles) load() (position, uint64, error) {
	info, err := f.entries.Stat()
	if err != nil {
		return position{}, 0, err
	}
	both := make([]byte, 2*slotSize)
	n, err := f.confirmed.ReadAt(both, 0)
	if err != nil && err != io.EOF {
		return position{}, 0, fmt.Errorf("read %s: %w", AcknowledgedFile, err)
	}
	var best position
	found := false
	for i := range 2 {
		if n < (i+1)*slotSize {
			break
		}
		p, err := parsePosition(both[i*slotSize : (i+1)*slotSize])
		if err == nil && (!found || p.seq > best.seq) {
			best, found = p, true
		}
	}
	if !found {
		p, err := f.count(info.Size())
		return p, rebuilt, err
	}
	return best, best.seq, f.checkEnd(&best, info.Size())
}

// count reads all whole entries, as the position behind the last of them.
func (f *journalFiles) count(size int64) (position, error) {
	var p position
	err := f.advance(&p, size)
	if errors.Is(err, errBreaksOff) {
		err = nil
	}
	return p, err
}

// checkEnd looks whether the last confirmed entry stands where it should.
func (f *journalFiles) checkEnd(p *position, size int64) error {
	if p.offset > size {
		return fmt.Errorf("%w: %s has %d bytes, of which %d are confirmed", ErrJournalDamaged, EntriesFile, size, p.offset)
	}
	if p.size == 0 {
		if p.offset != 0 {
			return fmt.Errorf("%w: no entries in %d bytes", ErrJournalDamaged, p.offset)
		}
		return nil
	}
	b := make([]byte, min(p.offset, maxEntry+2))
	if _, err := f.entries.ReadAt(b, p.offset-int64(len(b))); err != nil {
		return fmt.Errorf("read %s: %w", EntriesFile, err)
	}
	line, ok := bytes.CutSuffix(b, []byte("\n"))
	line = line[bytes.LastIndexByte(line, '\n')+1:]
	n, _, err := parseEntry(line)
	// The last leaf of an odd number of entries is among the hashes.
	odd := p.size&1 == 1
	if !ok || err != nil || n != p.size-1 || odd && p.edge[len(p.edge)-1] != tlog.RecordHash(line) {
		return fmt.Errorf("%w: entry %d is not where it should end", ErrJournalDamaged, p.size-1)
	}
	return nil
}

var errBreaksOff = errors.New("the entries break off")

// advance reads the entries from a position up to an offset.
func (f *journalFiles) advance(p *position, to int64) error {
	r := bufio.NewReaderSize(io.NewSectionReader(f.entries, p.offset, to-p.offset), 1<<20)
	var stored []Hash
	for p.offset < to {
		line, err := r.ReadSlice('\n')
		if err == io.EOF || errors.Is(err, bufio.ErrBufferFull) {
			return fmt.Errorf("%w: %w after entry %d", ErrJournalDamaged, errBreaksOff, p.size)
		}
		if err != nil {
			return fmt.Errorf("read %s: %w", EntriesFile, err)
		}
		entry := line[:len(line)-1]
		if n, _, err := parseEntry(entry); err != nil || n != p.size {
			return fmt.Errorf("%w: %w after entry %d", ErrJournalDamaged, errBreaksOff, p.size)
		}
		stored = p.tree.add(tlog.RecordHash(entry), stored[:0])
		p.offset += int64(len(line))
	}
	return nil
}

// readJournal yields the entries of a file from number first on. Behind the first
// confirmed ones it ends where whole entries end.
func readJournal(ctx context.Context, f *os.File, first, confirmed int64, yield func([]byte, error) bool) {
	info, err := f.Stat()
	if err == nil {
		_, err = seekEntry(f, first, info.Size())
	}
	if err != nil {
		yield(nil, fmt.Errorf("journal: %w", err))
		return
	}
	r := bufio.NewReaderSize(f, 256<<10)
	for at := int64(-1); ; {
		line, err := r.ReadSlice('\n')
		whole := err == nil
		n := at
		if whole {
			line = line[:len(line)-1]
			n, whole = entryNumber(line)
			whole = whole && (at < 0 || n == at) && len(line) <= maxEntry
		}
		switch {
		case err != nil && err != io.EOF && !errors.Is(err, bufio.ErrBufferFull):
			yield(nil, fmt.Errorf("journal: read %s: %w", EntriesFile, err))
			return
		case !whole && max(at, first) < confirmed:
			yield(nil, fmt.Errorf("journal: %w: after entry %d", ErrJournalDamaged, max(at, first)))
			return
		case !whole:
			return
		}
		if at = n + 1; n < first {
			continue
		}
		if err := ctx.Err(); err != nil {
			yield(nil, err)
			return
		}
		if !yield(bytes.Clone(line), nil) {
			return
		}
	}
}

// seekEntry moves to the beginning of an entry at or a little before number n:
// they stand in their order.
func seekEntry(f *os.File, n, size int64) (int64, error) {
	low, high := int64(0), size // low is the beginning of an entry
	b := make([]byte, maxEntry+64)
	for high-low > 4*maxEntry {
		middle := low + (high-low)/2
		got, err := f.ReadAt(b, middle)
		if err != nil && err != io.EOF {
			return 0, err
		}
		start := bytes.IndexByte(b[:got], '\n') + 1
		number, ok := entryNumber(b[start:got])
		if start == 0 || !ok || number > n {
			high = middle
			continue
		}
		low = middle + int64(start)
	}
	return f.Seek(low, io.SeekStart)
}
