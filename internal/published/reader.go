package published

import (
	"errors"
	"io/fs"
	"os"
	"sync"
	"time"
)

// A Reader hands out files of a folder, and no other bytes than were published: each
// file is digested when it is first asked for, and again when it has changed. Its methods
// may be called at once from several goroutines.
type Reader struct {
	folder string
	now    func() time.Time
	mu     sync.Mutex
	seen   map[string]seen
	hashed int // how often a file was digested
}

// seen is the digest that a file had.
type seen struct {
	info   fs.FileInfo
	digest string
}

// settled is how old the last change of a file must be for the next one to be seen by
// its date.
const settled = 2 * time.Second

// NewReader returns a reader of the folder.
func NewReader(folder string) *Reader {
	return &Reader{folder: folder, now: time.Now, seen: map[string]seen{}}
}

// Index reads the index as it is now; see [Read].
func (r *Reader) Index() (Index, error) { return Read(r.folder) }

// Content is a file that was read.
type Content struct {
	File
	Content []byte
}

// File reads the file of this name and says which of its versions it is. The error is
// [ErrDamaged] if it is none of them.
func (r *Reader) File(x Index, name string) (Content, error) {
	var digest string
	b, err := open(r.folder, name, func(in *os.File, info fs.FileInfo) ([]byte, error) {
		b, err := read(in, info)
		if err != nil {
			return nil, err
		}
		digest = r.digest(name, info, b)
		// What was written in its place meanwhile may be half of each.
		if after, err := in.Stat(); err != nil || !unchanged(info, after) {
			return nil, errors.Join(errors.New("it is being written"), err)
		}
		return b, nil
	})
	if err != nil {
		return Content{}, damaged(r.folder, name, err)
	}
	f, err := x.version(r.folder, name, digest)
	return Content{f, b}, err
}

// digest is that of the content, from memory if the file did not change.
func (r *Reader) digest(name string, info fs.FileInfo, b []byte) string {
	r.mu.Lock()
	was, ok := r.seen[name]
	r.mu.Unlock()
	if ok && unchanged(was.info, info) {
		return was.digest
	}
	digest := Digest(b)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.hashed++
	delete(r.seen, name)
	if r.now().Sub(info.ModTime()) > settled {
		r.seen[name] = seen{info, digest}
	}
	return digest
}

// unchanged reports whether two looks saw the same file with the same content, as far as
// dates tell.
func unchanged(a, b fs.FileInfo) bool {
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}
