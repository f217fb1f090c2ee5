package issuance

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/sanad-id/sanad/internal/durable"
)

// Files of a batch's folder, beside those of the credentials.
const (
	termsName    = "batch.json"
	manifestName = "manifest.csv"
	spoolFolder  = ".spool"
)

// The spool is emptied when so many chunks or so much time have passed since.
const (
	flushChunks = 16
	flushEvery  = 5 * time.Second
)

// A folder is where a batch writes. It is for one run at a time.
//
// What a chunk releases is written to its spool file first, durably, and the
// store marks the chunk after that. From then on the spool file is the chunk's
// output: releasing it writes the credentials' files and the chunk's part of the
// manifest at a place that the spool names, and can be repeated at will. Spool
// files go when all that came from them is durable.
type folder struct {
	path     string
	lock     *os.File
	manifest *os.File
	sync     func(folder string) error // nil: every file by itself
	// broken says that something failed: nothing more is made durable in this run.
	broken atomic.Bool
}

// A releasedChunk was released; its files are not yet known to be durable.
type releasedChunk struct {
	chunk int64
	files []string // empty if all files of the folder are made durable in one step
}

// terms are what a batch was begun with.
type terms struct {
	Batch     string `json:"batch"`
	Programme string `json:"programme"`
	Version   int    `json:"version"`
	Source    string `json:"source"`
	Files     string `json:"files"`
	Supersede bool   `json:"supersede"`
	// Folder is the folder's own id, if several processes share the batch.
	Folder string `json:"folder,omitempty"`
}

func (r BatchRequest) terms() terms {
	kinds := make([]string, len(r.Kinds))
	for i, k := range r.Kinds {
		kinds[i] = string(k)
	}
	slices.Sort(kinds)
	return terms{Programme: r.Programme, Files: strings.Join(kinds, " "), Supersede: r.Supersede}
}

// openFolder makes the folder if need be and keeps other runs out of it.
func openFolder(path string) (*folder, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFolder, err)
	}
	lock, err := lockFolder(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFolder, err)
	}
	return &folder{path: path, lock: lock}, nil
}

func (f *folder) close() {
	if f.manifest != nil {
		f.manifest.Close()
	}
	f.lock.Close()
}

func (f *folder) in(name ...string) string {
	return filepath.Join(append([]string{f.path}, name...)...)
}

// empty reports whether the folder holds nothing that a batch wrote, but for
// its terms.
func (f *folder) empty() bool {
	_, err1 := os.Lstat(f.in(manifestName))
	_, err2 := os.Lstat(f.in(spoolFolder))
	return errors.Is(err1, fs.ErrNotExist) && errors.Is(err2, fs.ErrNotExist)
}

// terms reads what the folder's batch was begun with, if there is one.
func (f *folder) terms() (terms, bool, error) {
	b, err := os.ReadFile(f.in(termsName))
	if errors.Is(err, fs.ErrNotExist) {
		return terms{}, false, nil
	}
	if err != nil {
		return terms{}, false, fmt.Errorf("%w: %w", ErrFolder, err)
	}
	var t terms
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&t); err != nil || !ValidID(t.Batch) {
		return terms{}, false, fmt.Errorf("%w: %s is not the one of a batch", ErrFolder, f.in(termsName))
	}
	return t, true, nil
}

// BatchOfFolder returns the id of the batch that writes into a folder, [ErrNoBatch] if
// there is none.
func BatchOfFolder(path string) (string, error) {
	t, known, err := (&folder{path: path}).terms()
	if err == nil && !known {
		err = ErrNoBatch
	}
	return t.Batch, err
}

// writeTerms stores them durably, in one step.
func (f *folder) writeTerms(t terms) error {
	b, err := json.MarshalIndent(t, "", "  ")
	if err != nil {
		return err
	}
	return durable.Replace(f.in(termsName), append(b, '\n'), 0o600)
}

// startManifest begins an empty manifest.
func (f *folder) startManifest() error {
	if err := os.MkdirAll(f.in(spoolFolder), 0o700); err != nil {
		return err
	}
	if err := durable.Replace(f.in(manifestName), []byte(manifestHeader), 0o600); err != nil {
		return err
	}
	if err := f.openManifest(); err != nil {
		return err
	}
	return durable.Sync(f.path)
}

func (f *folder) openManifest() error {
	m, err := os.OpenFile(f.in(manifestName), os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrFolder, err)
	}
	f.manifest = m
	return nil
}

// recover puts the folder into the state of the store: unmarked spools go, marked
// ones are released again, and the manifest ends where the last marked chunk does,
// at length.
func (f *folder) recover(marked func(chunk int64) bool, length int64, workers int) error {
	if length == int64(len(manifestHeader)) {
		if err := os.RemoveAll(f.in(spoolFolder)); err != nil {
			return err
		}
		return f.startManifest()
	}
	if err := os.MkdirAll(f.in(spoolFolder), 0o700); err != nil {
		return err
	}
	if err := f.openManifest(); err != nil {
		return err
	}
	spools, err := f.markedSpools(marked)
	if err != nil {
		return err
	}
	released, err := f.releaseAll(spools, workers)
	if err != nil {
		return err
	}
	info, err := f.manifest.Stat()
	if err != nil {
		return err
	}
	if info.Size() != length {
		return fmt.Errorf("%w: %s has %d bytes where the issuer's records say %d; it was changed, or the store is older than the folder",
			ErrFolder, f.in(manifestName), info.Size(), length)
	}
	return f.flush(released)
}

// salvage releases the chunks in the spool whose credentials were released, in the order of
// their rows in the manifest, and leaves the others where they are.
func (f *folder) salvage(workers int, released func(credential string) (bool, error)) error {
	numbers, err := f.spools()
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(numbers) == 0 {
		return nil // nothing is left to be released
	}
	if err != nil {
		return err
	}
	if err := f.openManifest(); err != nil {
		return err
	}
	spools := make([]*spool, len(numbers))
	for i, n := range numbers {
		if spools[i], err = f.readSpool(n); err != nil {
			return err
		}
	}
	slices.SortFunc(spools, func(a, b *spool) int { return cmp.Compare(a.offset, b.offset) })
	var marked, unsaid []*spool // unsaid have no credential that could tell
	for _, s := range spools {
		id := s.credential()
		if id == "" {
			unsaid = append(unsaid, s)
			continue
		}
		ok, err := released(id) // a chunk is marked as a whole
		if err != nil {
			return err
		}
		if ok { // and those before it were marked before it
			marked, unsaid = append(append(marked, unsaid...), s), nil
		}
	}
	chunks, err := f.releaseAll(marked, workers)
	if err != nil {
		return err
	}
	return f.flush(chunks)
}

// releaseAll releases chunks one after the other; they are yet to be flushed.
func (f *folder) releaseAll(spools []*spool, workers int) ([]releasedChunk, error) {
	var released []releasedChunk
	for _, s := range spools {
		r, err := f.release(s, workers, func() {})
		if err != nil {
			return nil, err
		}
		released = append(released, r)
	}
	return released, nil
}

// credential is the first credential of the chunk, "" if it has none.
func (s *spool) credential() string {
	for row := range bytes.Lines(s.rows) {
		if cells := bytes.Split(row, []byte(",")); len(cells) > 1 && ValidID(string(cells[1])) {
			return string(cells[1])
		}
	}
	return ""
}

// markedSpools returns the spools of marked chunks, in the order of their rows in
// the manifest, and removes the others.
func (f *folder) markedSpools(marked func(chunk int64) bool) ([]*spool, error) {
	numbers, err := f.spools()
	if err != nil {
		return nil, err
	}
	var spools []*spool
	for _, n := range numbers {
		if !marked(n) {
			if err := f.dropSpool(n); err != nil {
				return nil, err
			}
			continue
		}
		s, err := f.readSpool(n)
		if err != nil {
			return nil, err
		}
		spools = append(spools, s)
	}
	slices.SortFunc(spools, func(a, b *spool) int { return cmp.Compare(a.offset, b.offset) })
	return spools, nil
}

// dropSpool removes the output of a chunk that was not marked.
func (f *folder) dropSpool(n int64) error { return os.Remove(f.spoolPath(n)) }

// spools returns the numbers of the spool files in ascending order.
func (f *folder) spools() ([]int64, error) {
	entries, err := os.ReadDir(f.in(spoolFolder))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFolder, err)
	}
	var numbers []int64
	for _, e := range entries {
		n, err := strconv.ParseInt(e.Name(), 10, 64)
		if err != nil || f.spoolPath(n) != f.in(spoolFolder, e.Name()) {
			return nil, fmt.Errorf("%w: what is %s?", ErrFolder, f.in(spoolFolder, e.Name()))
		}
		numbers = append(numbers, n)
	}
	slices.SortFunc(numbers, cmp.Compare)
	return numbers, nil
}

func (f *folder) spoolPath(n int64) string { return f.in(spoolFolder, fmt.Sprintf("%012d", n)) }

// writeSpool makes a chunk's output durable.
func (f *folder) writeSpool(s *spool) error {
	if err := durable.Write(f.spoolPath(s.chunk), s.encode(), 0o600); err != nil {
		return fmt.Errorf("write the spool: %w", err)
	}
	return durable.Sync(f.in(spoolFolder))
}

func (f *folder) readSpool(n int64) (*spool, error) {
	b, err := os.ReadFile(f.spoolPath(n))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFolder, err)
	}
	s, err := decodeSpool(b)
	if err != nil || s.chunk != n {
		return nil, fmt.Errorf("%w: the spool file %s is damaged", ErrFolder, f.spoolPath(n))
	}
	return s, nil
}

// release writes a chunk's files and then its rows of the manifest. It may be
// repeated.
func (f *folder) release(s *spool, workers int, between func()) (releasedChunk, error) {
	r := releasedChunk{chunk: s.chunk}
	info, err := f.manifest.Stat()
	if err == nil && info.Size() < s.offset {
		err = fmt.Errorf("%w: %s is shorter than it was", ErrFolder, f.in(manifestName))
	}
	if err == nil {
		err = parallel(workers, len(s.files), func(i int) error {
			return os.WriteFile(f.in(s.files[i].name), s.files[i].data, 0o600)
		})
	}
	if err == nil {
		between()
		_, err = f.manifest.WriteAt(s.rows, s.offset)
	}
	if err != nil {
		f.broken.Store(true)
		return r, fmt.Errorf("release chunk %d: %w", s.chunk, err)
	}
	if f.sync == nil {
		for _, file := range s.files {
			r.files = append(r.files, file.name)
		}
	}
	return r, nil
}

// flush makes chunks that were released durable and then removes their spool
// files. Others may be released meanwhile.
func (f *folder) flush(released []releasedChunk) error {
	if f.broken.Load() || len(released) == 0 {
		return nil
	}
	if err := f.syncAll(released); err != nil {
		// What an fsync has failed for must not be taken for durable by a second
		// one that succeeds. The next run writes it anew from the spool.
		f.broken.Store(true)
		return fmt.Errorf("flush %s: %w", f.path, err)
	}
	for _, r := range released {
		if err := os.Remove(f.spoolPath(r.chunk)); err != nil {
			return err
		}
	}
	return nil
}

func (f *folder) syncAll(released []releasedChunk) error {
	if err := f.manifest.Sync(); err != nil {
		return err
	}
	if f.sync != nil {
		return f.sync(f.path)
	}
	for _, r := range released {
		for _, name := range r.files {
			if err := durable.Sync(f.in(name)); err != nil {
				return err
			}
		}
	}
	return durable.Sync(f.path)
}

// clean removes the spool of a finished batch.
func (f *folder) clean() error { return os.RemoveAll(f.in(spoolFolder)) }

// lockFolder keeps other runs out of a folder until the file it returns is closed
// or the program ends.
func lockFolder(path string) (*os.File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	if err := durable.TryLock(f); err != nil {
		if errors.Is(err, durable.ErrLocked) {
			err = errors.New("another run is writing to it")
		}
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// A spool is the whole output of one chunk.
type spool struct {
	chunk  int64
	offset int64  // of rows in the manifest
	rows   []byte // of the manifest
	files  []spoolFile
}

type spoolFile struct {
	name string
	data []byte
}

const spoolMagic = "sanad spool 1\n"

// fileNames is what the files of a batch may be called: nothing that leads out
// of the folder.
var fileNames = regexp.MustCompile(`^[0-7][0-9A-HJKMNP-TV-Z]{25}(-[a-z0-9_-]{1,64})?\.(txt|png|svg)$|^codes-[0-9]{8,19}\.csv$`)

// encode is the magic, chunk, offset, rows and files, each text with its length
// before it, and the SHA-256 of all that.
func (s *spool) encode() []byte {
	size := len(spoolMagic) + 24 + len(s.rows) + sha256.Size
	for _, f := range s.files {
		size += 8 + len(f.name) + len(f.data)
	}
	b := append(make([]byte, 0, size), spoolMagic...)
	b = binary.BigEndian.AppendUint64(b, uint64(s.chunk))
	b = binary.BigEndian.AppendUint64(b, uint64(s.offset))
	b = appendText(b, s.rows)
	b = binary.BigEndian.AppendUint32(b, uint32(len(s.files)))
	for _, f := range s.files {
		b = appendText(b, []byte(f.name))
		b = appendText(b, f.data)
	}
	sum := sha256.Sum256(b)
	return append(b, sum[:]...)
}

func appendText(b, text []byte) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(text))), text...)
}

var errSpool = errors.New("issuance: not a spool file")

// decodeSpool reads what encode wrote and refuses everything else.
func decodeSpool(b []byte) (*spool, error) {
	end := len(b) - sha256.Size
	if end < len(spoolMagic) || string(b[:len(spoolMagic)]) != spoolMagic || sha256.Sum256(b[:end]) != [sha256.Size]byte(b[end:]) {
		return nil, errSpool
	}
	r := spoolReader{rest: b[len(spoolMagic):end]}
	s := &spool{chunk: r.number(8), offset: r.number(8), rows: r.text()}
	for n := r.number(4); n > 0 && r.err == nil; n-- {
		f := spoolFile{name: string(r.text()), data: r.text()}
		if !fileNames.MatchString(f.name) {
			r.err = errSpool
		}
		s.files = append(s.files, f)
	}
	if r.err != nil || len(r.rest) > 0 || s.chunk < 0 || s.offset < 0 {
		return nil, errSpool
	}
	return s, nil
}

// spoolReader reads lengths and texts until something is missing.
type spoolReader struct {
	rest []byte
	err  error
}

func (r *spoolReader) take(n int64) []byte {
	if n < 0 || n > int64(len(r.rest)) {
		r.err, r.rest = io.ErrUnexpectedEOF, nil
		return nil
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

func (r *spoolReader) number(size int64) (n int64) {
	for _, b := range r.take(size) {
		n = n<<8 | int64(b)
	}
	return n
}

func (r *spoolReader) text() []byte { return r.take(r.number(4)) }
