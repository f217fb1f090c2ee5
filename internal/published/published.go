// Package published is the folder that an issuer publishes into: status list tokens,
// the trust bundle, and index.json, which says what each file is and which digest it
// has. Any web server may serve it while it is being filled.
//
// Start with [Read] for the index and with a [Reader] to hand files out. A file is good
// if it has the digest that the index gives for it, or that of what it is just being
// replaced by ([Index.Next]): index and files cannot change in one step, so the index
// says first what is to come.
//
// Left to others: what is to be published and when (cmd/issuer), and keeping two
// publishers of one folder apart.
package published

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/sanad-id/sanad/internal/durable"
)

// IndexName is the name of the index in its folder.
const IndexName = "index.json"

// mostBytes is the most bytes of a published file.
const mostBytes = 64 << 20

// ErrDamaged: the index is none, or a file is missing or not what the index says.
var ErrDamaged = errors.New("not as it was published")

// A File is one published file, as the index has it.
type File struct {
	URI      string    `json:"uri,omitempty"`  // of a list
	Type     string    `json:"type,omitempty"` // media type of a list
	Number   uint64    `json:"number"`
	File     string    `json:"file"` // its name in the folder
	Bytes    int       `json:"bytes"`
	IssuedAt time.Time `json:"issued_at"`
	SHA256   string    `json:"sha256"` // in hexadecimal digits
}

// An Index says what a folder holds.
type Index struct {
	// Checked is when the folder was last compared with the database.
	Checked time.Time `json:"checked_at"`
	Lists   []File    `json:"lists"`
	Trust   *File     `json:"trust,omitempty"`
	// Next are files that are just being put in place of those above, or beside them.
	// It stays only if the publisher was interrupted.
	Next []File `json:"next,omitempty"`
}

// Files returns the lists and the bundle.
func (x Index) Files() []File {
	files := slices.Clone(x.Lists)
	if x.Trust != nil {
		files = append(files, *x.Trust)
	}
	return files
}

// Versions returns what the file of this name may be: what the index says of it, then
// what it is being replaced by.
func (x Index) Versions(name string) (all []File) {
	for _, f := range append(x.Files(), x.Next...) {
		if f.File == name {
			all = append(all, f)
		}
	}
	return all
}

// Same reports whether two indexes are of the same files.
func (x Index) Same(y Index) bool {
	same := func(a, b File) bool {
		return a == b || a.SHA256 == b.SHA256 && a.File == b.File && a.Number == b.Number
	}
	return slices.EqualFunc(x.Files(), y.Files(), same) && slices.EqualFunc(x.Next, y.Next, same)
}

// Read reads the index of a folder: fs.ErrNotExist if there is none, [ErrDamaged] if what
// is there is no index.
func Read(folder string) (x Index, err error) {
	path := filepath.Join(folder, IndexName)
	b, err := os.ReadFile(path)
	if err != nil {
		return Index{}, err
	}
	if err := json.Unmarshal(b, &x); err != nil || x.Lists == nil {
		return Index{}, fmt.Errorf("%s: %w", path, ErrDamaged)
	}
	return x, nil
}

// Write puts the index in its folder.
func (x Index) Write(folder string) error {
	if x.Lists == nil {
		x.Lists = []File{}
	}
	b, err := json.MarshalIndent(x, "", "  ")
	if err != nil {
		return err
	}
	return durable.Replace(filepath.Join(folder, IndexName), append(b, '\n'), 0o644)
}

// Verify reads the file of this name and returns which of its versions it is. The error
// is [ErrDamaged] if it is none of them, and fs.ErrNotExist, too, if it is not there.
func (x Index) Verify(folder, name string) (File, error) {
	digest, err := Sum(folder, name)
	if err != nil {
		return File{}, err
	}
	return x.version(folder, name, digest)
}

// Sum returns the digest of the file of this name; errors are those of [Index.Verify].
func Sum(folder, name string) (string, error) {
	b, err := open(folder, name, read)
	if err != nil {
		return "", damaged(folder, name, err)
	}
	return Digest(b), nil
}

// version returns the version that has a digest.
func (x Index) version(folder, name, digest string) (File, error) {
	for _, f := range x.Versions(name) {
		if f.SHA256 == digest {
			return f, nil
		}
	}
	return File{}, damaged(folder, name, errors.New("it has another digest than the index says"))
}

func damaged(folder, name string, err error) error {
	return fmt.Errorf("%s: %w: %w", filepath.Join(folder, name), ErrDamaged, err)
}

// Digest is the digest of a file as the index has it.
func Digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// open opens a file of the folder. A name that leads elsewhere is none.
func open[T any](folder, name string, do func(*os.File, fs.FileInfo) (T, error)) (none T, err error) {
	if name == "" || name != filepath.Base(name) || strings.HasPrefix(name, ".") {
		return none, errors.New("the index names a file elsewhere")
	}
	in, err := os.Open(filepath.Join(folder, name))
	if err != nil {
		return none, plain(err)
	}
	defer in.Close() // only read
	info, err := in.Stat()
	if err != nil {
		return none, plain(err)
	}
	if !info.Mode().IsRegular() || info.Size() > mostBytes {
		return none, errors.New("it is no file that could be published")
	}
	return do(in, info)
}

func read(in *os.File, info fs.FileInfo) ([]byte, error) {
	b := make([]byte, info.Size())
	if _, err := io.ReadFull(in, b); err != nil {
		return nil, plain(err)
	}
	return b, nil
}

// plain is an error without the path that the caller names.
func plain(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}
